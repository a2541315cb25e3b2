"""Self-attention between the pixels of an image."""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class SelfAttention(nn.Module):
    """x + gamma o(softmax(theta(x) phi(x)^T) g(x)), with gamma = 0 before training.

    As the authors released it, and BigGAN after them, which isn't what the paper's text says: theta, phi and g are
    linear maps of single pixels without a bias, to an eighth, an eighth and a half of the channels; phi and g are the
    largest of each 2x2 pixels; the products aren't divided by the root of their length; and o goes from the half of the
    channels to all.

    Attributes:
        dense: makes the four maps, given `features`, `use_bias` and `name`.

    Reference: Zhang, Goodfellow, Metaxas & Odena, "Self-Attention Generative Adversarial Networks", 2019, section 3,
    and its published code.
    """

    dense: Callable[..., nn.Module] = nn.Dense

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width channel"]) -> Float[Array, "batch height width channel"]:
        """Both sides of the images are even."""
        batch, _, _, channels = x.shape
        eighth, half = max(1, channels // 8), max(1, channels // 2)

        def mapped(name: str, features: int, maps: Array) -> Array:
            return self.dense(features, use_bias=False, name=name)(maps)

        theta = mapped("theta", eighth, x).reshape(batch, -1, eighth)
        phi = _largest(mapped("phi", eighth, x)).reshape(batch, -1, eighth)
        g = _largest(mapped("g", half, x)).reshape(batch, -1, half)
        attention = nn.softmax(theta @ phi.swapaxes(1, 2))
        attended = (attention @ g).reshape(*x.shape[:3], half)
        gamma = self.param("gamma", nn.initializers.zeros_init(), (), jnp.float32)
        return x + gamma * mapped("o", channels, attended)


def _largest(x: Array) -> Array:
    """Of each 2x2 pixels."""
    batch, height, width, channels = x.shape
    return x.reshape(batch, height // 2, 2, width // 2, 2, channels).max((2, 4))
