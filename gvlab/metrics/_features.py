"""What every measure asks of its arrays of features: two axes, enough rows, finite numbers."""

import numpy as np
from jaxtyping import Array, Float, Float64, Real

from gvlab.types import UserError


def as_features(features: Real[np.ndarray | Array, "..."], name: str, at_least: int = 2) -> Float64[np.ndarray, "n d"]:
    """`features` as float64 on the host. Float32 sums over thousands of rows would cost the metrics their digits."""
    return as_rows(features, name, at_least).astype(np.float64, copy=False)


def as_rows(features: Real[np.ndarray | Array, "..."], name: str, at_least: int = 2) -> Float[np.ndarray, "n d"]:
    """`features` on the host without a copy where that can be: float32 where it holds every value, float64 otherwise.

    For the measures of pairs, which convert a tile at a time: a float64 copy of all would be most of their memory.
    """
    array = np.asarray(features)
    array = array.astype(np.result_type(array.dtype, np.float32), copy=False)
    if array.ndim != 2 or array.shape[1] == 0:
        raise UserError(f"{name} has shape {array.shape}, but must be [rows, features]: flatten each example to a row.")
    if array.shape[0] < at_least:
        raise UserError(f"{name} has {array.shape[0]} row(s), but at least {at_least} are needed: give more examples.")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise UserError(f"{name}[{row}, {column}] is {array[row, column]}: all features must be finite numbers.")
    return array


def require_same_width(a: int, b: int) -> None:
    """Refuses features of two different extractors."""
    if a != b:
        raise UserError(f"The two sets have {a} and {b} features: take both from the same extractor.")
