"""The networks of the synthetic experiments of PacGAN and, before it, of Adversarially Learned Inference.

References: Lin, Khetan, Fanti & Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018,
section 4.1; Dumoulin et al., "Adversarially Learned Inference", 2017. Weights drawn from N(0, 0.02), and BatchNorm with
momentum 0.95 and epsilon 1e-4, as in PacGAN's code and in the library that it is written on.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.layers import BatchNorm, append_label, unrounded

_weight_init = nn.initializers.normal(0.02)


class NormalizedMLPGenerator(nn.Module):
    """Dense layers without bias, each with BatchNorm and ReLU; the output is linear for vectors, and tanh for images.

    Attributes:
        shape: of one example: (height, width, channels), or (D,).
        hidden: widths of the hidden layers.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (400, 400, 400, 400)
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch *shape"]:
        """Examples [batch, *shape], images in [-1, 1]."""
        h = append_label(z, y)
        for features in self.hidden:
            h = nn.Dense(features, use_bias=False, kernel_init=_weight_init)(h)
            norm = BatchNorm(use_running_average=not train, momentum=0.95, epsilon=1e-4, axis_name=self.axis_name)
            h = nn.relu(norm(h))
        out = nn.Dense(math.prod(self.shape), kernel_init=_weight_init)(h).reshape(-1, *self.shape)
        return jnp.tanh(out) if len(self.shape) == 3 else out


class MaxoutDiscriminator(nn.Module):
    """Maxout layers (each unit is the largest of a few linear ones; Goodfellow et al. 2013), then one logit.

    Attributes:
        hidden: units of the hidden layers.
        pieces: linear units that each of them is the largest of.
    """

    hidden: tuple[int, ...] = (200, 200, 200)
    pieces: int = 5

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, " batch"]:
        """Logits of "real" for examples `x`. The network is the same in training and out of it."""
        h = append_label(x.reshape(x.shape[0], -1), y)
        for features in self.hidden:
            h = nn.Dense(features * self.pieces, kernel_init=_weight_init)(h)
            h = h.reshape(-1, features, self.pieces).max(axis=-1)
        return nn.Dense(1, kernel_init=_weight_init)(unrounded(h))[:, 0]
