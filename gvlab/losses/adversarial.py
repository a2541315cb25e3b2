"""The games of GANs on logits: what each player minimises, and the `Contest`s that say which loss plays which.

In the game of Goodfellow et al. 2014 the discriminator's verdict is D(x) = sigmoid(logit); elsewhere it is the logit.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal
from gvlab.types import Judged

PerPair = Callable[[Float[Array, "*batch"], Float[Array, "*batch"]], Float[Array, "*batch"]]
"""(real logits, fake logits) -> loss of each pair."""


def logits_of(judged: Judged, y: Float[Array, "batch classes"] | None) -> Float[Array, " batch"]:
    """What nearly all contests are about."""
    return judged.logits


class Contest(NamedTuple):
    """What the two players of a GAN minimise; each sees both logits, and XLA drops what it leaves unread."""

    discriminator: PerPair
    generator: PerPair
    reads: Callable[[Judged, Array | None], Float[Array, "batch ..."]] = logits_of
    """(what the discriminator said, one-hot classes or None) -> what both losses are given of it."""
    has_sign: bool = True
    """Whether a logit above 0 says "real": not where only differences of logits count, nor where their targets are 1
    and 0."""
    at: "Callable[[Array], Contest] | None" = None
    """train steps before -> the contest of that step, where it changes; this one is that of the first step."""


def discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """-log D(x) - log(1 - D(G(z))), per pair of a real and a generated example.

    Args:
        real_logits: logits of real examples, shape [*batch].
        fake_logits: logits of generated examples, shape [*batch].

    Returns:
        The loss in nats, shape [*batch]; 2 log 2 where the discriminator cannot tell them apart.

    Raises:
        UserError: if the shapes differ.

    Reference: Goodfellow et al., "Generative Adversarial Nets", 2014, eq. 1 (negated: the discriminator maximises it).
    """
    require_equal(real_logits=real_logits, fake_logits=fake_logits)
    # -log sigmoid(r) = softplus(-r) and -log(1 - sigmoid(f)) = softplus(f): neither saturates nor overflows.
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def minimax_generator_loss(fake_logits: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """log(1 - D(G(z))), the generator's side of the minimax game.

    Its gradient, -D(G(z)) with respect to the logit, vanishes where the discriminator wins; see
    `non_saturating_generator_loss`.

    Args:
        fake_logits: logits of generated examples, shape [*batch].

    Returns:
        The loss in nats, never positive, shape [*batch].

    Reference: Goodfellow et al., "Generative Adversarial Nets", 2014, eq. 1.
    """
    # log(1 - sigmoid(f)) = -softplus(f)
    return -jax.nn.softplus(fake_logits)


def non_saturating_generator_loss(fake_logits: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """-log D(G(z)): the fixed point of the minimax game, with strong gradients where the discriminator wins.

    Args:
        fake_logits: logits of generated examples, shape [*batch].

    Returns:
        The loss in nats, shape [*batch].

    Reference: Goodfellow et al., "Generative Adversarial Nets", 2014, section 3 (below eq. 1).
    """
    return jax.nn.softplus(-fake_logits)


def hinge_discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))): nothing is gained beyond a margin of 1 on either side.

    Args:
        real_logits: logits of real examples, shape [*batch].
        fake_logits: logits of generated examples, shape [*batch].

    Returns:
        The loss, at least 0, shape [*batch]; 2 where the discriminator says 0 of everything.

    Raises:
        UserError: if the shapes differ.

    Reference: Lim & Ye, "Geometric GAN", 2017; Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", 2018, eq. 16.
    """
    require_equal(real_logits=real_logits, fake_logits=fake_logits)
    return jax.nn.relu(1 - real_logits) + jax.nn.relu(1 + fake_logits)


def smoothed_discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"], target: float | Float[Array, ""] = 0.9
) -> Float[Array, "*batch"]:
    """-t log D(x) - (1 - t) log(1 - D(x)) - log(1 - D(G(z))): one-sided label smoothing of `discriminator_loss`.

    Args:
        real_logits: logits of real examples, shape [*batch].
        fake_logits: logits of generated examples, shape [*batch].
        target: t, what D(x) is drawn to. TensorFlow-GAN's `label_smoothing=s` is a target of 1 - s/2.

    Returns:
        The loss in nats, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4.
    """
    # softplus(r) = softplus(-r) + r
    return discriminator_loss(real_logits, fake_logits) + (1 - target) * real_logits


