"""Checkpoints are believed only if every bit is what was saved; what is damaged costs one interval, not the run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import flax.struct
import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from harness import EXPERIMENTS, again, call, curves, digest, experiment_file, reference, steps_kept

from gvlab import tree
from gvlab.models import VAEState
from gvlab.runs import directory as rundir
from gvlab.runs.checkpoint import ASIDE, Checkpoints, read
from gvlab.train import loop
from gvlab.types import UserError


def state(step: int) -> VAEState:
    """A small state of all kinds of leaves, different at every step."""
    noise = jax.random.normal(jax.random.key(step), (64, 64))
    return VAEState(
        step=jnp.int32(step),
        params={"encoder": noise, "decoder": noise.astype(jnp.bfloat16)},
        stats={"mean": jnp.full(3, step, jnp.float32), "empty": {}},
        optimizer=(jnp.uint8(step), None),
    )


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path, keep_every=4)
    yield made
    made.close()


def save(checkpoints: Checkpoints, *steps: int) -> None:
    for step in steps:
        checkpoints.save(state(step), tree.digest(state(step)))
    checkpoints.wait()


# --- damage -----------------------------------------------------------------------------------------------------------


def arrays(checkpoint: Path) -> Path:
    """The largest file of a checkpoint: compressed numbers."""
    return max((path for path in checkpoint.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def truncate(checkpoint: Path) -> None:
    file = arrays(checkpoint)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip_a_bit(checkpoint: Path) -> None:
    file = arrays(checkpoint)
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def lose_the_metadata(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint / "meta")


def lose_the_arrays(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint / "state")


def scramble_the_metadata(checkpoint: Path) -> None:
    (checkpoint / "meta" / "metadata").write_text('{"sha256": ')


def empty(checkpoint: Path) -> None:
    shutil.rmtree(checkpoint)
    checkpoint.mkdir()


DAMAGES = [truncate, flip_a_bit, lose_the_metadata, lose_the_arrays, scramble_the_metadata, empty]


# --- the class --------------------------------------------------------------------------------------------------------


def test_what_is_restored_is_what_was_saved(checkpoints):
    save(checkpoints, 7)
    restored, reports = checkpoints.restore(state(0))
    assert reports == []
    assert tree.digest(restored) == tree.digest(state(7))


def test_the_last_two_and_every_fourth_are_kept(checkpoints):
    save(checkpoints, *range(1, 11))
    assert checkpoints.steps() == [10, 9, 8, 4]


def test_without_keep_every_the_last_two_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, 1, 2, 3, 4)
    assert checkpoints.steps() == [4, 3]
    checkpoints.close()


def test_a_step_is_saved_once(checkpoints):
    save(checkpoints, 3)
    before = harness.contents(checkpoints.directory)
    save(checkpoints, 3)
    assert harness.contents(checkpoints.directory) == before


def test_the_state_may_be_donated_while_it_is_written(checkpoints):
    """Saving is asynchronous, and the next step overwrites the buffers."""
    following = jax.jit(lambda s: jax.tree.map(lambda leaf: leaf * 0, s), donate_argnums=0)
    given = state(5)
    checkpoints.save(given, tree.digest(given))
    following(given)
    checkpoints.wait()
    assert tree.digest(checkpoints.restore(state(0))[0]) == tree.digest(state(5))


def test_there_may_be_nothing_to_restore(checkpoints):
    assert checkpoints.restore(state(0)) == (None, [])


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_reported_and_the_one_before_it_used(damage, checkpoints):
    save(checkpoints, 1, 2)
    damage(checkpoints.directory / "2")
    restored, reports = checkpoints.restore(state(0))
    assert tree.digest(restored) == tree.digest(state(1))
    (report,) = reports
    assert report.startswith("The checkpoint of step 2 cannot be used (")
    assert "\n" not in report
    assert str(checkpoints.aside) in report
    assert (checkpoints.aside / "2").is_dir()
    save(checkpoints, 2)  # made again, under its own name
    assert tree.digest(checkpoints.restore(state(0))[0]) == tree.digest(state(2))
    damage(checkpoints.directory / "2")  # and damaged again: nothing in the way is overwritten
    assert int(checkpoints.restore(state(0))[0].step) == 1
    assert sorted(path.name for path in checkpoints.aside.iterdir()) == ["2", "2-again"]


def test_several_damaged_checkpoints_are_passed_over(checkpoints):
    save(checkpoints, 4, 5, 6)
    truncate(checkpoints.directory / "6")
    flip_a_bit(checkpoints.directory / "5")
    restored, reports = checkpoints.restore(state(0))
    assert int(restored.step) == 4
    assert [report.split()[4] for report in reports] == ["6", "5"]


def test_if_none_can_be_read_nothing_is_moved(checkpoints):
    save(checkpoints, 1, 2)
    truncate(checkpoints.directory / "1")
    lose_the_metadata(checkpoints.directory / "2")
    before = harness.contents(checkpoints.directory)
    with pytest.raises(UserError, match=r"None of the checkpoints in .* can be used \(steps \[2, 1\]"):
        checkpoints.restore(state(0))
    assert harness.contents(checkpoints.directory) == before
    assert not checkpoints.aside.exists()


def test_another_shape_is_not_taken_for_the_state(checkpoints):
    save(checkpoints, 1)
    other = state(0).replace(params={"encoder": jnp.zeros((2, 2)), "decoder": jnp.zeros((64, 64), jnp.bfloat16)})
    with pytest.raises(UserError, match="None of the checkpoints"):
        checkpoints.restore(other)


@flax.struct.dataclass
class LaterState(VAEState):
    """The state with a field that came later."""

    memory: dict = flax.struct.field(default_factory=dict)


def test_a_field_that_came_later_is_empty_in_what_was_saved_before(checkpoints):
    save(checkpoints, 1)
    restored, reports = checkpoints.restore(LaterState(**vars(state(0))))
    assert reports == []
    assert restored.memory == {}
    assert tree.digest(restored) == tree.digest(state(1))
    with pytest.raises(UserError, match="None of the checkpoints"):  # what holds something cannot be made up
        checkpoints.restore(LaterState(**vars(state(0)), memory={"mean": jnp.zeros(())}))


def test_the_device_and_type_asked_for_are_those_restored(checkpoints):
    save(checkpoints, 1)
    place = jax.sharding.SingleDeviceSharding(jax.devices()[3])
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), state(0))
    restored, _ = checkpoints.restore(like)
    assert restored.params["encoder"].devices() == {jax.devices()[3]}
    assert restored.params["decoder"].dtype == jnp.bfloat16


# --- the loop ---------------------------------------------------------------------------------------------------------


def interrupted(tmp_path: Path, steps: int = 30) -> Path:
    """A run of some steps, whose later ones are still to come."""
    return loop.train(harness.engine("vae"), tmp_path, 0, steps=steps)


@pytest.mark.parametrize("damage", [truncate, flip_a_bit, lose_the_metadata])
def test_a_run_with_a_damaged_checkpoint_ends_as_if_nothing_had_been(damage, tmp_path, capsys):
    made = interrupted(tmp_path)
    damage(made / "checkpoints" / "30")
    loop.train(harness.engine("vae"), tmp_path, 0)
    err = capsys.readouterr().err
    assert err.count("The checkpoint of step 30 cannot be used (") == 1
    assert digest(made, 100) == digest(harness.trained("vae"), 100)
    assert curves(made) == curves(harness.trained("vae"))
    assert (made / ASIDE / "30").is_dir()


def test_a_complete_run_whose_last_checkpoint_is_damaged_says_so_once_and_that_it_was_trained(tmp_path, capsys):
    """By the command: what was complete is trained again from the checkpoint before."""
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    made = shutil.copytree(harness.trained("vae"), tmp_path / "vae" / "seed-0")
    truncate(made / "checkpoints" / "100")
    assert call("train", file, "--out", tmp_path) == 0
    said = capsys.readouterr()
    assert said.err.count("The checkpoint of step 100 cannot be used (") == 1
    assert said.out == f"Trained 100 steps: {made}\n"
    assert call("train", file, "--out", tmp_path) == 0
    assert capsys.readouterr().out == f"{made} is complete: 100 steps.\n"


def test_a_run_with_nothing_but_damaged_checkpoints_is_refused_and_left_alone(tmp_path, capsys):
    made = interrupted(tmp_path)
    for step in steps_kept(made):
        truncate(made / "checkpoints" / str(step))
    before = harness.contents(made)
    code = harness.call("train", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path)
    captured = capsys.readouterr()
    harness.assert_refused(code, captured.out, captured.err, "None of the checkpoints", "train under another --out")
    after = harness.contents(made)
    assert {name for name in before | after if before.get(name) != after.get(name)} <= {
        "lock",
        "config.json",  # written again, as it was but for the number of steps
        "environment.json",
    }
    assert rundir.status(made) == {"status": "complete", "step": 30}


def test_looking_at_a_run_with_a_damaged_checkpoint_uses_the_one_before(tmp_path, capsys):
    made = interrupted(tmp_path)
    flip_a_bit(made / "checkpoints" / "30")
    restored = loop.restore(harness.program("vae"), made)
    assert int(restored.step) == 20
    assert "step 30 cannot be used" in capsys.readouterr().err
    assert not (made / ASIDE).exists()
    assert steps_kept(made) == [20, 30]


def test_a_run_without_a_checkpoint_cannot_be_looked_at(tmp_path):
    with pytest.raises(UserError, match="has no checkpoint yet"):
        loop.restore(harness.program("vae"), tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match="has no checkpoint yet"):
        loop.restore(harness.program("vae"), tmp_path)


# --- the disk ---------------------------------------------------------------------------------------------------------


NO_ROOM = """
import resource, signal
from gvlab.cli.main import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (16_000, 16_000))
main()
"""
"""The command line, none of whose files may grow beyond 16 kB: the arrays of a checkpoint are larger."""


def test_a_full_disk_ends_with_a_sentence_and_leaves_the_earlier_checkpoint_usable(tmp_path):
    source, made = reference("vae"), tmp_path / "vae" / "seed-0"
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    shutil.copytree(source, made, ignore=shutil.ignore_patterns("90", "100"))  # as it was at step 50
    rundir.write_status(made, "running", 50)

    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, "train", str(file), "--out", str(tmp_path)],
        env=harness.environment(),
        capture_output=True,
        text=True,
    )
    errors = [line for line in done.stderr.splitlines() if ": step " not in line]  # progress
    harness.assert_refused(
        done.returncode, done.stdout, "\n".join(errors) + "\n", "A checkpoint cannot be written", "make room"
    )
    assert 50 in steps_kept(made)
    assert np.isfinite(jax.tree.leaves(harness.state_at(made, 50).params)[0]).all()

    done = again("train", file, "--out", tmp_path)  # there is room again
    assert done.returncode == 0, done.stderr
    assert digest(made, 100) == digest(source, 100)
    assert curves(made) == curves(source)


# --- whose checkpoints these are, and where they lie ------------------------------------------------------------------


def test_another_seeds_checkpoints_are_refused(tmp_path, capsys):
    """They are whole, but they are not those that the run's states.jsonl records."""
    ours, theirs = (loop.train(harness.engine("vae"), tmp_path, seed, steps=20) for seed in (0, 1))
    shutil.rmtree(ours / "checkpoints")
    shutil.copytree(theirs / "checkpoints", ours / "checkpoints")
    for look in (
        lambda: loop.train(harness.engine("vae"), tmp_path, 0, steps=40),
        lambda: loop.restore(harness.program("vae"), ours),
    ):
        with pytest.raises(UserError, match=r"records, so it is of another run\): restore them from a copy"):
            look()
    # Only the newest is another's: the one before it is used.
    shutil.rmtree(theirs / "checkpoints" / "10")
    again = loop.train(harness.engine("vae"), tmp_path / "again", 0, steps=20)
    shutil.rmtree(again / "checkpoints" / "20")
    shutil.copytree(theirs / "checkpoints" / "20", again / "checkpoints" / "20")
    assert int(loop.restore(harness.program("vae"), again).step) == 10
    assert "of another run); an older one is used" in capsys.readouterr().err


