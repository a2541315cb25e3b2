"""Parts of the user's own in a configuration: what can be one, its JSON, and what stands for it without its file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import flax.linen as nn
import jaxtyping
import optax
import pytest

from gvlab import config as c
from gvlab import losses
from gvlab.config import experiment_file, own
from gvlab.types import UserError


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Without the tests' own check of all types, which comes before gvlab's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


ADAM = c.Adam()


@dataclass(frozen=True)
class Wide:
    width: int = 3
    leak: float = 0.2
    layers: tuple[int, ...] = (4, 5)
    kind: Literal["a", "b"] = "a"
    bias: bool = True
    optimizer: c.Adam = ADAM

    def networks(self, shape, classes, axis_name):
        raise AssertionError("nothing is built here")


@dataclass(frozen=True)
class Margin:
    margin: float = 1.0

    def contest(self):
        raise AssertionError("nothing is built here")


def experiment(**fields: Any) -> c.Experiment:
    return c.Experiment("e", c.GAN(**({"network": Wide()} | fields)), steps=10)


# --- what cannot be recorded ------------------------------------------------------------------------------------------


@dataclass
class Thawed:
    def contest(self): ...


@dataclass(frozen=True)
class Holds:
    function: Any = None

    def contest(self): ...


@dataclass(frozen=True)
class HoldsMutable:
    inner: Thawed = dataclasses.field(default_factory=Thawed)

    def contest(self): ...


@dataclass(frozen=True)
class HoldsList:
    layers: list[int] = dataclasses.field(default_factory=list)

    def contest(self): ...


@dataclass(frozen=True)
class HoldsPairs:
    pair: tuple[int, str] = (1, "a")

    def contest(self): ...


@dataclass(frozen=True)
class TakesOurName:
    file_sha256: str = ""

    def contest(self): ...


@dataclass(frozen=True)
class Lost:
    what: "Nowhere" = None  # type: ignore[name-defined]  # which is what is tested

    def contest(self): ...


@dataclass(frozen=True, eq=False)
class Unequal:
    def contest(self): ...


@dataclass(frozen=True)
class Derived:
    twice: float = dataclasses.field(default=2.0, init=False)

    def contest(self): ...


@dataclass(frozen=True)
class Idle:
    margin: float = 1.0


class Plain:
    def contest(self): ...


WRITE = "which config.json cannot hold: write a frozen dataclass with a method contest() that returns it"
NO_CONTESTS = {
    "a lambda": (lambda r, f: r, ["GAN.contest is the function ", "<lambda>", WRITE]),
    "a contest": (losses.hinge, ["GAN.contest is an object of the class gvlab.Contest", WRITE]),
    "an optax object": (optax.adam(1.0), ["optax.", WRITE]),
    "a module": (nn.Dense(3), ["GAN.contest is", WRITE]),
    "an object": (Plain(), ["an object of the class", WRITE]),
    "two functions": ((len, max), ["GAN.contest is", WRITE]),
    "a class": (Margin, ["GAN.contest is the class Margin, but must be an instance of it: Margin(...)."]),
    "not frozen": (Thawed(), ["of the class Thawed, which is not frozen", "write @dataclass(frozen=True) above it"]),
    "equal to nothing": (Unequal(), ["of the class Unequal, which the fields", "leave eq=False and init=False out"]),
    "with a derived field": (
        Derived(),
        ["of the class Derived, which the fields", "leave eq=False and init=False out"],
    ),
    "without the method": (Idle(), ["of the class Idle, which has no method contest(): write one"]),
    "with any field": (Holds(), ["Holds.function is of type", "use int, float, bool, str"]),
    "with a mutable field": (
        HoldsMutable(),
        ["Holds", "inner of GAN.contest is of the class Thawed, which is not fro"],
    ),
    "with a list": (HoldsList(), ["HoldsList.layers is of type", "tuple[..., ...]"]),
    "with a pair": (HoldsPairs(), ["HoldsPairs.pair is of type"]),
    "with our name": (TakesOurName(), ["TakesOurName.file_sha256 is a name that config.json needs itself"]),
    "with a lost type": (Lost(), ["The fields of Lost have annotations that cannot be read (NameError"]),
    "a text": (
        "hinge",
        ["GAN.contest is 'hinge', but must be of type NonSaturating or Minimax", "a class of your own"],
    ),
    "ours of another kind": (
        c.DCGAN(),
        ["GAN.contest is DCGAN(width=64, ", "but must be of type NonSaturating"],
    ),
    "with a wrong value": (Margin("x"), ["Margin.margin is 'x', but must be of type float"]),  # type: ignore[arg-type]  # on purpose
}


@pytest.mark.parametrize(("value", "words"), NO_CONTESTS.values(), ids=NO_CONTESTS)
def test_what_cannot_be_recorded_gets_one_sentence(value, words):
    with pytest.raises(UserError) as caught:
        c.GAN(contest=value)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for word in words:
        assert word in sentence


@pytest.mark.parametrize(
    ("make", "call"),
    [
        (lambda x: c.GAN(network=x), "networks(shape, classes, axis_name)"),
        (lambda x: c.VAE(network=x), "coders(shape, latent_dim, parameters, classes, axis_name)"),
        (lambda x: c.GAN(discriminator_terms=[x]), "term()"),
        (lambda x: c.Every(inner=x), "term()"),
        (lambda x: c.VAE(likelihood=x), "observation()"),
        (lambda x: c.VAE(optimizer=x), "transformation(updates_per_step)"),
        (lambda x: c.Clipped(optimizer=x), "transformation(updates_per_step)"),
        (lambda x: c.SGD(schedule=x), "schedule()"),
    ],
)
def test_every_kind_of_part_says_its_method(make, call):
    with pytest.raises(UserError, match="write a frozen dataclass with a method") as caught:
        make(lambda: None)
    assert call in str(caught.value)


def test_values_of_other_libraries_become_plain_in_a_part_of_ones_own():
    import numpy as np

    part = Wide(width=np.int64(7), layers=[1, 2], leak=1)  # type: ignore[arg-type]  # on purpose
    assert c.GAN(network=part).network == Wide(width=7, layers=(1, 2), leak=1.0)
    assert type(part.leak) is float


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_the_json_of_a_part_says_whose_it_is():
    values = json.loads(c.to_json(experiment(network=Wide(width=9), contest=Margin(0.5))))
    assert values["model"]["contest"] == {"type": "own:Margin", "file_sha256": "", "margin": 0.5}
    assert values["model"]["network"] == {
        "type": "own:Wide", "file_sha256": "", "width": 9, "leak": 0.2, "layers": [4, 5], "kind": "a", "bias": True,
        "optimizer": c.to_dict(c.Adam()) | {"drop_steps": []},
    }  # fmt: skip


@dataclass(frozen=True)
class Layer:
    width: int = 3
    leak: float = 0.2


@dataclass(frozen=True)
class Layered:
    layers: tuple[Layer, ...] = (Layer(), Layer(4))

    def networks(self, shape, classes, axis_name): ...


def test_a_part_may_hold_a_tuple_of_dataclasses(monkeypatch):
    monkeypatch.setattr(own, "_OF_PYTHON", {"Layered": Layered})
    made = experiment(network=Layered())
    layers = json.loads(c.to_json(made))["model"]["network"]["layers"]
    assert layers == [{"width": 3, "leak": 0.2}, {"width": 4, "leak": 0.2}]
    assert c.from_json(c.to_json(made)) == made
    assert {f"model.network.layers.{i}.{field}" for i in (0, 1) for field in ("width", "leak")} <= set(c.leaves(made))
    assert c.with_value(made, "model.network.layers.1.leak", 1).model.network.layers[1] == Layer(4, 1.0)


def test_without_its_class_a_part_is_kept_as_it_was_written():
    text = c.to_json(experiment())
    read = c.from_json(text)
    assert isinstance(read.model.network, own.Unopened)
    assert c.to_json(read) == text
    assert read == c.from_json(text)
    assert hash(read) == hash(c.from_json(text))
    assert c.difference(read, c.from_json(text)) is None
    other = c.from_json(text.replace('"width": 3', '"width": 4'))
    assert read != other
    assert c.difference(read, other)[0] == "model.network"
    assert "model.network" in c.leaves(read)
    with pytest.raises(AttributeError):
        read.model.network.name = "other"
    for method in ("networks", "coders", "contest", "observation", "transformation", "schedule"):
        with pytest.raises(UserError, match=r"The class Wide was given from Python, by no experiment file: build"):
            getattr(read.model.network, method)()


@pytest.mark.parametrize(
    "damage", [{"type": "own:Wide"}, {"type": "own:", "file_sha256": 3}, {"type": "own:os.system"}]
)
def test_json_that_nobody_wrote_executes_nothing(damage):
    values = json.loads(c.to_json(experiment()))
    values["model"]["network"] = damage
    assert isinstance(c.from_json(json.dumps(values)).model.network, own.Unopened)


def test_where_gvlab_has_one_class_only_there_is_none_of_ones_own():
    values = json.loads(c.to_json(experiment(network=c.DCGAN())))
    values["evaluation"] = {"type": "own:Mine"}
    with pytest.raises(UserError, match=r"The field evaluation\.type does not exist"):
        c.from_json(json.dumps(values))


# --- files ------------------------------------------------------------------------------------------------------------

FILE = """
from dataclasses import dataclass
from gvlab.config import *

