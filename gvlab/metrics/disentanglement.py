"""Disentanglement by prediction: how well each factor of variation can be read off latents, and off which.

`codes` [n, codes] are what the encoder gives (for a VAE: the posterior mean), `factors` [n, factors] the integers that
the examples were made from. The definitions are those of Locatello et al., "Challenging Common Assumptions in the
Unsupervised Learning of Disentangled Representations", 2019, whose numbers these functions reproduce: scores depend on
the number of examples and of bins, so state both. Metrics that choose the factors themselves are in
`gvlab.metrics.interventions`.

NumPy in float64 on the host: the result must not depend on JAX's default precision or on the back-end.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float64, Integer, Real

from gvlab.metrics._factors import pair, require_same_length, require_variation, split
from gvlab.metrics._features import as_features
from gvlab.metrics.information import gap_of_top_two, histogram_bins
from gvlab.types import UserError


def explicitness(
    train_codes: Real[np.ndarray | Array, "n codes"],
    train_factors: Integer[np.ndarray | Array, "n factors"],
    codes: Real[np.ndarray | Array, "m codes2"],
    factors: Integer[np.ndarray | Array, "m factors2"],
) -> float:
    """How well a logistic regression on all codes tells the values of a factor apart: ROC area, averaged.

    The mean is over the values of each factor (one against the rest), then over the factors. Codes are standardised
    by the training set.

    Args:
        train_codes: what the regressions are fitted to, shape [n, codes].
        train_factors: shape [n, factors].
        codes: what is judged, shape [m, codes]; the training set itself for the training score.
        factors: shape [m, factors], with exactly the values of `train_factors`.

    Returns:
        0.5 for chance, 1 for a perfect order. The published score is this number, not (area - 0.5) / 0.5.

    Raises:
        UserError: for arrays that don't fit, or values of a factor that are in one set alone.

    Reference: Ridgeway & Mozer 2018, section 3.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    train_x, train_y, x, y = split(train_codes, train_factors, codes, factors)
    mean, std = train_x.mean(axis=0), train_x.std(axis=0)
    std = np.where(std > 0.0, std, 1.0)
    areas = []
    for factor in range(y.shape[1]):
        values = np.unique(train_y[:, factor])
        if not np.array_equal(values, np.unique(y[:, factor])):
            raise UserError(f"Factor {factor} has other values in the two sets: give more examples, of all values.")
        model = LogisticRegression().fit((train_x - mean) / std, train_y[:, factor])
        probability = model.predict_proba((x - mean) / std)
        areas.append(
            np.mean([roc_auc_score(y[:, factor] == value, probability[:, i]) for i, value in enumerate(values)])
        )
    return float(np.mean(areas))


def sap_discrete(
    train_codes: Real[np.ndarray | Array, "n codes"],
    train_factors: Integer[np.ndarray | Array, "n factors"],
    codes: Real[np.ndarray | Array, "m codes2"],
    factors: Integer[np.ndarray | Array, "m factors2"],
) -> float:
    """SAP for discrete factors: the gap in accuracy between the two codes that alone predict a factor best, averaged.

    The classifier is a linear support vector machine on one code, C = 0.01, classes weighed equally.

    Args:
        train_codes: shape [n, codes], codes >= 2.
        train_factors: shape [n, factors].
        codes: where accuracy is measured, shape [m, codes].
        factors: shape [m, factors].

    Returns:
        From 0 to 1. A line through one code can't tell the middle ones of many values apart, so the score stays
        below 1 even for codes that equal the factors.

    Raises:
        UserError: for arrays that don't fit, or a single code.

    Reference: Kumar et al., "Variational Inference of Disentangled Latent Concepts from Unlabeled Observations", 2018,
    section 3.
    """
    from sklearn.svm import LinearSVC

    train_x, train_y, x, y = split(train_codes, train_factors, codes, factors)
    accuracy = np.zeros((x.shape[1], y.shape[1]))
    for code in range(x.shape[1]):
        for factor in range(y.shape[1]):
            # Fewer parameters than examples: the primal problem, which is solved without random numbers.
            model = LinearSVC(C=0.01, class_weight="balanced", dual=False)
            model.fit(train_x[:, code, None], train_y[:, factor])
            accuracy[code, factor] = np.mean(model.predict(x[:, code, None]) == y[:, factor])
    return float(np.mean(gap_of_top_two(accuracy)))


