"""Files are whole or not there, and what is read of them is what a schema says."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest

from gvlab import files
from gvlab.schema import DEEPEST, Count, Least, check, parse
from gvlab.types import UserError


class Part(TypedDict):
    name: str
    share: NotRequired[float]


class Whole(TypedDict):
    step: Count
    kind: Literal["a", "b"]
    parts: list[Part]
    extra: NotRequired[dict[str, int] | None]


RIGHT: dict[str, Any] = {"step": 3, "kind": "b", "parts": [{"name": "x", "share": 1}, {"name": "y"}], "extra": None}


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "more",
    [{}, {"extra": {"n": 1}}, {"unknown to this version": [1]}, {"step": 0}],
    ids=["", "union", "newer", "least"],
)
def test_what_fits_the_schema_comes_back(more):
    assert parse(json.dumps(RIGHT | more).encode(), Whole) == RIGHT | more


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"step": "3"}, 'step is "3", but must be a whole number'),
        ({"step": 3.0}, "step is 3.0, but must be a whole number"),
        ({"step": True}, "step is true, but must be a whole number"),
        ({"step": None}, "step is null, but must be a whole number"),
        ({"step": -1}, "step is -1, but must be at least 0"),
        ({"kind": "c"}, 'kind is "c", but must be "a" or "b"'),
        ({"kind": ["a"]}, 'kind is a list, but must be "a" or "b"'),
        ({"parts": {}}, "parts is an object, but must be a list"),
        ({"parts": ["x"]}, 'parts[0] is "x", but must be an object'),
        ({"parts": [{}]}, "parts[0].name is missing"),
        ({"parts": [{"name": "x", "share": "half"}]}, 'parts[0].share is "half", but must be a number'),
        ({"extra": {"n": "many"}}, 'extra.n is "many", but must be a whole number'),
        ({"kind": "c" * 1000}, 'kind is "' + "c" * 56 + '..., but must be "a" or "b"'),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(change, reason):
    with pytest.raises(ValueError, match=r".") as refusal:
        check(RIGHT | change, Whole)
    assert str(refusal.value) == reason


@pytest.mark.parametrize("value", [[1], "text", 1, None, True])
def test_another_value_than_an_object_is_refused(value):
    with pytest.raises(ValueError, match=r"^the whole is .*, but must be an object$"):
        check(value, Whole)
    with pytest.raises(ValueError, match="must be at least 1"):
        check(0, Annotated[int, Least(1)])


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "Expecting value"),
        (b'{"a": ', "Expecting value"),
        (b"\x00\x00", "Expecting value"),
        (b'{"a": 1}\n{"a": 2}', "Extra data"),
        (b'\xff{"a": 1}', "byte 0 is not UTF-8"),
        (b'\xef\xbb\xbf{"a": 1}', "BOM"),
        ('{"a": 1}'.encode("utf-16"), "byte 0 is not UTF-8"),
        (b'{"a": NaN}', "NaN, which is no JSON"),
        (b'{"a": [-Infinity]}', "-Infinity, which is no JSON"),
        (b'{"a": 1e999}', "beyond the largest"),
        (b'{"a": 1' + b"0" * 400 + b"}", "more than 64 bits"),
        (b'{"a": 1' + b"0" * 5000 + b"}", "limit"),
        (b'{"a": {"b": 1, "b": 1}}', 'the key "b" twice'),
        (b'{"a": "\\ud800"}', "half of a surrogate pair"),
        (b'{"\\udc00": 1}', "half of a surrogate pair"),
        (b"[" * 100_000, f"more than {DEEPEST} levels"),
        (b'{"a":' * 100_000, f"more than {DEEPEST} levels"),
        (b'{"a":' + b"[" * 500 + b"]" * 500 + b"}", f"more than {DEEPEST} levels"),
    ],
)
def test_what_is_no_json_gets_a_sentence_that_names_the_file(raw, reason, tmp_path):
    (tmp_path / "status.json").write_bytes(raw)
    with pytest.raises(UserError) as refusal:
        files.read_json(tmp_path / "status.json")
    sentence = str(refusal.value)
    assert sentence.startswith(f"{tmp_path / 'status.json'} is damaged (")
    assert reason in sentence
    assert sentence.endswith(": restore it from a copy.")
    assert len(sentence) < 400


def test_so_many_levels_are_allowed(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a":' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}")
    assert files.read_json(tmp_path / "a.json") is not None


def test_a_file_beyond_its_bound_is_not_taken_into_memory(tmp_path):
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(2**30)  # of zeros, which take no room on the disk
    with pytest.raises(UserError, match=r"is damaged \(larger than 67,108,864 bytes\)"):
        files.read_json(tmp_path / "large.json")
    with pytest.raises(UserError, match=r"line 1 is longer than 1,048,576 bytes"):
        list(files.read_json_lines(tmp_path / "large.json", Any))


def test_what_is_no_file_is_not_opened(tmp_path):
    assert files.read_json(tmp_path / "missing") is None
    assert list(files.read_json_lines(tmp_path / "missing", Any)) == []
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, words in (("pipe", "is a pipe"), ("link", "cannot be read"), (".", "is a directory")):
        with pytest.raises(UserError, match=words):
            files.read_json(tmp_path / name)
        with pytest.raises(UserError, match=words):
            list(files.read_json_lines(tmp_path / name, Any))


def test_lines(tmp_path):
    file = tmp_path / "lines.jsonl"
    file.write_text('{"step": 1}\n\n{"step": 2}\n{"st')
    assert [line["step"] for line in files.read_json_lines(file, dict[str, int], until_newline=True)] == [1, 2]
    with pytest.raises(UserError, match=r"lines\.jsonl is damaged \(line 4: Unterminated string"):
        list(files.read_json_lines(file, dict[str, int]))
    file.write_text('{"step": 1}\n{"step": "2"}\n')
    with pytest.raises(UserError, match=r'\(line 2: step is "2", but must be a whole number\)'):
        list(files.read_json_lines(file, dict[str, int]))


# --- what is written -------------------------------------------------------------------------------------------------


def test_nothing_stays_behind_where_the_target_is_a_directory(tmp_path):
    (tmp_path / "status.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"status\.json"):
        files.write_atomically(tmp_path / "status.json", "{}")
    assert [path.name for path in tmp_path.rglob("*")] == ["status.json"]


def test_nothing_stays_behind_of_what_fails_while_it_is_written(tmp_path):
    def half(file):
        with files.replacing(file) as part:
            part.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half(tmp_path / "a.json")
    assert not list(tmp_path.iterdir())


def test_who_owns_a_directory_removes_what_dead_processes_left(tmp_path):
    run = tmp_path / "run"
    for place in (run, run / "samples", run / "pictures"):
        place.mkdir()
        (place / "states.jsonl.4242.part").write_text("cut o")
        (place / "mine.part").write_text("not gvlab's")
    with (run / "comparison.json.4243.part").open("w") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        with files.owned(run):
            pass
        left = sorted(path.relative_to(run).as_posix() for path in run.rglob("*.part"))
    assert left == ["comparison.json.4243.part", "mine.part", "pictures/mine.part", "samples/mine.part"]


def test_who_writes_a_target_again_removes_what_dead_processes_left_of_it(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    others = [f"b.npz.{dead.pid}.part", f"a.npz.x{dead.pid}.part", f".g.{dead.pid}.part", f".f.{os.getppid()}.part"]
    for name in (f".f.{dead.pid}.part", f".f.{os.getpid()}.part", *others[2:]):
        (tmp_path / name).mkdir()
        (tmp_path / name / "0.png").write_text("cut o")
    for name in (f"a.npz.{dead.pid}.part", *others[:2]):
        (tmp_path / name).write_text("cut o")
    with (tmp_path / f"a.npz.{os.getppid()}.part").open("w") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        files.write_atomically(tmp_path / "a.npz", "whole")
        with files.appearing(tmp_path / "f") as part:
            (part / "0.png").write_text("whole")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a.npz", f"a.npz.{os.getppid()}.part", "f", *others}
    assert (tmp_path / "a.npz").read_text() == (tmp_path / "f" / "0.png").read_text() == "whole"
