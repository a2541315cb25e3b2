"""The kernel density ("Parzen window") log-likelihood, because the first tables of GANs use it.

**It does not measure what it seems to.** In more than a few dimensions the estimate is far from log p(x) for any
affordable number of samples, it ranks models wrongly, and what it rewards can be made without any model: the centres of
k-means on the training set score above samples of the true distribution (Theis et al. 2016, table 1).
Use it to compare with an old table, never to choose a model: for a likelihood see `gvlab.metrics.ais` and
`gvlab.losses.importance_weighted_bound`.

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError

# Squared distances are made and summed in square tiles of this many rows: 32 MiB at a time.
_TILE = 2048
# The grid of the published code: ten values from 0.1 to 1, for data in [0, 1].
_BANDWIDTHS = np.logspace(-1.0, 0.0, 10)


class ParzenEstimate(NamedTuple):
    """A mean log-likelihood of test examples, and how the bandwidth came about."""

    mean_nats: float
    standard_error_nats: float
    """Over the test examples; it says nothing of the estimator's bias, which is larger."""
    bandwidth: float
    at_edge: bool
    """The bandwidth is the smallest or the largest of the grid, so a wider grid would give another number."""


def parzen_log_likelihood(
    samples: Real[np.ndarray | Array, "n d"], x: Real[np.ndarray | Array, "m d2"], bandwidth: float
) -> Float64[np.ndarray, " m"]:
    """log of the mean over the samples s of N(x; s, bandwidth^2 I).

    Args:
        samples: generated examples, shape [n, d], n >= 2.
        x: the examples to be judged, shape [m, d], m >= 2.
        bandwidth: standard deviation of each kernel, in the units of x; positive.

    Returns:
        Nats, in the units of x, shape [m].

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, different widths, or a bandwidth out of range.

    References: Breuleux et al., "Quickly Generating Representative Samples from an RBM-Derived Process", 2011;
    Goodfellow et al., "Generative Adversarial Nets", 2014, table 1.
    """
    return _log_densities(samples, x, np.array([bandwidth], np.float64))[0]


def parzen_estimate(
    samples: Real[np.ndarray | Array, "n d"],
    validation: Real[np.ndarray | Array, "v d2"],
    test: Real[np.ndarray | Array, "m d3"],
    bandwidths: Real[np.ndarray, " grid"] = _BANDWIDTHS,
) -> ParzenEstimate:
    """The mean `parzen_log_likelihood` of the test examples, under the bandwidth that is best for `validation`.

    Args:
        samples: generated examples, shape [n, d]; published tables have n = 10,000.
        validation: examples that choose the bandwidth, shape [v, d]: neither training nor test examples.
        test: shape [m, d].
        bandwidths: the grid, in the units of x, shape [grid].

    Returns:
        ParzenEstimate in nats.

    Raises:
        UserError: as `parzen_log_likelihood`, and for an empty grid.

    References: as of `parzen_log_likelihood`; Theis et al., "A note on the evaluation of generative models", 2016.
    """
    grid = np.sort(np.asarray(bandwidths, np.float64))
    if len(grid) == 0:
        raise UserError("bandwidths is empty: give a grid of at least one bandwidth.")
    best = int(np.argmax(_log_densities(samples, validation, grid).mean(axis=1)))
    found = parzen_log_likelihood(samples, test, float(grid[best]))
    error = float(found.std(ddof=1) / math.sqrt(len(found)))
    return ParzenEstimate(float(found.mean()), error, float(grid[best]), best in (0, len(grid) - 1))


def _log_densities(
    samples: Real[np.ndarray | Array, "..."], x: Real[np.ndarray | Array, "..."], bandwidths: Float64[np.ndarray, " g"]
) -> Float64[np.ndarray, "g m"]:
    """The log density of each x under each bandwidth, from one pass over the squared distances."""
    centres, points = as_features(samples, "samples"), as_features(x, "x")
    require_same_width(centres.shape[1], points.shape[1])
    for bandwidth in bandwidths:
        if not 0.0 < bandwidth < math.inf:
            raise UserError(f"bandwidth is {bandwidth}, but must be positive and finite.")
    # |x - s|^2 = |x|^2 + |s|^2 - 2 x.s keeps its digits where the rows are not far from 0 compared with their spread.
    middle = centres.mean(axis=0)
    centres, points = centres - middle, points - middle
    columns = [points[start : start + _TILE] for start in range(0, len(points), _TILE)]
    sums = np.concatenate([_log_sums(centres, column, bandwidths) for column in columns], axis=1)
    normalizer = math.log(len(centres)) + points.shape[1] * np.log(math.sqrt(2.0 * math.pi) * bandwidths)
    return sums - normalizer[:, None]


def _log_sums(
    centres: Float64[np.ndarray, "n d"], points: Float64[np.ndarray, "m d"], bandwidths: Float64[np.ndarray, " g"]
) -> Float64[np.ndarray, "g m"]:
    """log of the sum over the centres of exp(-distance^2 / 2 bandwidth^2), by a running log-sum-exp over tiles."""
    total = np.full((len(bandwidths), len(points)), -np.inf)
    square = np.sum(points**2, axis=1)[None]
    for start in range(0, len(centres), _TILE):
        tile = centres[start : start + _TILE]
        distances = tile @ points.T
        distances *= -2.0
        distances += np.sum(tile**2, axis=1)[:, None]
        distances += square
        nearest = distances.min(axis=0)
        distances -= nearest[None]
        for i, bandwidth in enumerate(bandwidths):
            scale = -0.5 / bandwidth**2
            partial = np.log(np.exp(scale * distances).sum(axis=0)) + scale * nearest
            total[i] = np.logaddexp(total[i], partial)
    return total
