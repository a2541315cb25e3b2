"""An encoder whose means are normalised over the batch, so that in training the KL cannot go to 0."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from gvlab.networks.layers import BatchNorm


class NormalisedMeans(nn.Module):
    """BatchNorm over the means with a fixed scale; the log-variances stay.

    Over a batch of training the squared mean of each latent is then at least gamma^2 on average, unless the encoder
    says nearly the same of all, and the KL from N(0, I) of d latents at least d gamma^2 / 2 nats.

    Attributes:
        encoder: any encoder of `gvlab.networks`, or one's own.
        gamma: the fixed scale.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: Zhu et al., "A Batch Normalized Inference Network Keeps the KL Vanishing Away", 2020, section 3.
    """

    encoder: nn.Module
    gamma: float | Array = 0.5
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: Num[Array, "batch *shape"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x)."""
        mean, logvar = self.encoder(x, y, train=train)
        plain = BatchNorm(not train, momentum=0.9, use_scale=False, use_bias=False, axis_name=self.axis_name)(mean)
        shift = self.param("shift", nn.initializers.zeros_init(), (mean.shape[-1],), jnp.float32)
        return self.gamma * plain + shift[None], logvar
