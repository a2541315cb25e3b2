"""Runs that are trained together are the runs that are trained alone, and a sick one harms nobody."""

from __future__ import annotations

import functools
import inspect
import shutil
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import harness
import jax
import numpy as np
import pytest

from gvlab import build, data, rng, tree
from gvlab import config as c
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.train import engines, loop
from gvlab.types import Diverged, UserError

STEPS = 40
SIZE = {"vae": 4, "gan": 2}
"""Runs in a group, one on each device."""
TOLERANCE = 1e-5
"""Between a run in a group and the same run alone, relative to the largest value of a term in the run. Measured for the
VAE over 100 steps: 2e-7."""
RATE = "model.optimizer.learning_rate"


@functools.cache
def program(name: str) -> build.Program:
    return build.program(replace(harness.COMPARED[name], steps=STEPS, checkpoint_every=20), data.load("digits"))


@functools.cache
def group(name: str) -> engines.Engine:
    return engines.together(program(name), SIZE[name])


@functools.cache
def rates() -> engines.Engine:
    """For four runs with a learning rate each."""
    return engines.together(program("vae"), 4, [RATE])


def seeds(name: str, count: int | None = None, **changes: Any) -> list[c.Experiment]:
    return [replace(program(name).experiment, seed=seed, **changes) for seed in range(count or SIZE[name])]


def with_rates(*values: float) -> list[c.Experiment]:
    """One run per learning rate; the seed is the position."""
    return [
        replace(c.with_value(program("vae").experiment, RATE, value), name=f"vae-{i}", seed=i)
        for i, value in enumerate(values)
    ]


@functools.cache
def together(name: str) -> Path:
    """The root of seeds that were trained as one program."""
    root = harness.laboratory() / f"together-{name}"
    assert loop.train_together(group(name), seeds(name), root) == [None] * SIZE[name]
    return root


@functools.cache
def sound() -> Path:
    """The root of four runs of different learning rates."""
    root = harness.laboratory() / "sound"
    assert loop.train_together(rates(), with_rates(1e-3, 2e-3, 3e-3, 4e-3), root) == [None] * 4
    return root


@functools.cache
def alone(name: str) -> Path:
    """The root of the same seeds, one after another."""
    engine = engines.alone(program(name), jax.devices()[:1])
    for seed in range(SIZE[name]):
        loop.train(engine, harness.laboratory() / f"alone-{name}", seed)
    return harness.laboratory() / f"alone-{name}"


def off(ours: Path, theirs: Path) -> float:
    """The largest difference of a logged term, relative to the term's largest value in the run."""
    mine, other = harness.curves(ours), harness.curves(theirs)
    assert [line["step"] for line in mine] == [line["step"] for line in other]
    size = {term: max(abs(line[term]) for line in other) for term in other[0]}
    return max(abs(a[term] - b[term]) / size[term] for a, b in zip(mine, other, strict=True) for term in size)


def assert_same_bits(ours: Path, theirs: Path) -> None:
    assert harness.curves(ours) == harness.curves(theirs)
    states, others = rundir.read_states(ours), rundir.read_states(theirs)
    common = states.keys() & others.keys()
    assert {20, 40} <= common
    assert {step: states[step] for step in common} == {step: others[step] for step in common}


# --- a group is its members -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_each_seed_of_a_group_is_that_seed_alone(name):
    assert len(group(name).inputs(seeds(name))[0].sharding.device_set) == SIZE[name]
    for seed in range(SIZE[name]):
        ours, theirs = (root / name / f"seed-{seed}" for root in (together(name), alone(name)))
        assert off(ours, theirs) <= TOLERANCE
        states = [loop.restore(program(name), run) for run in (ours, theirs)]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), *states)
        assert rundir.status(ours) == {"status": "complete", "step": STEPS}
        assert harness.steps_kept(ours) == harness.steps_kept(theirs)
        assert (ours / "samples" / "step-00000040.png").is_file()
    curves = [harness.curves(together(name) / name / f"seed-{seed}") for seed in range(SIZE[name])]
    assert all(curves[i] != curves[j] for i in range(SIZE[name]) for j in range(i))


