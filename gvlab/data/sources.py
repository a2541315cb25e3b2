"""Where data sets come from: a visible catalogue, and `load(name)`.

The embedded and synthetic ones are made on the spot, and StackedMNIST from MNIST. The others come from the stock
builders of tensorflow-datasets (TFDS), which verify what they download; they are read once and kept as memory-mapped
arrays beside TFDS's own files, in `<data_dir>/gvlab/<name>-<version>/`. From then on neither TFDS nor TensorFlow is
imported. Data sets of the user's own lie in `<data_dir>/gvlab/own/` (`own`).
"""

from __future__ import annotations

from pathlib import Path

from gvlab.data import cache, child_process, made, own, preparation, synthetic, worlds
from gvlab.data.catalogue import CATALOGUE, MADE_FROM, Card, card
from gvlab.data.dataset import Dataset
from gvlab.data.places import data_dir as place
from gvlab.data.preparation import directory_of


def load(name: str, data_dir: str | None = None) -> Dataset:
    """The data set `name`: of the catalogue, prepared first where need be, or one that was added.

    Args:
        name: a key of `CATALOGUE`, or of an own data set.
        data_dir: TFDS's data directory; by default `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Returns:
        Images are uint8, points float32, sentences and labels int32; arrays that come from the cache are mapped
        read-only, and digits and sentences are read-only, too. Images of known factors are `Rendered`: indexing draws
        them.

    Raises:
        UserError: for an unknown name, or if the data set is not here and cannot be brought.

    Examples:
        >>> from gvlab import data
        >>> digits = data.load("digits")
        >>> digits.train.x.shape, digits.test.x.shape, digits.num_classes
        ((1497, 16, 16, 1), (300, 16, 16, 1), 10)
    """
    if name not in CATALOGUE and (dataset := own.load(name, data_dir)) is not None:
        return dataset
    known = _card(name, data_dir)
    if name == "digits":
        return made.digits()
    if name == "ring":
        return made.drawn(name, known, synthetic.ring())
    if name == "grid":
        return made.drawn(name, known, synthetic.grid())
    if name == "vowels":
        return made.vowels(known)
    if name == "grammar":
        return made.sentences(known)
    if name == "shakespeare":
        return made.shakespeare(known)
    if name in worlds.GROUND_TRUTHS:
        return made.of_factors(worlds.GROUND_TRUTHS[name](), known)
    if name == "stacked_mnist":
        return made.stacked(known, load("mnist", data_dir))
    directory = prepare(name, data_dir)
    assert directory is not None  # all that have nothing to prepare are above
    return cache.read(directory)


def prepare(name: str, data_dir: str | None = None) -> Path | None:
    """Downloads, verifies and caches the data set `name`, unless that is done.

    TFDS works in a process of its own: TensorFlow's memory, its log and its hold on a GPU end with it. What is made
    from another data set takes that one's arrays and keeps none of its own.

    Returns:
        The directory of the cached arrays, or None for a data set that has nothing to prepare.

    Raises:
        UserError: for an unknown name, or with what to do if it cannot be done here.
    """
    if name not in CATALOGUE and (known := own.find(name, data_dir)) is not None:
        return known.directory
    if name in MADE_FROM:
        return prepare(MADE_FROM[name], data_dir)
    if _card(name, data_dir).version is None:
        return None
    root = place(data_dir)
    directory = directory_of(name, root)
    if cache.is_whole(directory):
        return directory
    child_process.run(preparation.__name__, "child", name, name, str(root))
    return directory


def is_prepared(name: str, data_dir: str | None = None) -> bool:
    """Whether `load(name, data_dir)` needs no download and no TFDS."""
    if name not in CATALOGUE and own.find(name, data_dir) is not None:
        return True
    if name in MADE_FROM:
        return is_prepared(MADE_FROM[name], data_dir)
    return _card(name, data_dir).version is None or cache.is_whole(directory_of(name, place(data_dir)))


def _card(name: str, data_dir: str | None) -> Card:
    """Of the catalogue; the sentence for an unknown name proposes the user's own, too."""
    return card(name, () if name in CATALOGUE else [one.name for one in own.listed(data_dir)])
