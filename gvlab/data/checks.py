"""Refuses batches that would train silently to nonsense."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from gvlab.types import UserError


def check_batch(x: jax.Array | np.ndarray, *, shape: tuple[int, ...], low: float, high: float) -> None:
    """Refuses examples of the wrong size or type, with NaN or infinities, or outside the declared range.

    Under a transformation (`jax.jit`, `jax.vmap`, ...) there are no values to look at: then only size and type count.

    Args:
        x: the examples [batch, *shape].
        shape: the shape of one example.
        low, high: the declared range, both ends included; 1e-5 of its length beyond them passes as rounding.

    Raises:
        UserError: names the size, the type or the value that was found.
    """
    if x.ndim != 1 + len(shape) or x.shape[1:] != shape:
        wanted = ", ".join(["batch", *map(str, shape)])
        raise UserError(f"The examples have shape {x.shape}, but [{wanted}] is declared: reshape or resize them.")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise UserError(
            f"The examples have type {x.dtype}, not a floating one: scale them into [{low:g}, {high:g}] first."
        )
    if isinstance(x, jax.core.Tracer) or x.size == 0:
        return
    # Counted, not read off the extremes: XLA:CPU drops NaN from the min and max of 4096 numbers or more.
    count = int((~jnp.isfinite(x)).sum())
    if count:
        raise UserError(f"{count} of the {x.size} values in the examples are NaN or infinite: clean the data first.")
    smallest, largest = float(x.min()), float(x.max())
    # Compiled, x / 127.5 - 1 may end at 1.0000001: rounding is no mistake.
    slack = 1e-5 * (high - low) if np.isfinite(high - low) else 0.0
    if smallest < low - slack or largest > high + slack:
        verb, value = ("reach", largest) if largest > high + slack else ("go down to", smallest)
        advice = "divide by 255" if largest > max(high, 1.0) else "rescale them"
        raise UserError(
            f"The examples {verb} {value!r}, outside the declared range [{low:g}, {high:g}]: {advice} or declare the "
            "range that they have."
        )
