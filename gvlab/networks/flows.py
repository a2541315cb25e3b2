"""Bijections of vectors whose determinants are cheap, from data to noise and, by `inverse`, from noise to data.

All begin as the identity, up to the order of the entries: the last layers' weights are zero.

Reference: Papamakarios et al., "Normalizing Flows for Probabilistic Modeling and Inference", 2021.
"""

import itertools

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab.types import UserError

Vectors = Float[Array, "batch latent"]
LogDet = Float[Array, " batch"]


class RealNVP(nn.Module):
    """Couplings: half of the entries say how the other half is scaled and shifted, then the halves change places.

    Attributes:
        couplings: how many.
        hidden: widths of the hidden layers of each, with ReLU.

    Raises:
        UserError: for vectors of one entry.

    Reference: Dinh, Sohl-Dickstein & Bengio, "Density estimation using Real NVP", 2017, eq. 4 to 8.
    """

    couplings: int = 4
    hidden: tuple[int, ...] = (64, 64)

    @nn.compact
    def __call__(self, z: Vectors, y: None = None, *, train: bool, inverse: bool = False) -> tuple[Vectors, LogDet]:
        """(noise, log |det d noise / d z|); with `inverse` (z, log |det d z / d noise|) of noise."""
        size = z.shape[-1]
        refuse_one(size, "RealNVP")
        first = size // 2
        nets = [_MLP(self.hidden, 2 * (size - first), name=f"coupling_{i}") for i in range(self.couplings)]
        log_det = jnp.zeros(z.shape[0])
        for net in nets if inverse else nets[::-1]:
            z = z if inverse else jnp.roll(z, first, axis=-1)
            kept, changed = z[:, :first], z[:, first:]
            shift, log_scale = jnp.moveaxis(net(kept).reshape(z.shape[0], size - first, 2), -1, 0)
            changed = changed * jnp.exp(log_scale) + shift if inverse else (changed - shift) * jnp.exp(-log_scale)
            log_det += log_scale.sum(-1) if inverse else -log_scale.sum(-1)
            z = jnp.concatenate([kept, changed], axis=-1)
            z = jnp.roll(z, -first, axis=-1) if inverse else z
        return z, log_det

    def inverse(self, noise: Vectors, y: None = None, *, train: bool) -> Vectors:
        """What noise is the noise of."""
        return self(noise, y, train=train, inverse=True)[0]


class MAF(nn.Module):
    """Masked autoregressive flow: every entry is scaled and shifted by what those before it say.

    The noise of a vector takes one pass; a vector of noise as many as it has entries.

    Attributes:
        blocks: how many; the order of the entries is turned round after each.
        hidden: widths of the hidden layers of each, with ReLU.

    Raises:
        UserError: for vectors of one entry.

    Reference: Papamakarios, Pavlakou & Murray, "Masked Autoregressive Flow for Density Estimation", 2017, eq. 3 to 6.
    """

    blocks: int = 2
    hidden: tuple[int, ...] = (64, 64)

    def setup(self) -> None:
        self.nets = [MADE(self.hidden, name=f"block_{i}") for i in range(self.blocks)]

    def __call__(self, z: Vectors, y: None = None, *, train: bool) -> tuple[Vectors, LogDet]:
        """(noise, log |det d noise / d z|)."""
        refuse_one(z.shape[-1], "MAF")
        log_det = jnp.zeros(z.shape[0])
        for net in self.nets:
            shift, log_scale = net(z)
            z = ((z - shift) * jnp.exp(-log_scale))[:, ::-1]
            log_det -= log_scale.sum(-1)
        return z, log_det

    def inverse(self, noise: Vectors, y: None = None, *, train: bool) -> Vectors:
        """What noise is the noise of, entry by entry."""
        for net in self.nets[::-1]:
            noise = noise[:, ::-1]
            z = jnp.zeros_like(noise)
            for entry in range(noise.shape[-1]):  # those before it are right by then
                shift, log_scale = net(z)
                z = z.at[:, entry].set(noise[:, entry] * jnp.exp(log_scale[:, entry]) + shift[:, entry])
            noise = z
        return noise


class MADE(nn.Module):
    """Dense layers with masks: output i depends on the inputs before i alone.

    Input i has degree i, unit j of a hidden layer j mod (inputs - 1); an edge goes to degrees of at least its own, and
    to the outputs of more.

    Attributes:
        hidden: widths of the hidden layers, with ReLU.

    Reference: Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", 2015, section 3.
    """

    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Vectors, context: Float[Array, "batch context"] | None = None) -> tuple[Vectors, Vectors]:
        """Two numbers for each entry: the shift, and the logarithm of the scale; `context` is seen by all of them."""
        size = x.shape[-1]
        degrees = [np.arange(size), *(np.arange(width) % (size - 1) for width in self.hidden)]
        for i, (before, after) in enumerate(itertools.pairwise(degrees)):
            x = self._masked(f"dense_{i}", x, after[None] >= before[:, None], nn.initializers.lecun_normal())
            if context is not None and i == 0:
                x = x + nn.Dense(x.shape[-1], use_bias=False, name="context")(context)
            x = nn.relu(x)
        outputs = np.tile(np.arange(size), 2)
        zeros = nn.initializers.zeros_init()
        shift, log_scale = jnp.split(self._masked("out", x, outputs[None] > degrees[-1][:, None], zeros), 2, axis=-1)
        return shift, log_scale

    def _masked(self, name: str, x: Array, mask: np.ndarray, init: nn.initializers.Initializer) -> Array:
        kernel = self.param(f"{name}_kernel", init, mask.shape, jnp.float32)
        bias = self.param(f"{name}_bias", nn.initializers.zeros_init(), mask.shape[1:], jnp.float32)
        return x @ jnp.where(mask, kernel, 0) + bias[None]


class _MLP(nn.Module):
    hidden: tuple[int, ...]
    out: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(self.out, kernel_init=nn.initializers.zeros_init())(x)


def refuse_one(size: int, what: str) -> None:
    """Raises UserError for vectors of one entry."""
    if size < 2:
        raise UserError(f"{what} is of vectors of {size} entry, but one entry says how another changes: use 2 or more.")