def sap_continuous(codes: Real[np.ndarray | Array, "n codes"], factors: Real[np.ndarray | Array, "n factors"]) -> float:
    """SAP for continuous factors: the gap in squared correlation between a factor's two best codes, averaged.

    Args:
        codes: shape [n, codes], codes >= 2. A code of variance below 1e-12 scores 0.
        factors: shape [n, factors], of any real numbers.

    Returns:
        From 0 to 1.

    Raises:
        UserError: for arrays that don't fit, values that are not finite, a single code, or a constant factor.

    Reference: Kumar et al. 2018, section 3.
    """
    x, y = as_features(codes, "codes"), as_features(factors, "factors")
    require_same_length(x, y, "codes", "factors")
    require_variation(y, "factors")
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    variances = (x**2).mean(axis=0)
    products = (x.T @ y / len(x)) ** 2 / (y**2).mean(axis=0)[None]
    scores = np.where(variances[:, None] > 1e-12, products / np.maximum(variances, 1e-12)[:, None], 0.0)
    return float(np.mean(gap_of_top_two(scores)))


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, each from 0 to 1."""

    disentanglement: float
    completeness: float
    informativeness: float
    """Accuracy on the second set."""
    importance: Float64[np.ndarray, "codes factors"]


def dci(
    train_codes: Real[np.ndarray | Array, "n codes"],
    train_factors: Integer[np.ndarray | Array, "n factors"],
    codes: Real[np.ndarray | Array, "m codes2"],
    factors: Integer[np.ndarray | Array, "m factors2"],
    *,
    seed: int,
) -> DCI:
    """DCI with the feature importances of gradient-boosted trees (scikit-learn's defaults: 100 trees of depth 3).

    It costs as many boosted classifiers as there are factors, with as many trees per round as a factor has values.

    Args:
        train_codes: shape [n, codes], codes >= 2.
        train_factors: shape [n, factors], factors >= 2.
        codes: where informativeness is measured, shape [m, codes].
        factors: shape [m, factors].
        seed: of the order in which equally good splits are tried.

    Returns:
        DCI, with the importance of each code for each factor [codes, factors].

    Raises:
        UserError: for arrays that don't fit, a single code, or a single factor.

    Reference: Eastwood & Williams, "A Framework for the Quantitative Evaluation of Disentangled Representations", 2018,
    section 2.
    """
    from sklearn.ensemble import GradientBoostingClassifier

    train_x, train_y, x, y = split(train_codes, train_factors, codes, factors)
    importance, accuracies = np.zeros((x.shape[1], y.shape[1])), []
    for factor in range(y.shape[1]):
        model = GradientBoostingClassifier(random_state=seed).fit(train_x, train_y[:, factor])
        importance[:, factor] = np.abs(model.feature_importances_)
        accuracies.append(np.mean(model.predict(x) == y[:, factor]))
    return DCI(*dci_from_importance(importance), float(np.mean(accuracies)), importance)


def dci_from_importance(importance: Real[np.ndarray | Array, "codes factors"]) -> tuple[float, float]:
    """Disentanglement and completeness of a matrix of importances.

    A code is disentangled if it matters for one factor alone: 1 - entropy over factors / log factors; a factor is
    completely captured by one code: 1 - entropy over codes / log codes. Means are weighed by the importance of the code
    or factor.

    Args:
        importance: not negative, shape [codes, factors], at least 2 of each.

    Returns:
        (disentanglement, completeness), each from 0 to 1. Both are 0 where nothing is important.

    Raises:
        UserError: for another shape, or negative or non-finite values.

    Reference: Eastwood & Williams 2018, section 2.
    """
    matrix = as_features(importance, "importance")
    if matrix.shape[1] < 2:
        raise UserError(f"importance has shape {matrix.shape}, but DCI compares at least 2 codes and 2 factors.")
    if (matrix < 0.0).any():
        raise UserError(f"importance holds {matrix.min()}, but importances are not negative.")
    return _specialisation(matrix), _specialisation(matrix.T)


def interventional_robustness(
    codes: Real[np.ndarray | Array, "n codes"],
    factors: Integer[np.ndarray | Array, "n factors"],
    quantile: float = 0.99,
    bins: int = 20,
) -> float:
    """IRS: how still each code keeps, relative to its largest deviation, while one factor is held and others change.

    Per code the best factor counts; codes are weighed by their largest deviation. Constant codes are left out.

    Args:
        codes: shape [n, codes].
        factors: shape [n, factors], cut into bins of equal width.
        quantile: of the deviations from the mean of a group, above 0 and at most 1; 1 is the maximum of the paper.
        bins: of each factor.

    Returns:
        At most 1; 0 if all codes are constant.

    Raises:
        UserError: for arrays that don't fit, or parameters out of range.

    Reference: Suter et al., "Robustly Disentangled Causal Mechanisms", 2019.
    """
    if not 0.0 < quantile <= 1.0:
        raise UserError(f"quantile is {quantile}, but must be above 0 and at most 1.")
    x, y = pair(codes, factors, "factors")
    x, groups = x[:, x.var(axis=0) > 0.0], histogram_bins(y.astype(np.float64), bins)
    if x.shape[1] == 0:
        return 0.0
    largest = np.abs(x - x.mean(axis=0)).max(axis=0)
    scores = []
    for group in groups.T:
        members = [x[group == value] for value in np.unique(group)]
        deviations = [np.quantile(np.abs(rows - rows.mean(axis=0)), quantile, axis=0) for rows in members]
        scores.append(1.0 - np.mean(deviations, axis=0) / largest)
    return float(np.average(np.max(scores, axis=0), weights=largest))


def _specialisation(importance: Float64[np.ndarray, "rows columns"]) -> float:
    """The mean of 1 - entropy of a row in units of log columns, weighed by the rows' sums."""
    # The published code's smoothing: a row of zeros counts as uniform, so its score is 0.
    smooth = importance + 1e-11
    probability = smooth / smooth.sum(axis=1, keepdims=True)
    scores = 1.0 + np.sum(probability * np.log(probability), axis=1) / math.log(importance.shape[1])
    weights = importance.sum(axis=1)
    return float(np.sum(scores * weights) / weights.sum()) if weights.sum() > 0.0 else 0.0
