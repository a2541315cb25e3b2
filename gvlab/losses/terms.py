"""What is added to the loss of one player of a GAN: terms, of which any number may be summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.parallel import mean_over
from gvlab.types import Judged, PRNGKey, PyTree, UserError

Styled: TypeAlias = tuple[Array, Callable[[Array], Array]]
"""(styles w [n, layers, units], the function from such to examples x [n, *shape])"""


class Round(NamedTuple):
    """What a term may look at: one update of one player, on one batch."""

    step: Int[Array, ""]
    """Train steps before this one."""
    key: PRNGKey
    """For the term alone."""
    real: Float[Array, "batch *shape"]
    """Real examples, in the data range."""
    fake: Float[Array, "batch *shape"]
    """Generated ones; without a gradient where the discriminator is updated."""
    z: Float[Array, "batch latent"]
    """The latents that those are made of."""
    critic: Callable[[Array], Array]
    """x [batch, *shape] -> logits [batch]: the discriminator, with the labels of the batch, as it judged the real
    examples: of those it gives `on_real` again."""
    generate: Callable[[Array], Array]
    """z [batch, latent] -> x [batch, *shape]: the generator, with the labels of the batch."""
    on_real: Float[Array, " batch"]
    """The discriminator's logits of the real examples."""
    on_fake: Float[Array, " batch"]
    """The discriminator's logits of the generated ones."""
    axis_name: str | None = None
    """Of the mapped axis that the batch is spread over, for noise that is the same for any number of devices."""
    critic_of_fake: Callable[[Array], Array] | None = None
    """x -> logits, as the discriminator judged the generated examples, where an augmentation shows the two kinds by
    draws of their own, or its singular vectors had advanced; None: as `critic`."""
    y: Float[Array, "batch classes"] | None = None
    """One-hot classes, of the real examples and of the generated ones alike; None without classes."""
    judged_real: Judged | None = None
    """All that the discriminator says of the real examples, of which `on_real` are the logits."""
    judged_fake: Judged | None = None
    """All that it says of the generated ones."""
    styled: Callable[[Array], Styled] | None = None
    """z [n, latent] -> the generator in two halves, with the labels of the batch's first n examples; None where it has
    no styles."""
    updates: Int[Array, ""] | None = None
    """Updates of the player before this one, where a train step has several; None: as many as `step`."""


class Term(NamedTuple):
    """A sum of such is added to a player's loss; what one of them is not asked for, XLA drops."""

    name: str
    """Of the curve that shows its mean over the batch: `d_term/r1`."""
    value: Callable[[Round, PyTree], tuple[Float[Array, " batch"], PyTree]]
    """(round, memory) -> (loss of each example, memory of the next step)."""
    init: Callable[[], PyTree] = dict
    """() -> the memory before the first step: a pytree of arrays, empty for most."""
    by_example: bool = False
    """Whether it takes the discriminator's gradient for one example at a time, which a layer that couples the examples
    of a batch (BatchNorm) would falsify."""
    needs: tuple[str, ...] = ()
    """The fields of `Judged` besides `logits` that it reads: a discriminator without them is refused."""
    shown: Callable[[PyTree], Float[Array, ""]] | None = None
    """memory -> what its curve shows; None: the mean of its value."""


def every(steps: int, term: Term) -> Term:
    """The term in every `steps`-th update, from the first on, with `steps` times its weight (lazy regularisation).

    Updates are counted, of which a train step may have several of the discriminator, as in StudioGAN; in the published
    training of StyleGAN2 it has one.

    Its curve shows what the term was when it was last computed, without that factor. In between, a run alone leaves its
    branch out (`lax.cond`); where runs are trained together every update computes it, since under `vmap` the choice
    becomes a selection.

    Args:
        steps: at least 1.
        term: with a memory that only changes when it is used.

    Raises:
        UserError: if `steps` is below 1.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020.
    """
    if steps < 1:
        raise UserError(f"A term in every {steps}-th step was asked for: every() takes a whole number of at least 1.")

    def init() -> PyTree:
        return {"of": term.init(), "last": jnp.zeros(())}

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        def used(of: PyTree) -> tuple[Array, PyTree]:
            found, after = term.value(this, of)
            return steps * found, after

        now = (this.step if this.updates is None else this.updates) % steps == 0
        found, after = jax.lax.cond(now, used, lambda of: (jnp.zeros_like(this.on_real), of), memory["of"])
        mean = mean_over(jax.lax.stop_gradient(found).mean() / steps, this.axis_name)
        return found, {"of": after, "last": jnp.where(now, mean, memory["last"])}

    return term._replace(value=value, init=init, shown=lambda memory: memory["last"])


def scheduled(schedule: Callable[[Array], Array], term: Term) -> Term:
    """The term times a number that changes with the train step, such as R3GAN's falling weight of its penalties.

    Its curve has that factor; of a lazy term where this is inside: every(n, scheduled(schedule, term)).

    Args:
        schedule: train steps before -> factor; optax's schedules are such functions.
        term: any.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        found, after = term.value(this, memory)
        return schedule(this.step) * found, after

    return term._replace(value=value)


def summed(
    terms: Sequence[Term], this: Round, memory: dict[str, PyTree]
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]], dict[str, PyTree]]:
    """The sum of the means over the batch, what the curve of each shows, by name, and all memories after it."""
    total, shown, after = jnp.zeros(()), {}, {}
    for i, term in enumerate(terms):
        found, after[term.name] = term.value(this._replace(key=jax.random.fold_in(this.key, i)), memory[term.name])
        mean = found.mean()
        total += mean
        shown[term.name] = mean if term.shown is None else term.shown(after[term.name])
    return total, shown, after


def memories(terms: Sequence[Term]) -> dict[str, PyTree]:
    """What each remembers before the first step, by name.

    Raises:
        UserError: if two terms have one name.
    """
    names = [term.name for term in terms]
    for name in names:
        if names.count(name) > 1:
            raise UserError(
                f"The term {name} was given {names.count(name)} times: give it once, with the sum of weights."
            )
    return {term.name: term.init() for term in terms}
