"""The importance-weighted bound on the test split."""

from __future__ import annotations

import math
import time

import jax
import numpy as np

from gvlab import config as c
from gvlab.build import Program
from gvlab.config.experiment import AnyModel
from gvlab.evaluate import texts
from gvlab.evaluate.held_out import Measure, compiled, mean, test_batches
from gvlab.types import PyTree

ROWS = 1_000
"""Latents that one call of the importance-weighted bound decodes at once, at most."""


NUMBERS = 2**27
"""Likelihood parameters that such a call makes, at most, unless one sample per example makes more."""


AT_ONCE = 64
"""Such calls that are under way at a time: the device need not wait for the host, nor its memory grow with k."""


def bound(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """The importance-weighted bound on log p(x) of the test split (Burda et al. 2016, equation 8), in nats.

    The k samples of an example come in chunks, whose log-sums are added on the host in float64. The measure also says
    how many test points a second it took, compilation included: the only number in it that is not repeatable.
    """
    start = time.perf_counter()
    k = program.experiment.evaluation.k
    draws = 1 if _is_certain(program) else k
    partial = compiled(program.model).partial_bound
    bounds = []
    for number, counted, batch in test_batches(program):
        chunk = max(1, min(ROWS, NUMBERS // parameters(program)) // len(batch.x))
        of_batch, total = jax.random.fold_in(key, number), np.full(len(batch.x), -np.inf)
        for first in range(0, draws, chunk * AT_ONCE):
            sizes = [min(chunk, draws - start) for start in range(first, min(first + chunk * AT_ONCE, draws), chunk)]
            keys = [jax.random.fold_in(of_batch, first // chunk + i) for i in range(len(sizes))]
            sums = jax.device_get([partial(state, batch, *of) for of in zip(keys, sizes, strict=True)])
            total = np.logaddexp.reduce([total, *np.stack(sums).astype(np.float64)], axis=0)
        bounds.append(total[:counted] - math.log(draws))
    per_example = np.concatenate(bounds)
    speed = {"points_per_second": round(len(per_example) / (time.perf_counter() - start), 1)}
    return {"iw_bound_nats": mean(per_example, k=k) | speed} | texts.rates(program, per_example, k)


def _is_certain(program: Program) -> bool:
    """Whether all of q(z|x) is on one z, or there is none, so that k draws of it weigh the same as one."""
    config: AnyModel = program.experiment.model
    if isinstance(config, c.Density) and program.dataset.alphabet is not None:
        return True
    first = config.first_experiment if isinstance(config, c.SecondStage) else None
    return isinstance(first.model if first else config, c.VQVAE)


def parameters(program: Program) -> int:
    """Numbers that a decoder makes per example, at most."""
    likelihood = getattr(program.experiment.model, "likelihood", None)
    match likelihood:
        case c.Categorical(levels=levels):
            each = levels
        case c.MixtureOfLogistics(components=components):
            each = 4 * components  # 10 of three channels, 3 of one
        case c.Sentences():
            assert program.dataset.alphabet is not None
            each = program.dataset.alphabet.levels
        case _:
            each = 2
    return math.prod(program.dataset.shape) * each
