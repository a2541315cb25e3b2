"""What every measure asks of its arrays of features: float64, two axes, at least two rows, finite."""

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.types import UserError


def as_features(features: Real[np.ndarray | Array, "..."], name: str) -> Float64[np.ndarray, "n d"]:
    """`features` as float64 on the host. Float32 sums over thousands of rows would cost the metrics their digits."""
    array = np.asarray(features, np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise UserError(f"{name} has shape {array.shape}, but must be [rows, features]: flatten each example to a row.")
    if array.shape[0] < 2:
        raise UserError(f"{name} has {array.shape[0]} row(s), but at least 2 are needed: give more examples.")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise UserError(f"{name}[{row}, {column}] is {array[row, column]}: all features must be finite numbers.")
    return array


def require_same_width(a: int, b: int) -> None:
    """Refuses features of two different extractors."""
    if a != b:
        raise UserError(f"The two sets have {a} and {b} features: take both from the same extractor.")
