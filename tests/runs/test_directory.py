"""The run directory: owned by one process, never half-written, never another experiment's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import jax
import pytest
import threadpoolctl
from harness import EXPERIMENTS

from gvlab import __version__, backend
from gvlab import config as c
from gvlab.files import owned, write_atomically
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics
from gvlab.runs.environment import DECISIVE, _git_revision, decisive, environment, write_environment
from gvlab.types import UserError


def test_the_path_names_experiment_and_seed(tmp_path):
    assert rundir.path(tmp_path, replace(EXPERIMENTS["vae"], seed=3)) == tmp_path / "vae" / "seed-3"


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "status.json"
    write_atomically(file, "old")

    def power_cut(_):
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", power_cut)
        with pytest.raises(OSError, match="power cut"):
            write_atomically(file, "new, and longer")
    assert file.read_text() == "old"
    write_atomically(file, "new")
    assert file.read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_one_process_owns_a_directory_and_its_end_frees_it(tmp_path):
    run = tmp_path / "a" / "b"
    with owned(run):
        assert (run / "lock").read_text() == str(os.getpid())
        with pytest.raises(UserError, match=rf"in use by another process \(number {os.getpid()}\)"), owned(run):
            pass
    with owned(run):
        pass
    # The kernel frees the lock of a process that dies without a word.
    dying = f"""
import os, pathlib
from gvlab.files import owned
with owned(pathlib.Path({str(run)!r})):
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", dying]).returncode == 9
    with owned(run):
        assert (run / "lock").read_text() == str(os.getpid())


def test_status(tmp_path):
    assert rundir.status(tmp_path) == {"status": "new", "step": 0}
    rundir.write_status(tmp_path, "diverged", 7, reason="At step 7 the term loss is nan.")
    assert rundir.status(tmp_path) == {"status": "diverged", "step": 7, "reason": "At step 7 the term loss is nan."}


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_the_config_is_read_as_it_was_written(name, tmp_path):
    write_atomically(tmp_path / "config.json", c.to_json(EXPERIMENTS[name]))
    assert rundir.read_config(tmp_path) == EXPERIMENTS[name]
    rundir.check_config(tmp_path, EXPERIMENTS[name])
    # What says only when to stop and how to measure may change.
    rundir.check_config(tmp_path, replace(EXPERIMENTS[name], steps=7, evaluation=c.Evaluation(k=3)))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(EXPERIMENTS["vae"], batch_size=32), "batch_size = 16, not 32"),
        (replace(EXPERIMENTS["vae"], model=replace(EXPERIMENTS["vae"].model, beta=2.0)), "model.beta = 1.0, not 2.0"),
        (replace(EXPERIMENTS["vae"], model=EXPERIMENTS["gan"].model, data=c.Data()), 'model = {"type": "VAE"'),
        (replace(EXPERIMENTS["vae"], seed=1), "seed = 0, not 1"),
        (
            replace(EXPERIMENTS["vae"], data=c.Data("mnist", quantization="binarize")),
            'data.name = "digits", not "mnist"',
        ),
    ],
    ids=["field", "nested field", "family", "seed", "data"],
)
def test_another_config_is_refused(other, words, tmp_path):
    rundir.check_config(tmp_path, other)  # nothing is there yet
    write_atomically(tmp_path / "config.json", c.to_json(EXPERIMENTS["vae"]))
    with pytest.raises(UserError) as refusal:
        rundir.check_config(tmp_path, other)
    assert words in str(refusal.value)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ((c.R1(5.0), c.LeCam()), "made with model.discriminator_terms.0.weight = 10.0, not 5.0: use the old value"),
        (
            (c.R1(),),
            'made with model.discriminator_terms = [{"type": "R1", "weight": 10.0}, {"type": "LeCam", "weight"',
        ),
        ((c.R1(), c.R2()), '"start": 1000}, not {"type": "R2", "weight": 10.0}: use the old value'),
        ((), "not []: use the old value"),
    ],
    ids=["number", "fewer", "another", "none"],
)
def test_other_terms_are_refused(terms, words, tmp_path):
    gan = EXPERIMENTS["gan"]
    one = replace(gan, model=replace(gan.model, discriminator_terms=(c.R1(), c.LeCam())))
    write_atomically(tmp_path / "config.json", c.to_json(one))
    rundir.check_config(tmp_path, one)
    with pytest.raises(UserError) as refusal:
        rundir.check_config(tmp_path, replace(gan, model=replace(gan.model, discriminator_terms=terms)))
    assert words in str(refusal.value)


def test_what_is_not_a_run_directory(tmp_path):
    with pytest.raises(UserError, match=r"is not a run directory, since it has no config.json: name one, such as"):
        rundir.read_config(tmp_path)
    with pytest.raises(UserError, match=r"There is no .*nowhere: name a run directory"):
        rundir.read_config(tmp_path / "nowhere")
    (tmp_path / "e" / "seed-3").mkdir(parents=True)
    (tmp_path / "e" / "seed-3" / "config.json").touch()
    for above in (tmp_path, tmp_path / "e"):
        with pytest.raises(UserError, match=r"name one within it, such as .*/e/seed-3\."):
            rundir.read_config(above)