def smoothed_least_squares_discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"], target: float | Float[Array, ""] = 0.9
) -> Float[Array, "*batch"]:
    """(D(x) - t)^2 / 2 + D(G(z))^2 / 2: one-sided label smoothing of `least_squares_discriminator_loss`.

    Args:
        real_logits: verdicts on real examples, shape [*batch].
        fake_logits: verdicts on generated examples, shape [*batch].
        target: t, what D(x) is drawn to.

    Returns:
        The loss, at least 0, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Salimans et al., "Improved Techniques for Training GANs", 2016, section 3.4; Mao et al., "Least Squares
    Generative Adversarial Networks", 2017, eq. 2 (a = 0, b = t).
    """
    require_equal(real_logits=real_logits, fake_logits=fake_logits)
    return (jnp.square(real_logits - target) + jnp.square(fake_logits)) / 2


def least_squares_discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """(D(x) - 1)^2 / 2 + D(G(z))^2 / 2: a regression of 1 for real examples and 0 for generated ones.

    Args:
        real_logits: verdicts on real examples, shape [*batch]; the logits themselves, without a sigmoid.
        fake_logits: verdicts on generated examples, shape [*batch].

    Returns:
        The loss, at least 0, shape [*batch]; 1/4 where the discriminator says 1/2 of everything.

    Raises:
        UserError: if the shapes differ.

    Reference: Mao et al., "Least Squares Generative Adversarial Networks", 2017, eq. 9 (a = 0, b = c = 1).
    """
    require_equal(real_logits=real_logits, fake_logits=fake_logits)
    return (jnp.square(real_logits - 1) + jnp.square(fake_logits)) / 2


def least_squares_generator_loss(fake_logits: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """(D(G(z)) - 1)^2 / 2: also what is judged too real is drawn to 1.

    Args:
        fake_logits: verdicts on generated examples, shape [*batch].

    Returns:
        The loss, at least 0, shape [*batch].

    Reference: Mao et al., "Least Squares Generative Adversarial Networks", 2017, eq. 9 (a = 0, b = c = 1).
    """
    return jnp.square(fake_logits - 1) / 2


def wasserstein_discriminator_loss(
    real_logits: Float[Array, "*batch"], fake_logits: Float[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """D(G(z)) - D(x): for a critic with a bounded slope, minus the distance between data and model.

    Nothing here bounds the slope; without such a device the loss has no lower end.

    Args:
        real_logits: the critic of real examples, shape [*batch].
        fake_logits: the critic of generated examples, shape [*batch].

    Returns:
        The loss, of either sign, shape [*batch].

    Raises:
        UserError: if the shapes differ.

    Reference: Arjovsky et al., "Wasserstein GAN", 2017, eq. 2 (negated: the critic maximises it).
    """
    require_equal(real_logits=real_logits, fake_logits=fake_logits)
    return fake_logits - real_logits


def wasserstein_generator_loss(fake_logits: Float[Array, "*batch"]) -> Float[Array, "*batch"]:
    """-D(G(z)): the critic's verdict itself, also the generator's side of the hinge.

    Args:
        fake_logits: the critic of generated examples, shape [*batch].

    Returns:
        The loss, of either sign, shape [*batch].

    Reference: Arjovsky et al., "Wasserstein GAN", 2017, eq. 2; Miyato et al., "Spectral Normalization for Generative
    Adversarial Networks", 2018, eq. 17.
    """
    return -fake_logits


def _of_fakes(loss: Callable[[Float[Array, "*batch"]], Float[Array, "*batch"]]) -> PerPair:
    """A generator's loss that looks at nothing but its own logits."""
    return lambda real_logits, fake_logits: loss(fake_logits)


non_saturating = Contest(discriminator_loss, _of_fakes(non_saturating_generator_loss))
"""Goodfellow et al. 2014, section 3."""
minimax = Contest(discriminator_loss, _of_fakes(minimax_generator_loss))
"""Goodfellow et al. 2014, equation 1."""
hinge = Contest(hinge_discriminator_loss, _of_fakes(wasserstein_generator_loss))
"""Lim & Ye 2017; Miyato et al. 2018."""
least_squares = Contest(least_squares_discriminator_loss, _of_fakes(least_squares_generator_loss), has_sign=False)
"""Mao et al. 2017."""
wasserstein = Contest(wasserstein_discriminator_loss, _of_fakes(wasserstein_generator_loss), has_sign=False)
"""Arjovsky et al. 2017; the slope of the discriminator is for something else to bound."""
