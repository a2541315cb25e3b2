"""How clusters that were found without labels agree with classes.

NumPy and SciPy on the host: the result is a count.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Array, Integer

from gvlab.types import UserError


def cluster_accuracy(clusters: Integer[np.ndarray | Array, " n"], classes: Integer[np.ndarray | Array, " m"]) -> float:
    """The share of examples whose cluster's class is theirs, under the best assignment of at most one class to each.

    Args:
        clusters: the cluster of each example, shape [n], n >= 1; any integers of at least 0.
        classes: the class of each example, shape [n].

    Returns:
        From 0 to 1. Examples of clusters that no class is left for count as wrong: with more clusters than classes it
        is below what a majority vote in each cluster would give.

    Raises:
        UserError: for no examples, lengths that differ, or negative numbers.

    References: Jiang et al., "Variational Deep Embedding", 2017, section 4.3; Kuhn, "The Hungarian Method for the
    Assignment Problem", 1955.

    Examples:
        >>> import numpy as np
        >>> from gvlab import metrics
        >>> metrics.cluster_accuracy(np.array([1, 1, 1, 0]), np.array([0, 0, 1, 1]))
        0.75
    """
    from scipy.optimize import linear_sum_assignment

    a, b = np.asarray(clusters), np.asarray(classes)
    if a.shape != b.shape or not len(a):
        raise UserError(f"There are {len(a)} clusters and {len(b)} classes, but each example has one: give as many.")
    if min(a.min(), b.min()) < 0:
        raise UserError(f"A cluster or class is {min(a.min(), b.min())}, but they are numbers from 0 on.")
    together = np.zeros((int(a.max()) + 1, int(b.max()) + 1), np.int64)
    np.add.at(together, (a, b), 1)
    return float(together[linear_sum_assignment(together, maximize=True)].sum() / len(a))
