"""What is asked of a trained model from Python, checked before it is computed: counts, seeds, labels, examples."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Num

from gvlab.data import TOKENS, WAVES, Alphabet, Modality, check_batch
from gvlab.types import UserError


def check_seed(seed: int) -> None:
    """Raises `UserError` unless it is one."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
        raise UserError(f"seed is {seed}, but must be a whole number from 0 to {2**31 - 1}.")


def check_count(n: int) -> None:
    """Raises `UserError` unless it is a number of examples."""
    if not isinstance(n, int | np.integer) or not 1 <= n < 2**31:
        raise UserError(f"n is {n}, but must be a whole number from 1 to {2**31 - 1}.")


def check_weights(y: Num[np.ndarray, "n classes"]) -> None:
    """Raises `UserError` unless they are weights of classes for each example."""
    sums = y.sum(1, dtype=np.float64)
    wrong = ~((y >= 0).all(1) & (np.abs(sums - 1) <= 1e-3))  # also of NaN
    if wrong.any():
        first = int(wrong.argmax())
        raise UserError(
            f"y has weights from {y[first].min():g} to {y[first].max():g} of the sum {sums[first]:g} for one example, "
            "but weights must be at least 0 and have the sum 1: scale them."
        )


def as_stored(
    x: npt.ArrayLike, shape: tuple[int, ...], modality: Modality, alphabet: Alphabet | None
) -> Num[Array, "n *shape"]:
    """Examples as a data set stores them: images in [0, 1] are rounded to 8 bits, waves in [-1, 1] to 16.

    Raises:
        UserError: they are of another shape than `shape`, none, outside the range, or no sentences of the alphabet.
    """
    given = np.asarray(x)
    if given.shape[1:] != shape or not len(given):
        wanted = ", ".join(["n", *map(str, shape)])
        raise UserError(f"The examples have shape {given.shape}, but [{wanted}] is wanted.")
    if modality == TOKENS:
        assert alphabet is not None
        alphabet.check(given)
        return jnp.asarray(given, modality.seen)
    if not modality.bounded:
        return jnp.asarray(given, modality.seen)
    if given.dtype == modality.dtype:
        return jnp.asarray(given)
    if modality == WAVES:
        check_batch(given, shape=shape, low=-1.0, high=1.0)
        return modality.as_stored(jnp.asarray(given), (-1.0, 1.0))[0]
    check_batch(given, shape=shape, low=0.0, high=1.0)
    return jnp.asarray(np.round(np.clip(given, 0, 1) * 255).astype(np.uint8))
