"""Relativistic games: the discriminator says by how much a real example is more real than a generated one.

Each is made of one loss of a margin t, the lead that the example which should win has: four losses and two kinds of
opponent give eight games.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal
from gvlab.losses.adversarial import Contest, logits_of
from gvlab.types import UserError

OfMargin = Callable[[Float[Array, "*batch"]], Float[Array, "*batch"]]
"""Lead of the example that should win -> loss, the smaller the farther it leads."""


def logistic_margin_loss(margin: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """-log sigmoid(t): the nats by which the better of two is taken for the worse.

    Args:
        margin: the lead t, shape [*batch].

    Returns:
        The loss in nats, at least 0, shape [*batch]; log 2 where neither leads.

    Reference: Jolicoeur-Martineau, "The relativistic discriminator: a key element missing from standard GAN", 2018;
    Huang et al., "The GAN is dead; long live the GAN!", 2024, section 2.
    """
    return jax.nn.softplus(-margin)


def hinge_margin_loss(margin: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """max(0, 1 - t): a lead of 1 is enough.

    Args:
        margin: the lead t, shape [*batch].

    Returns:
        The loss, at least 0, shape [*batch]; 1 where neither leads.

    Reference: Jolicoeur-Martineau, "On Relativistic f-Divergences", 2020 (f of the hinge).
    """
    return jax.nn.relu(1 - margin)


def squared_margin_loss(margin: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """(t - 1)^2: the lead is drawn to 1, from either side.

    Args:
        margin: the lead t, shape [*batch].

    Returns:
        The loss, at least 0, shape [*batch]; 1 where neither leads.

    Reference: Jolicoeur-Martineau, "On Relativistic f-Divergences", 2020 (f of least squares).
    """
    return jnp.square(margin - 1)


def linear_margin_loss(margin: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """-t: the lead itself. Pairs of it are the Wasserstein game, of which the generator descends the same gradient.

    Args:
        margin: the lead t, shape [*batch].

    Returns:
        The loss, of either sign, shape [*batch].

    Reference: Arjovsky et al., "Wasserstein GAN", 2017, eq. 2.
    """
    return -margin


def relativistic(loss: OfMargin) -> Contest:
    """Each real example against the generated one of its pair (RpGAN).

    The discriminator descends loss(r - f), the generator loss(f - r), so the logits' common offset means nothing.

    Args:
        loss: of the margin by which the one that should win leads, elementwise.

    Reference: Jolicoeur-Martineau, "The relativistic discriminator", 2018; Huang et al., "The GAN is dead; long live
    the GAN!", 2024, section 2 (logistic).
    """

    def discriminator(real_logits: Array, fake_logits: Array) -> Array:
        require_equal(real_logits=real_logits, fake_logits=fake_logits)
        return loss(real_logits - fake_logits)

    def generator(real_logits: Array, fake_logits: Array) -> Array:
        return discriminator(fake_logits, real_logits)

    return Contest(discriminator, generator, has_sign=False)


def relativistic_average(loss: OfMargin) -> Contest:
    """Each example against the mean of the batch of the other kind (RaGAN).

    The discriminator descends (loss(r - mean f) + loss(mean r - f)) / 2, the generator the same with r and f changed
    for each other. The half is the one of the author's published code, which makes the game of linear margins the
    Wasserstein one; the paper's equation and TensorFlow-GAN are without it. The means couple the examples of a batch.

    Args:
        loss: of the margin by which the one that should win leads, elementwise.

    Reference: Jolicoeur-Martineau, "The relativistic discriminator", 2018, eq. 10 to 12.
    """

    def discriminator(real_logits: Array, fake_logits: Array) -> Array:
        require_equal(real_logits=real_logits, fake_logits=fake_logits)
        return (loss(real_logits - fake_logits.mean()) + loss(real_logits.mean() - fake_logits)) / 2

    def generator(real_logits: Array, fake_logits: Array) -> Array:
        return discriminator(fake_logits, real_logits)

    return Contest(discriminator, generator, has_sign=False)


def top_k(contest: Contest, share: float) -> Contest:
    """The generator learns from those of its examples alone that are judged most real.

    Of n generated examples the round(share n) with the largest logits count, at least one. Their losses are scaled so
    that the mean over the batch is the mean over those. The published share falls: `scheduled_top_k`.

    Args:
        contest: the game of the discriminator, and of those that count; one about logits.
        share: of the generated examples, in (0, 1].

    Raises:
        UserError: if the share is not in (0, 1], or if the contest is about more than logits.

    Reference: Sinha et al., "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples", 2020.
    """
    if not 0 < share <= 1:
        raise UserError(f"The share of the generated examples that count is {share}, but must be in (0, 1].")

    def best(game: Contest) -> Contest:
        return _of_best(game, lambda n: max(1, round(share * n)))

    inner = contest.at
    return best(contest)._replace(at=inner and (lambda step: best(inner(step))))


def scheduled_top_k(contest: Contest, share: Callable[[Array], Array]) -> Contest:
    """As `top_k`, of a share that changes with the train step.

    Args:
        contest: as there.
        share: train steps before -> share of the generated examples, taken into (0, 1]. The paper's begins with 1 and
            is multiplied by 0.99 in each epoch, down to a half.

    Raises:
        UserError: if the contest is about more than logits.

    Reference: Sinha et al., "Top-k Training of GANs: Improving GAN Performance by Throwing Away Bad Samples", 2020.
    """

    def at(step: Array) -> Contest:
        game = contest.at(step) if contest.at else contest
        return _of_best(game, lambda n: jnp.clip(jnp.round(share(step) * n), 1, n))

    return at(jnp.zeros((), jnp.int32))._replace(at=at)


def _of_best(contest: Contest, count: Callable[[int], int | Array]) -> Contest:
    """The generator learns from so many of its n examples."""
    if contest.reads is not logits_of:
        raise UserError("top_k ranks examples by one logit each, but this contest reads more of them: use another.")

    def generator(real_logits: Float[Array, " batch"], fake_logits: Float[Array, " batch"]) -> Array:
        n = len(fake_logits)
        kept = count(n)
        # By rank and not by value: of equals no more count than should.
        rank = jnp.argsort(jnp.argsort(-fake_logits))
        return jnp.where(rank < kept, contest.generator(real_logits, fake_logits) * (n / kept), 0)

    return Contest(contest.discriminator, generator, has_sign=contest.has_sign)
