"""What the disentanglement metrics ask of their arrays of codes and factors."""

import numpy as np
from jaxtyping import Array, Float64, Int, Real

from gvlab.metrics._features import as_features
from gvlab.types import UserError


def split(
    train_codes: Real[np.ndarray | Array, "..."],
    train_factors: Real[np.ndarray | Array, "..."],
    codes: Real[np.ndarray | Array, "..."],
    factors: Real[np.ndarray | Array, "..."],
) -> tuple[
    Float64[np.ndarray, "n codes"],
    Int[np.ndarray, "n factors"],
    Float64[np.ndarray, "m codes"],
    Int[np.ndarray, "m factors"],
]:
    """Both sets, checked one by one and against each other: (training codes, training factors, codes, factors)."""
    train_x, train_y = pair(train_codes, train_factors, "train_factors", "train_codes")
    x, y = pair(codes, factors, "factors")
    for name, one, other in (("codes", train_x, x), ("factors", train_y, y)):
        if one.shape[1] != other.shape[1]:
            raise UserError(f"The two sets have {one.shape[1]} and {other.shape[1]} {name}: give equally many.")
    return train_x, train_y, x, y


def pair(
    codes: Real[np.ndarray | Array, "..."],
    factors: Real[np.ndarray | Array, "..."],
    factors_name: str,
    codes_name: str = "codes",
) -> tuple[Float64[np.ndarray, "n codes"], Int[np.ndarray, "n factors"]]:
    """Codes in float64 and factors as integers, of the same examples."""
    x, y = as_features(codes, codes_name), as_factors(factors, factors_name)
    require_same_length(x, y, codes_name, factors_name)
    return x, y


def as_factors(factors: Real[np.ndarray | Array, "..."], name: str) -> Int[np.ndarray, "n factors"]:
    """`factors` as int64 on the host: two axes, at least two rows, every column with at least two values."""
    array = np.asarray(factors)
    if not np.issubdtype(array.dtype, np.integer):
        raise UserError(f"{name} has the type {array.dtype}, but must be integers: number the values of each factor.")
    require_variation(as_features(array, name), name)
    return array.astype(np.int64)


def require_variation(array: Float64[np.ndarray, "n d"], name: str) -> None:
    """Refuses a column without information."""
    constant = array.min(axis=0) == array.max(axis=0)
    if constant.any():
        column = int(np.argmax(constant))
        raise UserError(f"{name}[:, {column}] is {array[0, column]:g} for all examples: leave it out, or vary it.")


def require_same_length(a: np.ndarray, b: np.ndarray, a_name: str, b_name: str) -> None:
    """Refuses arrays of different sets of examples."""
    if len(a) != len(b):
        raise UserError(f"{a_name} has {len(a)} rows and {b_name} {len(b)}: give one row per example in each.")
