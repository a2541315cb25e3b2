"""One run on several processes, as on several hosts."""

from __future__ import annotations

import socket
from dataclasses import replace

import harness
import pytest
from harness import EXPERIMENTS, again, assert_refused, call, experiment_file, start

from gvlab import config as c
from gvlab.files import read_json
from gvlab.runs import directory as rundir

# The batch statistics and the gradients of a GAN go through the mesh; a small one, since three processes compile it.
EXPERIMENT = replace(EXPERIMENTS["gan"], model=c.GAN(c.MLP(hidden=(16,)), latent_dim=8), steps=40)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def test_two_processes_train_the_run_of_one_with_two_devices(tmp_path):
    """Bit for bit, and from a checkpoint on, too; the first process alone writes the run's files."""
    file = experiment_file(tmp_path, EXPERIMENT)
    two_devices = harness.environment(devices=2)
    one = again("train", file, "--out", "one", cwd=tmp_path, env=two_devices)
    assert one.returncode == 0, one.stderr

    for steps in (20, 40):
        address = f"localhost:{free_port()}"
        options = ("--steps", steps, "--out", "two", "--coordinator", address, "--processes", 2)
        both = [start("train", file, *options, "--process", i, cwd=tmp_path) for i in range(2)]
        for process in both:
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors

    alone, shared = (tmp_path / name / "gan" / "seed-0" for name in ("one", "two"))
    assert read_json(shared / "environment.json")["processes"] == 2
    assert rundir.read_states(alone) == rundir.read_states(shared)
    assert list(rundir.read_states(shared)) == [10, 20, 30, 40]
    assert harness.curves(alone) == harness.curves(shared)
    assert rundir.status(shared) == {"status": "complete", "step": 40}
    pictures = [path / "samples" / "step-00000040.png" for path in (alone, shared)]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()
    assert harness.digest(shared, 40) == rundir.read_states(alone)[40]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--processes", 2), "--coordinator HOST:PORT"),
        (("--coordinator", "localhost:1", "--processes", 2), "--process I"),
        (("--coordinator", "localhost:1", "--processes", 2, "--process", 2), "--process is 2"),
        (("--coordinator", "here", "--processes", 2, "--process", 0), "'here', but must be HOST:PORT"),
        (("--coordinator", "auto", "--process", 0), "give all three, or none"),
    ],
)
def test_half_of_the_options_are_refused(options, words, tmp_path, capsys):
    code = call("train", experiment_file(tmp_path, EXPERIMENT), "--out", tmp_path / "runs", *options)
    assert_refused(code, *capsys.readouterr(), words)
    assert not (tmp_path / "runs").exists()
