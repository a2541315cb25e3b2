"""How often the intervals and tests of `gvlab.statistics` are right, on simulated seeds of which the truth is known.

    python experiments/benchmarks/intervals.py [--simulations 20000] [--seed 0]

Makes the numbers that the docstrings of `gvlab/statistics/` and the README state: the coverage of the interval of the
mean and of its three simpler relatives; the power of a comparison where the difference is the one called detectable;
and how often two equal experiments are told apart. Every share stands with the exact binomial interval (Clopper &
Pearson) of confidence 0.9999.

Thousands of samples are treated at once here, all with the resamples that gvlab draws for one, 10,000 of them as in its
reports. That these are gvlab's own numbers is checked on some samples of every case before anything is counted. The
results go to results/intervals.json. Cost: 2 minutes of one CPU core.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri, stdtrit

from gvlab import statistics

RESULTS = Path(__file__).resolve().parent / "results"
CERTAINTY = 0.9999
CHECKED = 10
"""Samples of a case on which the numbers must be gvlab's."""
CHUNK = 100
"""Samples treated at once, so that their resampled means stay in a few megabytes."""
METHODS = ("BCa", "expanded BCa", "Student's", "gvlab's")
DISTRIBUTIONS: dict[str, tuple[Callable[..., np.ndarray], float]] = {
    "normal": (lambda random, *shape: random.standard_normal(shape), 0.0),
    "Student's t, 3 df": (lambda random, *shape: random.standard_t(3, shape), 0.0),
    "log-normal, 0.5": (lambda random, *shape: np.exp(0.5 * random.standard_normal(shape)), float(np.exp(0.125))),
    "log-normal, 1": (lambda random, *shape: np.exp(random.standard_normal(shape)), float(np.exp(0.5))),
}
"""How to draw, and the true mean; logarithms have the mean 0 and that standard deviation."""


def share(hits: np.ndarray) -> dict[str, float]:
    """The share of the simulations that hit, and all probabilities that it is compatible with."""
    found = stats.binomtest(int(hits.sum()), hits.size).proportion_ci(CERTAINTY, method="exact")
    return {"share": float(hits.mean()), "low": float(found.low), "high": float(found.high)}


