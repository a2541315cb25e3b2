"""The von Mises-Fisher distribution on the sphere: its normaliser, its KL from the uniform one, and draws.

Everything is read off the angle t of a draw from the mean direction, whose density is proportional to
exp(k (cos t - 1)) sin^(d - 2) t: smooth, and near 0 outside of a window that is known. So sums over a fixed grid are
good to float32's digits, and no Bessel function is needed; nor a rejection sampler, whose gradient, as in Davidson et
al.'s published code, would be wrong without a correction (Naesseth et al. 2017).
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

_CELLS = 128
_DEVIATIONS = 10.0
"""Of the density's peak, to either side, within which the grid lies."""


def sphere_log_area(dimension: int) -> float:
    """log of the area of the unit sphere of R^d: log 2 + d/2 log pi - log Gamma(d/2); minus it is the uniform density.

    Args:
        dimension: d, of the space around it.
    """
    return math.log(2.0) + dimension / 2 * math.log(math.pi) - math.lgamma(dimension / 2)


def von_mises_fisher_log_prob(
    z: Float[Array, "*k batch d"], mean: Float[Array, "batch d"], concentration: Float[Array, " batch"]
) -> Float[Array, "*k batch"]:
    """log q(z) in nats with respect to the sphere's area: log C_d(k) + k mean z.

    Args:
        z: of length 1.
        mean: the mean direction, of length 1.
        concentration: k > 0.

    Reference: Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018, eq. 1 and 2.
    """
    # For unit vectors the product is 1 - |z - mean|^2 / 2, which keeps its digits where k is large.
    extra = (1,) * (z.ndim - mean.ndim)
    apart = ((z - mean.reshape(extra + mean.shape)) ** 2).sum(-1)
    dimension = mean.shape[-1]
    log_scale = -sphere_log_area(dimension - 1) - _log_integral(concentration, dimension)
    return log_scale.reshape(extra + log_scale.shape) - 0.5 * concentration.reshape(extra + log_scale.shape) * apart


def von_mises_fisher_kl(concentration: Float[Array, " batch"], dimension: int) -> Float[Array, " batch"]:
    """KL from the uniform distribution on the sphere, in nats: k A_d(k) + log C_d(k) + log of the sphere's area.

    Args:
        concentration: k > 0.
        dimension: d.

    Reference: Davidson et al. 2018, eq. 14 (appendix B).
    """
    log_areas = sphere_log_area(dimension) - sphere_log_area(dimension - 1)
    resultant = _resultant_less_one(concentration, dimension)
    return concentration * resultant + log_areas - _log_integral(concentration, dimension)


def mean_resultant(concentration: Float[Array, " batch"], dimension: int) -> Float[Array, " batch"]:
    """A_d(k) = I_{d/2}(k) / I_{d/2-1}(k), the length of the mean of z.

    Args:
        concentration: k > 0.
        dimension: d.

    Reference: Davidson et al. 2018, eq. 13 (appendix B).
    """
    return 1 + _resultant_less_one(concentration, dimension)


def von_mises_fisher_draws(
    mean: Float[Array, "batch d"], concentration: Float[Array, " batch"], noise: Float[Array, "k batch d"]
) -> Float[Array, "k batch d"]:
    """Draws with a gradient along their path, to the mean direction and to the concentration.

    The part of the noise along the mean gives the angle by the inverse of its distribution function, the rest the
    direction away from the mean. The gradient is the implicit one: where the mean turns, z turns with it (the smallest
    rotation, whose variance is the least and which has no pole, as Householder's reflection has), and where the
    concentration changes, the angle keeps its quantile.

    Args:
        mean: the mean direction, of length 1.
        concentration: k > 0.
        noise: standard normal.

    Reference: Figurnov et al., "Implicit Reparameterization Gradients", 2018, section 3.
    """
    return _turned(mean, concentration, jax.lax.stop_gradient(noise))


@jax.custom_jvp
def _turned(mean: Array, concentration: Array, noise: Array) -> Array:
    return _parts(mean, concentration, noise)[0]


