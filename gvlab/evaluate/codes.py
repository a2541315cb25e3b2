"""How a model uses its codes on the test split."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from gvlab.build import Program
from gvlab.evaluate.held_out import Measure, test_batches
from gvlab.types import Model, PyTree


def usage(program: Program, state: PyTree) -> dict[str, Measure]:
    """Perplexity and entropy of the codes of the whole split, and the share of them that is chosen at all.

    All positions count as draws of one distribution, which they share; positions whose codes are of other numbers, as
    those of other levels, are no such: then perplexity is the geometric mean over these, the others the mean.
    """
    model = program.model
    assert model.code_sizes is not None
    of_batch = _compiled(model)
    found = np.concatenate(
        [np.asarray(of_batch(state, batch))[:counted] for _, counted, batch in test_batches(program)]
    )
    levels = getattr(getattr(program.experiment.model, "quantizer", None), "levels", 1)
    levels = levels if isinstance(levels, int) else 1
    each = [found[:, level::levels] for level in range(levels)]
    entropies = [_entropy(codes) for codes in each]
    active = [len(np.unique(codes)) / size for codes, size in zip(each, model.code_sizes, strict=False)]
    shared: dict[str, Any] = {"positions": found.size, "codes": model.code_sizes[0], "levels": levels}
    few = min(codes.size for codes in each) < 10 * max(model.code_sizes)
    warning = {"warning": "fewer than 10 positions for each code: perplexity is low for that alone"} if few else {}
    return {
        "code_perplexity": {"value": math.exp(np.mean(entropies)), "stamp": shared | warning},
        "code_entropy_bits": {"value": float(np.mean(entropies)) / math.log(2), "stamp": shared | warning},
        "active_codes": {"value": float(np.mean(active)), "stamp": shared | warning},
    }


@functools.lru_cache(maxsize=16)
def _compiled(model: Model) -> Callable[..., Any]:
    """One compiled function per model."""
    assert model.codes is not None
    return jax.jit(model.codes)


def _entropy(codes: Int[np.ndarray, "n positions"]) -> float:
    """Of all of them together, in nats."""
    shares = np.unique(codes, return_counts=True)[1] / codes.size
    return float(-(shares * np.log(shares)).sum())
