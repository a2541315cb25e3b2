"""Units on several machines: shell lines for a scheduler, and tasks of a Ray cluster."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import harness
import pytest
from harness import COMPARED, assert_refused, call, copy_of_compared, experiment_file

from gvlab import compare
from gvlab.compare import launch, verify
from gvlab.files import owned
from gvlab.runs import directory as rundir
from gvlab.types import UserError


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


# --- commands ---------------------------------------------------------------------------------------------------------


def test_commands_are_those_of_the_missing_units_and_run(tmp_path, capsys):
    root, files = copy_of_compared(tmp_path / "some where")  # a path that a shell would split
    expected = {
        unit["directory"]: unit["measures"] for unit in json.loads((root / "comparison.json").read_text())["units"]
    }
    for unit in ("vae/seed-1", "gan/seed-0"):
        shutil.rmtree(root / "units" / unit)
    (root / "plan.json").unlink()
    args = ("compare", *files, "--seeds", 2, "--out", root)
    assert call(*args, "--launcher", "commands") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [shlex.split(line) for line in lines] == [
        ["gvlab", "unit", str(root), unit] for unit in ("vae/seed-1", "gan/seed-0")
    ]
    assert not (root / "units" / "vae" / "seed-1").exists()  # nothing has been trained

    for line in reversed(lines):  # in any order
        assert call(*shlex.split(line)[1:]) == 0
    assert call("report", root) == 0
    made = json.loads((root / "comparison.json").read_text())
    for unit in made["units"]:
        for name, one in unit["measures"].items():
            assert one["value"] == expected[unit["directory"]][name]["value"]

    capsys.readouterr()
    assert call(*args, "--launcher", "commands") == 0
    assert capsys.readouterr().out == ""  # nothing is left


def test_commands_refuse_what_a_comparison_refuses(tmp_path, capsys):
    root, files = copy_of_compared(tmp_path)
    code = call("compare", *files, "vae.batch-size=8", "--seeds", 2, "--out", root, "--launcher", "commands")
    assert_refused(code, *capsys.readouterr(), "batch_size = 16, not 8")


def test_commands_are_refused_while_the_comparison_runs(tmp_path, capsys):
    root, files = copy_of_compared(tmp_path)
    before = harness.contents(root)
    with owned(root):
        code = call("compare", *files, "--seeds", 5, "--out", root, "--launcher", "commands")
    assert_refused(code, *capsys.readouterr(), f"{root} is in use by another process")
    assert not harness.changed(root, before)


# --- Ray --------------------------------------------------------------------------------------------------------------


def owner(run: Path) -> int:
    """The process that trains the run, or that came last."""
    return int((run / "lock").read_text())


def test_ray_retries_the_unit_of_a_worker_that_was_killed(tmp_path):
    """One unit is killed after its first checkpoint; its second attempt goes on from there."""
    pytest.importorskip("ray")
    experiment = replace(COMPARED["vae"], steps=400, log_every=100, checkpoint_every=100, keep_every=100)
    file, root = experiment_file(tmp_path, experiment), tmp_path / "ray"
    victim = root / "units" / "vae" / "seed-0"
    command = harness.command("compare", file, "--seeds", 2, "--out", root, "--launcher", "ray")
    process = subprocess.Popen(
        command, env=harness.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    harness.wait_until(lambda: bool(harness.steps_kept(victim)), process)
    saved, killed = harness.steps_kept(victim)[0], owner(victim)
    written = (victim / "checkpoints" / str(saved)).stat()
    status = rundir.status(victim)
    os.kill(killed, signal.SIGKILL)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, (out, err)
    assert status["status"] == "running"
    assert saved < 400
    assert killed not in (owner(victim), process.pid)  # another one came to the end
    kept = (victim / "checkpoints" / str(saved)).stat()
    assert (kept.st_ino, kept.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)  # and did not begin anew
    assert "os.fork() was called" not in err

    found = json.loads((root / "comparison.json").read_text())
    assert [unit["status"] for unit in found["units"]] == ["complete", "complete"]
    for seed in range(2):
        run = root / "units" / "vae" / f"seed-{seed}"
        assert rundir.status(run) == {"status": "complete", "step": 400}
        assert [line["step"] for line in harness.curves(run)] == [1, 100, 200, 300, 400]
    # The steps before the kill and those after it are what an undisturbed run has.
    (verified,) = verify.verify(root, ["vae/seed-0"], 0.5, lambda title: None)
    assert verified.outcome in ("identical", "equal"), verified


def test_ray_tells_why_a_unit_failed(tmp_path, monkeypatch):
    """With an engine that stands for Ray: a task that raises is not tried again."""
    ray = pytest.importorskip("ray")
    plan = compare.Plan((COMPARED["vae"],), 2)
    (tmp_path / "units" / "vae").mkdir(parents=True)
    asked: list[str] = []

    class Task:
        def __init__(self, function):
            assert function is launch._unit

        def remote(self, root, name, texts, convolutions):
            assert (texts, convolutions) == ([], "xla")
            asked.append(name)
            return name

    def get(reference):
        with pytest.raises(UserError, match="in use by another process"):
            launch.commands(replace(plan, seeds=1), tmp_path)
        raise ray.exceptions.RayTaskError("unit", "Traceback ...", UserError("The disk is full."))

    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 1.0, "GPU": 2.0})
    monkeypatch.setattr(ray, "wait", lambda references: (references[:1], references[1:]))
    monkeypatch.setattr(ray, "get", get)

    def remote(**options):
        assert options == {"num_cpus": 1, "num_gpus": 1, "max_retries": launch.RETRIES, "retry_exceptions": False}
        return Task

    monkeypatch.setattr(ray, "remote", remote)
    with pytest.raises(UserError, match=r"The unit vae/seed-0 failed on its worker \(The disk is full\): repeat"):
        launch.ray(plan, tmp_path)
    assert asked == ["vae/seed-0", "vae/seed-1"]


def test_without_ray_there_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--launcher ray needs Ray: install gvlab\[ray\]"):
        launch.ray(compare.Plan((COMPARED["vae"],), 1), tmp_path)
