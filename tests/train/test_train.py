"""Training by the command line in real processes: the same bits whatever happens on the way."""

from __future__ import annotations

import json
import os
import random
import secrets
import shlex
import shutil
import signal
import time
from dataclasses import replace
from pathlib import Path

import harness
import jax
import numpy as np
import pytest
from harness import EXPERIMENTS, again, curves, digest, experiment_file, reference, start, steps_kept, wait_until

from gvlab import files, parallel, tree
from gvlab.pictures import sheets
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.train import engines, loop
from gvlab.types import Diverged, UserError

FAMILIES = ["vae", "gan"]


def assert_same(run: Path, other: Path, step: int = 100) -> None:
    """Parameters, statistics, optimizers, averages and curves are equal to the last bit."""
    assert digest(run, step) == digest(other, step)
    assert curves(run) == [line for line in curves(other) if line["step"] <= step]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_directory_holds_what_the_design_says(name):
    made = reference(name)
    experiment = EXPERIMENTS[name]
    assert rundir.read_config(made) == experiment
    environment = json.loads((made / "environment.json").read_text())
    assert environment["devices"] == 1
    assert environment["jax"] == jax.__version__
    assert environment["cpu_threads"] >= 1
    assert environment["command"][:2] == ["gvlab", "train"]
    assert rundir.status(made) == {"status": "complete", "step": 100}
    assert steps_kept(made) == [50, 90, 100]  # the last two, and every 50th
    assert (made / "samples" / "step-00000100.png").stat().st_size > 1000
    assert not list(made.rglob("*.part"))

    lines = read_metrics(made)
    assert [line["step"] for line in lines] == [1, *range(10, 101, 10)]
    assert all(list(line) == list(lines[0]) for line in lines)
    assert all(isinstance(value, int | float) for line in lines for value in line.values())
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds)
    assert all(line["images_per_second"] > 0 for line in lines)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_bits(name, tmp_path):
    made = reference(name)  # compiled from nothing; what follows reads the compilation cache
    assert any((made.parents[1] / harness.COLD / "gvlab" / "jax").iterdir())
    file = experiment_file(tmp_path, EXPERIMENTS[name])

    done = again("train", file, "--steps", 50, cwd=tmp_path)
    twin = tmp_path / "runs" / name / "seed-0"  # the default of --out
    assert done.returncode == 0
    assert done.stdout.strip().endswith(f"runs/{name}/seed-0")
    assert_same(twin, made, 50)


