"""Data sets that are made on the spot: digits, mixtures' samples, stacked digits, images of known factors, text and
vowels."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import lzma
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gvlab.data import grammar, synthetic
from gvlab.data.alphabets import alphabet_of
from gvlab.data.catalogue import CATALOGUE, Card
from gvlab.data.dataset import Dataset, Split, fingerprint, from_arrays
from gvlab.data.ground_truth import GroundTruth, Rendered


def _rows_of_digits() -> Int[np.ndarray, "1797 65"]:
    """Of each digit its 8x8 pixels and its label, from scikit-learn's own file: to import it takes over a second."""
    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.submodule_search_locations is not None
    (home,) = package.submodule_search_locations
    with gzip.open(Path(home) / "datasets" / "data" / "digits.csv.gz", "rt", encoding="ascii") as file:
        return np.loadtxt(file, dtype=np.int64, delimiter=",")


@functools.cache
def digits() -> Dataset:
    """Scikit-learn's 1,797 digits (8x8, values 0..16) as 16x16 images with values 0..255.

    Bilinear with half-pixel centres, borders repeated: each new pixel lies a quarter of an old one from its nearest
    old centre, so the weights are 3/4 and 1/4, and everything is exact in integers. All who ask
    share the arrays, which are read-only.
    """
    raw = _rows_of_digits()
    old = raw[:, :64].reshape(-1, 8, 8)
    for axis in (1, 2):
        padded = np.pad(old, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (np.take(padded, np.arange(8) + shift, axis=axis) for shift in range(3))
        both = np.stack([before + 3 * here, 3 * here + after], axis=axis + 1)  # four times the values between
        old = both.reshape([16 if a == axis else n for a, n in enumerate(old.shape)])
    x = ((old * 255 + 128) // 256).astype(np.uint8)[..., None]  # 16 * 4 * 4 = 256 becomes 255, rounded to nearest
    y = raw[:, 64].astype(np.int32)
    order = np.random.RandomState(1797).permutation(len(x))  # NumPy promises that this stream never changes
    train, test = order[: CATALOGUE["digits"].train], order[CATALOGUE["digits"].train :]
    dataset = from_arrays("digits", x[train], x[test], y[train], y[test])
    for split in (dataset.train, dataset.test):
        for array in (split.x, split.y):
            assert isinstance(array, np.ndarray)
            array.flags.writeable = False
    return dataset


def drawn(name: str, card: Card, mixture: synthetic.Mixture) -> Dataset:
    """A fixed sample of a mixture, drawn by NumPy so that no accelerator's rounding enters; y is the mode."""
    stream = np.random.RandomState(2017)
    splits = []
    for count in (card.train, card.test):
        y = stream.randint(card.num_classes, size=count).astype(np.int32)
        x = mixture.means[y].astype(np.float64) + mixture.scale * stream.standard_normal((count, 2))
        splits.append((x.astype(np.float32), y))
    (train_x, train_y), (test_x, test_y) = splits
    return from_arrays(name, train_x, test_x, train_y, test_y)


@functools.cache
def vowels(card: Card) -> Dataset:
    """Vowels by the formula. All who ask share the arrays, which are read-only."""
    from gvlab.audio import formants

    splits = []
    for seed, count in enumerate((card.train, card.test)):
        x, y = formants.vowels(count, seed)
        x.flags.writeable = y.flags.writeable = False
        splits.append((x, y))
    (train_x, train_y), (test_x, test_y) = splits
    return from_arrays("vowels", train_x, test_x, train_y, test_y, formants.NAMES, rate=formants.RATE)


@functools.cache
def sentences(card: Card) -> Dataset:
    """A fixed sample of the grammar, drawn by NumPy. All who ask share the arrays, which are read-only."""
    drawn = grammar.draw(np.random.RandomState(2017), card.train + card.test)  # a stream that never changes
    rows = grammar.ALPHABET.encode(drawn, *card.shape)
    rows.flags.writeable = False
    return from_arrays("grammar", rows[: card.train], rows[card.train :], alphabet=grammar.ALPHABET)


@functools.cache
def shakespeare(card: Card) -> Dataset:
    """The lines of tiny_shakespeare that are not empty, split by position: the first nine tenths are for training.

    Of the others those that are training lines, too, are left out: a tenth of all are names of speakers. All who ask
    share the arrays, which are read-only.
    """
    packed = Path(__file__).with_name("shipped") / "tiny_shakespeare.txt.xz"
    lines = [line for line in lzma.decompress(packed.read_bytes()).decode().split("\n") if line]
    train, known = lines[: card.train], set(lines[: card.train])
    test = [line for line in lines[card.train :] if line not in known]
    alphabet = alphabet_of(train, "characters")
    train_x, test_x = (alphabet.encode(split, *card.shape) for split in (train, test))
    for array in (train_x, test_x):
        array.flags.writeable = False
    return from_arrays("shakespeare", train_x, test_x, alphabet=alphabet)


def stacked(card: Card, digits: Dataset) -> Dataset:
    """StackedMNIST: three digits of one split as the channels of an image, labelled 100 r + 10 g + b.

    Each channel's digit is drawn uniformly from its split, with replacement: the training images (128,000) from MNIST's
    training split, the test images (26,000) from its test split, in this order from NumPy's RandomState(2017).
    """
    stream = np.random.RandomState(2017)  # NumPy promises that this stream never changes
    splits = []
    for count, split in ((card.train, digits.train), (card.test, digits.test)):
        assert split.y is not None
        which = stream.randint(len(split.x), size=(count, 3))
        x = np.empty((count, *digits.shape[:2], 3), np.uint8)
        for channel in range(3):  # one at a time: the whole is 300 MB
            x[..., channel] = split.x[which[:, channel], :, :, 0]
        splits.append(Split(x, split.y[which] @ np.array([100, 10, 1], np.int32)))
    train, test = splits
    return Dataset("stacked_mnist", train, test, card.num_classes, fingerprint(train, test))


@functools.cache
def of_factors(truth: GroundTruth, card: Card) -> Dataset:
    """All images of a world: some for testing, drawn at random once and for all, the others for training.

    None are stored: a split holds the numbers of its images and draws them when they are asked for. All who ask share
    the arrays, which are read-only.
    """
    order = np.random.RandomState(2017).permutation(len(truth)).astype(np.int32)  # a stream that never changes
    table, splits = truth.table(), []
    for numbers in (np.sort(order[card.test :]), order[: card.test]):
        y = truth.factors_of(numbers)[:, truth.factors.index(truth.label)].astype(np.int32)
        for array in (numbers, y):
            array.flags.writeable = False
        splits.append(Split(Rendered(table, numbers, truth), y))
    train, test = splits
    checksum = fingerprint(train, test)
    return Dataset(truth.name, train, test, card.num_classes, checksum, truth.classes, truth)
