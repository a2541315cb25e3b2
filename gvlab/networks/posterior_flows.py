"""Bijections that make a posterior of normal draws, told what to do by the encoder.

Each takes z and the encoder's numbers side by side, [rows, latent + context], and gives (z [rows, latent], log |det|
[rows]) of all its steps. What is slow in them, the way back, is not needed: q(z|x) is only asked of its own draws.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.flows import MADE, refuse_one

Given = Float[Array, "rows latent_and_context"]
Made = tuple[Float[Array, "rows latent"], Float[Array, " rows"]]


class InverseAutoregressive(nn.Module):
    """Every entry is scaled and shifted by what those before it, and the encoder, say (IAF).

    z <- s z + (1 - s) m with s = sigmoid(1.5 + ...), a gate that begins nearly open; the order of the entries is turned
    round between the steps.

    Attributes:
        latent: entries of z.
        steps: how many.
        hidden: widths of the hidden layers of each, with ReLU.

    Raises:
        UserError: for vectors of one entry.

    Reference: Kingma et al., "Improved Variational Inference with Inverse Autoregressive Flow", 2016, algorithm 1 and
    eq. 14.
    """

    latent: int
    steps: int = 2
    hidden: tuple[int, ...] = (64, 64)

    @nn.compact
    def __call__(self, given: Given, y: None = None, *, train: bool) -> Made:
        """All steps. The same in training and out of it."""
        refuse_one(self.latent, "InverseAutoregressive")
        z, context = given[:, : self.latent], given[:, self.latent :]
        log_det = jnp.zeros(z.shape[0])
        for i in range(self.steps):
            z = z if i == 0 else z[:, ::-1]
            shift, gate = MADE(self.hidden, name=f"step_{i}")(z, context)
            z = nn.sigmoid(gate + 1.5) * z + nn.sigmoid(-gate - 1.5) * shift
            log_det += nn.log_sigmoid(gate + 1.5).sum(-1)
        return z, log_det


class Planar(nn.Module):
    """z <- z + u tanh(w z + b), a bend along one direction, by the encoder's u, w and b.

    Attributes:
        latent: entries of z.
        steps: how many.

    Reference: Rezende & Mohamed 2015, eq. 10 to 12, and appendix A.1 for the u that keeps it a bijection.
    """

    latent: int
    steps: int = 10

    @nn.compact
    def __call__(self, given: Given, y: None = None, *, train: bool) -> Made:
        """All steps. The same in training and out of it."""
        z, context = given[:, : self.latent], given[:, self.latent :]
        log_det = jnp.zeros(z.shape[0])
        for i in range(self.steps):
            u, w, b = jnp.split(
                nn.Dense(2 * self.latent + 1, name=f"step_{i}")(context), (self.latent, 2 * self.latent), axis=-1
            )
            z, bent = planar(z, u, w, b[:, 0])
            log_det += bent
        return z, log_det


class Radial(nn.Module):
    """z <- z + beta (z - c) / (alpha + |z - c|), to or from a point, by the encoder's c, alpha and beta.

    Attributes:
        latent: entries of z.
        steps: how many.

    Reference: Rezende & Mohamed 2015, eq. 14, and appendix A.2 for the beta that keeps it a bijection.
    """

    latent: int
    steps: int = 10

    @nn.compact
    def __call__(self, given: Given, y: None = None, *, train: bool) -> Made:
        """All steps. The same in training and out of it."""
        z, context = given[:, : self.latent], given[:, self.latent :]
        log_det = jnp.zeros(z.shape[0])
        for i in range(self.steps):
            centre, numbers = jnp.split(nn.Dense(self.latent + 2, name=f"step_{i}")(context), (self.latent,), axis=-1)
            z, moved = radial(z, centre, nn.softplus(numbers[:, 0]), numbers[:, 1])
            log_det += moved
        return z, log_det


def planar(
    z: Float[Array, "rows latent"],
    u: Float[Array, "rows latent"],
    w: Float[Array, "rows latent"],
    b: Float[Array, " rows"],
) -> Made:
    """(z + u' tanh(w z + b), log |det|), where w u' = softplus(w u) - 1 (Rezende & Mohamed 2015, app. A.1)."""
    along = (w * u).sum(-1)
    # w / |w|^2, which is asked for its product with something that vanishes as w does.
    unit = w / jnp.maximum((w**2).sum(-1, keepdims=True), 1e-12)
    kept = u + (jax.nn.softplus(along) - 1 - along)[:, None] * unit
    bend = jnp.tanh((w * z).sum(-1) + b)
    return z + kept * bend[:, None], jnp.log1p((1 - bend**2) * (w * kept).sum(-1))


def radial(
    z: Float[Array, "rows latent"],
    centre: Float[Array, "rows latent"],
    alpha: Float[Array, " rows"],
    beta: Float[Array, " rows"],
) -> Made:
    """(z + beta' h (z - centre), log |det|), h = 1 / (alpha + r), beta' = softplus(beta) - alpha (Rezende & Mohamed
    2015, app. A.2)."""
    away = z - centre
    # The root's gradient at 0 would be infinite.
    r = jnp.sqrt((away**2).sum(-1) + 1e-12)
    kept = jax.nn.softplus(beta) - alpha
    h = 1 / (alpha + r)
    log_det = (z.shape[-1] - 1) * jnp.log1p(kept * h) + jnp.log1p(kept * h - kept * r * h**2)
    return z + (kept * h)[:, None] * away, log_det
