"""Restored images beside what they were, and what was seen of them."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from gvlab.pictures import sheets
from gvlab.restoration.operators import Operator
from gvlab.restore import Restored


def sheet(
    operator: Operator, y: np.ndarray, true: np.ndarray | None, found: Restored, baselines: Sequence[np.ndarray] = ()
) -> UInt8[np.ndarray, "height width channel"]:
    """One row for each image: true (where it is known), seen, the simplest baseline and others, restored, and where
    there are draws the pixels' standard deviation, twofold, and some of the draws.

    What is seen of fewer pixels is enlarged by repeating them; of no pixels A^T y is shown.
    """
    columns = [*([] if true is None else [true]), seen(operator, y), found.baseline, *baselines, found.x]
    if found.deviation is not None and found.draws is not None:
        columns += [np.clip(2 * found.deviation, 0, 1), *found.draws]
    rows = np.stack([np.asarray(column, np.float32) for column in columns], axis=1)
    return sheets.enlarge(sheets.grid(np.clip(rows.reshape(-1, *operator.shape), 0, 1), len(columns)))


def seen(operator: Operator, y: np.ndarray) -> np.ndarray:
    """Measurements as images [n, height, width, channel]."""
    shape = operator.shape
    if operator.seen is not None:
        return np.where(operator.seen[None], y, 0.5)
    if y.shape[1:] == shape:
        return y
    if y.ndim == 4:
        return y.repeat(shape[0] // y.shape[1], axis=1).repeat(shape[1] // y.shape[2], axis=2)
    if y.ndim == 3:
        return np.broadcast_to(y[..., None], (len(y), *shape))
    return np.asarray(jax.vmap(operator.adjoint)(jnp.asarray(y)))
