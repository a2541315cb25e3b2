"""Lost modes, counted where the modes are known: mixtures of Gaussians in the plane, StackedMNIST, and classes."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Int, Integer, Real

from gvlab.metrics._features import as_features, require_same_width
from gvlab.types import UserError


class MixtureCoverage(NamedTuple):
    """How samples cover the modes of a mixture."""

    modes_covered: int
    """Modes with at least one high-quality sample."""
    high_quality: float
    """The share of the samples that are within 3 standard deviations of their nearest mode."""
    reverse_kl_nats: float
    """KL(samples' distribution over the modes || uniform)."""


class StackedCoverage(NamedTuple):
    """How samples cover the thousand modes of StackedMNIST."""

    modes_covered: int
    """Triples of digits that occur."""
    kl_nats: float
    """KL(samples' distribution over the triples || uniform)."""


class ClassBalance(NamedTuple):
    """How samples cover the classes that a classifier tells apart."""

    reached: int
    """Classes that occur among them."""
    js_bits: float
    """Jensen-Shannon divergence between their histogram of classes and that of real examples, from 0 to 1 bit."""


def class_balance(
    generated: Integer[np.ndarray | Array, " n"], real: Integer[np.ndarray | Array, " m"], classes: int
) -> ClassBalance:
    """How many classes generated examples reach, and how far their shares are from those of real ones.

    Args:
        generated: the class that a classifier sees in each, shape [n].
        real: the class that the same classifier sees in each real example, shape [m].
        classes: how many there are.

    Returns:
        ClassBalance. The divergence is biased upwards by about (classes - 1) (1/n + 1/m) / (8 ln 2) bits.

    Raises:
        UserError: there is no example, or a class is none of them.

    Reference: Lin, "Divergence Measures Based on the Shannon Entropy", 1991, eq. 4.1.
    """
    shares = []
    for name, labels in (("generated", np.asarray(generated)), ("real", np.asarray(real))):
        if not len(labels) or labels.min() < 0 or labels.max() >= classes:
            raise UserError(f"{name} has {len(labels)} examples, but must have some, of classes 0 to {classes - 1}.")
        shares.append(np.bincount(labels, minlength=classes) / len(labels))
    middle = (shares[0] + shares[1]) / 2
    js = [float(np.sum(p[p > 0] * np.log2(p[p > 0] / middle[p > 0]))) for p in shares]
    return ClassBalance(int(np.count_nonzero(shares[0])), max(0.0, (js[0] + js[1]) / 2))


def mixture_coverage(
    samples: Real[np.ndarray | Array, "n d"], means: Real[np.ndarray | Array, "modes d2"], scale: float
) -> MixtureCoverage:
    """Modes covered, share of high-quality samples and reverse KL, for equally likely isotropic Gaussians.

    A sample belongs to its nearest mean, and is of high quality if its Mahalanobis distance from there,
    |x - mean| / scale, is below 3. Samples of the mixture itself in d = 2 are so with probability
    1 - exp(-9/2) = 0.989, not 1. The KL is that of PacGAN: *every* sample, however far, counts for its nearest mode,
    and the counts are divided by n; modes without a sample contribute 0. It is computed from counts, and so biased
    upwards by about (modes - 1) / (2 n) nats.

    Args:
        samples: shape [n, d], n >= 2 (2,500 in the literature).
        means: of the modes, shape [modes, d].
        scale: the standard deviation of every mode, in each axis.

    Returns:
        MixtureCoverage; the KL is from 0 to log(modes) nats.

    Raises:
        UserError: for fewer than 2 samples, values that are not finite, different widths, or a scale not above 0.

    References: Srivastava et al., "VEEGAN", 2017, section 5.1 (modes, high quality); Lin et al., "PacGAN: The power of
    two samples in generative adversarial networks", 2018, section 4.1 (reverse KL).
    """
    x, centres = as_features(samples, "samples"), as_features(means, "means", at_least=1)
    require_same_width(x.shape[1], centres.shape[1])
    if not 0 < scale < np.inf:
        raise UserError(f"scale is {scale}, but a standard deviation is a finite number above 0.")
    distances = np.stack([np.linalg.norm(x - centre[None, :], axis=1) for centre in centres])
    nearest = distances.argmin(axis=0)
    good = distances.min(axis=0) < 3 * scale
    return MixtureCoverage(
        modes_covered=int(np.unique(nearest[good]).size),
        high_quality=float(good.mean()),
        reverse_kl_nats=_kl_to_uniform(np.bincount(nearest, minlength=len(centres))),
    )


def stacked_coverage(digits: Integer[np.ndarray | Array, "n channels"]) -> StackedCoverage:
    """The number of modes of StackedMNIST that occur, and the KL of their histogram to the uniform distribution.

    Args:
        digits: the digit that a classifier sees in each of the 3 channels, shape [n, 3], from 0 to 9. Published numbers
            have n = 26,000; state the classifier with the number.

    Returns:
        StackedCoverage: modes from 1 to 1000, KL from 0 to log(1000) = 6.91 nats. Both depend on n: 26,000
        samples of the uniform distribution cover all modes and have a KL of about 999 / (2 n) = 0.019 nats.

    Raises:
        UserError: for another shape, no rows, or a number that is no digit.

    References: Metz et al., "Unrolled Generative Adversarial Networks", 2017, section 3.3.1; Lin et al., "PacGAN",
    2018, section 4.2.
    """
    labels = np.asarray(digits)
    if labels.ndim != 2 or labels.shape[1] != 3 or len(labels) == 0:
        raise UserError(f"digits has shape {labels.shape}, but must be [samples, 3]: one digit for each channel.")
    if labels.min() < 0 or labels.max() > 9:
        wrong = labels[(labels < 0) | (labels > 9)][0]
        raise UserError(f"digits holds {wrong}, but a digit is from 0 to 9.")
    counts = np.bincount(labels.astype(np.int64) @ np.array([100, 10, 1]), minlength=1000)
    return StackedCoverage(int(np.count_nonzero(counts)), _kl_to_uniform(counts))


def _kl_to_uniform(counts: Int[np.ndarray, " modes"]) -> float:
    shares: Float64[np.ndarray, " seen"] = counts[counts > 0] / counts.sum()
    return float(np.sum(shares * np.log(shares * len(counts))))
