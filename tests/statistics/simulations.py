"""Samples and recorded simulations with known truth.

What holds for every sign pattern of given differences is enumerated. The rest is simulated by the functions of
`experiments/benchmarks/intervals.py`, which treat many samples at once and are first held against gvlab's; its recorded
results are what the documentation states.
"""

import json
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import numpy as np

BENCHMARKS = Path(__file__).resolve().parents[2] / "experiments" / "benchmarks"
SIMULATED = SimpleNamespace(**run_path(str(BENCHMARKS / "intervals.py")))
RECORDED = json.loads((BENCHMARKS / "results" / "intervals.json").read_text())


# A share of so many simulations is judged by its exact binomial interval of confidence 0.9999, at most 0.9 % to each
# side where the share is 0.95: with fewer than 40 such judgements here, a sound build fails one in 250 times at
# most, had the seeds not been fixed.
SIMULATIONS = 10_000


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def share_interval(hits):
    """All probabilities that the count is compatible with, by Clopper & Pearson."""
    found = SIMULATED.share(np.asarray(hits))
    return found["low"], found["high"]


def agree(hits, recorded):
    """Whether the intervals of a fresh share and of a recorded one meet."""
    low, high = share_interval(hits)
    return low <= recorded["high"] and recorded["low"] <= high