def test_run_again_the_same_way_the_bits_are_the_same(tmp_path):
    loop.train_together(group("gan"), seeds("gan"), tmp_path)
    for seed in range(2):
        assert_same_bits(tmp_path / "gan" / f"seed-{seed}", together("gan") / "gan" / f"seed-{seed}")


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_stopped_and_continued_the_bits_are_the_same(name, tmp_path):
    calls: list[int] = []

    def single(*args):
        calls.append(1)
        if len(calls) == 23:
            signal.raise_signal(signal.SIGTERM)
        return group(name).single(*args)

    with pytest.raises(loop.Interrupted, match="Stopped at step 23"):
        loop.train_together(replace(group(name), single=single), seeds(name), tmp_path)
    count = SIZE[name]
    runs = [tmp_path / name / f"seed-{seed}" for seed in range(count)]
    assert [rundir.status(run) for run in runs] == [{"status": "interrupted", "step": 23}] * count
    assert loop.train_together(group(name), seeds(name), tmp_path) == [None] * count
    for seed, run in enumerate(runs):
        assert_same_bits(run, together(name) / name / f"seed-{seed}")

    before = harness.contents(tmp_path)
    assert loop.train_together(group(name), seeds(name), tmp_path) == [None] * count
    assert not harness.changed(tmp_path, before)


@pytest.mark.parametrize(("last", "then"), [(20, [1, 10, 20, 30, 40]), (40, [30, 40])])
def test_a_kill_between_the_checkpoints_of_two_members_leaves_them_one_program(last, then, tmp_path):
    """What it leaves is the last checkpoint of some. All go back by one; the bits are an undisturbed group's."""
    names = [f"gan/seed-{seed}" for seed in range(2)]
    loop.train_together(group("gan"), seeds("gan", steps=last), tmp_path)
    shutil.rmtree(tmp_path / names[1] / "checkpoints" / str(last))
    for name in names:
        rundir.write_status(tmp_path / name, "running", last)
    heard = []
    loop.train_together(group("gan"), seeds("gan"), tmp_path, lambda now: heard.append(now.step))
    assert heard == then
    for name in names:
        assert_same_bits(tmp_path / name, together("gan") / name)
        assert rundir.read_groups(tmp_path / name) == {0: names}


def test_members_at_different_steps_all_come_to_the_end(tmp_path):
    """Two are at 20, one at the end, and one has not begun."""
    loop.train_together(group("vae"), seeds("vae", steps=20)[:2], tmp_path)
    loop.train_together(group("vae"), seeds("vae")[2:3], tmp_path)
    heard = []
    assert loop.train_together(group("vae"), seeds("vae"), tmp_path, lambda now: heard.append(now.step)) == [None] * 4
    assert heard == [30, 40, 1, 10, 20, 30, 40]
    for seed in range(4):
        run = tmp_path / "vae" / f"seed-{seed}"
        assert rundir.status(run) == {"status": "complete", "step": STEPS}
        assert off(run, alone("vae") / "vae" / f"seed-{seed}") <= TOLERANCE


@pytest.mark.parametrize(("runs", "devices"), [(4, 4), (3, 3), (5, 1), (8, 4), (1, 1)])
def test_the_runs_are_split_over_as_many_devices_as_divide_them(runs, devices):
    inputs = engines.together(program("vae"), runs).inputs(seeds("vae", runs))
    assert len(inputs[0].sharding.device_set) == devices
    assert inputs[0].sharding.is_fully_replicated == (devices == 1)


def test_a_number_of_runs_that_does_not_divide_gives_the_same_runs(tmp_path):
    """An engine for four with three, which then are computed on every device."""
    assert group("vae").inputs(seeds("vae", 3))[0].sharding.is_fully_replicated
    loop.train_together(group("vae"), seeds("vae", 3), tmp_path)
    for seed in range(3):
        assert off(tmp_path / "vae" / f"seed-{seed}", alone("vae") / "vae" / f"seed-{seed}") <= TOLERANCE


def test_many_steps_per_dispatch_give_the_group_of_single_ones(tmp_path, monkeypatch):
    """The engine of an accelerator, on a CPU that claims to be one."""
    monkeypatch.setattr(engines, "scans_well", lambda device: True)
    engine = engines.together(program("vae"), 4)
    assert engine.chunk == 10
    dispatched = []

    def many(*args):
        dispatched.append(1)
        return engine.many(*args)

    loop.train_together(replace(engine, many=many), seeds("vae", steps=35), tmp_path)
    assert len(dispatched) == 3  # 30 steps; the last 5 are single ones
    for seed in range(4):
        lines = harness.curves(tmp_path / "vae" / f"seed-{seed}")
        others = harness.curves(together("vae") / "vae" / f"seed-{seed}")
        for ours, theirs in zip(lines, others, strict=False):
            assert ours == pytest.approx(theirs, rel=1e-4)


