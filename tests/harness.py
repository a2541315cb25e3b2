"""What the end-to-end tests share: two tiny experiments, the command line as a process and inside this one, and runs
that are trained once per session."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import pytest
from forked import Forked
from orbax.checkpoint._src.serialization import tensorstore_utils  # private: no public name leads to its options

from gvlab import backend, build, data, tree
from gvlab import config as c
from gvlab.cli import main
from gvlab.config import own
from gvlab.runs import directory as rundir
from gvlab.runs.curves import WALL_CLOCK, read_metrics
from gvlab.train import engines, loop
from gvlab.types import PyTree

# As in conftest.py: checkpoints that this process writes need not survive a power cut.
for _context in ("_BASE_TS_CONTEXT", "_DEFAULT_OCDBT_TS_CONTEXT"):
    if hasattr(tensorstore_utils, _context):
        getattr(tensorstore_utils, _context)["file_io_sync"] = False

_PACE: dict[str, Any] = {
    "steps": 100,
    "batch_size": 16,
    "log_every": 10,
    "checkpoint_every": 10,
    "keep_every": 50,
    "sample_every": 1000,
    "evaluation": c.Evaluation(samples=64, k=7),
}
EXPERIMENTS = {
    "vae": c.Experiment("vae", c.VAE(c.MLP(hidden=(16,)), latent_dim=4), data=c.Data(quantization="binarize"), **_PACE),
    "gan": c.Experiment("gan", c.GAN(c.DCGAN(width=4), latent_dim=8), **_PACE),
}

COMPARED = {  # convolutions would be compiled for half a minute
    name: replace(
        experiment,
        steps=20,
        keep_every=0,
        model=experiment.model if name == "vae" else c.GAN(c.MLP(hidden=(16,)), latent_dim=4),
        evaluation=c.Evaluation(samples=64, k=7, features=("pixels",), measures=("frechet", "sliced_wasserstein")),
    )
    for name, experiment in EXPERIMENTS.items()
}


@functools.cache
def laboratory() -> Path:
    """A directory of this session, removed at its end."""
    directory = Path(tempfile.mkdtemp(prefix="gvlab-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def shared(name: str, make: Callable[[Path], None]) -> Path:
    """A directory of the whole session: the first process that asks makes it, the others wait for it.

    Copy what is in it before changing anything.
    """
    directory = Path(os.environ["GVLAB_TESTS_SHARED"]) / name
    finished = directory.with_name(f"{name}.finished")
    with directory.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not finished.exists():
            shutil.rmtree(directory, ignore_errors=True)  # of a process that failed to make it
            directory.mkdir()
            make(directory)
            finished.touch()
    return directory


def experiment_file(directory: Path, experiment: c.Experiment) -> Path:
    """An experiment file as a user would write it."""
    file = directory / f"{experiment.name}.py"
    file.write_text(f"from gvlab.config import *\n\n\ndef config():\n    return {experiment!r}\n")
    return file


# --- the command line as a process of its own -------------------------------------------------------------------------


def environment(devices: int = 1, **more: str) -> dict[str, str]:
    """This process's variables, for one with so many devices; compiled programs are shared by the processes of a
    session."""
    flags = f"--xla_force_host_platform_device_count={devices} {os.environ['GVLAB_TESTS_XLA_FLAGS']}"
    return {
        **os.environ,
        "XLA_FLAGS": flags.strip(),
        "XDG_CACHE_HOME": os.environ["GVLAB_TESTS_CACHE"],
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        **more,
    }


def command(*args: object) -> list[str]:
    return [str(Path(sys.executable).with_name("gvlab")), *map(str, args)]


def run(*args: object, cwd: Path | None = None, env: dict[str, str] | None = None, **options: Any) -> Any:
    """`gvlab ARGS` to its end."""
    return subprocess.run(
        command(*args), cwd=cwd, env=env or environment(), capture_output=True, text=True, timeout=300, **options
    )


def start(*args: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> Forked:
    """`gvlab ARGS`, running; its imports are done."""
    return Forked(command(*args), cwd, env or environment())


def again(*args: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> Any:
    """`gvlab ARGS` to its end, as `run`, but its imports are done: for what other tests have run from the start.

    Of the variables, those count that are read when JAX's back-end starts, such as XLA_FLAGS.
    """
    process = start(*args, cwd=cwd, env=env)
    out, err = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def wait_until(seen: Callable[[], bool], process: Forked | subprocess.Popen[str]) -> None:
    """Returns as soon as `seen()`, which must come true while the process lives."""
    while not seen():
        if process.poll() is not None:
            raise AssertionError(f"the process ended with {process.returncode} before: {process.communicate()[1]}")
        time.sleep(0.0005)


def assert_refused(code: int, out: str, err: str, *words: str) -> None:
    """Exit code 2, and exactly one sentence, which holds the words."""
    assert code == 2, (code, out, err)
    assert err.startswith("gvlab: ")
    assert err.endswith(".\n") or err.endswith(").\n")
    assert err.count("\n") == 1, err
    assert "Traceback" not in out + err
    for word in words:
        assert word in err


# --- the command line inside this process -----------------------------------------------------------------------------


def call(*args: object) -> int:
    """The exit code of `gvlab ARGS`, without a process; JAX's settings are as they were afterwards."""
    options = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", *backend.PINNED)
    before = {name: getattr(jax.config, name) for name in options}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        try:
            return main._main([str(arg) for arg in args])
        finally:
            for name, value in before.items():
                jax.config.update(name, value)


# --- what is compiled -------------------------------------------------------------------------------------------------

