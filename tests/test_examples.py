"""The examples in the docstrings of what people call first."""

import doctest
from pathlib import Path

import pytest

from gvlab import compare, data, load, losses, metrics, models, rng, statistics

SHOWN = (
    *(losses.bernoulli_log_prob, losses.gaussian_kl, losses.importance_weighted_bound),
    *(metrics.image_features, metrics.frechet_distance, metrics.prdc),
    *(statistics.summarise, statistics.sign_flip_test),
    *(data.load, data.from_arrays, data.batch, rng.stream),
    *(models.variational_autoencoder, compare.load, load),
)


@pytest.mark.parametrize("function", SHOWN, ids=lambda function: f"{function.__module__}.{function.__name__}")
def test_the_example_says_what_comes_out(function, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    (found,) = doctest.DocTestFinder(recurse=False).find(function, globs={})
    assert found.examples
    assert doctest.DocTestRunner().run(found).failed == 0  # what it prints of a failure is captured, and shown
