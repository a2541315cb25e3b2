"""Every extractor by its name."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from pathlib import Path

import jax.numpy as jnp
from jaxtyping import Array

from gvlab.extractors import extractor as features
from gvlab.extractors.extractor import Extracted, Extractor
from gvlab.types import UserError

RAW = {"pixels": features.pixels, "coordinates": features.coordinates, "spectrum": features.spectrum}
"""The features that no network makes."""


STACKED = "stacked_mnist"
"""The data set, and the features, of three digits in one image."""


@functools.cache
def stacked_digits() -> Extractor:
    """gvlab's classifier of MNIST on each channel alone: 3 x 84 features, and 3 x 10 logits.

    Raises:
        UserError: the classifier's file is missing or damaged; `apply` refuses anything but images of three channels.
    """
    digit = features.small("mnist")
    label = f"{STACKED}-{digit.name.removeprefix('mnist-')}"

    def apply(x: Array) -> Extracted:
        if x.ndim != 4 or x.shape[-1] != 3:
            raise UserError(
                f"The features {label} are of images of 3 channels, not of {x.dtype}{list(x.shape)}: choose another "
                "--features."
            )
        channels = jnp.moveaxis(x, -1, 1).reshape(-1, *x.shape[1:3], 1)
        found, logits = digit.apply(channels)
        assert logits is not None
        return Extracted(found.reshape(len(x), -1), logits.reshape(len(x), -1))

    return Extractor(
        label,
        apply,
        sha256=digit.sha256,
        preprocessing=f"each channel alone; {digit.preprocessing}",
        names={"frechet": f"fld_{label}", "kernel": f"kld_{label}"},
    )


def extractor(name: str, weights_file: Path | None = None) -> Extractor:
    """The extractor of that name: raw values, one of gvlab's classifiers, or Inception.

    Raises:
        UserError: there is none, or its weights cannot be had.
    """
    check_features([name])
    if name in RAW:
        return RAW[name]()
    if name in features.INCEPTION:
        return features.inception(name, weights_file)
    if name == STACKED:
        return stacked_digits()
    return features.small(name)


def sha256(name: str) -> str | None:
    """Of the weights of `extractor(name)`, without their being fetched; None for features that no network makes.

    Raises:
        UserError: there are no such features.
    """
    return features.INCEPTION_SHA256 if name in features.INCEPTION else extractor(name).sha256


def check_features(names: Iterable[str]) -> None:
    """Raises UserError for features that do not exist."""
    known = (*RAW, *features.SMALL, STACKED, *features.INCEPTION)
    for name in names:
        if name not in known:
            raise UserError(f"There are no features named {name!r}: choose one of {', '.join(known)}.")