def test_a_state_is_taken_apart_and_joined():
    engine = group("gan")
    state = engine.init(engine.inputs(seeds("gan")))
    members = [engine.member(state, i) for i in range(2)]
    single = program("gan").model.init(rng.stream(rng.root(1), rng.INIT), program("gan").first_batch())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), members[1], single)
    joined = engine.join(members)
    assert tree.digest(joined) == tree.digest(state)
    assert {leaf.sharding for leaf in jax.tree.leaves(joined)} == {engine.inputs(seeds("gan"))[0].sharding}
    assert engine.is_finite(state).tolist() == [True] * 2
    assert engine.names == tuple(sorted(engine.names))


# --- batched numbers --------------------------------------------------------------------------------------------------


def test_batched_numbers_are_those_of_single_programs(tmp_path):
    fields = (RATE, "model.optimizer.b1", "model.beta")
    values = ((1e-3, 0.9, 1.0), (5e-3, 0.5, 4.0))
    runs = []
    for row in values:
        experiment = program("vae").experiment
        for field, value in zip(fields, row, strict=True):
            experiment = c.with_value(experiment, field, value)
        runs.append(replace(experiment, name=f"vae-{row[0]}"))
    loop.train_together(engines.together(program("vae"), 2, fields), runs, tmp_path)
    for experiment in runs:
        single = engines.alone(build.program(experiment, data.load("digits")), jax.devices()[:1])
        expected = loop.train(single, tmp_path / "alone", 0)
        assert off(tmp_path / experiment.name / "seed-0", expected) <= TOLERANCE
        assert rundir.read_config(tmp_path / experiment.name / "seed-0") == experiment
    first, second = (harness.curves(tmp_path / experiment.name / "seed-0") for experiment in runs)
    assert first[0]["elbo_nats"] == pytest.approx(second[0]["elbo_nats"], rel=1e-6)  # before the first update
    assert first[-1]["elbo_nats"] != pytest.approx(second[-1]["elbo_nats"], rel=1e-3)


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("model.latent_dim", "model.latent_dim is 4, but only numbers"),
        ("batch_size", "batch_size is 16, but only numbers"),
        ("data.quantization", "data.quantization is 'binarize', but only numbers"),
        ("model.network.hidden", r"model.network.hidden is \(16,\), but only numbers"),
        ("model.optimizer.drop_factor", "model.optimizer.drop_factor decides what is computed"),
        ("model.optimizer.rate", "no field model.optimizer.rate"),
    ],
)
def test_a_field_that_decides_what_is_computed_is_refused(field, words):
    drops = c.with_value(program("vae").experiment, "model.optimizer.drop_steps", [10])
    with pytest.raises(UserError, match=words):
        engines.together(build.program(drops, data.load("digits")), 2, [field])


# --- a sick run -------------------------------------------------------------------------------------------------------


def assert_neighbours_are_well(root: Path, sick: int, found: Sequence[Diverged | None]) -> None:
    assert [failure is not None for failure in found] == [i == sick for i in range(4)]
    for i in range(4):
        if i != sick:
            assert_same_bits(root / f"vae-{i}" / f"seed-{i}", sound() / f"vae-{i}" / f"seed-{i}")


def test_a_run_that_diverges_is_frozen_and_its_neighbours_do_not_notice(tmp_path):
    runs = with_rates(1e-3, 1e30, 3e-3, 4e-3)
    found = loop.train_together(rates(), runs, tmp_path)
    assert_neighbours_are_well(tmp_path, 1, found)
    sick = tmp_path / "vae-1" / "seed-1"
    status = rundir.status(sick)
    assert (status["status"], status["reason"]) == ("diverged", str(found[1]))
    assert status["reason"].startswith("At step 2 the term ")
    assert [line["step"] for line in read_metrics(sick)] == [1]
    assert harness.steps_kept(sick) == []

    # It is not tried again, and the others are left alone.
    before = harness.contents(tmp_path)
    again = loop.train_together(rates(), runs, tmp_path)
    assert status["reason"] in str(again[1])
    assert (again[0], again[2:]) == (None, [None, None])
    assert not harness.changed(tmp_path, before)


