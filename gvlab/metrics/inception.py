"""The Inception score: how sure a classifier is of each sample, and how different its answers are.

With the published Inception network's 1008 logits, and of no other, this number is the Inception score (IS). With
another classifier's it is never called so: name it after the classifier.
"""

import numpy as np
from jaxtyping import Array, Float64, Real

from gvlab.metrics._features import as_features
from gvlab.types import UserError


def inception_score(logits: Real[np.ndarray | Array, "n classes"], splits: int = 10) -> tuple[float, float]:
    """exp(E_x KL(p(y|x) || p(y))), where p(y) is the mean over the same split: mean and deviation over the splits.

    Split i has the rows from i * n // splits to (i + 1) * n // splits, in the order given (torch-fidelity's rule).
    Code that drops the remainder instead (dgm-eval) has the score of the first n // splits * splits rows.

    Args:
        logits: log-probabilities of the classes up to a constant for each row, shape [n, classes], n >= 2. For the
            Inception score the last layer's bias is left out.
        splits: how many parts of the samples are scored on their own, from 1 to n.

    Returns:
        (mean, std) over the splits, std with divisor `splits`. Each is between 1 and the number of classes.

    Raises:
        UserError: for fewer than 2 rows, values that are not finite, or a number of splits that is out of range.

    Reference: Salimans et al., "Improved Techniques for Training GANs", 2016, section 4.
    """
    x = as_features(logits, "logits")
    if not 1 <= splits <= len(x):
        raise UserError(f"splits is {splits}, but {len(x)} rows can be split into 1 to {len(x)} parts.")
    scores = [_score(x[i * len(x) // splits : (i + 1) * len(x) // splits]) for i in range(splits)]
    return float(np.mean(scores)), float(np.std(scores))


def inception_score_shuffled(
    logits: Real[np.ndarray | Array, "n classes"], splits: int = 10, *, seed: int
) -> tuple[float, float]:
    """`inception_score` of the rows in the order of NumPy's RandomState(seed).permutation (torch-fidelity's).

    For sets that are sorted, by class for example, where a split in the order given is not a sample of the whole.

    Args, Returns, Raises: as `inception_score`.
    """
    x = as_features(logits, "logits")
    return inception_score(x[np.random.RandomState(seed).permutation(len(x))], splits)


def _score(logits: Float64[np.ndarray, "n classes"]) -> float:
    from scipy.special import log_softmax

    log_p = log_softmax(logits, axis=1)
    p = np.exp(log_p)
    marginal = p.mean(axis=0)
    # A class that no row gives a probability contributes 0, not 0 * -inf.
    log_marginal = np.log(marginal, out=np.zeros_like(marginal), where=marginal > 0)
    return float(np.exp(np.mean(np.sum(p * (log_p - log_marginal[None, :]), axis=1))))
