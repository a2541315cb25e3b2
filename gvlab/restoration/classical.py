"""Restoring without a generator: the mean, A^T y, total variation, biharmonic filling, and Lasso.

What has a strength takes, of a few, the one of the least squared error on training images that were damaged in the same
way. scikit-image has total variation and the filling, scikit-learn has Lasso.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from gvlab.restoration.operators import Operator
from gvlab.types import UserError

Images: TypeAlias = Float[np.ndarray, "n height width channel"]
Measurements: TypeAlias = Float[np.ndarray, "n *measured"]


class Training(NamedTuple):
    """Images that strengths are chosen on, and the mean of all."""

    x: Images
    y: Measurements
    mean: Float[np.ndarray, "height width channel"]


class Classical(NamedTuple):
    """What a baseline made."""

    x: Images
    """In [0, 1]."""
    strength: float | None
    """That was chosen; None where there is none to choose."""


STRENGTHS = {
    "tv": (0.003, 0.01, 0.03, 0.1, 0.3),
    "lasso": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "lasso_dct": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
}
"""That are tried: of the total variation beside half the squared error's sum, and scikit-learn's alpha."""
NAMES = ("mean", "adjoint", "tv", "biharmonic", "lasso", "lasso_dct")
"""Of the baselines."""
TRAINING = 16
"""Images that strengths are chosen on."""
LARGEST = 4096
"""Numbers of an image whose operator is written out as a matrix, for Lasso."""
TV_STEPS = 100
"""Of the proximal gradient."""


def check(name: str, operator: Operator) -> None:
    """Raises UserError where a baseline is none for the operator, or scikit-image is missing."""
    if name == "biharmonic" and (operator.seen is None or operator.seen.all()):
        raise UserError(
            "The baseline biharmonic fills hidden pixels in, but here none is hidden: use another, such as tv."
        )
    if name.startswith("lasso") and math.prod(operator.shape) > LARGEST:
        raise UserError(
            f"The baseline {name} needs a matrix of {math.prod(operator.shape)} columns, but at most {LARGEST} are "
            "possible here: use another, such as tv."
        )
    if name in ("tv", "biharmonic") and find_spec("skimage") is None:
        raise UserError(f"The baseline {name} is scikit-image's, which is missing: pip install 'gvlab[restoration]'.")


def restored(name: str, operator: Operator, y: Measurements, training: Training) -> Classical:
    """Images by one of `NAMES`.

    Args:
        name: of the baseline; see `check`.
        operator: that y was measured by.
        y: measurements.
        training: what the strength is chosen on.
    """
    check(name, operator)
    if name == "mean":
        return Classical(np.broadcast_to(training.mean[None], (len(y), *operator.shape)), None)
    if name == "adjoint":
        return Classical(np.clip(adjoint(operator, y), 0, 1), None)
    if name == "biharmonic":
        return Classical(np.clip(biharmonic(operator, y), 0, 1), None)
    by: Callable[[Operator, Measurements, float], Images] = {
        "tv": total_variation,
        "lasso": lasso_pixels,
        "lasso_dct": lasso_dct,
    }[name]
    errors = {
        strength: float(((np.clip(by(operator, training.y, strength), 0, 1) - training.x) ** 2).mean())
        for strength in STRENGTHS[name]
    }
    best = min(errors, key=lambda strength: errors[strength])
    return Classical(np.clip(by(operator, y, best), 0, 1), best)


def adjoint(operator: Operator, y: Measurements) -> Images:
    """A^T y, times the number by which it fits y best: the first step of steepest descent from 0."""

    @jax.jit
    def of(y: jax.Array) -> jax.Array:
        back = operator.adjoint(y)
        seen = operator.apply(back)
        return back * jnp.vdot(seen, y) / jnp.maximum(jnp.vdot(seen, seen), 1e-12)

    return np.asarray(jax.vmap(of)(jnp.asarray(y)))


def biharmonic(operator: Operator, y: Measurements) -> Images:
    """Hidden pixels by the biharmonic equation (Damelin & Hoang 2018)."""
    from skimage.restoration import inpaint_biharmonic

    assert operator.seen is not None
    hidden = ~operator.seen[..., 0]
    return np.stack([inpaint_biharmonic(np.asarray(image), hidden, channel_axis=-1) for image in y])


def total_variation(operator: Operator, y: Measurements, strength: float) -> Images:
    """The images of the least |A x - y|^2 / 2 + strength TV(x), by proximal gradient, whose proximal map is Chambolle's
    denoising; where A is the identity that alone.

    References: Chambolle, "An algorithm for total variation minimization and applications", 2004; Beck & Teboulle, "A
    fast iterative shrinkage-thresholding algorithm for linear inverse problems", 2009 (FISTA, the momentum).
    """
    from skimage.restoration import denoise_tv_chambolle

    def proximal(x: Images, weight: float) -> Images:
        return np.stack([denoise_tv_chambolle(image, weight=weight, channel_axis=-1) for image in x])

    if operator.measured_shape == operator.shape and operator.seen is None and _is_identity(operator):
        return proximal(np.asarray(y), strength)
    step = 1 / largest_eigenvalue(operator)

    @jax.jit
    def descended(x: jax.Array, y: jax.Array) -> jax.Array:
        residual = jax.vmap(operator.apply)(x) - y
        return x - step * jax.vmap(operator.adjoint)(residual)

    x = ahead = adjoint(operator, y)
    pace = 1.0
    for _ in range(TV_STEPS):
        before, x = x, proximal(np.asarray(descended(jnp.asarray(ahead), jnp.asarray(y))), strength * step)
        after = (1 + math.sqrt(1 + 4 * pace**2)) / 2
        ahead = x + (pace - 1) / after * (x - before)
        pace = after
    return x


def lasso_pixels(
    operator: Operator, y: Measurements, strength: float, steps: int = 1_000, tolerance: float = 1e-4
) -> Images:
    """The images of the least |A x - y|^2 / (2 m) + strength |x|_1, as scikit-learn has it, without an intercept; by so
    many rounds of its coordinate descent, or until its tolerance is reached."""
    return _lasso(as_matrix(operator), y, strength, steps, tolerance).reshape(-1, *operator.shape)


def lasso_dct(
    operator: Operator, y: Measurements, strength: float, steps: int = 1_000, tolerance: float = 1e-4
) -> Images:
    """As `lasso_pixels`, of the coefficients of the orthonormal cosine transform of each channel."""
    from scipy.fft import dctn, idctn

    # A row of A D is the transform of A's row, since D^T is the transform.
    rows = as_matrix(operator).reshape(-1, *operator.shape)
    transformed = dctn(rows, axes=(1, 2), norm="ortho").reshape(len(rows), -1)
    found = _lasso(transformed, y, strength, steps, tolerance).reshape(-1, *operator.shape)
    return idctn(found, axes=(1, 2), norm="ortho")


def _lasso(
    matrix: Float[np.ndarray, "m numbers"], y: Measurements, strength: float, steps: int, tolerance: float
) -> Float[np.ndarray, "n numbers"]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Lasso

    model = Lasso(alpha=strength, fit_intercept=False, max_iter=steps, tol=tolerance)
    with warnings.catch_warnings():  # of a strength that is too small; another one is chosen, or this is good enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(matrix, np.asarray(y, np.float64).reshape(len(y), -1).T)
    return np.asarray(model.coef_).reshape(len(y), -1)


def as_matrix(operator: Operator) -> Float[np.ndarray, "m numbers"]:
    """A, a row for each number that is measured."""
    numbers = math.prod(operator.shape)
    basis = jnp.eye(numbers, dtype=jnp.float32).reshape(numbers, *operator.shape)
    columns = jax.jit(jax.vmap(operator.apply))(basis)
    return np.asarray(columns, np.float64).reshape(numbers, -1).T


def largest_eigenvalue(operator: Operator, steps: int = 50) -> float:
    """Of A^T A, by power iteration; a hundredth is added, since it is reached from below."""

    @jax.jit
    def of(x: jax.Array) -> jax.Array:
        def step(_: jax.Array, x: jax.Array) -> jax.Array:
            x = operator.adjoint(operator.apply(x))
            return x / jnp.linalg.norm(x.ravel())

        x = jax.lax.fori_loop(0, steps, step, x)
        return jnp.linalg.norm(operator.apply(x).ravel()) ** 2

    start = np.random.default_rng(0).normal(size=operator.shape).astype(np.float32)
    return 1.01 * float(of(jnp.asarray(start)))


def _is_identity(operator: Operator) -> bool:
    x = np.random.default_rng(0).uniform(size=operator.shape).astype(np.float32)
    return bool(np.array_equal(operator.apply(jnp.asarray(x)), x))