def test_a_checkpoint_under_another_steps_name_is_refused(checkpoints):
    save(checkpoints, 3)
    checkpoints.close()
    (checkpoints.directory / "3").rename(checkpoints.directory / "5")
    with pytest.raises(UserError, match=r"its state is of step 3\)"):
        Checkpoints(checkpoints.run).restore(state(0))


@pytest.mark.parametrize("when", ["next", "end"])
def test_a_checkpoint_that_cannot_be_read_back_does_not_count(when, checkpoints):
    save(checkpoints, 1)
    checkpoints.save(state(2), "0" * 64)  # as if other bits had come to the disk
    with pytest.raises(UserError, match=r"The checkpoint of step 2 in .* cannot be read back \(its SHA-256"):
        checkpoints.wait() if when == "end" else save(checkpoints, 3)
    assert checkpoints.steps() == [2, 1]


NAMES = ["runs[1]", "[]", "a*b", "what?", "[!x]", "{a,b}", "a b\n%#"]


@pytest.mark.parametrize("name", NAMES)
def test_the_path_may_have_what_a_glob_takes_for_a_pattern(name, tmp_path):
    run = tmp_path / name / "seed-0"
    made = Checkpoints(run)
    save(made, 1, 2, 3)
    assert made.steps() == [3, 2]
    assert tree.digest(made.restore(state(0))[0]) == tree.digest(state(3))
    made.close()
    for moved in (tmp_path / "plain", tmp_path / "[0-9]"):  # and it may be moved, to and fro
        (run if run.exists() else tmp_path / "plain").rename(moved)
        assert tree.digest(read(moved, state(0))[0]) == tree.digest(state(3))
    continued = Checkpoints(tmp_path / "[0-9]")
    save(continued, 4)
    assert continued.steps() == [4, 3]
    continued.close()


