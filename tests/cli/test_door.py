"""The door: streams that take nothing, letters that a terminal lacks, errors that nobody foresaw."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import harness
import jax
import pytest
import screen
from harness import EXPERIMENTS, assert_refused, call, command, experiment_file

from gvlab import build
from gvlab import config as c
from gvlab.cli import last_resort, main, streams, terminal
from gvlab.train import record


def shell(line: str, **more: str) -> tuple[int, str, str]:
    """A line of bash in which $GVLAB is the command line: (exit code, output, errors)."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env=harness.environment(GVLAB=shlex.join(command()), **more),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


# --- streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("data list >&-", 2),
        ("--version > /dev/full", 2),
        ("nonsense <&- >&- 2>&-", 2),
        ("nonsense 2> /dev/full", 2),
        ("--help 2>&-", 0),
        ("data list | true", 141),
    ],
)
def test_a_stream_that_takes_nothing(line, code):
    found, out, err = shell(f"$GVLAB {line}")
    assert found == code
    if code == 2 and "2>" not in line:
        assert_refused(code, out, err, "standard output takes nothing")
    else:
        assert err == ""


@pytest.fixture
def descriptor():
    """A pipe, as (end to read, end to write)."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def test_what_a_stream_refuses_is_raised_once_and_told_at_the_end(descriptor):
    with open("/dev/full", "wb") as full:
        stream = streams._Stream(full.fileno(), closed=False)
        assert stream.write(b"a") == 1  # of errors nobody would hear
        stream.check()
    reading, writing = descriptor
    os.close(reading)
    stream = streams._Stream(writing, closed=False)
    with pytest.raises(streams.Unwritable) as caught:
        stream.write(b"a")
    assert isinstance(caught.value.__cause__, BrokenPipeError)
    assert stream.write(b"a") == 1
    with pytest.raises(streams.Unwritable):
        stream.check()


def test_a_descriptor_that_does_not_wait_is_waited_for(descriptor):
    reading, writing = descriptor
    os.set_blocking(writing, False)
    stream = io.BufferedWriter(streams._Stream(writing, closed=False))
    reader = subprocess.Popen(["wc", "-c"], stdin=reading, stdout=subprocess.PIPE)
    stream.write(b"a" * 1_000_000)  # more than a pipe holds
    stream.flush()
    os.close(writing)
    assert int(reader.communicate()[0]) == 1_000_000


# --- letters ----------------------------------------------------------------------------------------------------------


def test_letters_that_the_terminal_lacks_are_replaced(tmp_path):
    name = "Sønderby"
    file = experiment_file(tmp_path, c.Experiment(name, EXPERIMENTS["vae"].model, 1))
    ascii_terminal = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    file = file.rename(tmp_path / "plain.py")
    code, out, err = shell(f"$GVLAB train {file} --help", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert "S?nderby" in out
    code, out, err = shell(f"$GVLAB train {file}", **ascii_terminal)
    assert_refused(
        code, out, err, r"Experiment.name is 'S\xf8nderby'", "LC_ALL=C.UTF-8"
    )  # no such directory can be made there


def test_bytes_that_are_no_letters_are_refused(capsys):
    path = os.fsdecode(b"runs-\xff")
    for args in (("train", path), ("evaluate", "--images", path), ("data", "prepare", path)):
        assert_refused(call(*args), *capsys.readouterr(), r"'runs-\udcff'")


def test_brackets_are_no_markup(capsys):
    name = "vae[red] :smile: [/]"
    terminal.print_table([name, "value"], [[name, "[bold]1[/bold]"]], left=1)
    shown = capsys.readouterr().out
    assert shown.count(name) == 2
    assert "[bold]1[/bold]" in shown

    def train() -> None:
        with terminal.progress(f"{name} seed 0") as listen:
            listen(record.Progress(3, 6, 10.0, {"loss[blue]": 1.25}))

    bar = screen.shown(train)
    assert f"{name} seed 0" in bar
    assert "loss[blue] 1.25" in bar


# --- the last resort --------------------------------------------------------------------------------------------------


def ending(*args: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main.main([str(arg) for arg in args])
    return stop.value.code


def raising(monkeypatch, error: BaseException) -> None:
    def program(*args):
        raise error

    monkeypatch.setattr(build, "program", program)


def test_what_nobody_foresaw_ends_in_one_sentence_and_a_file(tmp_path, monkeypatch, capsys):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    raising(monkeypatch, ZeroDivisionError("one\ntwo"))
    assert ending("train", file) == 70
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    sentence = re.fullmatch(
        r"gvlab: An error that nobody foresaw \(ZeroDivisionError: one two\): its traceback is in (\S+), which .*\.\n",
        err,
    )
    report = Path(sentence[1]).read_text(encoding="utf-8")
    assert Path(sentence[1]).parent == tmp_path
    assert report.startswith(f"gvlab train {file}\n")
    assert jax.__version__ in report
    assert report.endswith("ZeroDivisionError: one\ntwo\n")
    assert "Traceback (most recent call last)" in report

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    raising(monkeypatch, RecursionError("maximum recursion depth exceeded"))
    assert ending("train", file) == 70
    out, err = capsys.readouterr()
    assert "nested too deeply" in err
    assert "could not be written (No such file or directory)" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("Unable to allocate 3.73 TiB"),
        jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 3.73 TiB\n of it"),
    ],
)
def test_a_lack_of_memory_is_said(error, tmp_path, monkeypatch, capsys):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    raising(monkeypatch, error)
    assert_refused(call("train", file), *capsys.readouterr(), "memory does not suffice", "3.73 TiB", "smaller batch")


def test_another_error_of_xla_is_none_of_memory():
    assert last_resort.out_of_memory(jax.errors.JaxRuntimeError("INTERNAL: oops")) is None


# --- as a module ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", ["gvlab", "gvlab.cli", "gvlab.cli.main"])
def test_as_a_module(module):
    done = subprocess.run([sys.executable, "-m", module, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "gvlab 0.1.0\n", "")


def test_how_to_continue_is_said_as_it_was_begun(monkeypatch, capsys):
    for program, begun in (("/bin/gvlab", "gvlab"), ("gvlab/__main__.py", f"{Path(sys.executable).name} -m gvlab")):
        monkeypatch.setattr(sys, "argv", [program, "train", "my file.py"])
        with pytest.raises(SystemExit) as stop:
            terminal.stopped(RuntimeError("Stopped."), 2)
        assert stop.value.code == 130
        assert capsys.readouterr().err == f"gvlab: Stopped. To continue: {begun} train 'my file.py'\n"
