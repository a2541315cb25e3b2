"""What is asked of a trained model from Python: counts, seeds and labels, checked before anything is computed."""

from __future__ import annotations

import numpy as np
from jaxtyping import Num

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
