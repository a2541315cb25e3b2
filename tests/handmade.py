"""Comparisons made by hand: what `results.collect` gives of units that nobody trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import harness

from gvlab import config as c
from gvlab.compare import results, tables, units

ROOT = Path("comparison")
SHARED = {"dataset": "digits", "backend": "cpu", "seed": 0, "step": 20}


def unit(name: str, seed: int, values: dict[str, float] | None, failure: str | None = None, **stamp: Any) -> units.Unit:
    """One (experiment, seed) with these measures, all of one stamp."""
    record = {
        "status": "diverged" if failure else "complete",
        "failure": failure,
        "dataset": {"name": "digits", "sha256": "a" * 64},
        "program": {"platform": "cpu", "step": "c" * 64},
        "versions": {"jax": "0.10.2"},
        "settings": {},
        "state_sha256": "b" * 64,
        "group": [f"{name}/seed-{seed}"],
        "regrouped": [],
        "cost": {"parameters": 1, "flops_per_step": None, "memory_bytes": None},
        "timing": {"seconds": 1.0, "images_per_second": 320.0},
    }
    measures = values and {
        measure: {"value": value, "stamp": SHARED | {"seed": seed} | stamp} for measure, value in values.items()
    }
    return units.Unit(name, seed, ROOT / "units" / name / f"seed-{seed}", record, measures)


def experiment(name: str) -> c.Experiment:
    return replace(harness.COMPARED["vae"], name=name)


def collected(*made: units.Unit) -> tables.Json:
    names = list(dict.fromkeys(one.experiment for one in made))
    seeds = 1 + max(one.seed for one in made)
    return results.collect([experiment(name) for name in names], seeds, None, made, ROOT)


CLEAR = [
    *(unit("a", seed, {"frechet_x": 10.0 + seed / 10, "loss": 1.0}) for seed in range(8)),
    *(unit("b", seed, {"frechet_x": 20.0 - seed / 10, "loss": 2.0}) for seed in range(8)),
]
"""Units of two experiments that clearly differ."""
