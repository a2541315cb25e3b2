"""Whole data sets as NumPy arrays: two splits, a name and a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from jaxtyping import Float32, Int16, Int32, Integer, UInt8

from gvlab.data import mapped
from gvlab.data.alphabets import END, Alphabet, lengths
from gvlab.data.ground_truth import GroundTruth, Rendered
from gvlab.data.modalities import TOKENS, WAVES, Modality, modality_of, modality_of_shape
from gvlab.types import UserError

Stored: TypeAlias = (
    UInt8[np.ndarray, "n height width channel"]
    | Float32[np.ndarray, "n d"]
    | Int32[np.ndarray, "n length"]
    | Int16[np.ndarray, "n samples channel"]
)
"""Examples of each kind, as `Modality` has them."""


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """The examples of one split, and their labels where there are any."""

    x: Stored | Rendered
    y: Int32[np.ndarray, " n"] | None = None

    def __repr__(self) -> str:
        return f"<{self.x.dtype}{list(self.x.shape)}, {'no labels' if self.y is None else 'with labels'}>"


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A data set in memory (or mapped into it); `checksum` is `fingerprint(train, test, alphabet, rate)`."""

    name: str
    train: Split
    test: Split
    num_classes: int
    checksum: str
    class_names: tuple[str, ...] = ()
    """Of the classes 0, 1, ..., where they have names."""
    truth: GroundTruth | None = None
    """What the images were made from, where that is known."""
    alphabet: Alphabet | None = None
    """What the integers of sentences stand for; None where the examples are none."""
    rate: int | None = None
    """Of waves, samples a second; None where the examples are none."""

    @property
    def modality(self) -> Modality:
        """The kind of its examples."""
        return modality_of(self.train.x.dtype, len(self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example: (height, width, channel), (d,), (length,) or (samples, channel)."""
        return self.train.x.shape[1:]

    @property
    def labelled(self) -> bool:
        """Whether the examples have labels."""
        return self.train.y is not None

    def __repr__(self) -> str:
        counts = f"{len(self.train.x)} + {len(self.test.x)} examples"
        kind = f"{self.train.x.dtype}{list(self.shape)}, {self.num_classes} class{'es' * (self.num_classes != 1)}"
        return f"<{self.name}: {counts} of {kind}, sha256 {self.checksum[:8]}>"


class Absent(Dataset):
    """A data set that is not here: its name and the shape of its examples are known, which is enough for sampling."""

    _shape: tuple[int, ...]
    _labelled: bool
    _why: str

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        num_classes: int,
        labelled: bool,
        why: str,
        class_names: tuple[str, ...] = (),
        alphabet: Alphabet | None = None,
        rate: int | None = None,
    ) -> None:
        """`why` it is not here, for the sentence that who wants its examples is told."""
        values = {"name": name, "num_classes": num_classes, "checksum": ""}
        values |= {"class_names": class_names, "_shape": shape, "_labelled": labelled, "_why": why}
        values |= {"alphabet": alphabet, "rate": rate}
        for field, value in values.items():
            object.__setattr__(self, field, value)  # a Dataset is frozen

    @property
    def modality(self) -> Modality:
        return TOKENS if self.alphabet is not None else modality_of_shape(self._shape)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def labelled(self) -> bool:
        return self._labelled

    @property
    def train(self) -> Split:
        raise UserError(
            f"This needs the examples of {self.name}, on which the run was trained, but {self._why}: "
            "from Python, give gvlab.build.program the data set, and gvlab.train.restore that program and the run."
        )

    test = train

    def __repr__(self) -> str:
        return f"<{self.name}: absent>"


def fingerprint(train: Split, test: Split, alphabet: Alphabet | None = None, rate: int | None = None) -> str:
    """The SHA-256 (hex) over the types, shapes and bytes of `train.x`, `train.y`, `test.x`, `test.y`, in this order,
    of sentences over their alphabet, and of waves over their rate.

    Of images that are drawn when they are asked for, the bytes are those that they are drawn from.
    """
    digest = hashlib.sha256()
    for array in (train.x, train.y, test.x, test.y):
        if array is None:
            digest.update(b"none;")
            continue
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        for stored in array.parts if isinstance(array, Rendered) else (array,):
            mapped.update(digest, stored)
    if alphabet is not None:
        digest.update(alphabet.sha256.encode())
    if rate is not None:
        digest.update(f"rate {rate};".encode())
    return digest.hexdigest()


def from_arrays(
    name: str,
    train_x: npt.ArrayLike,
    test_x: npt.ArrayLike,
    train_y: npt.ArrayLike | None = None,
    test_y: npt.ArrayLike | None = None,
    class_names: Sequence[str] = (),
    alphabet: Alphabet | None = None,
    rate: int | None = None,
) -> Dataset:
    """A data set of one's own arrays; the number of classes is the largest label plus one.

    Args:
        name: what to call the data set in reports.
        train_x, test_x: images uint8 [n, height, width, channel], vectors float32 [n, d], with a rate waves int16
            [n, samples, channel], or with an alphabet sentences int32 [n, length], as `Alphabet.encode` gives them.
        train_y, test_y: labels 0, 1, ... [n] of any integer type; both or neither.
        class_names: of the classes 0, 1, ...; all or none.
        alphabet: of sentences.
        rate: of waves, samples a second.

    Raises:
        UserError: for another rank or type, more than 4 channels, NaN, infinity, an empty split, splits that don't
            match each other, labels that are missing, negative, not integers or not as many as the examples, a class
            between 0 and the largest label that has no training example, names that are not as many as the classes, and
            sentences that are not of the alphabet, or have no end.

    Examples:
        >>> import numpy as np
        >>> from gvlab import data
        >>> images = np.zeros((20, 8, 8, 1), np.uint8)
        >>> data.from_arrays("mine", images[:15], images[15:]).shape
        (8, 8, 1)
    """
    arrays = {"train_x": _array(f"{name}: train_x", train_x), "test_x": _array(f"{name}: test_x", test_x)}
    for label, x in arrays.items():
        if alphabet is not None:
            _check_sentences(f"{name}: {label}", x, alphabet)
        elif rate is not None:
            _check_waves(f"{name}: {label}", x, rate)
        else:
            _check_examples(f"{name}: {label}", x)
    shapes = [x.shape[1:] for x in arrays.values()]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"{name}: examples have shape {shapes[0]} in train_x but {shapes[1]} in test_x; make them equal."
        )
    if (train_y is None) != (test_y is None):
        missing = "train_y" if train_y is None else "test_y"
        raise UserError(f"{name}: {missing} is missing; give the labels of both splits, or of neither.")
    if train_y is None or test_y is None:
        train, test, num_classes = Split(arrays["train_x"]), Split(arrays["test_x"]), 0
    else:
        of_train = _checked_labels(f"{name}: train_y", train_y, len(arrays["train_x"]))
        of_test = _checked_labels(f"{name}: test_y", test_y, len(arrays["test_x"]))
        num_classes = _checked_classes(name, of_train, of_test)
        train = Split(arrays["train_x"], of_train.astype(np.int32))
        test = Split(arrays["test_x"], of_test.astype(np.int32))
    if class_names and len(class_names) != num_classes:
        raise UserError(f"{name}: class_names has {len(class_names)} names for {num_classes} classes; give one each.")
    checksum = fingerprint(train, test, alphabet, rate)
    return Dataset(name, train, test, num_classes, checksum, tuple(class_names), alphabet=alphabet, rate=rate)


def part(dataset: Dataset, share: float) -> Dataset:
    """The data set with a share of its training examples, the same ones always; the test split stays whole.

    Of each class the share is the same, and at least one example. A smaller share is a part of a larger one.

    Args:
        dataset: any; one that is mapped into memory is copied into it, as far as it is kept.
        share: in (0, 1].

    Raises:
        UserError: if the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise UserError(f"The share of the training examples of {dataset.name} is {share}, but must be in (0, 1].")
    x, y = dataset.train.x, dataset.train.y
    classes = np.zeros(len(x), int) if y is None else np.asarray(y)
    order = np.random.default_rng(0).permutation(len(x))
    of_class = [order[classes[order] == label] for label in np.unique(classes)]
    kept = np.sort(np.concatenate([members[: max(1, round(share * len(members)))] for members in of_class]))
    kept_x = x.part(kept) if isinstance(x, Rendered) else np.asarray(x[kept])
    train = Split(kept_x, None if y is None else np.asarray(y[kept]))
    return replace(dataset, train=train, checksum=fingerprint(train, dataset.test, dataset.alphabet, dataset.rate))


def _array(label: str, x: npt.ArrayLike) -> np.ndarray:
    """Anything like an array as one, or `UserError`."""
    if isinstance(x, np.ma.MaskedArray) and np.ma.is_masked(x):
        raise UserError(f"{label} has masked values, which would come back; fill them or drop these examples.")
    try:
        return np.asarray(x)
    except (ValueError, OverflowError) as error:  # rows of unequal length
        raise UserError(f"{label} cannot be made an array ({error}); give examples of one shape.") from error


def _check_examples(label: str, x: np.ndarray) -> None:
    """Raises `UserError` unless `x` is a batch of images or of vectors that can be trained on."""
    wanted = {4: "uint8", 2: "float32"}
    if x.ndim not in wanted:
        advice = ": grey images have one channel, x[..., None]" if x.ndim == 3 else ""
        advice = ", or waves with their rate" if x.ndim == 3 and x.dtype == WAVES.dtype else advice
        raise UserError(
            f"{label} has shape {x.shape}; give images uint8 [n, height, width, channel] or vectors float32 "
            f"[n, d]{advice}."
        )
    if x.ndim == 4 and x.shape[-1] > 4:
        raise UserError(
            f"{label} has shape {x.shape}, so {x.shape[-1]} channels, but images [n, height, width, channel] have at "
            "most 4; is this channels first? Then give x.transpose(0, 2, 3, 1)."
        )
    if x.dtype != wanted[x.ndim]:
        kind = "images" if x.ndim == 4 else "vectors"
        raise UserError(f"{label} has type {x.dtype}; {kind} are {wanted[x.ndim]} here: scale and cast them first.")
    if x.size == 0:
        raise UserError(f"{label} has shape {x.shape}, which is empty; give at least one example.")
    if x.ndim == 2 and not np.isfinite(x).all():
        row = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise UserError(f"{label} contains a value that is not finite in example {row}; leave such examples out.")


def _check_waves(label: str, x: np.ndarray, rate: int) -> None:
    """Raises `UserError` unless `x` is a batch of waves that can be trained on."""
    if rate < 1:
        raise UserError(f"{label}: the rate is {rate}, but must be at least 1 sample a second.")
    if x.ndim != 3 or x.dtype != WAVES.dtype or x.size == 0:
        raise UserError(f"{label} has type {x.dtype} and shape {x.shape}, but with a rate give {WAVES.layout}.")
    if silent := np.flatnonzero(~x.any((1, 2))).tolist():
        raise UserError(f"{label}: the wave {silent[0]} is silent from end to end: leave such waves out.")


def _check_sentences(label: str, x: np.ndarray, alphabet: Alphabet) -> None:
    """Raises `UserError` unless `x` is a batch of sentences of the alphabet, each with an end."""
    if x.ndim != 2 or x.dtype != TOKENS.dtype or x.size == 0:
        raise UserError(
            f"{label} has type {x.dtype} and shape {x.shape}, but with an alphabet give {TOKENS.layout}, as "
            "Alphabet.encode makes them."
        )
    if x.min() < 0 or x.max() >= alphabet.levels:
        wrong = int(x.min() if x.min() < 0 else x.max())
        raise UserError(
            f"{label} contains {wrong}, but this alphabet has the integers 0 to {alphabet.levels - 1}: encode the "
            "sentences by it."
        )
    if (x[:, -1] != END).any():
        row = int(np.flatnonzero(x[:, -1] != END)[0])
        raise UserError(f"{label}: the sentence {row} has no end, which is {END}: give rows of greater length.")
    after = np.arange(x.shape[1]) >= lengths(x)[:, None]
    if (x[after] != END).any():
        row = int(np.flatnonzero(((x != END) & after).any(1))[0])
        raise UserError(f"{label}: the sentence {row} goes on after its end, which is {END}: fill its row with {END}.")


def _checked_labels(label: str, labels: npt.ArrayLike, examples: int) -> Integer[np.ndarray, " n"]:
    """The labels, which fit into int32 but are of their own type still, or `UserError`."""
    y = _array(label, labels)
    if y.shape != (examples,):
        raise UserError(f"{label} has shape {y.shape} for {examples} examples; give one label each: ({examples},).")
    if not np.issubdtype(y.dtype, np.integer):
        raise UserError(f"{label} has type {y.dtype}; labels are integers 0, 1, ...")
    if y.min() < 0:
        raise UserError(f"{label} contains {y.min()}; labels are 0, 1, ...: drop unlabelled examples or all labels.")
    if y.max() > np.iinfo(np.int32).max:
        raise UserError(f"{label} contains {y.max()}; labels are 0, 1, ... and fit 32 bits: number the classes from 0.")
    return y


def _checked_classes(name: str, train: Integer[np.ndarray, " n"], test: Integer[np.ndarray, " m"]) -> int:
    """The number of classes, or `UserError`: a class that nothing was learned of would be drawn all the same."""
    known = np.unique(train).astype(np.int64)
    gaps = np.flatnonzero(known != np.arange(len(known)))
    if len(gaps):
        begin = f"the labels begin at {known[0]}, and " if known[0] else ""
        raise UserError(
            f"{name}: {begin}class {gaps[0]} of 0 to {known[-1]} has no examples in train_y; number the classes from 0 "
            "without gaps, in both splits alike: np.searchsorted(np.unique(train_y), y)."
        )
    unknown = np.setdiff1d(test, known)
    if len(unknown):
        raise UserError(
            f"{name}: class {unknown[0]} is in test_y, but has no examples in train_y; give it some, or leave its test "
            "examples out."
        )
    return len(known)
