"""Where the examples of one's own data set come from, as an experiment states it.

Paths are relative to the working directory. Two sources that differ in nothing but their path are equal: what they are
made of is known by its checksum, and once the set is made it is no matter where it came from.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Literal

from gvlab.config.checks import check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError
from gvlab.spelling import nearest


@dataclass(frozen=True)
class Folder:
    """PNG, JPEG, WebP and BMP files in a folder and its sub-folders."""

    path: str = field(compare=False)
    size: tuple[int, ...] = ()
    """Height and width, or one number for both; empty where all pictures have one size already."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What happens to pictures of another shape: crop takes the middle, pad adds borders, stretch distorts."""
    test: float = 0.1
    """The share of the pictures, of each class where there are classes, that is for testing."""
    test_path: str = field(default="", compare=False)
    """A folder of test pictures instead; then `test` is not used."""
    labels: str = "auto"
    """folders: the outermost sub-folder is the class. none. A .csv file with the columns file and label. auto: folders
    where every picture lies in a sub-folder, none where no picture does."""
    background: tuple[int, ...] = ()
    """Red, green and blue behind transparent pixels, and around padded pictures (there black where it is empty)."""
    unreadable: Literal["refuse", "skip"] = "refuse"
    """skip: damaged files are left out."""

    def __post_init__(self) -> None:
        _paths_as_texts(self, "path", "test_path", "labels")
        _both_sides(self)
        settle(self)
        _check_size("Folder", self.size)
        _check_share("Folder", self.test)
        if self.background and not (len(self.background) == 3 and all(0 <= value <= 255 for value in self.background)):
            raise UserError(
                f"Folder.background is {self.background}, but must be red, green and blue from 0 to 255, such as "
                "(255, 255, 255)."
            )
        if self.labels not in ("auto", "folders", "none") and not self.labels.lower().endswith(".csv"):
            hint = nearest(self.labels, ("auto", "folders", "none"))
            raise UserError(
                f"Folder.labels is {self.labels!r}{hint}, but must be auto, folders, none or a .csv file: name one."
            )


@dataclass(frozen=True)
class Arrays:
    """Images in an .npz or .npy file."""

    path: str = field(compare=False)
    layout: Literal["auto", "NHWC", "NCHW"] = "auto"
    """Where the channels are: last, or first. auto: where only one of both can be 1 to 4."""
    range: Literal["auto", "255", "1", "-1..1"] = "auto"
    """What is white, or -1..1 for the range of a tanh. auto: where the values have one reading."""
    test: float = 0.1
    """The share of the images, of each class where there are labels, that is for testing; not used where the file has a
    test split."""

    def __post_init__(self) -> None:
        _paths_as_texts(self, "path")
        settle(self)
        _check_share("Arrays", self.test)


@dataclass(frozen=True)
class Waves:
    """WAV files of 16 bits and one channel in a folder and its sub-folders."""

    path: str = field(compare=False)
    samples: int = 0
    """Of an example; shorter sounds are filled with zeros, longer ones cut. 0: as many as the longest has."""
    peak: float = 0.0
    """To which each sound is scaled, in (0, 1]; 0: they stay as loud as they are."""
    labels: Literal["auto", "folders", "names", "none"] = "auto"
    """names: the class stands before the first underscore of the file's name. auto: folders where every sound lies in a
    sub-folder, else none."""
    test: float = 0.1
    """The share of the sounds, of each class where there are classes, that is for testing."""
    test_names: str = ""
    """Which files are for testing instead, as a pattern such as *_[0-4].wav; then `test` is not used."""

    def __post_init__(self) -> None:
        _paths_as_texts(self, "path")
        settle(self)
        _check_share("Waves", self.test)
        if self.samples < 0:
            raise UserError(f"Waves.samples is {self.samples}, but is a number of samples (0: as the longest has).")
        if not 0 <= self.peak <= 1:
            raise UserError(f"Waves.peak is {self.peak}, but must be in (0, 1], or 0 to leave the sounds as they are.")


@dataclass(frozen=True)
class Text:
    """A UTF-8 file, one sentence a line."""

    path: str = field(compare=False)
    level: Literal["characters", "words"] = "characters"
    """What a symbol is: a character, or a word between blanks."""
    length: int = 0
    """Of a row: so many symbols less one, and the end; 0: as the longest line needs it."""
    symbols: int = 0
    """At most, the most frequent ones of the training lines; 0: all."""
    test: float = 0.1
    """The share of the lines that is for testing."""

    def __post_init__(self) -> None:
        _paths_as_texts(self, "path")
        settle(self)
        _check_share("Text", self.test)
        if self.length < 0 or self.length == 1:
            raise UserError(
                f"Text.length is {self.length}, but a row has at least a symbol and the end (0: as needed)."
            )
        if self.symbols < 0:
            raise UserError(f"Text.symbols is {self.symbols}, but is a number of symbols (0: all).")


@dataclass(frozen=True)
class Tfds:
    """A builder of tensorflow-datasets with images."""

    builder: str
    """BUILDER, BUILDER/CONFIG, BUILDER:VERSION or BUILDER/CONFIG:VERSION."""
    size: tuple[int, ...] = ()
    """Height and width, or one number for both; empty where all images have one size already."""
    fit: Literal["crop", "pad", "stretch"] = "crop"
    """As of a folder."""
    test: float = 0.1
    """The share of the images that is for testing; not used where the builder has a test split."""

    def __post_init__(self) -> None:
        _both_sides(self)
        settle(self)
        _check_size("Tfds", self.size)
        _check_share("Tfds", self.test)


def _paths_as_texts(source: Any, *names: str) -> None:
    """In place, before the types are checked: who has a `Path` may give it."""
    for name in names:
        value = getattr(source, name)
        if isinstance(value, os.PathLike):
            object.__setattr__(source, name, os.fspath(value))


def _both_sides(source: Any) -> None:
    """In place: one number is the height and the width."""
    if isinstance(source.size, int) and not isinstance(source.size, bool):
        object.__setattr__(source, "size", (source.size, source.size))
    if isinstance(source.size, list | tuple) and len(source.size) == 1:
        object.__setattr__(source, "size", tuple(source.size) * 2)


def _check_size(owner: str, size: tuple[int, ...]) -> None:
    if size and len(size) != 2:
        raise UserError(f"{owner}.size is {size}, but must be a height and a width, or one number for both.")
    for side in size:
        check_size(owner, size=side)
        if side > 4096:
            raise UserError(
                f"{owner}.size is {side}, but no network here makes images beyond 4096 pixels: take a smaller one."
            )


def _check_share(owner: str, test: float) -> None:
    if not 0 < test < 1:
        raise UserError(f"{owner}.test is {test}, but must be a share between 0 and 1, such as 0.1.")