def test_killed_at_three_moments_and_started_again(tmp_path):
    """The loop is the same for every model, so one of them, drawn like the moments, will do."""
    seed = secrets.randbits(32)
    print(f"the model and the moments are drawn with random.Random({seed})")
    draw = random.Random(seed)
    name = draw.choice(FAMILIES)
    file, killed = experiment_file(tmp_path, EXPERIMENTS[name]), tmp_path / "runs" / name / "seed-0"
    line, half, whole = 10 * draw.randint(1, 3), 10 * draw.randint(4, 6), 10 * draw.randint(7, 8)
    delay = draw.uniform(0, 0.03)
    print(f"killed after line {line}, with half of checkpoint {half}, {delay:.3f} s after checkpoint {whole}")

    def delayed() -> bool:
        seen = (killed / "checkpoints" / str(whole)).is_dir()
        time.sleep(delay * seen)
        return seen

    moments = {
        "line": lambda: any(found["step"] >= line for found in read_metrics(killed)),
        "half a checkpoint": lambda: any((killed / "checkpoints").glob(f"{half}.*")),
        "delay": delayed,
    }
    for moment, seen in moments.items():
        process = start("train", file, cwd=tmp_path)
        wait_until(seen, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, moment
        assert rundir.status(killed)["status"] == "running", moment

    done = again("train", file, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same(killed, reference(name))
    assert rundir.status(killed) == {"status": "complete", "step": 100}
    assert steps_kept(killed) == [50, 90, 100]
    # A kill loses events that TensorBoard had not written yet; the curves must not show it.
    assert events(killed) == {line["step"]: without_step(line) for line in read_metrics(killed)}


@pytest.mark.parametrize(("name", "signum", "code"), [("vae", signal.SIGTERM, 143), ("vae", signal.SIGINT, 130)])
def test_a_signal_saves_and_says_how_to_continue(name, signum, code, tmp_path):
    file = experiment_file(tmp_path, EXPERIMENTS[name])
    stopped = tmp_path / "some where" / name / "seed-0"  # a path that a shell would split
    process = start("train", file, "--out", "some where", cwd=tmp_path)
    wait_until(lambda: bool(list((stopped / "checkpoints").glob("[0-9]*"))), process)
    process.send_signal(signum)
    out, err = process.communicate()
    assert process.returncode == code, (out, err)
    assert "Traceback" not in err
    status = rundir.status(stopped)
    assert status["status"] == "interrupted"
    assert status["step"] < 100
    assert steps_kept(stopped)[-1] == status["step"]

    sentence, line = err.strip().splitlines()[-1].split(" To continue: ")
    assert sentence == f"gvlab: Stopped at step {status['step']}, which is saved in some where/{name}/seed-0."
    assert shlex.split(line) == ["gvlab", "train", str(file), "--out", "some where"]
    done = again(*shlex.split(line)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same(stopped, reference(name))


def test_four_devices_give_the_parameters_of_one(tmp_path):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    four = harness.environment(devices=4)
    done = again("train", file, "--steps", 50, cwd=tmp_path, env=four)
    assert done.returncode == 0, done.stderr
    spread = tmp_path / "runs" / "vae" / "seed-0"
    assert json.loads((spread / "environment.json").read_text())["devices"] == 4
    ours, theirs = harness.state_at(spread, 50), harness.state_at(reference("vae"), 50)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), ours.params, theirs.params)
    for mine, yours in zip(curves(spread), curves(reference("vae")), strict=False):
        assert mine == pytest.approx(yours, rel=1e-3)


# --- the same loop inside this process -------------------------------------------------------------------------------


def copy_of(run: Path, root: Path) -> Path:
    """A run directory of one's own, below the root `root`."""
    copy = root / run.parent.name / run.name
    shutil.copytree(run, copy)
    return copy


def test_a_complete_run_is_left_alone(tmp_path, capsys):
    done = copy_of(reference("vae"), tmp_path)
    before = harness.contents(done)
    assert harness.call("train", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path) == 0
    assert f"{done} is complete: 100 steps." in capsys.readouterr().out
    after = harness.contents(done)
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} <= {"lock"}


@pytest.mark.parametrize("name", FAMILIES)
def test_more_steps_continue_a_complete_run(name, tmp_path):
    once = loop.train(harness.engine(name), tmp_path, 0, steps=60)
    assert rundir.status(once) == {"status": "complete", "step": 60}
    assert loop.train(harness.engine(name), tmp_path, 0, steps=100) == once
    assert_same(once, harness.trained(name))
    assert rundir.status(once) == {"status": "complete", "step": 100}
    assert rundir.read_config(once).steps == 100


def test_fewer_steps_than_were_done_are_refused(tmp_path, capsys):
    done = copy_of(reference("vae"), tmp_path)
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    code = harness.call("train", file, "--out", tmp_path, "--steps", 60)
    harness.assert_refused(code, *capsys.readouterr(), str(done), "step 100", "60", "--steps 100")
    assert rundir.status(done) == {"status": "complete", "step": 100}


def test_a_second_process_is_refused(tmp_path):
    """The lock is held here; the process that comes second names this one."""
    file, owned = experiment_file(tmp_path, EXPERIMENTS["vae"]), tmp_path / "runs" / "vae" / "seed-0"
    with files.owned(owned):
        before = harness.contents(owned)
        done = again("train", file, cwd=tmp_path)
        assert harness.contents(owned) == before
    harness.assert_refused(done.returncode, done.stdout, done.stderr, "in use by another process", str(os.getpid()))