@pytest.mark.parametrize("left", [*rundir.TRAINED, "checkpoints/20"])
def test_a_run_whose_config_is_gone_is_not_taken_for_a_new_one(left, tmp_path):
    """Or it would go on as another experiment, whose config.json would then speak of all its steps."""
    rundir.check_config(tmp_path, EXPERIMENTS["vae"])
    (tmp_path / "checkpoints").mkdir()  # as it is before anything was saved
    rundir.check_config(tmp_path, EXPERIMENTS["vae"])
    (tmp_path / left).touch()
    with pytest.raises(UserError, match=r"by what configuration nobody knows, since its config\.json is gone"):
        rundir.check_config(tmp_path, EXPERIMENTS["vae"])


def test_the_environment_names_what_the_numbers_depend_on(tmp_path):
    write_environment(tmp_path)
    made = json.loads((tmp_path / "environment.json").read_text())
    assert made == environment()
    assert made["gvlab"] == __version__
    assert made["jax"] == jax.__version__
    assert made["backend"] == "cpu"
    assert made["devices"] == 4
    assert made["cpu_threads"] == len(os.sched_getaffinity(0))
    assert "--xla_force_host_platform_device_count=4" in made["xla_flags"]
    assert {"python", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "platform", "command"} <= made.keys()


def test_a_run_that_goes_on_elsewhere_keeps_where_it_was(tmp_path):
    assert write_environment(tmp_path) == []
    assert write_environment(tmp_path) == []
    now = json.loads((tmp_path / "environment.json").read_text())
    assert "earlier" not in now
    assert set(DECISIVE) <= now.keys()
    for place in ("here", "there"):
        (tmp_path / "environment.json").write_text(json.dumps(now | {"cpu": place}))
        (said,) = write_environment(tmp_path)
        assert f"cpu was {place} and is {now['cpu']}" in said
        now = json.loads((tmp_path / "environment.json").read_text())
    assert [one["cpu"] for one in now["earlier"]] == ["here", "there"]


def test_an_environment_of_before_a_name_was_recorded(tmp_path):
    """JAX's settings count as untouched then; of the others nothing is known."""
    old = {name: value for name, value in environment().items() if name not in (*backend.DEFAULTS, "blas")}
    assert set(old) & set(DECISIVE)
    assert decisive(old) == {name: old[name] for name in old if name in DECISIVE} | backend.DEFAULTS
    (tmp_path / "environment.json").write_text(json.dumps(old))
    (said,) = write_environment(tmp_path)
    assert "(jax_disable_most_optimizations was False and is True)" in said  # as conftest.py has it


@pytest.mark.parametrize("variable", ["NPROC", "PJRT_NPROC"])
def test_the_threads_are_those_that_xla_takes(variable, monkeypatch):
    monkeypatch.setenv(variable, "7")
    assert environment()["cpu_threads"] == 7
    monkeypatch.setenv(variable, "many")
    assert environment()["cpu_threads"] == len(os.sched_getaffinity(0))


def test_the_threads_of_products_are_recorded():
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        alone = environment()["blas"]
    assert alone.endswith(", 1 threads")


def test_the_revision_of_the_code_outside_of_git(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nothing"))
    assert _git_revision() is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _git_revision() is None


@pytest.mark.parametrize("text", ["", "{", '{"status": "comp', "\x00\x00"])
def test_a_damaged_status_gets_a_sentence(tmp_path, text):
    (tmp_path / "status.json").write_text(text)
    with pytest.raises(
        UserError,
        match=r"status\.json is damaged .*: restore it from a copy, or move it away",
    ):
        rundir.status(tmp_path)


@pytest.mark.parametrize(
    ("file", "write", "read", "values"),
    [
        ("states.jsonl", rundir.write_states, rundir.read_states, {20: "b", 0: "a"}),
        ("groups.jsonl", rundir.write_groups, rundir.read_groups, {20: ["b/seed-0", "b/seed-1"], 0: ["b/seed-0"]}),
    ],
)
def test_what_is_kept_by_step_comes_back_and_damage_gets_a_sentence(file, write, read, values, tmp_path):
    assert read(tmp_path) == {}
    write(tmp_path, values)
    assert list(read(tmp_path).items()) == sorted(values.items())
    (tmp_path / file).write_text('{"step": 0}\n')
    with pytest.raises(UserError, match=rf"{file} is damaged .*: restore it from a copy\."):
        read(tmp_path)


def test_a_damaged_line_of_metrics_gets_a_sentence(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"st\n{"step": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged"):
        read_metrics(tmp_path)
