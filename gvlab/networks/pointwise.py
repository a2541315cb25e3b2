"""Convolutions of single pixels, whose gradients are plain matrix products, too.

Written over all axes of images, the gradient to the weights sums over three of them, and XLA:CPU writes the slopes out
in another order first, which takes longer than the product itself (`experiments/benchmarks/README.md`).
"""

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float


def pointwise(
    x: Float[Array, "*shape channel"], kernel: Float[Array, "channel features"]
) -> Float[Array, "*shape features"]:
    """The product of the channels at every place with one matrix."""
    return (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], -1)


class Pointwise(nn.Module):
    """`pointwise` as a layer: `nn.Dense` without a bias.

    Attributes:
        features: channels of the output.
        kernel_init: makes [channel, features].
    """

    features: int
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "*shape channel"]) -> Float[Array, "*shape features"]:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        return pointwise(x, kernel)