def test_on_cpu_every_step_is_its_own_dispatch_and_the_log_is_read_one_window_late(tmp_path):
    engine, dispatched, heard = harness.engine("vae"), [], {}
    assert engine.many is None

    def single(*args):
        dispatched.append(1)
        return engine.single(*args)

    counted = replace(engine, single=single)
    loop.train(counted, tmp_path, 0, steps=35, listen=lambda now: heard.update({now.step: len(dispatched)}))
    assert len(dispatched) == 35
    # Steps 10, 20 and 30 are checkpoints as well, which need the last line; step 1 waits for a whole window.
    assert heard == {1: 10, 10: 10, 20: 20, 30: 30}

    rare = replace(engine.program, experiment=replace(engine.program.experiment, checkpoint_every=1000, keep_every=0))
    dispatched.clear()
    heard.clear()
    counted = replace(counted, program=rare)
    loop.train(counted, tmp_path / "rare", 0, steps=35, listen=lambda now: heard.update({now.step: len(dispatched)}))
    assert heard == {1: 20, 10: 20, 20: 30, 30: 35}
    assert curves(tmp_path / "rare" / "vae" / "seed-0") == curves(tmp_path / "vae" / "seed-0")


def test_many_steps_per_dispatch_give_the_run_of_single_ones(tmp_path, monkeypatch):
    """The engine of an accelerator, on a CPU that claims to be one."""
    monkeypatch.setattr(engines, "scans_well", lambda device: True)
    engine = engines.alone(harness.program("vae"), jax.devices()[:1])
    assert engine.many is not None
    assert engine.chunk == 10
    dispatched = []

    def many(*args):
        dispatched.append(1)
        return engine.many(*args)

    scanned = loop.train(replace(engine, many=many), tmp_path, 0, steps=35)
    assert len(dispatched) == 3  # 30 steps; the last 5 are single ones
    single = loop.train(harness.engine("vae"), tmp_path / "single", 0, steps=35)
    for ours, theirs in zip(curves(scanned), curves(single), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    program = harness.program("vae")
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        loop.restore(program, scanned).params,
        loop.restore(program, single).params,
    )


def test_another_seed_gives_another_run(tmp_path):
    other = loop.train(harness.engine("vae"), tmp_path, 1, steps=10)
    assert other == tmp_path / "vae" / "seed-1"
    assert rundir.read_config(other).seed == 1
    assert curves(other)[0] != curves(harness.trained("vae"))[0]


def test_a_batch_that_does_not_divide_over_the_devices_is_refused_before_anything_is_written(tmp_path):
    uneven = replace(EXPERIMENTS["vae"], batch_size=15)
    program = replace(harness.program("vae"), experiment=uneven)
    with pytest.raises(UserError, match=r"batch size is 15.*4 devices"):
        engines.alone(program, jax.devices()[:4])
    parallel.check_divides(16, 4)


# --- divergence -------------------------------------------------------------------------------------------------------


def poisoned(engine: engines.Engine, at: int, what: str) -> engines.Engine:
    """The engine, with NaN in the terms (`loss`) or in the parameters of step `at`."""

    def single(state, arrays, key):
        state, rows = engine.single(state, arrays, key)
        if int(jax.device_get(state.step)) != at:
            return state, rows
        with jax.transfer_guard("allow"):
            if what == "loss":
                return state, rows.at[0, 0, engine.names.index("loss")].set(np.nan)
            return state.replace(params=jax.tree.map(lambda leaf: leaf * np.float32(np.inf), state.params)), rows

    return replace(engine, single=single)


