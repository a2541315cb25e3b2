"""What a learned prior of an autoencoder is made of, where it is a mixture: parameters, which no input changes."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class NormalMixture(nn.Module):
    """Logits of the weights, means and log-variances of a mixture of normal distributions.

    It begins with equal weights, variances of 1 and means drawn from N(0, `spread`^2).

    Attributes:
        components: of the mixture.
        latent_dim: of its values.
        spread: standard deviation of the first means.
    """

    components: int
    latent_dim: int
    spread: float = 1.0

    @nn.compact
    def __call__(
        self, nothing: Float[Array, "rows zero"], y: Float[Array, "rows classes"] | None = None, *, train: bool
    ) -> tuple[Float[Array, " components"], Float[Array, "components latent"], Float[Array, "components latent"]]:
        """(logits, mean, logvar), whatever it is given."""
        shape = (self.components, self.latent_dim)
        logits = self.param("logits", nn.initializers.zeros_init(), (self.components,), jnp.float32)
        mean = self.param("mean", nn.initializers.normal(self.spread), shape, jnp.float32)
        return logits, mean, self.param("logvar", nn.initializers.zeros_init(), shape, jnp.float32)


class PseudoInputs(nn.Module):
    """Learned examples, of which an encoder makes a VampPrior; images are cut off at the ends of their range.

    Images begin around its middle, with a tenth of it as standard deviation: where they are cut off no gradient reaches
    them. (The published code draws its weights from N(-0.05, 0.01^2), or takes training images.)

    Attributes:
        components: how many.
        shape: of one example.
        low, high: the range; infinite for vectors, which begin as N(0, 1).

    Reference: Tomczak & Welling, "VAE with a VampPrior", 2018, section 2.2 and appendix.
    """

    components: int
    shape: tuple[int, ...]
    low: float = 0.0
    high: float = 1.0

    @nn.compact
    def __call__(
        self, nothing: Float[Array, "rows zero"], y: Float[Array, "rows classes"] | None = None, *, train: bool
    ) -> Float[Array, "components *shape"]:
        """The examples, whatever it is given."""
        bounded = math.isfinite(self.high - self.low)
        middle, spread = ((self.low + self.high) / 2, (self.high - self.low) / 10) if bounded else (0.0, 1.0)

        def drawn(key: Array) -> Array:
            return middle + spread * jax.random.normal(key, (self.components, *self.shape))

        return jnp.clip(self.param("examples", drawn), self.low, self.high)
