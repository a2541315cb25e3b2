"""Examples that lie on the host: the same bits as from the device, read ahead, and let go again."""

from __future__ import annotations

import contextlib
import functools
import mmap
import threading
from dataclasses import replace
from pathlib import Path

import harness
import jax
import numpy as np
import pytest

from gvlab import build, data, memory, parallel, rng, tree
from gvlab.data import mapped
from gvlab.train import engines, loop, sources
from gvlab.types import Batch

FAMILIES = ["vae", "gan"]


@functools.cache
def program(name: str) -> build.Program:
    """A GAN without convolutions: examples come to it as to any other."""
    if name == "vae":
        return harness.program(name)
    pace = {field: getattr(harness.EXPERIMENTS[name], field) for field in ("steps", "keep_every")}
    return build.program(replace(harness.COMPARED[name], **pace), data.load("digits"))


@functools.cache
def resident(name: str) -> Path:
    """The run whose examples lie on the device."""
    if name == "vae":
        return harness.trained(name)
    return loop.train(engines.alone(program(name), jax.devices()[:1]), harness.laboratory() / "resident", 0)


@functools.cache
def groups_of_four() -> tuple[engines.Engine, engines.Engine]:
    """(streamed, resident)."""
    return streamed(engines.together, program("vae"), 4), engines.together(program("vae"), 4)


def streamed(make, *args) -> engines.Engine:
    """The engine, made while no data are small enough for the device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "RESIDENT_SHARE", 0.0)
        engine = make(*args)
    assert isinstance(engine.source, sources.Streamed)
    return engine


def one(name: str) -> engines.Engine:
    return streamed(engines.alone, program(name), jax.devices()[:1])


def after(engine: engines.Engine, steps: int, experiments=None) -> str:
    """The digest of the state after so many steps from the first on."""
    inputs = engine.inputs(experiments or [engine.program.experiment])
    state = engine.init(inputs)
    with contextlib.closing(engine.dispatches(inputs, 0, steps)) as dispatches:
        for advance, examples in dispatches:
            state, _ = advance(state, examples, inputs)
    return tree.digest(state)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_streamed_run_is_the_resident_one_also_when_it_goes_on_in_the_middle(name, tmp_path):
    engine = one(name)
    loop.train(engine, tmp_path, 0, steps=35)
    assert loop.train(engine, tmp_path, 0) == tmp_path / name / "seed-0"
    ours, theirs = tmp_path / name / "seed-0", resident(name)
    assert harness.digest(ours, 100) == harness.digest(theirs, 100)
    assert harness.curves(ours) == harness.curves(theirs)


def test_over_several_devices_too():
    split = streamed(engines.alone, harness.program("vae"), jax.devices()[:4])
    inputs = split.inputs([split.program.experiment])
    with contextlib.closing(split.examples(inputs, 0, [1])) as examples:
        assert next(examples).x.sharding == parallel.split(parallel.data_mesh(jax.devices()[:4]))
    assert after(split, 20) == after(engines.alone(harness.program("vae"), jax.devices()[:4]), 20)


@pytest.mark.parametrize("runs", [4, 3])
def test_runs_that_are_trained_together_have_their_own_batches_each(runs):
    """Three runs don't divide over four devices: each holds them all."""
    seeds = [replace(program("vae").experiment, seed=seed) for seed in range(runs)]
    from_host, from_device = (after(engine, 20, seeds) for engine in groups_of_four())
    assert from_host == from_device


def test_many_steps_of_one_dispatch_get_their_batches_at_once(monkeypatch):
    monkeypatch.setattr(engines, "scans_well", lambda device: True)
    engine = one("vae")
    with contextlib.closing(engine.dispatches(engine.inputs([engine.program.experiment]), 5, 32)) as dispatches:
        shapes = [(advance is engine.many, examples.x.shape[:-3]) for advance, examples in dispatches]
    size = engine.program.experiment.examples_per_step
    assert shapes == [(False, (size,))] * 5 + [(True, (10, size))] * 2 + [(False, (size,))] * 2
    assert after(engine, 25) == after(engines.alone(harness.program("vae"), jax.devices()[:1]), 25)
    each = size * (engine.source.split.x[0].nbytes + 4)
    monkeypatch.setattr(sources, "DISPATCH_BYTES", 5 * each)
    assert one("vae").chunk == 5