@pytest.mark.parametrize(
    ("at", "what", "sentence"),
    [(37, "loss", "At step 37 the term loss is nan."), (40, "parameters", "At step 40 a parameter is not finite.")],
)
def test_a_value_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(at, what, sentence, tmp_path):
    with pytest.raises(Diverged, match=sentence):
        loop.train(poisoned(harness.engine("vae"), at, what), tmp_path, 0)
    stopped = tmp_path / "vae" / "seed-0"
    status = rundir.status(stopped)
    assert status["status"] == "diverged"
    assert status["reason"] == sentence
    kept = loop.restore(harness.program("vae"), stopped)
    assert int(kept.step) == 30
    assert tree.all_finite(kept)
    assert [line["step"] for line in curves(stopped)] == [1, 10, 20, 30, 40][: 4 + (what == "parameters")]
    # Started again it says so, though this engine is sound.
    with pytest.raises(Diverged, match=sentence):
        loop.train(harness.engine("vae"), tmp_path, 0)


def test_a_diverged_run_ends_with_code_1_and_a_sentence(tmp_path, capsys):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    args = ("train", file, "--out", tmp_path, "--model.optimizer.learning-rate", "1e30")
    assert harness.call(*args) == 1
    err = capsys.readouterr().err.splitlines()[-1]
    status = rundir.status(tmp_path / "vae" / "seed-0")
    assert status["status"] == "diverged"
    assert err == f"gvlab: Training diverged: {status['reason']}"
    assert status["reason"].startswith("At step 2 the term ")
    assert any(name in status["reason"] for name in ("elbo_nats", "kl_nats", "loss", "grad_norm"))
    assert harness.call(*args) == 1
    again = capsys.readouterr().err
    assert status["reason"] in again
    assert again.count("\n") == 1


# --- TensorBoard ------------------------------------------------------------------------------------------------------


def events(run: Path) -> dict[int, dict[str, float]]:
    """The scalars of the event files by step, as TensorBoard shows them: a restart at step s drops those from s on."""
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    shown: dict[int, dict[str, float]] = {}
    for file in sorted((run / "tensorboard").iterdir()):
        raw, at = file.read_bytes(), 0
        while at + 12 <= len(raw):  # a kill cuts off the last record: length (8 bytes), its CRC, data, their CRC
            length = int.from_bytes(raw[at : at + 8], "little")
            if at + 16 + length > len(raw):
                break
            event = Event.FromString(raw[at + 12 : at + 12 + length])
            at += 16 + length
            if event.session_log.status == SessionLog.START:
                shown = {step: values for step, values in shown.items() if step < event.step}
            for value in event.summary.value:
                shown.setdefault(event.step, {})[value.tag] = value.simple_value
    return {step: pytest.approx(values, rel=1e-6) for step, values in shown.items()}


def without_step(line: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in line.items() if name != "step"}


@pytest.mark.parametrize("name", FAMILIES)
def test_tensorboard_shows_the_curves_of_metrics_jsonl(name):
    shown = events(reference(name))
    assert shown == {line["step"]: without_step(line) for line in read_metrics(reference(name))}


# --- randomness -------------------------------------------------------------------------------------------------------


def test_the_sample_pictures_use_fixed_latents(tmp_path):
    """The picture of step 100 is drawn again from the state alone: the latents are those of every run."""
    made, engine = harness.trained("gan"), harness.engine("gan")
    samples = engine.sample(jax.device_put(loop.restore(engine.program, made), engine.where))
    sheet = sheets.grid(np.asarray(samples), columns=8)
    sheets.save_png(tmp_path / "again.png", sheets.enlarge(sheet))
    assert (tmp_path / "again.png").read_bytes() == (made / "samples" / "step-00000100.png").read_bytes()


def test_the_speed_is_one_of_all_windows_since_the_first(monkeypatch):
    """Two windows may be read at once, as at a checkpoint: neither is then infinitely fast."""
    now = iter([0.0, 20.0, 30.0, 30.001, 50.0])
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(now))
    clock = loop._Clock(0.0, 0, images_per_step=2)
    speeds = [clock.read(step)[1] for step in (100, 200, 300, 400)]
    np.testing.assert_allclose(speeds, [10, 20, 40, 20], rtol=1e-3)
