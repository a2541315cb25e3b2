"""Disentanglement metrics that choose the factors of their examples themselves: they need a simulator, not a set.

`represent` maps factors [n, factors] (integers, factor j from 0 to sizes[j] - 1) to codes [n, codes]: it renders the
examples and encodes them. The random stream is that of NumPy's legacy generator, which is frozen, and the order of the
draws that of Locatello et al. 2019, so a seed means the same examples there.

References: Kim & Mnih, "Disentangling by Factorising", 2018; Higgins et al., "beta-VAE", 2017.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Array, Float64, Int, Real

from gvlab.metrics._features import as_features
from gvlab.types import UserError

Represent: TypeAlias = Callable[[np.ndarray], Real[np.ndarray | Array, "n codes"]]
"""factors [n, factors] -> codes [n, codes]."""

# Rows of factors that are represented at once, about.
_ROWS = 4096


class Accuracy(NamedTuple):
    """Shares of right predictions of which factor was held."""

    train: float
    evaluation: float


def factor_vae_metric(
    represent: Represent,
    sizes: Sequence[int],
    *,
    seed: int,
    batch_size: int = 64,
    train_votes: int = 10_000,
    evaluation_votes: int = 5_000,
    variance_examples: int = 10_000,
) -> Accuracy:
    """Accuracy with which the code of least relative variance tells which factor was held fixed.

    Each vote is a batch of examples that share one factor's value; the code whose variance, relative to its variance
    over all examples, is least votes for that factor. The classifier takes the majority of the training votes of each
    code.

    Args:
        represent: factors [n, factors] -> codes [n, codes].
        sizes: how many values each factor has.
        seed: of NumPy's legacy generator.
        batch_size: examples per vote, at least 2.
        train_votes: that make the classifier.
        evaluation_votes: that measure it.
        variance_examples: for the variance of each code, at least 2.

    Returns:
        Accuracy, each from 0 to 1; chance is 1 / factors. Codes that are constant take no part; both are 0 if all are.

    Raises:
        UserError: for numbers out of range, or codes of the wrong shape or not finite.

    Reference: Kim & Mnih 2018.
    """
    _check_sizes(sizes)
    _check_counts(1, train_votes=train_votes, evaluation_votes=evaluation_votes)
    _check_counts(2, batch_size=batch_size, variance_examples=variance_examples)
    random = np.random.RandomState(seed)
    variances = _represented(represent, _draw(random, sizes, variance_examples)).var(axis=0, ddof=1)
    active = variances > 0.0
    if not active.any():
        return Accuracy(0.0, 0.0)

    def votes(number: int) -> Int[np.ndarray, "factors codes"]:
        table = np.zeros((len(sizes), int(active.sum())), np.int64)
        for chunk in _chunks(number, batch_size):
            held, batches = np.zeros(chunk, np.int64), np.zeros((chunk, batch_size, len(sizes)), np.int64)
            for i in range(chunk):
                held[i] = random.randint(len(sizes))
                batches[i] = _draw(random, sizes, batch_size)
                batches[i, :, held[i]] = batches[i, 0, held[i]]
            codes = _represented(represent, batches.reshape(-1, len(sizes))).reshape(chunk, batch_size, -1)
            relative = codes.var(axis=1, ddof=1)[:, active] / variances[active][None]
            np.add.at(table, (held, relative.argmin(axis=1)), 1)
        return table

    train = votes(train_votes)
    choice = train.argmax(axis=0), np.arange(train.shape[1])
    evaluation = votes(evaluation_votes)
    return Accuracy(float(train[choice].sum() / train.sum()), float(evaluation[choice].sum() / evaluation.sum()))


def beta_vae_metric(
    represent: Represent,
    sizes: Sequence[int],
    *,
    seed: int,
    batch_size: int = 64,
    train_points: int = 10_000,
    evaluation_points: int = 5_000,
) -> Accuracy:
    """Accuracy of a logistic regression that tells which factor two batches have in common.

    Its input is the mean absolute difference of the codes of pairs of examples that share one factor's value.

    Args:
        represent: factors [n, factors] -> codes [n, codes].
        sizes: how many values each factor has.
        seed: of NumPy's legacy generator.
        batch_size: pairs per point, at least 1.
        train_points: that fit the regression.
        evaluation_points: that measure it.

    Returns:
        Accuracy, each from 0 to 1; chance is 1 / factors.

    Raises:
        UserError: for numbers out of range, or codes of the wrong shape or not finite.

    Reference: Higgins et al. 2017.
    """
    from sklearn.linear_model import LogisticRegression

    _check_sizes(sizes)
    _check_counts(1, train_points=train_points, evaluation_points=evaluation_points, batch_size=batch_size)
    random = np.random.RandomState(seed)

    def points(number: int) -> tuple[Float64[np.ndarray, "n codes"], Int[np.ndarray, " n"]]:
        differences, labels = [], []
        for chunk in _chunks(number, 2 * batch_size):
            held, pairs = np.zeros(chunk, np.int64), np.zeros((chunk, 2, batch_size, len(sizes)), np.int64)
            for i in range(chunk):
                held[i] = random.randint(len(sizes))
                pairs[i] = _draw(random, sizes, batch_size), _draw(random, sizes, batch_size)
                pairs[i, 1, :, held[i]] = pairs[i, 0, :, held[i]]
            codes = _represented(represent, pairs.reshape(-1, len(sizes))).reshape(chunk, 2, batch_size, -1)
            differences.append(np.abs(codes[:, 0] - codes[:, 1]).mean(axis=1))
            labels.append(held)
        return np.concatenate(differences), np.concatenate(labels)

    train_x, train_y = points(train_points)
    model = LogisticRegression().fit(train_x, train_y)
    return Accuracy(float(model.score(train_x, train_y)), float(model.score(*points(evaluation_points))))


def _draw(random: np.random.RandomState, sizes: Sequence[int], n: int) -> Int[np.ndarray, "n factors"]:
    """Independent uniform factors."""
    return np.stack([random.randint(0, size, n) for size in sizes], axis=1)


def _chunks(number: int, rows_each: int) -> list[int]:
    """`number` split into parts of about `_ROWS` rows."""
    size = max(1, _ROWS // rows_each)
    return [min(size, number - start) for start in range(0, number, size)]


def _represented(represent: Represent, factors: Int[np.ndarray, "n factors"]) -> Float64[np.ndarray, "n codes"]:
    codes = as_features(represent(factors), "represent(factors)")
    if len(codes) != len(factors):
        raise UserError(
            f"represent gives {len(codes)} rows for {len(factors)} rows of factors: give one code for each."
        )
    return codes


def _check_sizes(sizes: Sequence[int]) -> None:
    if len(sizes) < 2 or min(sizes) < 2:
        raise UserError(f"sizes is {tuple(sizes)}, but at least 2 factors of at least 2 values are needed.")


def _check_counts(least: int, **counts: int) -> None:
    for name, count in counts.items():
        if count < least:
            raise UserError(f"{name} is {count}, but must be at least {least}.")