def test_streamed_batches_are_those_of_the_pure_function_past_the_first_block_and_epoch(monkeypatch):
    monkeypatch.setattr(sources, "_BLOCK", 7)
    engine = one("vae")
    program = engine.program
    arrays = Batch(jax.numpy.asarray(program.dataset.train.x), jax.numpy.asarray(program.dataset.train.y))
    key, size = rng.root(3), program.experiment.examples_per_step
    first = len(arrays.x) // size - 5
    with contextlib.closing(engine.examples(key, first, [1] * 20)) as examples:
        for step, found in enumerate(examples, first):
            expected = data.batch(arrays, key, step, size)
            np.testing.assert_array_equal(found.x, expected.x)
            np.testing.assert_array_equal(found.y, expected.y)
    assert step == first + 19


def test_each_device_is_brought_its_own_share_once():
    """So each process of several reads what its own devices take."""
    taken = []

    class Rows(np.ndarray):
        def __getitem__(self, index):
            taken.append(np.asarray(index).tolist())
            return np.asarray(self)[index]

    rows = np.arange(40, dtype=np.uint8).reshape(20, 2).view(Rows)
    share = parallel.split(parallel.data_mesh(jax.devices()[:4]))
    index = np.array([7, 3, 19, 0, 4, 4, 11, 12], np.uint32)
    placed = sources._placed(index, share, rows)
    assert sorted(taken) == sorted(index.reshape(4, 2).tolist())
    np.testing.assert_array_equal(placed, np.asarray(rows)[index])


def test_what_lies_on_the_device_is_a_question_of_its_memory(monkeypatch):
    program, mesh = harness.program("vae"), parallel.data_mesh(jax.devices()[:1])
    split = program.dataset.train
    bytes_ = split.x.nbytes + split.y.nbytes
    monkeypatch.setattr(memory, "limit", lambda: 4 * bytes_)
    resident = sources.of(program, mesh)
    assert isinstance(resident, sources.Resident)
    assert resident.nbytes == bytes_
    monkeypatch.setattr(memory, "limit", lambda: 4 * bytes_ - 4)
    assert isinstance(sources.of(program, mesh), sources.Streamed)


def test_the_reader_ends_with_the_training_and_its_errors_are_the_trainings():
    engine = one("vae")
    inputs = engine.inputs([engine.program.experiment])
    dispatches = engine.dispatches(inputs, 0, 100)
    next(dispatches)
    assert any(thread.name.startswith("gvlab-examples") for thread in threading.enumerate())
    dispatches.close()
    assert not any(thread.name.startswith("gvlab-examples") for thread in threading.enumerate())

    class Broken(np.ndarray):
        def __getitem__(self, index):
            raise OSError(5, "Input/output error")

    split = replace(engine.source.split, x=engine.source.split.x.view(Broken))
    broken = replace(engine.source, split=split)
    with pytest.raises(OSError, match="Input/output error"):
        list(broken.examples(inputs, 0, [1]))


def test_the_cost_of_a_step_counts_no_data_that_lie_elsewhere():
    engine = one("vae")
    streamed, resident = engines.cost(engine), engines.cost(harness.engine("vae"))
    assert streamed.data_bytes == 0
    assert streamed.parameters == resident.parameters
    assert resident.memory_bytes - streamed.memory_bytes > resident.data_bytes / 2


def test_pages_of_a_mapped_file_are_given_back(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4096, 4096), np.uint8))
    array = np.load(tmp_path / "x.npy", mmap_mode="r")

    def resident() -> int:
        with open("/proc/self/smaps") as file:
            lines = iter(file)
            next(line for line in lines if "x.npy" in line)
            return int(next(line for line in lines if line.startswith("Rss")).split()[1])

    assert isinstance(array.base, mmap.mmap)
    assert array.sum(dtype=np.int64) == 4096**2
    assert resident() > 8000
    mapped.release(array[10:])  # a view of it is as good
    assert resident() == 0
    assert array[5, 5] == 1
    mapped.release(np.ones(3))  # in memory: nothing happens