def intervals(x: np.ndarray, resamples: int = 10_000) -> dict[str, np.ndarray]:
    """The 95 % intervals [b, 2] of the mean of every row of x [b, n], by method."""
    n = x.shape[1]
    t = stdtrit(n - 1, 0.975)
    means = x.mean(axis=1, keepdims=True)
    scale = np.abs(x - means).max(axis=1, keepdims=True)
    d = (x - means) / scale
    student = t * d.std(axis=1, ddof=1) / np.sqrt(n)
    picks = np.random.RandomState(0).randint(n, size=(resamples, n))
    weights = np.stack([np.count_nonzero(picks == k, axis=1) for k in range(n)]) / n  # [n, resamples]
    quantiles = np.array([ndtri(0.975), np.sqrt(n / (n - 1)) * t])
    chunks = np.array_split(d, -(-len(d) // CHUNK))
    plain, expanded = np.concatenate([_bca(chunk, weights, quantiles) for chunk in chunks]).transpose(1, 0, 2)
    symmetric = np.stack([-student, student], axis=1)
    ours = np.stack([np.minimum(expanded[:, 0], -student), np.maximum(expanded[:, 1], student)], axis=1)
    made = zip(METHODS, (plain, expanded, symmetric, ours), strict=True)
    return {method: means + scale * ends for method, ends in made}


def _bca(d: np.ndarray, weights: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Efron's intervals [b, q, 2] at q normal quantiles, of rows whose mean is 0."""
    means = d @ weights  # [b, resamples]
    below = np.mean(np.where(np.abs(means) < 1e-12, 0.5, means < 0), axis=1)
    means.sort(axis=1)
    bias = ndtri(below)[:, None, None]
    acceleration = (np.sum(d**3, axis=1) / (6 * np.sum(d**2, axis=1) ** 1.5))[:, None, None]
    w = bias + np.stack([-quantiles, quantiles], axis=1)[None]
    levels = ndtr(bias + w / (1 - acceleration * w))  # the pole, where the two are 1, is out of reach at 95 %
    position = levels * (means.shape[1] - 1)
    left = np.minimum(position.astype(int), means.shape[1] - 2)
    rows = np.arange(len(d))[:, None, None]
    return means[rows, left] + (position - left) * (means[rows, left + 1] - means[rows, left])


def p_values(d: np.ndarray) -> np.ndarray:
    """Of the exact sign-flip test, for every row of d [b, n] with n <= 16."""
    found = []
    for chunk in np.array_split(d, -(-len(d) // CHUNK)):
        sums = chunk[:, :1]
        for k in range(1, d.shape[1]):
            sums = np.concatenate([sums + chunk[:, k : k + 1], sums - chunk[:, k : k + 1]], axis=1)
        threshold = np.abs(chunk.sum(axis=1)) - 1e-12 * np.abs(chunk).sum(axis=1)
        found.append(np.mean(np.abs(sums) >= threshold[:, None], axis=1))
    return np.concatenate(found)


def decided(p: np.ndarray, ends: np.ndarray, family: int = 1) -> np.ndarray:
    """Where `statistics.verdict` decides at Holm's first step: the test and the interval [b, 2] both say so."""
    return (family * p <= statistics.ALPHA) & ((ends[:, 0] > 0) | (ends[:, 1] < 0))


def check(x: np.ndarray, ends: np.ndarray, p: np.ndarray | None = None) -> None:
    """Raises where the rows' numbers are not those of gvlab."""
    for k, row in enumerate(x[:CHECKED].tolist()):
        np.testing.assert_allclose(ends[k], statistics.mean_interval(row), rtol=1e-9, atol=1e-12)
        if p is not None:
            pair = statistics.paired(row, [0.0] * len(row))
            said = statistics.verdict(pair, pair.p, "lower") != "undecided"
            assert (p[k], decided(p[k : k + 1], ends[k : k + 1])[0]) == (pair.p, said)


def random_of(seed: int, *case: object) -> np.random.Generator:
    """A generator for a case, whatever the others are."""
    return np.random.default_rng([seed, zlib.crc32(repr(case).encode())])


def coverage(seed: int, simulations: int) -> Iterator[dict[str, Any]]:
    for n in (3, 5, 8, 16):
        for name, (draw, truth) in DISTRIBUTIONS.items():
            x = draw(random_of(seed, "coverage", name, n), simulations, n)
            made = intervals(x)
            check(x, made["gvlab's"])
            width = {method: float(np.mean(ends[:, 1] - ends[:, 0])) for method, ends in made.items()}
            for method, ends in made.items():
                yield {
                    "distribution": name,
                    "n": n,
                    "method": method,
                    **share((ends[:, 0] <= truth) & (truth <= ends[:, 1])),
                    "width_over_students": width[method] / width["Student's"],
                }


def power(seed: int, simulations: int) -> Iterator[dict[str, Any]]:
    for family, counts in ((1, (6, 7, 8, 10, 12, 16)), (10, (9, 10, 12, 16)), (14, (10, 11, 12, 16))):
        for n in counts:
            unit = np.arange(n) / np.std(np.arange(n), ddof=1)
            effect = statistics.paired(unit.tolist(), [0.0] * n, family=family).detectable
            assert effect is not None
            d = random_of(seed, "power", family, n).standard_normal((simulations, n)) + effect
            p, ends = p_values(d), intervals(d)["gvlab's"]
            check(d, ends, p)
            yield {
                "family": family,
                "n": n,
                "effect": effect,
                "test": share(family * p <= statistics.ALPHA),
                "verdict": share(decided(p, ends, family)),
            }


def wrong(seed: int, simulations: int) -> Iterator[dict[str, Any]]:
    for n in (6, 8, 12, 16):
        for name, (draw, _) in DISTRIBUTIONS.items():
            first, second = draw(random_of(seed, "wrong", name, n), 2, simulations, n)
            d = first - second
            p, ends = p_values(d), intervals(d)["gvlab's"]
            check(d, ends, p)
            yield {
                "distribution": name,
                "n": n,
                "level": float(np.floor(statistics.ALPHA * 2 ** (n - 1)) / 2 ** (n - 1)),
                "test": share(p <= statistics.ALPHA),
                "verdict": share(decided(p, ends)),
            }


def cell(one: dict[str, float]) -> str:
    return f"{100 * one['share']:.1f} [{100 * one['low']:.1f}, {100 * one['high']:.1f}]"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--simulations", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=0)
    asked = options.parse_args()
    print(f"{asked.simulations} simulations each, seed {asked.seed}; per cent [{100 * CERTAINTY:g} % bounds]\n")

    print(f"| n | values | {' | '.join(METHODS)} | width over Student's |\n| ---: | --- | {'---: | ' * 5}", flush=True)
    covered, row = [], []
    for found in coverage(asked.seed, asked.simulations):
        covered.append(found)
        row.append(cell(found))
        if len(row) == len(METHODS):
            width = f"{found['width_over_students']:.3f}"
            print(f"| {found['n']} | {found['distribution']} | {' | '.join(row)} | {width} |", flush=True)
            row = []

    print("\n| tests | pairs | detectable, sd | found by test | by verdict |\n| ---: | ---: | ---: | ---: | ---: |")
    powers = []
    for found in power(asked.seed, asked.simulations):
        powers.append(found)
        cells = f"{found['effect']:.3f} | {cell(found['test'])} | {cell(found['verdict'])}"
        print(f"| {found['family']} | {found['n']} | {cells} |", flush=True)

    print("\n| pairs | values | exact level | wrong tests | wrong verdicts |\n| ---: | --- | ---: | ---: | ---: |")
    wrongs = []
    for found in wrong(asked.seed, asked.simulations):
        wrongs.append(found)
        cells = f"{100 * found['level']:.2f} | {cell(found['test'])} | {cell(found['verdict'])}"
        print(f"| {found['n']} | {found['distribution']} | {cells} |", flush=True)

    result = {
        "date": datetime.date.today().isoformat(),
        "seed": asked.seed,
        "simulations": asked.simulations,
        "resamples": 10_000,
        "certainty": CERTAINTY,
        "versions": {name: importlib.metadata.version(name) for name in ("numpy", "scipy")},
        "coverage": covered,
        "power": powers,
        "wrong": wrongs,
    }
    (RESULTS / "intervals.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
