"""Whether what was exported computes what the run's model does: measured before an export is put in its place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

EXAMPLES = 3
"""That an export is compared with its run on."""
TOLERANCE = 1e-2
"""Absolute and relative. On CPU nothing differs; on an accelerator two compilations may choose other algorithms."""


def largest_difference(exported: npt.ArrayLike, known: npt.ArrayLike) -> float:
    """Between two arrays of one shape; 0 means the same bits, but for the sign of a zero.

    Raises:
        RuntimeError: it is more than rounding, so that the export is wrong.
    """
    first, second = np.asarray(exported), np.asarray(known)
    if first.shape == second.shape and np.array_equal(first, second, equal_nan=True):
        return 0.0
    if first.shape != second.shape or not np.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE):
        raise RuntimeError("What was exported computes something else than the model that it was made of.")
    return float(np.abs(first - second).max())
