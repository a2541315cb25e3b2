"""Builders of tensorflow-datasets as sources, through a stand-in for TFDS in the child process."""

import numpy as np
import pytest
from test_folders import home, leftovers

from gvlab.data import add_builder, fitting, load
from gvlab.types import UserError

__all__ = ["home"]

STAND_IN = """
import numpy as np
from types import SimpleNamespace

__version__ = "0"


class DatasetNotFoundError(ValueError):
    pass


class Image:
    def __init__(self, dtype=np.uint8):
        self.np_dtype = np.dtype(dtype)


class ClassLabel:
    names = ["cat", "dog"]


class Text:
    pass


class FeaturesDict(dict):
    pass


features = SimpleNamespace(Image=Image, ClassLabel=ClassLabel, FeaturesDict=FeaturesDict)
core = SimpleNamespace(DatasetNotFoundError=DatasetNotFoundError, FileFormat=SimpleNamespace(TFRECORD="tfrecord"))


def image(number, shape=(6, 5, 3)):
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def rows(begin, end, label=lambda number: number % 2):
    return [{"image": image(number), "label": label(number)} for number in range(begin, end)]


FEATURES = FeaturesDict(image=Image(), label=ClassLabel(), note=Text())
PAIR = ("image", "label")
BUILDERS = {
    "pets": (FEATURES, PAIR, {"train": rows(0, 20), "validation": rows(20, 25), "test": rows(25, 30)}),
    "unsplit": (FEATURES, PAIR, {"train": rows(0, 20)}),
    "sizes": (FEATURES, PAIR, {"train": [*rows(0, 3), {"image": image(9, (9, 9, 3)), "label": 0}]}),
    "unlabelled": (FEATURES, PAIR, {"train": rows(0, 9), "test": rows(9, 12, lambda number: -1)}),
    "words": (FeaturesDict(text=Text()), None, {"train": []}),
    "stereo": (FeaturesDict(left=Image(), right=Image()), None, {"train": []}),
    "deep": (FeaturesDict(image=Image(np.uint16)), None, {"train": []}),
    "untrained": (FEATURES, PAIR, {"test": rows(0, 5)}),
    "bits": (FEATURES, PAIR, {"train": [{"image": image(n) % 2, "label": 0} for n in range(5)]}),
    "broken": None,
}


def disable_progress_bar():
    pass


def list_builders(with_community_datasets):
    return list(BUILDERS)


def builder_cls(name):
    configs = [SimpleNamespace(name=name) for name in ("large", "small")]
    return SimpleNamespace(BUILDER_CONFIGS=configs, VERSION="1.0.0", SUPPORTED_VERSIONS=["0.9.0"])


def builder(name, data_dir, try_gcs):
    if name in ("pets/smal", "pets:2.0.0"):
        raise ValueError("Many. Sentences.\\nAnd lines.")
    if name.split(":")[0] not in BUILDERS:
        raise DatasetNotFoundError(name)
    if name == "broken":
        raise ValueError("no such version")
    of, pair, splits = BUILDERS[name.split(":")[0]]
    info = SimpleNamespace(
        features=of, supervised_keys=pair, splits=splits, full_name=name + ":1.0.0", file_format="array_record"
    )
    return SimpleNamespace(info=info, is_prepared=lambda: True, as_data_source=splits.__getitem__)
"""


@pytest.fixture
def stand_in(home, tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "tensorflow_datasets.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    return home


def image(number):
    return np.random.default_rng(number).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def test_a_builder_with_both_splits(stand_in):
    own = add_builder("mine", "pets:1.0.0")
    assert (own.shape, own.train, own.test, own.class_names) == ((6, 5, 3), 20, 5, ("cat", "dog"))
    assert own.origin["remarks"] == ["Left aside: the split validation of pets:1.0.0:1.0.0."]
    assert own.origin["pixels"] == "pets:1.0.0:1.0.0; as they were"
    dataset = load("mine")
    of_image = {image(number).tobytes(): number for number in range(30)}
    assert {of_image[np.asarray(x).tobytes()] for x in dataset.test.x} == set(range(25, 30))
    assert [of_image[np.asarray(x).tobytes()] % 2 for x in dataset.train.x] == dataset.train.y.tolist()
    assert not add_builder("mine", "pets:1.0.0").is_new
    with pytest.raises(UserError, match=r'mine exists with builder = "pets:1.0.0", not "pets"'):
        add_builder("mine", "pets")


def test_a_builder_without_a_test_split_is_split(stand_in):
    own = add_builder("mine", "unsplit", test=0.2, size=(3, 3))
    assert (own.train, own.test, own.shape) == (16, 4, (3, 3, 3))
    expected = {fitting.fit(image(number), (3, 3), "crop", (0, 0, 0)).tobytes() for number in range(20)}
    dataset = load("mine")
    assert {np.asarray(x).tobytes() for split in (dataset.train, dataset.test) for x in split.x} == expected


def test_labels_that_are_missing_somewhere_are_left_out(stand_in):
    own = add_builder("mine", "unlabelled")
    assert (own.num_classes, own.train, own.test) == (0, 9, 3)
    assert own.origin["remarks"] == ["Some images have no label (-1), so all were taken without."]


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        ("pest", r"TFDS 0 has no builder 'pest' \(did you mean 'pets'\?\)"),
        ("words", "words has no images, but text: choose another builder"),
        ("stereo", r"several kinds of images \(left, right\)"),
        ("deep", "images of uint16, but 8 bits are wanted"),
        ("untrained", "has the splits test, but no train"),
        ("sizes", r"several sizes \(height x width: 6x5, 9x9\), but a data set has one: choose it with --size"),
        ("bits", "bits have no value above 1, so all would be almost black: save them as arrays"),
        (
            "pets/smal",
            r"pets of TFDS 0 has no configuration 'smal' \(did you mean small\?\): choose one of large, small",
        ),
        ("pets:2.0.0", r"pets of TFDS 0 has no version 2\.0\.0: choose 1\.0\.0 or 0\.9\.0, or leave it out"),
        ("", r"'' names no builder of TFDS: take BUILDER, BUILDER/CONFIG or BUILDER:VERSION, such as mnist"),
        ("broken", r"cannot make the builder 'broken' \(no such version\)"),
    ],
)
def test_what_cannot_be_used_is_refused(builder, words, stand_in):
    with pytest.raises(UserError, match=words):
        add_builder("mine", builder)
    assert not leftovers(stand_in)


def test_one_that_is_killed_leaves_nothing(home, tmp_path, monkeypatch):
    (tmp_path / "tensorflow_datasets.py").write_text("import os; os.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"Preparing mnist was ended by signal 9"):
        add_builder("mine", "mnist")
    assert not leftovers(home)
