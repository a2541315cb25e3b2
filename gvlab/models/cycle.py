"""Translation learned without pairs: CycleGAN (Zhu et al. 2017).

Pictures are what an operator leaves of images, as of `translation.translator`, but no picture is shown beside its
image: each batch is parted in two, of which one half stands for images and the other is made into pictures. Since the
true image of every picture is known all the same, how well it is met can be measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab import rng, tree
from gvlab.models import image_critics
from gvlab.models.base import check_first_batch, eval_apply, init_module, train_apply, updates_of
from gvlab.models.latents import VAEState
from gvlab.models.translation import Seen, translating
from gvlab.parallel import gather, mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, UserError

IMAGES, PICTURES = "images", "pictures"
"""The two sides; a generator and a critic are called by what the one makes and the other judges."""


class Pair(NamedTuple):
    """A network for each side."""

    images: nn.Module
    pictures: nn.Module


def cycle_translator(
    generators: Pair,
    critics: Pair,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation],
    seen: Seen,
    *,
    shape: tuple[int, ...],
    cycle_weight: float | Float[Array, ""] = 10.0,
    identity_weight: float | Float[Array, ""] = 0.5,
    pool: int = 50,
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """Generators G from pictures a to images x and F from images to pictures, and a critic of each side.

    G and F descend together, means over pixels and patches,

        (D_x(G(a)) - 1)^2 + (D_a(F(x)) - 1)^2
        + cycle_weight (|F(G(a)) - a| + |G(F(x)) - x| + identity_weight (|G(x) - x| + |F(a) - a|)),

    then each critic half of (D(real) - 1)^2 + D(made)^2 on what was made for it before that, some of which a history
    has exchanged for earlier ones. In a step a and x are of different examples (`sides`).

    Args:
        generators: Linen modules, (from [b, *shape], None, train=) -> to [b, *shape].
        critics: Linen modules, ([b, *shape], None, train=) -> logits [b, *patches].
        optimizers: of both generators together, and of each critic.
        seen: makes pictures of images.
        shape: of an image.
        cycle_weight: lambda.
        identity_weight: in units of `cycle_weight`, as the published code has it.
        pool: images that the history of each side holds; 0: there is none.
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients and terms are averaged.

    Returns:
        A `Model` as of `translation.translator`, with states of type `VAEState`, whose `critic` holds the two critics
        and, under `pool`, the history. The terms of training are `g_loss`, `cycle`, `identity`, `grad_norm` and, of
        either side, `critic_loss`, `critic_real` and `critic_fake`.

    Reference: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, eq.
    1 to 3, section 4 (least squares, history) and 5.2 (identity).
    """
    of_generators, of_critics = optimizers

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        x, other = sides(rng.stream(key, rng.SIDES), batch.x, axis_name)
        a = seen(other)
        judges = {side: image_critics.judging(getattr(critics, side), state.critic[side]) for side in _SIDES}

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, dict[str, Array]]]:
            def made(side: str, given: Array) -> tuple[Array, PyTree]:
                return train_apply(getattr(generators, side), params[side], state.stats[side], given, None)

            to = {IMAGES: made(IMAGES, a), PICTURES: made(PICTURES, x)}
            fake = {side: images for side, (images, _) in to.items()}
            verdict = sum(((judges[side](fake[side], None) - 1) ** 2).mean() for side in _SIDES)
            back = made(PICTURES, fake[IMAGES])[0], made(IMAGES, fake[PICTURES])[0]
            cycle = jnp.abs(back[0] - a).mean() + jnp.abs(back[1] - x).mean()
            identity = jnp.abs(made(IMAGES, x)[0] - x).mean() + jnp.abs(made(PICTURES, a)[0] - a).mean()
            info = {"g_loss": verdict, "cycle": cycle, "identity": identity}
            stats = {side: of_side for side, (_, of_side) in to.items()}
            return verdict + cycle_weight * (cycle + identity_weight * identity), (info, stats, fake)

        grads, (info, stats, fake) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer = updates_of(of_generators, grads, state.optimizer, state.params, state.step)
        params = optax.apply_updates(state.params, updates)
        info = mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

        after: dict[str, Any] = {"pool": {}}
        for number, (side, real) in enumerate(((IMAGES, x), (PICTURES, a))):
            shown = fake[side]
            if pool:
                draws = rng.stream(key, rng.CRITIC, number)
                shown, after["pool"][side] = exchanged(state.critic["pool"][side], shown, draws, axis_name)
            after[side], said = image_critics.update(
                getattr(critics, side), of_critics, state.critic[side], _regression(real, shown), state.step, axis_name
            )
            info |= {f"{term}/{side}": value for term, value in said.items()}
        return VAEState(state.step + 1, params, stats, optimizer, after), info

    def init(key: PRNGKey, batch: Batch) -> VAEState:
        check_first_batch(batch, shape, data_range, 0)
        x = jnp.zeros((2, *shape))
        weights, stats = {}, {}
        held: dict[str, Any] = {"pool": {side: history(pool, shape) for side in _SIDES} if pool else {}}
        for number, side in enumerate(_SIDES):
            of_side = rng.stream(key, rng.INIT, number)
            weights[side], stats[side] = init_module(getattr(generators, side), of_side, x, None)
            of_critic = rng.stream(key, rng.CRITIC, number)
            held[side] = image_critics.init(getattr(critics, side), of_critics, of_critic, x, None)
        return VAEState(jnp.zeros((), jnp.int32), weights, stats, of_generators.init(weights), held)

    def translated(state: VAEState, a: Array) -> Array:
        return eval_apply(generators.images, state.params[IMAGES], state.stats[IMAGES], a, None)

    return translating(init, train_step, translated, seen, shape=shape, data_range=data_range)


_SIDES = (IMAGES, PICTURES)


def _regression(real: Array, fake: Array) -> Callable[[image_critics.Judge], tuple[Float[Array, ""], Info]]:
    """(judge) -> half the squared distance of its verdicts from 1 and 0."""

    def loss(judge: image_critics.Judge) -> tuple[Float[Array, ""], Info]:
        of_real, of_fake = judge(real, None), judge(fake, None)
        value = (((of_real - 1) ** 2).mean() + (of_fake**2).mean()) / 2
        return value, {"critic_real": of_real.mean(), "critic_fake": of_fake.mean()}

    return loss


def sides(
    key: PRNGKey, x: Float[Array, "batch *shape"], axis_name: str | None = None
) -> tuple[Float[Array, "half *shape"], Float[Array, "half *shape"]]:
    """The examples of a batch in a random order, parted in two, so that none is on both sides; of an odd number one is
    left out.

    Raises:
        UserError: there are fewer than two of them, on some device of the axis.
    """
    half = x.shape[0] // 2
    if not half:
        raise UserError(
            f"The batch has {x.shape[0]} example (on each device), but two sides want one each: use batches of two or "
            "more."
        )
    whole = gather(x, axis_name)
    mixed = whole[jax.random.permutation(key, whole.shape[0])]
    device, devices = (0, 1) if axis_name is None else (jax.lax.axis_index(axis_name), jax.lax.axis_size(axis_name))
    first, second = (jax.lax.dynamic_slice_in_dim(mixed, (side * devices + device) * half, half) for side in range(2))
    return first, second


def history(size: int, shape: tuple[int, ...]) -> dict[str, Array]:
    """One that is empty yet, for so many images."""
    return {"images": jnp.zeros((size, *shape)), "count": jnp.zeros((), jnp.int32)}


def exchanged(
    held: dict[str, Array], fake: Float[Array, "batch *shape"], key: PRNGKey, axis_name: str | None = None
) -> tuple[Float[Array, "batch *shape"], dict[str, Array]]:
    """(what a critic is shown of generated images, the history after them).

    One after the other they fill the history, and are shown. Once it is full every second one, by chance, takes the
    place of an earlier one, drawn uniformly, which is shown instead.

    Reference: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017,
    section 2.3, as the code of Zhu et al. has it (`ImagePool.query`).
    """
    whole, size = gather(fake, axis_name), held["images"].shape[0]
    coins, places = jax.random.split(key)
    stays = jax.random.bernoulli(coins, 0.5, (whole.shape[0],))
    place = jax.random.randint(places, (whole.shape[0],), 0, size)

    def one(before: tuple[Array, Array], now: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array], Array]:
        (images, count), (image, stay, place) = before, now
        filling = count < size
        place = jnp.where(filling, count, place)
        earlier = images[place]
        shown = jnp.where(filling | stay, image, earlier)
        kept = jnp.where(filling | ~stay, image, earlier)
        return (images.at[place].set(kept), jnp.minimum(count + 1, size)), shown

    (images, count), shown = jax.lax.scan(one, (held["images"], held["count"]), (whole, stays, place))
    if axis_name is not None:
        share = fake.shape[0]
        shown = jax.lax.dynamic_slice_in_dim(shown, jax.lax.axis_index(axis_name) * share, share)
    return shown, {"images": images, "count": count}