@dataclass(frozen=True)
class Wide:
    width: int = 3
    leak: float = 0.25

    def networks(self, shape, classes, axis_name):
        return MLP(hidden=(self.width,)).networks(shape, classes, axis_name)

def config():
    return Experiment("e", GAN(Wide(width=5)), steps=10)
"""


def written(directory: Path, text: str = FILE, name: str = "e.py") -> Path:
    file = directory / name
    file.write_text(text)
    return file


def test_a_file_gives_its_parts_and_its_hash(tmp_path):
    file = written(tmp_path)
    loaded = experiment_file.load(file)
    assert loaded == experiment_file.load(file)  # executed anew, and yet equal
    assert loaded == experiment_file.load(written(tmp_path, name="copy.py"))
    (sha256,) = own.files(loaded)
    assert own.files(loaded) == {sha256: "Wide"}
    assert json.loads(c.to_json(loaded))["model"]["network"]["file_sha256"] == sha256
    assert c.from_json(c.to_json(loaded)) == loaded
    assert own.source(sha256).text == file.read_bytes()
    assert c.with_value(loaded, "model.network.leak", 0.5).model.network.leak == 0.5


def test_two_versions_of_a_file_are_two_configurations(tmp_path):
    one = experiment_file.load(written(tmp_path))
    two = experiment_file.load(written(tmp_path, f"{FILE}\n# the same\n"))
    assert one != two
    assert c.difference(one, two)[0] == "model.network"


def test_a_file_is_opened_by_its_hash_alone(tmp_path):
    file = written(tmp_path, FILE + "# opened\n")
    loaded = experiment_file.load(file)
    (sha256,) = own.files(loaded)
    experiment_file.open_parts(file, {sha256: []})
    copy = tmp_path / "run.py"
    copy.write_bytes(file.read_bytes())
    changed = written(tmp_path, FILE.replace("0.25", "0.5") + "# opened\n", "changed.py")
    with pytest.raises(
        UserError,
        match=rf"changed.py is not the version .* they differ at line 8; name that copy with --experiment {copy}\.$",
    ):
        experiment_file.open_parts(changed, {sha256: [copy]})
    with pytest.raises(UserError, match=rf"has the SHA-256 \w+, but {sha256[:12]} was recorded: name the file"):
        experiment_file.open_parts(changed, {sha256: [changed]})
    with pytest.raises(UserError, match="There is no experiment file"):
        experiment_file.open_parts(tmp_path / "none.py", {sha256: []})


def test_the_first_lines_that_differ_are_named():
    lines = [f"line {i}" for i in range(30)]
    other = [line.upper() if i % 4 == 2 else line for i, line in enumerate(lines)]
    found = experiment_file._first_lines("\n".join(lines).encode(), "\n".join(other).encode())
    assert found == "they differ at lines 3, 7, 11 and 4 more places"
    assert experiment_file._first_lines(b"a\n", b"a\r\n") == "they differ in how lines end"


def test_what_no_copy_of_the_file_would_hold_is_refused(tmp_path):
    helper = tmp_path / "helpers_of_own.py"
    helper.write_text(FILE)
    imported = written(tmp_path, "from helpers_of_own import *\n")
    with pytest.raises(
        UserError, match=r"model.network is of the class Wide, of which a run could keep no copy: define"
    ):
        experiment_file.load(imported)
    both = written(tmp_path, "import helpers_of_own\n" + FILE)
    with pytest.raises(UserError, match=r"but the file imports helpers_of_own from beside it, of which a run keeps no"):
        experiment_file.load(both)
    inside = "def made():\n" + "\n".join(f"    {line}" for line in FILE.splitlines()[4:12]) + "\n    return Wide\n"
    head, tail = "\n".join(FILE.splitlines()[:4]), FILE[FILE.index("def config") :]
    with pytest.raises(UserError, match=r"a run could keep no copy: define it in the file itself, outside of any func"):
        experiment_file.load(written(tmp_path, f"{head}\n{inside}\n{tail.replace('Wide(', 'made()(')}"))
