"""Nearest training examples of generated ones: has the model copied its data?

Distances are Euclidean, exact in float64 on every back-end, and no matrix of them is ever held.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Int, Real

from gvlab.metrics import _pairs
from gvlab.metrics._features import as_rows, require_same_width
from gvlab.types import UserError


class Neighbours(NamedTuple):
    """For each query its nearest points, from the nearest on; of equally near ones the first."""

    indices: Int[np.ndarray, "n k"]
    distances: Float64[np.ndarray, "n k"]
    """Euclidean, in units of the features."""


def nearest_neighbours(
    queries: Real[np.ndarray | Array, "n d"], points: Real[np.ndarray | Array, "m d2"], k: int = 1
) -> Neighbours:
    """The k nearest points of each query.

    Args:
        queries: generated examples or their features, shape [n, d], n >= 1.
        points: training examples or their features, shape [m, d], m >= k.
        k: how many neighbours, from 1 to m.

    Returns:
        Neighbours: indices into `points` and distances, each of shape [n, k].

    Raises:
        UserError: for different widths, values that are not finite, or a k that is out of range.
    """
    x, y = as_rows(queries, "queries", at_least=1), as_rows(points, "points", at_least=1)
    require_same_width(x.shape[1], y.shape[1])
    if not 1 <= k <= len(y):
        raise UserError(f"k is {k}, but {len(y)} points have from 1 to {len(y)} nearest.")
    indices, squares = _pairs.nearest(x, y, k)
    return Neighbours(indices, np.sqrt(squares))


def memorisation_rate(
    generated: Real[np.ndarray | Array, "n d"], training: Real[np.ndarray | Array, "m d2"], threshold: float = 1 / 3
) -> float:
    """The share of generated examples that are copies: far nearer to one training example than to the next.

    An example is a copy if its distance to the nearest training example is below `threshold` times that to the nearest
    of the others, among which repetitions of the first are not counted.

    Args:
        generated: shape [n, d], n >= 1.
        training: shape [m, d], at least 2 of them different.
        threshold: of the ratio, above 0 and at most 1.

    Returns:
        The share, from 0 to 1. Held-out examples have one above 0 too: quote theirs beside it.

    Raises:
        UserError: for different widths, values that are not finite, a single different training example, or a threshold
            that is out of range.

    Reference: Yoon et al., "Diffusion Probabilistic Models Generalize when They Fail to Memorize", 2023, section 3.
    """
    if not 0 < threshold <= 1:
        raise UserError(f"threshold is {threshold}, but the ratio of two distances in order is above 0 and at most 1.")
    different, _ = _pairs.distinct(as_rows(training, "training"))
    if len(different) < 2:
        raise UserError("training holds one example, repeated, but at least 2 different ones are needed: give more.")
    nearest, second = nearest_neighbours(generated, different, k=2).distances.T
    return float(np.mean(nearest < threshold * second))


def authenticity(generated: Real[np.ndarray | Array, "n d"], training: Real[np.ndarray | Array, "m d2"]) -> float:
    """The share of generated examples that are authentic: farther from their training example than that from others.

    For each generated example: its nearest training example, and that one's distance to its own nearest in the training
    set, which is to be (strictly) the smaller.

    Args:
        generated: features of the generated set, shape [n, d], n >= 1.
        training: features of the training set, shape [m, d], m >= 2.

    Returns:
        The share, from 0 (all are copies) to 1. dgm-eval's AuthPct is 100 times it.

    Raises:
        UserError: for different widths, values that are not finite, or a single training example.

    Reference: Alaa et al., "How Faithful is your Synthetic Data? Sample-level Metrics for Evaluating and Auditing
    Generative Models", 2022, section 3.3.
    """
    x, y = as_rows(generated, "generated", at_least=1), as_rows(training, "training")
    require_same_width(x.shape[1], y.shape[1])
    indices, squares = _pairs.nearest(x, y, 1)
    # Only training examples that are somebody's nearest need a nearest themselves.
    asked, back = np.unique(indices[:, 0], return_inverse=True)
    among = _pairs.nearest(y[asked], y, 2)
    # The nearest of two that is not the example itself (where others equal it, both are at distance 0 anyway).
    own = np.where(among[0][:, 0] == asked, among[1][:, 1], among[1][:, 0])
    return float(np.mean(own[back] < squares[:, 0]))


def nearest_distance(
    queries: Real[np.ndarray | Array, "n d"], points: Real[np.ndarray | Array, "m d2"] | None = None
) -> float:
    """The mean distance to the nearest point: to training examples it is small where samples are copies, and within a
    set where samples are alike.

    Args:
        queries: features of generated examples, shape [n, d], n >= 1.
        points: of training examples, shape [m, d], m >= 1; None: of the others among the queries, of which there are
            two at least.

    Returns:
        In units of the features.

    Raises:
        UserError: for different widths, values that are not finite, or too few.

    Reference: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", 2019, section 5.2: |D|_train and |D|_self, of
    1,000 examples, there on spectra.
    """
    if points is not None:
        return float(nearest_neighbours(queries, points).distances.mean())
    x = as_rows(queries, "queries", at_least=2)
    indices, squares = _pairs.nearest(x, x, 2)
    # Of two equally near ones the first need not be the example itself; then both are at distance 0.
    other = np.where(indices[:, 0] == np.arange(len(x)), squares[:, 1], squares[:, 0])
    return float(np.sqrt(other).mean())
