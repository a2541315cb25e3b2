"""The two-player game of Goodfellow et al. 2014, on logits: D(x) = sigmoid(logit).

Each function minimises: the discriminator descends `discriminator_loss`, the generator one of the other two.
"""

import jax
from jaxtyping import Array, Float

from gvlab.losses._shapes import require_equal


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
