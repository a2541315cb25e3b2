"""Clusters against classes."""

import itertools

import numpy as np
import pytest

from gvlab import metrics
from gvlab.types import UserError


def test_the_best_of_all_assignments_counts():
    """Of five clusters and three classes, by trying all."""
    generator = np.random.default_rng(0)
    clusters, classes = generator.integers(0, 5, 60), generator.integers(0, 3, 60)
    best = max(
        sum(((clusters == cluster) & (classes == cls)).sum() for cls, cluster in enumerate(chosen))
        for chosen in itertools.permutations(range(5), 3)
    )
    assert metrics.cluster_accuracy(clusters, classes) == best / 60
    assert metrics.cluster_accuracy(classes, clusters) == best / 60


def test_names_of_clusters_do_not_matter():
    classes = np.arange(12) % 4
    assert metrics.cluster_accuracy((classes + 3) % 4 + 2, classes) == 1
    assert metrics.cluster_accuracy(np.zeros(12, int), classes) == 0.25


@pytest.mark.parametrize(
    ("clusters", "classes", "words"),
    [
        ([1, 2], [1], r"There are 2 clusters and 1 classes"),
        ([], [], r"There are 0 clusters"),
        ([-1], [0], r"A cluster or class is -1, but they are numbers from 0 on\."),
    ],
)
def test_what_is_no_clustering_is_refused(clusters, classes, words):
    with pytest.raises(UserError, match=words):
        metrics.cluster_accuracy(np.array(clusters, int), np.array(classes, int))
