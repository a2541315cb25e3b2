"""Layers at an equalised learning rate: their weights are N(0, 1), and scaled where they are used.

So an optimizer whose steps don't depend on the size of gradients, such as Adam, moves all of them equally fast.
"""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.channels import by_channel
from gvlab.networks.filtered import same_conv

LEAK = 0.2


def leaky(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Leaky ReLU with the slope 0.2 below 0, times the root of 2: StyleGAN2's activation."""
    return math.sqrt(2) * nn.leaky_relu(x, LEAK)


class EqualizedDense(nn.Module):
    """W x multiplier / sqrt(inputs) + b multiplier, where W begins as N(0, 1 / multiplier^2).

    Attributes:
        features: units of the output.
        multiplier: of the learning rate: the output at the beginning is the same for any.
        bias: what b begins as, everywhere.

    Reference: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018,
    section 4.1; the multiplier as in StyleGAN2's published code.
    """

    features: int
    multiplier: float = 1.0
    bias: float = 0.0

    @nn.compact
    def __call__(self, x: Float[Array, "*batch units"]) -> Float[Array, "*batch features"]:
        normal = nn.initializers.normal(1 / self.multiplier)
        kernel = self.param("kernel", normal, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.constant(self.bias), (self.features,), jnp.float32)
        x = x @ (kernel * (self.multiplier / math.sqrt(x.shape[-1])))
        return x + (bias * self.multiplier).reshape(*[1] * (x.ndim - 1), -1)


class EqualizedConv(nn.Module):
    """A convolution with the kernel k / sqrt(fan-in), where k begins as N(0, 1).

    Attributes:
        features: channels of the output.
        size: height and width of the kernel.
        convolve: (images, kernel) -> images.
        use_bias: whether to add a bias to every channel.

    Reference: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018,
    section 4.1.
    """

    features: int
    size: int = 3
    convolve: Callable[[Array, Array], Array] = same_conv
    use_bias: bool = True

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape, jnp.float32)
        x = self.convolve(x, kernel / math.sqrt(math.prod(shape[:3])))
        if not self.use_bias:
            return x
        return x + by_channel(self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32), x.shape)