def _parts(mean: Array, concentration: Array, noise: Array) -> tuple[Array, Array, Array, Array]:
    """(z, the direction away from the mean, the angle [k, batch], its derivative by the concentration [k, batch])."""
    mean = mean[None]
    along = (noise * mean).sum(-1)
    away = noise - along[..., None] * mean
    away = away - (away * mean).sum(-1, keepdims=True) * mean  # a second time, for what rounding left
    away = away / jnp.maximum(jnp.linalg.norm(away, axis=-1, keepdims=True), 1e-30)
    angle, slope = _angles(concentration, along, mean.shape[-1])
    z = jnp.cos(angle)[..., None] * mean + jnp.sin(angle)[..., None] * away
    return z / jnp.linalg.norm(z, axis=-1, keepdims=True), away, angle, slope


@_turned.defjvp
def _turned_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    mean, concentration, noise = primals
    turn, widen, _ = tangents
    z, away, angle, slope = _parts(mean, concentration, noise)
    mean, turn = mean[None], turn[None]
    turn = turn - (turn * mean).sum(-1, keepdims=True) * mean
    rotated = (z * mean).sum(-1, keepdims=True) * turn - (z * turn).sum(-1, keepdims=True) * mean
    outwards = jnp.cos(angle)[..., None] * away - jnp.sin(angle)[..., None] * mean
    return z, rotated + (slope * widen[None])[..., None] * outwards


def _log_density(angle: Array, concentration: Array, dimension: int) -> Array:
    """Of the angle, unnormalised; cos t - 1 = -2 sin^2(t / 2) keeps its digits near 0."""
    fall = -2 * concentration * jnp.sin(angle / 2) ** 2
    return fall if dimension == 2 else fall + (dimension - 2) * jnp.log(jnp.maximum(jnp.sin(angle), 1e-30))


def _log_slope(angle: Array, concentration: Array, dimension: int) -> Array:
    """The derivative of `_log_density` by the angle."""
    fall = -concentration * jnp.sin(angle)
    if dimension == 2:
        return fall
    return fall + (dimension - 2) * jnp.cos(angle) / jnp.maximum(jnp.sin(angle), 1e-30)


def _peak(concentration: Array, dimension: int) -> tuple[Array, Array]:
    """(the mode of the angle, the standard deviation of the normal density that touches it there), each [batch]."""
    power = dimension - 2
    cosine = 2 * concentration / (power + jnp.sqrt(power**2 + 4 * concentration**2))
    mode = jnp.arctan2(jnp.sqrt(power * cosine / concentration), cosine)
    curvature = concentration * (cosine + 1 / cosine) if power else concentration
    return mode, 1 / jnp.sqrt(curvature)


def _grid(concentration: Array, dimension: int) -> tuple[Array, Array, Array]:
    """(angles [batch, nodes], equally far from each other, the density there over that at its mode, log of the density
    at its mode [batch]); of these the density alone has a gradient."""
    fixed = jax.lax.stop_gradient(concentration)
    mode, deviation = _peak(fixed, dimension)
    low = jnp.maximum(mode - _DEVIATIONS * deviation, 0.0)
    high = jnp.minimum(mode + _DEVIATIONS * deviation, math.pi)
    angles = low[:, None] + (high - low)[:, None] * jnp.linspace(0.0, 1.0, _CELLS + 1)[None]
    log_peak = _log_density(mode, fixed, dimension)
    density = jnp.exp(_log_density(angles, concentration[:, None], dimension) - log_peak[:, None])
    return angles, density, log_peak


def _by_cell(angles: Array, value: Array, slope: Array) -> Array:
    """The integral over each cell [batch, cells] of a function with these values and slopes at the nodes."""
    step = (angles[:, -1:] - angles[:, :1]) / _CELLS
    return _cell(step, value[:, :-1], value[:, 1:], slope[:, :-1], slope[:, 1:])


