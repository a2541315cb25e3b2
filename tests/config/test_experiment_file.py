"""What `python FILE.py` runs, runs as an experiment file."""

from __future__ import annotations

import pickle
import sys
import typing
from pathlib import Path

import pytest

from gvlab.config import experiment_file
from gvlab.errors import UserError

CONFIG = """
from gvlab.config import MLP, VAE, Experiment


def config():
    return Experiment("name", VAE(MLP(hidden=(WIDTH,))), steps=2)
"""


@pytest.fixture(autouse=True)
def nothing_stays(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = dict(sys.modules)
    yield
    experiment_file._before = None
    for name in sys.modules.keys() - before.keys():
        if "experiment_" in name or name in ("common", "shared", "shared.widths", "rich"):
            del sys.modules[name]
    sys.modules.update(before)


def written(directory: Path, **files: str) -> Path:
    """The experiment file of a directory that has these files beside it."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / f"{name}.py").write_text(text)
    return directory / "own.py"


def width(file: Path) -> int:
    model = experiment_file.load(file).model
    assert isinstance(model.network.hidden, tuple)
    return model.network.hidden[0]


DATACLASS = """
from __future__ import annotations
import dataclasses, pathlib, typing
assert __name__ in __import__("sys").modules and __name__ != "__main__"
HERE = pathlib.Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Widths:
    hidden: tuple[int, ...] = (8,)
    where: typing.ClassVar[str] = "here"


def widths(): return Widths()
def where(): return HERE


if __name__ == "__main__":
    raise SystemExit("is not for gvlab")
"""


def test_a_class_of_the_file_is_one_that_python_finds(tmp_path):
    file = written(tmp_path, own=DATACLASS)
    found = experiment_file.call(file, "widths")
    assert found.hidden == (8,)
    assert pickle.loads(pickle.dumps(found)) == found
    assert typing.get_type_hints(type(found))["hidden"] == tuple[int, ...]
    assert experiment_file.call(file, "where") == tmp_path


def test_what_lies_beside_the_file_can_be_imported(tmp_path, monkeypatch):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "__init__.py").write_text("")
    (tmp_path / "shared" / "widths.py").write_text("import common\nWIDTH = common.HALF * 2\n")
    file = written(tmp_path, own="from shared.widths import WIDTH" + CONFIG, common="HALF = 4\n")
    assert width(file) == 8
    monkeypatch.chdir(tmp_path.parent)
    assert width(file.relative_to(tmp_path.parent)) == 8
    link = tmp_path.parent / "link.py"
    link.symlink_to(file)  # as Python has it: what lies beside the file, not beside the link
    assert width(link) == 8
    assert not list(tmp_path.rglob("__pycache__"))


def test_what_is_imported_in_a_function_is_found_later_too(tmp_path):
    file = written(
        tmp_path, own="def later():\n    import common\n    return common.A\ndef f(): return later", common="A = 3"
    )
    assert experiment_file.call(file, "f")() == 3


def test_files_and_modules_of_one_name_in_two_directories(tmp_path):
    a = written(tmp_path / "a", own="from common import WIDTH" + CONFIG, common="WIDTH = 8")
    b = written(tmp_path / "b", own="from common import WIDTH" + CONFIG, common="WIDTH = 9")
    assert [width(a), width(b), width(a)] == [8, 9, 8]
    c = written(tmp_path / "c", own="from common import WIDTH" + CONFIG)
    with pytest.raises(UserError, match="ModuleNotFoundError: No module named 'common'"):
        width(c)
    assert str(tmp_path / "a") not in sys.path


def test_a_file_that_was_changed_a_moment_ago_is_read_anew(tmp_path):
    text = "from common import WIDTH" + CONFIG
    for value in (8, 9):
        assert width(written(tmp_path, own=text, common=f"WIDTH = {value}")) == value
        assert width(written(tmp_path, own=f"WIDTH = {value}" + CONFIG)) == value


@pytest.mark.parametrize("name", ["json", "random", "types", "dataclasses", "queue", "gvlab"])
def test_nothing_beside_the_file_shadows_python_or_gvlab(name, tmp_path):
    code = f"import {name}\nassert {name}.__name__ == {name!r}\nWIDTH = 8"
    assert width(written(tmp_path, own=code + CONFIG, **{name: "raise ValueError('shadow')"})) == 8


def test_what_gvlab_needs_is_not_shadowed_afterwards(tmp_path):
    import rich

    code = "import rich\nWIDTH = rich.WIDTH"
    assert width(written(tmp_path, own=code + CONFIG, rich="WIDTH = 8", scipy="raise ValueError('shadow')")) == 8
    assert sys.modules["rich"] is rich
    for module in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        sys.modules.pop(module)
    assert width(written(tmp_path, own=code + CONFIG)) == 8
    import rich.table

    assert rich.table.Table
    import scipy

    assert scipy.__version__


def test_a_file_that_fails_leaves_no_module(tmp_path):
    before = set(sys.modules)
    for text in ("1 / 0", "import common", "def config(:", "x = '\0'"):
        with pytest.raises(UserError, match=r"own\.py fails with"):
            experiment_file.load(written(tmp_path, own=text, common="1 / 0"))
    assert {name for name in set(sys.modules) - before if name.startswith("experiment_")} == set()
    assert "common" not in sys.modules


def test_what_is_no_file_of_python(tmp_path):
    (tmp_path / "own.txt").write_text(CONFIG)
    with pytest.raises(UserError, match=r"does not end in \.py"):
        experiment_file.load(tmp_path / "own.txt")
    with pytest.raises(UserError, match="is a directory, but an experiment file is wanted"):
        experiment_file.load(tmp_path)
    for nothing in (tmp_path / "nowhere.py", tmp_path / "a\0b.py"):
        with pytest.raises(UserError, match="There is no experiment file"):
            experiment_file.load(nothing)