def test_parameters_that_are_not_finite_are_noticed_at_the_checkpoint(tmp_path):
    def single(state, arrays, inputs):
        state, rows = rates().single(state, arrays, inputs)
        if int(jax.device_get(state.step)[0]) != 40:
            return state, rows
        with jax.transfer_guard("allow"):
            where = jax.tree.leaves(state.params)[0].sharding
            spoilt = jax.tree.map(lambda leaf: jax.device_put(leaf.at[2].set(np.inf), where), state.params)
        return state.replace(params=spoilt), rows

    found = loop.train_together(replace(rates(), single=single), with_rates(1e-3, 2e-3, 3e-3, 4e-3), tmp_path)
    assert_neighbours_are_well(tmp_path, 2, found)
    assert str(found[2]) == "At step 40 a parameter is not finite."
    sick = tmp_path / "vae-2" / "seed-2"
    assert harness.steps_kept(sick) == [20]
    assert int(loop.restore(program("vae"), sick).step) == 20


def test_when_all_diverge_training_ends(tmp_path):
    dispatched = []

    def single(*args):
        dispatched.append(1)
        return rates().single(*args)

    found = loop.train_together(replace(rates(), single=single), with_rates(*[1e30] * 4), tmp_path)
    assert all(found)
    assert len(dispatched) == 20  # noticed a window late


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_the_cost_of_a_step():
    vae, gan = (engines.cost(engines.alone(program(name), jax.devices()[:1])) for name in ("vae", "gan"))
    # 256 pixels, 16 units, 4 latents: the encoder with its two heads and the decoder; generator and discriminator.
    assert vae.parameters == (257 * 16 + 17 * 8) + (5 * 16 + 17 * 256)
    assert gan.parameters == (5 * 16 + 17 * 256) + (257 * 16 + 17)  # the generator's average is none
    for cost in (vae, gan):
        assert cost.flops_per_step is not None
        assert cost.flops_per_step > 2 * 16 * cost.parameters  # a pass ahead alone, for a batch of 16
        assert cost.data_bytes == 1497 * (256 + 4)
        assert cost.memory_bytes is not None
        assert cost.memory_bytes > cost.data_bytes + 3 * 4 * cost.parameters  # with Adam's two averages


def test_the_cost_is_of_one_run_on_one_device_whatever_trains_it():
    one = engines.alone(program("vae"), jax.devices()[:1])
    several = engines.alone(program("vae"))
    assert (one.where.mesh.size, several.where.mesh.size) == (1, 4)
    assert engines.cost(several) == engines.cost(group("vae")) == engines.cost(one)
    # What one of four devices does is less, and what a group of one does is more than a run alone.
    shares = [engines._cost(engine).flops_per_step for engine in (several, one)]
    assert shares[0] < 0.5 * shares[1]


def test_a_batch_that_fewer_devices_divide_is_not_dearer():
    """63 goes to three devices, 64 to four."""
    costs = []
    for size in (63, 64):
        experiment = replace(program("vae").experiment, batch_size=size)
        costs.append(engines.cost(engines.alone(build.program(experiment, data.load("digits")))))
    assert costs[0].flops_per_step / costs[1].flops_per_step == pytest.approx(63 / 64, rel=0.01)
    assert costs[0].memory_bytes < costs[1].memory_bytes


class Accelerator:
    platform = "gpu"

    def __init__(self, limit: int | None) -> None:
        self.limit = limit

    def memory_stats(self) -> dict[str, int] | None:
        return None if self.limit is None else {"bytes_limit": self.limit}


@pytest.mark.parametrize(
    ("limit", "devices", "memory", "size"),
    [
        (1000, 1, 150, 14),  # (800 - 100 of data) / 50
        (1000, 4, 150, 56),
        (1000, 4, 10_000, 4),  # one for each, though it may not fit: XLA will say so
        (None, 4, 150, 1),
        (1000, 4, None, 1),
    ],
)
def test_the_size_of_a_group_is_what_the_memory_holds(limit, devices, memory, size, monkeypatch):
    cost = engines.Cost(parameters=1, flops_per_step=None, memory_bytes=memory, data_bytes=100)
    monkeypatch.setattr(engines, "together", lambda program, runs, devices: group("vae"))
    monkeypatch.setattr(engines, "_cost", lambda engine: cost)
    made = [Accelerator(limit)] * devices
    assert inspect.unwrap(engines.group_size)(program("vae"), made) == size


def test_on_cpu_runs_go_one_after_another():
    assert engines.group_size(program("vae")) == 1
