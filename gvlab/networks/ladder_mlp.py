"""Fully connected ladder VAE: what lies below and what lies above a layer of latents are merged by their precisions."""

import math

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.losses import precision_weighted
from gvlab.networks.ladders import Descent, Layer, descent_of, drawn_from_posterior, drawn_from_prior, split_noise
from gvlab.networks.layers import BatchNorm

Vectors = Float[Array, "rows _unit"]


class LadderMLP(nn.Module):
    """A hierarchical VAE's network: d_i = f_i(d_i-1) going up, p(z_i | z_i+1) = N(g_i(z_i+1)) going down.

    q(z_i | z_i+1, x) is proportional to p(z_i | z_i+1) times a normal distribution that d_i says. f and g are two
    layers each, with BatchNorm and leaky ReLU.

    Attributes:
        shape: of what the likelihood is of.
        parameters: numbers that it wants for every entry.
        latents: of the layers, from the data up.
        hidden: units of f and g of each layer, from the data up.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: Sønderby et al., "Ladder Variational Autoencoders", 2016, eq. 8-19; there 64, 32, 16, 8 and 4 latents
    with 512 to 32 units, leaky ReLU of slope 0.1, and BatchNorm in all layers but the last ones.
    """

    shape: tuple[int, ...]
    parameters: int = 1
    latents: tuple[int, ...] = (64, 32, 16, 8, 4)
    hidden: tuple[int, ...] = (512, 256, 128, 64, 32)
    axis_name: str | None = None

    @property
    def layers(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of the latents, from the top down."""
        return tuple((size,) for size in self.latents[::-1])

    def setup(self) -> None:
        self.up = [_Hidden(units, self.axis_name) for units in self.hidden]
        self.seen = [_Normal(size) for size in self.latents]
        self.down = [_Hidden(units, self.axis_name) for units in self.hidden]
        self.prior = [_Normal(size) for size in self.latents[:-1]]
        self.out = nn.Dense(math.prod(self.shape) * self.parameters)

    def __call__(
        self, x: Float[Array, "batch *shape"], noise: Float[Array, "k batch total"], y: None = None, *, train: bool
    ) -> Descent:
        """What draws of q by this noise say."""
        k, h, seen = len(noise), x.reshape(len(x), -1), []
        for up, normal in zip(self.up, self.seen, strict=True):
            h = up(h, train)
            mean, logvar = normal(h)
            seen.append((jnp.tile(mean, (k, 1)), jnp.tile(logvar, (k, 1))))
        raw, layers = self._descend(noise.reshape(-1, noise.shape[-1]), seen, train)
        return descent_of(raw, layers, k)

    def generate(
        self, noise: Float[Array, "rows total"], y: None = None, *, train: bool
    ) -> Float[Array, "rows *raw_shape"]:
        """The likelihood's parameters, of draws of the prior by this noise."""
        return self._descend(noise, None, train)[0]

    def _descend(
        self, noise: Vectors, seen: list[tuple[Vectors, Vectors]] | None, train: bool
    ) -> tuple[Float[Array, "rows *raw_shape"], list[Layer]]:
        pieces = [piece.astype(jnp.float32) for piece in split_noise(noise, self.layers)]
        prior = (jnp.zeros_like(pieces[0]), jnp.zeros_like(pieces[0]))
        layers: list[Layer] = []
        for number, piece in zip(reversed(range(len(self.latents))), pieces, strict=True):
            if layers:
                h = self.down[number + 1](layers[-1].z.astype(noise.dtype), train)
                prior = self.prior[number](h)
            if seen is None:
                layers.append(drawn_from_prior(*prior, piece))
            else:  # the top layer's prior says nothing of x or of other layers, and is not merged
                posterior = precision_weighted(*seen[number], *prior) if layers else seen[number]
                layers.append(drawn_from_posterior(*posterior, *prior, piece))
        h = self.out(self.down[0](layers[-1].z.astype(noise.dtype), train))
        return h.reshape(-1, *self.shape[:-1], self.shape[-1] * self.parameters), layers


class _Hidden(nn.Module):
    """Two layers with BatchNorm and leaky ReLU."""

    units: int
    axis_name: str | None

    @nn.compact
    def __call__(self, x: Vectors, train: bool) -> Vectors:
        for _ in range(2):
            x = nn.Dense(self.units, use_bias=False)(x)
            x = BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
            x = nn.leaky_relu(x, 0.1)
        return x


class _Normal(nn.Module):
    """Mean and log-variance, of float32; the variance begins as softplus of the network's number."""

    size: int

    @nn.compact
    def __call__(self, h: Vectors) -> tuple[Vectors, Vectors]:
        mean = nn.Dense(self.size, name="mean")(h).astype(jnp.float32)
        variance = nn.softplus(nn.Dense(self.size, name="variance")(h).astype(jnp.float32))
        return mean, jnp.log(variance + 1e-4)
