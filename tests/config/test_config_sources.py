"""Sources of own data in an experiment: what is refused, and what their JSON is."""

import json
from dataclasses import replace
from pathlib import Path

import jaxtyping
import pytest
from configurations import SMALL

from gvlab import config as c
from gvlab.errors import UserError


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Without the tests' own check of all types, which comes before gvlab's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


SOURCES = [
    None,
    c.Folder("pictures"),
    c.Folder("p", size=(48, 64), fit="pad", test_path="t", labels="l.csv", background=(1, 2, 3), unreadable="skip"),
    c.Arrays("x.npz", layout="NCHW", range="-1..1", test=0.5),
    c.Tfds("oxford_flowers102/plain:2.1.1", size=(64, 64)),
    c.Text("plays.txt", "words", 32, 5000, 0.2),
    c.Waves("recordings", 8192, 0.9, "names", 0.2, "*_[0-4].wav"),
]


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_an_experiment_with_a_source_equals_its_json(source):
    experiment = replace(SMALL, data=c.Data("mine", source=source))
    again = c.from_json(c.to_json(experiment))
    assert again == experiment
    assert again.data.source == source
    assert c.to_json(again) == c.to_json(experiment)  # the path, too, which equality leaves out


def test_a_configuration_of_before_has_no_source():
    values = json.loads(c.to_json(SMALL))
    assert values["data"].pop("source") is None
    assert c.from_dict(values) == SMALL


def test_where_a_source_lies_makes_no_difference():
    here, there = (c.Data("mine", source=c.Folder(path, size=64)) for path in ("here", "there"))
    assert here == there
    assert c.difference(here, there) is None
    assert c.difference(here, c.Data("mine", source=c.Folder("here", size=32))) == ("source.size", (64, 64), (32, 32))


def test_one_number_is_both_sides_and_a_path_may_be_a_path():
    assert c.Folder(Path("a") / "b", size=64) == c.Folder("a/b", size=(64, 64))
    assert c.Folder(Path("a") / "b").path == "a/b"
    assert c.Tfds("mnist", size=[32]).size == (32, 32)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.Folder("p", size=0), "Folder.size is 0, but must be from 1"),
        (lambda: c.Folder("p", size=(1, 2, 3)), r"Folder.size is \(1, 2, 3\), but must be a height and a width"),
        (lambda: c.Folder("p", size=10_000), "Folder.size is 10000, but no network"),
        (lambda: c.Folder("p", size="64"), "Folder.size is '64', but must be of type list of int"),
        (lambda: c.Folder("p", fit="squeeze"), "Folder.fit is 'squeeze', but must be of type 'crop' or"),
        (lambda: c.Folder("p", test=0), "Folder.test is 0.0, but must be a share between 0 and 1"),
        (lambda: c.Arrays("p", test=1), "Arrays.test is 1.0"),
        (lambda: c.Tfds("p", test=-0.5), "Tfds.test is -0.5"),
        (lambda: c.Folder("p", background=(256, 0, 0)), r"Folder.background is \(256, 0, 0\)"),
        (lambda: c.Folder("p", background=(0,)), r"Folder.background is \(0,\)"),
        (
            lambda: c.Folder("p", labels="names.txt"),
            "Folder.labels is 'names.txt', but must be auto, folders, none or a",
        ),
        (lambda: c.Arrays("p", range="2"), "Arrays.range is '2'"),
        (
            lambda: c.Data("a", source="pictures"),
            "Data.source is 'pictures', but must be of type Folder or Arrays or Tfds",
        ),
        (lambda: c.Data("a", source=c.Folder), "Data.source is the class Folder, but must be an instance of it"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
