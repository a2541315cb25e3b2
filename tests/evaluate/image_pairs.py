"""Small sets whose distances are measured."""

from __future__ import annotations

import functools

import numpy as np

from gvlab import data
from gvlab.evaluate import features as feature_sets
from gvlab.evaluate.of_sets import Sets
from gvlab.extractors import extractor as features
from gvlab.extractors.extractor import Extractor

N = 64


@functools.cache
def dataset() -> data.Dataset:
    digits = data.load("digits")
    return data.from_arrays("digits", digits.train.x[:96], digits.test.x[:N])


@functools.cache
def generated_images() -> np.ndarray:
    """Training images with noise, and one of them without: a copy."""
    random = np.random.RandomState(0)
    x = data.load("digits").train.x[200 : 200 + N].astype(np.int64) + random.randint(-60, 60, (N, 16, 16, 1))
    x[0] = dataset().train.x[3]
    return x.clip(0, 255).astype(np.uint8)


def sets(extractor: Extractor, generated: np.ndarray, of: data.Dataset) -> Sets:
    return Sets(
        extractor,
        feature_sets.extract(extractor, [generated]),
        feature_sets.of_split(extractor, of, "test"),
        lambda: feature_sets.of_split(extractor, of, "train"),
        of,
    )


@functools.cache
def digits_sets() -> Sets:
    return sets(features.small("digits"), generated_images(), dataset())


def points(n: int, seed: int = 0) -> np.ndarray:
    """Of five of the eight modes of the ring, and some of none."""
    random = np.random.RandomState(seed)
    x = data.ring().means[random.randint(0, 5, n)] + 0.01 * random.randn(n, 2)
    return np.where(np.arange(n)[:, None] % 10 == 0, 1.5 * x, x).astype(np.float32)