def _cell(step: Array, left: Array, right: Array, left_slope: Array, right_slope: Array) -> Array:
    """By the trapezoidal rule with its correction by the slopes, wrong by the fourth power of the step."""
    return step * (left + right) / 2 + step**2 * (left_slope - right_slope) / 12


def _log_integral(concentration: Float[Array, " batch"], dimension: int) -> Float[Array, " batch"]:
    """log of the integral of exp(k (cos t - 1)) sin^(d - 2) t over the angle."""
    angles, density, log_peak = _grid(concentration, dimension)
    slope = density * _log_slope(angles, concentration[:, None], dimension)
    return log_peak + jnp.log(_by_cell(angles, density, slope).sum(-1))


def _resultant_less_one(concentration: Float[Array, " batch"], dimension: int) -> Float[Array, " batch"]:
    """The mean of cos t - 1."""
    angles, density, _ = _grid(concentration, dimension)
    slope = density * _log_slope(angles, concentration[:, None], dimension)
    fall = -2 * jnp.sin(angles / 2) ** 2
    cosine = _by_cell(angles, fall * density, fall * slope - jnp.sin(angles) * density).sum(-1)
    return cosine / _by_cell(angles, density, slope).sum(-1)


def _angles(concentration: Array, along: Float[Array, "k batch"], dimension: int) -> tuple[Array, Array]:
    """(angles whose quantiles are those of -along among standard normals, their derivatives by the concentration)."""
    angles, density, log_peak = _grid(concentration, dimension)
    slope = density * _log_slope(angles, concentration[:, None], dimension)
    cells = _by_cell(angles, density, slope)
    cumulative = _summed(cells)
    target = jax.scipy.special.ndtr(-along) * cumulative[None, :, -1]
    cell = (cumulative[None, :, 1:-1] <= target[..., None]).sum(-1)  # [k, batch]

    def at(values: Float[Array, "batch nodes"], nodes: Array) -> Float[Array, "k batch"]:
        return jnp.take_along_axis(values.T, nodes, axis=0)

    start, end, below = at(angles, cell), at(angles, cell + 1), at(cumulative, cell)
    left, left_slope = at(density, cell), at(slope, cell)

    def here(angle: Array) -> tuple[Array, Array]:
        """(density, its slope)."""
        value = jnp.exp(_log_density(angle, concentration[None], dimension) - log_peak[None])
        return value, value * _log_slope(angle, concentration[None], dimension)

    angle = start + (end - start) * (target - below) / jnp.maximum(at(cells, cell), 1e-30)
    for _ in range(3):  # Newton's steps; two would do
        value, steep = here(angle)
        apart = below + _cell(angle - start, left, value, left_slope, steep) - target
        angle = jnp.clip(angle - apart / jnp.maximum(value, 1e-30), start, end)

    # d angle / dk = -(d distribution function / dk) / density, where the numerator is the integral of (cos t - A) times
    # the density, which is 0 over all: so it is summed from the nearer end, where nothing cancels.
    less_one = _resultant_less_one(concentration, dimension)
    apart = -2 * jnp.sin(angles / 2) ** 2 - less_one[:, None]
    by_cell = _by_cell(angles, apart * density, apart * slope - jnp.sin(angles) * density)
    from_left, from_right = _summed(by_cell), -_summed(by_cell[:, ::-1])[:, ::-1]
    moved = at(jnp.where(2 * cumulative < cumulative[:, -1:], from_left, from_right), cell)
    value, steep = here(angle)
    away = -2 * jnp.sin(angle / 2) ** 2 - less_one[None]
    moved += _cell(
        angle - start,
        at(apart, cell) * left,
        away * value,
        at(apart, cell) * left_slope - jnp.sin(start) * left,
        away * steep - jnp.sin(angle) * value,
    )
    return angle, -moved / jnp.maximum(value, 1e-30)


def _summed(cells: Float[Array, "batch cells"]) -> Float[Array, "batch nodes"]:
    """Integrals from the first node to each."""
    return jnp.concatenate([jnp.zeros_like(cells[:, :1]), jnp.cumsum(cells, axis=-1)], axis=-1)
