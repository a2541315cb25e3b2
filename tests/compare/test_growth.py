"""What a process holds does not grow with the units that it makes."""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import replace

import harness
import jax
import numpy as np

from gvlab import compare, rng
from gvlab.train import engines

UNITS, WARM = 4, 2
"""The first ones compile and start what all share."""


def test_executables_threads_and_open_files_are_as_many_after_four_units_as_after_two(tmp_path):
    held = []

    def count(_title):
        gc.collect()
        executables = len(jax.devices()[0].client.live_executables())
        held.append((executables, threading.active_count(), len(os.listdir("/dev/fd"))))

    experiment = replace(harness.COMPARED["vae"], steps=4, log_every=2, checkpoint_every=2, sample_every=4)
    plan = compare.Plan((experiment,), UNITS)
    with harness.compiled_once():
        found = compare.run(plan, tmp_path / "comparison", count)
    assert [unit["status"] for unit in found["units"]] == ["complete"] * UNITS
    assert len(held) == UNITS
    assert set(held[WARM:]) == {held[WARM]}, held


def test_an_engine_makes_the_keys_of_all_seeds_by_one_program():
    """And they are the bits of `rng.root`, up to the largest seed."""
    engine = engines.alone(harness.program("vae"), jax.devices()[:1])
    seeds = (0, 1, 65_535, 65_536, 2**31 - 1)
    keys = [engine.inputs([replace(engine.program.experiment, seed=seed)]) for seed in seeds]
    for seed, key in zip(seeds, keys, strict=True):
        assert key.dtype == rng.root(seed).dtype
        np.testing.assert_array_equal(jax.random.key_data(key), jax.random.key_data(rng.root(seed)))
    before = len(jax.devices()[0].client.live_executables())
    engine.inputs([replace(engine.program.experiment, seed=7)])
    assert len(jax.devices()[0].client.live_executables()) == before
