"""The catalogue: what is known of every data set before it is here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gvlab.spelling import nearest
from gvlab.types import UserError


@dataclass(frozen=True)
class Card:
    """What is known of a data set before it is here."""

    shape: tuple[int, ...]
    train: int
    test: int
    num_classes: int
    """0 where there are no labels."""
    licence: str
    description: str
    download: str
    """The size of the download, or "embedded", "synthetic", "drawn from factors", or what it is made from."""
    version: str | None = None
    """The version of the stock TFDS builder; None where there is none."""


CATALOGUE: dict[str, Card] = {
    "digits": Card(
        (16, 16, 1),
        1497,
        300,
        10,
        "CC BY 4.0",
        "Handwritten digits, 8x8 in scikit-learn, resized to 16x16 (Alpaydin & Kaynak 1998)",
        "embedded",
    ),
    "mnist": Card(
        (28, 28, 1),
        60_000,
        10_000,
        10,
        "CC BY-SA 3.0 (as commonly given)",
        "Handwritten digits (LeCun et al. 1998)",
        "12 MB",
        "3.0.1",
    ),
    "binarized_mnist": Card(
        (28, 28, 1),
        50_000,
        10_000,
        0,
        "CC BY-SA 3.0 (as commonly given)",
        "MNIST binarised once and for all, its 10,000 validation images left aside (Larochelle & Murray 2011)",
        "110 MB",
        "1.0.0",
    ),
    "fashion_mnist": Card(
        (28, 28, 1), 60_000, 10_000, 10, "MIT", "Pictures of clothes (Xiao et al. 2017)", "31 MB", "3.0.1"
    ),
    "kmnist": Card(
        (28, 28, 1), 60_000, 10_000, 10, "CC BY-SA 4.0", "Cursive Japanese characters (Clanuwat 2018)", "21 MB", "3.0.1"
    ),
    "cifar10": Card(
        (32, 32, 3), 50_000, 10_000, 10, "none stated", "Colour photographs (Krizhevsky 2009)", "170 MB", "3.0.2"
    ),
    "stacked_mnist": Card(
        (28, 28, 3),
        128_000,
        26_000,
        1000,
        "CC BY-SA 3.0 (as commonly given)",
        "Three digits of mnist as red, green and blue (Metz et al. 2017; Srivastava et al. 2017)",
        "made from mnist",
    ),
    "ring": Card(
        (2,), 100_000, 10_000, 8, "none needed", "Eight Gaussians on a circle (Srivastava et al. 2017)", "synthetic"
    ),
    "grid": Card(
        (2,), 100_000, 10_000, 25, "none needed", "25 Gaussians on a grid (Srivastava et al. 2017)", "synthetic"
    ),
    "vowels": Card(
        (2048, 1),
        2_000,
        500,
        10,
        "none needed",
        "Ten vowels by a formula, 2,048 samples at 8 kHz (formants of Peterson & Barney 1952): gvlab's own",
        "synthetic",
    ),
    "grammar": Card(
        (20,),
        50_000,
        5_000,
        0,
        "none needed",
        "Sentences of 16 words, whose probabilities are known: gvlab's own",
        "synthetic",
    ),
    "shakespeare": Card(
        (64,),
        29_499,
        2_761,
        0,
        "public domain",
        "Lines of Shakespeare's plays (Karpathy 2015); test lines that are training lines, too, are left out",
        "embedded",
    ),
    "gvsprites": Card(
        (64, 64, 1),
        727_280,
        10_000,
        3,
        "none needed",
        "Square, ellipse or heart, scaled, turned and shifted: gvlab's own, not dSprites",
        "drawn from factors",
    ),
    "gvrooms": Card(
        (64, 64, 3),
        470_000,
        10_000,
        4,
        "none needed",
        "An object in a room, its hues, scale, shape and view: gvlab's own, not 3D Shapes",
        "drawn from factors",
    ),
}
"""The data sets that `load` knows, by name."""

MADE_FROM = {"stacked_mnist": "mnist"}
"""Data sets that are made at every load from the arrays of another one."""


def card(name: str, others: Iterable[str] = ()) -> Card:
    """The card of a data set.

    Args:
        name: a key of `CATALOGUE`.
        others: names besides, for the sentence.

    Raises:
        UserError: for an unknown name, with the nearest one.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    raise unknown(name, others)


def unknown(name: str, others: Iterable[str] = ()) -> UserError:
    """The sentence for a name that is neither in the catalogue nor among the others."""
    names = [*CATALOGUE, *others]
    hint = nearest(repr(name), map(repr, names))
    return UserError(f"Unknown data set {name!r}{hint}: choose one of {', '.join(names)}.")
