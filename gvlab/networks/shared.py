"""Decoders with numbers that all that they decode has in common."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float


class WithShared(nn.Module):
    """A decoder behind whose output come learned numbers, the same for every example and position.

    Attributes:
        network: any decoder of `gvlab.networks`, or one's own.
        numbers: how many; they begin at 0.

    Reference: Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", 2021, section 3.1 (one
    number, the log-deviation).
    """

    network: nn.Module
    numbers: int = 1

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch *latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch *raw_shape"]:
        """[batch, *shape[:-1], shape[-1] * parameters + numbers]."""
        raw = self.network(z, y, train=train)
        shared = self.param("shared", nn.initializers.zeros_init(), (self.numbers,), jnp.float32)
        return jnp.concatenate([raw, jnp.broadcast_to(shared, (*raw.shape[:-1], self.numbers))], axis=-1)
