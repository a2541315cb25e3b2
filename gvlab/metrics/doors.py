"""The names that papers use: images to features, and FID and KID of features of the published Inception network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Array, Float32, Real, UInt8

from gvlab.metrics.frechet import frechet_distance
from gvlab.metrics.kernel import polynomial_mmd2_subsets
from gvlab.types import UserError

INCEPTION_WIDTH = 2048
"""Features of the last pooling layer of Inception, on which FID and KID are defined."""


def image_features(
    images: UInt8[np.ndarray | Array, "n height width channel"],
    extractor: str = "inception",
    weights: Path | None = None,
) -> Float32[np.ndarray, "n d"]:
    """The features of images, for every measure of this package that takes features.

    Args:
        images: as stored, shape [n, height, width, channel], uint8.
        extractor: `inception` (the FID's authors' preprocessing), `inception-pytorch`, `inception-clean`, `pixels`, or
            one of gvlab's own classifiers: `digits`, `mnist`, `fashion_mnist`, `cifar10`, `stacked_mnist`.
        weights: Inception's published file; fetched once where it is None.

    Returns:
        Features [n, d] in float32; d is 2048 for Inception.

    Raises:
        UserError: there is no such extractor, it does not take these images, or its weights cannot be had.

    Examples:
        >>> from gvlab import data, metrics
        >>> digits = data.load("digits")
        >>> real = metrics.image_features(digits.train.x, "digits")
        >>> real.shape
        (1497, 84)
        >>> blank = metrics.image_features(0 * digits.test.x, "digits")
        >>> metrics.frechet_distance(real, blank) > metrics.frechet_distance(real[:700], real[700:])
        True
    """
    features, _ = _extracted(images, extractor, weights)
    return features


def image_logits(
    images: UInt8[np.ndarray | Array, "n height width channel"],
    extractor: str = "inception",
    weights: Path | None = None,
) -> Float32[np.ndarray, "n classes"]:
    """The logits of images by a classifier, for `inception_score`; Inception's are without the last layer's bias.

    Args, Raises: as `image_features`, and UserError for an extractor that is no classifier (`pixels`).

    Returns:
        Logits [n, classes] in float32.
    """
    _, logits = _extracted(images, extractor, weights)
    if logits is None:
        raise UserError(f"The extractor {extractor} is no classifier, so it has no logits: choose another one.")
    return logits


def _extracted(
    images: UInt8[np.ndarray | Array, "n height width channel"], extractor: str, weights: Path | None
) -> tuple[Float32[np.ndarray, "n d"], Float32[np.ndarray, "n classes"] | None]:
    # Imported here: whoever measures features alone need not wait for the networks.
    from gvlab.extractors import catalogue, sets

    if not len(images):
        raise UserError("There are no images: give at least one.")
    batches: Iterator[np.ndarray] = sets.pieces(np.asarray(images))
    return sets.extract(catalogue.extractor(extractor, weights), batches)


def fid(real: Real[np.ndarray | Array, "n d"], generated: Real[np.ndarray | Array, "m d2"]) -> float:
    """The Fréchet Inception distance of two sets of features of the published Inception network's last pooling layer.

    Args:
        real: features of real images, shape [n, 2048], by `image_features(images, "inception")`.
        generated: features of generated images, shape [m, 2048], by the same extractor.

    Returns:
        The FID. It is biased upwards for small sets: compare only FIDs of equal counts.

    Raises:
        UserError: the features are not 2048 wide, so they are not Inception's; and as `frechet_distance`.

    Reference: Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", 2017, eq. 6.
    """
    _require_inception(real, generated, "FID", "frechet_distance")
    return frechet_distance(real, generated)


def kid(
    real: Real[np.ndarray | Array, "n d"],
    generated: Real[np.ndarray | Array, "m d2"],
    *,
    subsets: int = 100,
    size: int = 1000,
    seed: int = 2020,
) -> tuple[float, float]:
    """The kernel Inception distance of two sets of features of the published Inception network's last pooling layer.

    Args:
        real: features of real images, shape [n, 2048], n >= size, by `image_features(images, "inception")`.
        generated: features of generated images, shape [m, 2048], m >= size, by the same extractor.
        subsets: how many pairs of subsets, at least 1.
        size: rows of a subset, at least 2.
        seed: of the subsets; torch-fidelity's default.

    Returns:
        (mean, standard deviation) over the subsets; the deviation is no standard error, since subsets overlap.

    Raises:
        UserError: the features are not 2048 wide, so they are not Inception's; and as `polynomial_mmd2_subsets`.

    Reference: Bińkowski et al., "Demystifying MMD GANs", 2018, section 4.
    """
    _require_inception(real, generated, "KID", "polynomial_mmd2_subsets")
    # Which set is drawn from first decides the number for a seed: torch-fidelity draws from what is measured.
    return polynomial_mmd2_subsets(generated, real, subsets=subsets, size=size, seed=seed)


def _require_inception(real: Array | np.ndarray, generated: Array | np.ndarray, name: str, instead: str) -> None:
    for features in (real, generated):
        if features.ndim != 2 or features.shape[1] != INCEPTION_WIDTH:
            raise UserError(
                f"Features of shape {list(features.shape)} are not of Inception's last pooling layer, [n, 2048], "
                f"and of others no number is called {name}: use metrics.{instead} and name the number after them."
            )