_MADE: dict[tuple, Any] = {}


def _made(make: Callable[[], Any], *key: Any) -> Any:
    if key not in _MADE:
        _MADE[key] = make()
    return _MADE[key]


def _alike(experiment: c.Experiment) -> str:
    """Experiments with the same text compile to the same functions, if the classes of their parts are here."""
    parts = " ".join(type(part).__name__ for _, part in own.parts(experiment))
    return parts + c.to_json(replace(experiment, name="any", seed=0, steps=1, evaluation=c.Evaluation()))


@contextlib.contextmanager
def compiled_once() -> Iterator[None]:
    """The commands within share programs and engines: most of what they would do is compile them anew.

    A single run is trained on one device, as `harness.engine` does.
    """
    program, alone, together, cost = build.program, engines.alone, engines.together, engines.cost

    def shared_program(experiment, dataset):
        made = _made(lambda: program(experiment, dataset), "program", _alike(experiment), dataset.checksum)
        return replace(made, experiment=experiment, dataset=dataset)

    def shared_alone(program, devices=None):
        devices = jax.devices()[:1] if devices is None else devices
        key = ("alone", _alike(program.experiment), program.dataset.checksum, tuple(devices))
        return replace(_made(lambda: alone(program, devices), *key), program=program)

    def shared_together(program, runs, batched=(), devices=None):
        key = ("together", _alike(program.experiment), program.dataset.checksum, tuple(devices or ()))
        return replace(_made(lambda: together(program, runs, batched, devices), *key, runs, *batched), program=program)

    def shared_cost(engine):
        return _made(lambda: cost(engine), "cost", engine.single)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "program", shared_program)
        patch.setattr(engines, "alone", shared_alone)
        patch.setattr(engines, "together", shared_together)
        patch.setattr(engines, "cost", shared_cost)
        yield


# --- runs -------------------------------------------------------------------------------------------------------------


@functools.cache
def reference(name: str) -> Path:
    """A run of 100 steps by the command line, undisturbed, with a cold cache: `COLD` beside it."""

    def make(directory: Path) -> None:
        cold = environment(XDG_CACHE_HOME=str(directory / COLD))
        done = run("train", experiment_file(directory, EXPERIMENTS[name]), "--out", directory, env=cold)
        assert done.returncode == 0, done.stderr

    return shared(f"reference-{name}", make) / name / "seed-0"


COLD = "cache"
"""The cache directory of the processes that trained a reference: it was empty before."""


@functools.cache
def engine(name: str) -> engines.Engine:
    """The compiled experiment, on one device of this process."""
    return engines.alone(program(name), jax.devices()[:1])


@functools.cache
def program(name: str) -> build.Program:
    return build.program(EXPERIMENTS[name], data.load("digits"))


@functools.cache
def trained(name: str) -> Path:
    """A run of 100 steps by `loop.train`; copy it before changing it."""
    return shared(f"trained-{name}", lambda root: loop.train(engine(name), root, seed=0) and None) / name / "seed-0"


@functools.cache
def compared() -> Path:
    """A comparison of `COMPARED` with two seeds each, by the command line in one process; copy it before changing it.

    The experiment files lie beside it.
    """

    def make(directory: Path) -> None:
        files = [experiment_file(directory, experiment) for experiment in COMPARED.values()]
        with compiled_once(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            assert call("compare", *files, "--seeds", 2, "--out", directory / "comparison") == 0

    return shared("compared", make) / "comparison"


def copy_of_compared(directory: Path) -> tuple[Path, list[Path]]:
    """A comparison of one's own, of the same name, and its experiment files."""
    shutil.copytree(compared(), directory / "comparison")
    return directory / "comparison", [experiment_file(directory, experiment) for experiment in COMPARED.values()]


def changed(directory: Path, before: dict[str, tuple[int, int]]) -> set[str]:
    """The files under a directory that were written or removed since its `contents` were `before`, locks aside."""
    after = contents(directory)
    names = {name for name in before | after if before.get(name) != after.get(name)}
    return {name for name in names if not name.endswith("lock")}


def edit_json(file: Path, edit: Callable[[Any], Any]) -> None:
    """Changes what a JSON file holds, as somebody who tampers with it would."""
    made = json.loads(file.read_text())
    edit(made)
    file.write_text(json.dumps(made, indent=2) + "\n")


def state_at(run: Path, step: int) -> PyTree:
    """The state of one checkpoint, restored from a copy of it alone."""
    experiment = rundir.read_config(run)
    with tempfile.TemporaryDirectory(dir=laboratory()) as alone:
        shutil.copytree(run / "checkpoints" / str(step), Path(alone) / "checkpoints" / str(step))
        return loop.restore(build.program(experiment, data.load(experiment.data.name)), Path(alone))


def digest(run: Path, step: int) -> str:
    """Of parameters, statistics, optimizers, averages and step."""
    state = state_at(run, step)
    assert int(state.step) == step
    return tree.digest(state)


def steps_kept(run: Path) -> list[int]:
    """The complete checkpoints, oldest first; half-written ones bear another name."""
    return sorted(int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdecimal())


def curves(run: Path) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without the wall clock; each line must be complete."""
    assert (run / "metrics.jsonl").read_text().endswith("}\n")
    return [{k: v for k, v in line.items() if k not in WALL_CLOCK} for line in read_metrics(run)]


def contents(directory: Path) -> dict[str, tuple[int, int]]:
    """Every file under a directory, with its length and time: equal contents mean that nothing was written."""
    return {
        str(path.relative_to(directory)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in directory.rglob("*")
        if path.is_file()
    }