def test_a_checkpoint_of_a_plain_path_is_read_under_brackets(checkpoints, tmp_path):
    save(checkpoints, 1)
    shutil.copytree(checkpoints.directory, tmp_path / "[1]" / "checkpoints")
    assert tree.digest(read(tmp_path / "[1]", state(0))[0]) == tree.digest(state(1))


def test_two_stars_are_refused_before_anything_is_written(tmp_path, capsys):
    code = harness.call("train", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path / "a**b")
    harness.assert_refused(code, *capsys.readouterr(), "a**b", "has '**'", "choose another path or name")
    assert not list(tmp_path.rglob("checkpoints"))


# --- what lies in the way ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["file", "dangling link"])
def test_where_checkpoints_is_no_directory_a_process_ends_with_a_sentence(what, tmp_path):
    run_of_it = tmp_path / "vae" / "seed-0"
    run_of_it.mkdir(parents=True)
    if what == "file":
        (run_of_it / "checkpoints").touch()
    else:
        (run_of_it / "checkpoints").symlink_to("nowhere")
    done = again("train", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path)  # at most five minutes
    harness.assert_refused(done.returncode, done.stdout, done.stderr, "checkpoints is no directory", "move it away")
    with pytest.raises(UserError, match="is no directory"):
        loop.restore(harness.program("vae"), run_of_it)


@pytest.mark.parametrize("steps", [20, 40], ids=["complete", "to go on"])
def test_a_run_whose_checkpoints_are_gone_says_so(steps, tmp_path, capsys):
    made = interrupted(tmp_path, 20)
    shutil.rmtree(made / "checkpoints")
    before = harness.contents(made)
    code = harness.call("train", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path, "--steps", steps)
    words = ("is at step 20 by its status.json", "its checkpoints are gone", "from a copy", "under another --out")
    harness.assert_refused(code, *capsys.readouterr(), *words)
    assert harness.changed(made, before) == set()
    assert harness.call("sample", made, "--out", tmp_path / "grid.png") == 2
    assert "its checkpoints are gone" in capsys.readouterr().err
