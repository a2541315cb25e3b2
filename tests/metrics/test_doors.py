"""The names that papers use: they are the formulas of this package, and they refuse what has not earned them."""

import numpy as np
import pytest

import gvlab
from gvlab import compare, config, data, evaluate, losses, metrics, models, networks, reproduce, statistics, train
from gvlab.types import UserError


def features(n: int, seed: int, width: int = 2048) -> np.ndarray:
    return np.random.RandomState(seed).randn(n, width).astype(np.float32)


def test_fid_is_the_frechet_distance_of_inceptions_features():
    real, generated = features(40, 0), features(30, 1) + 0.1
    expected = metrics.frechet_distance(metrics.moments(real), metrics.moments(generated))
    assert metrics.fid(real, generated) == expected
    assert expected > 0


def test_kid_is_the_subsets_estimate_of_the_cubic_kernel():
    real, generated = features(40, 0), features(30, 1)
    made = metrics.kid(real, generated, subsets=3, size=20, seed=7)
    assert made == metrics.polynomial_mmd2_subsets(generated, real, subsets=3, size=20, seed=7)


@pytest.mark.parametrize(("name", "instead"), [("fid", "frechet_distance"), ("kid", "polynomial_mmd2_subsets")])
def test_other_features_make_no_fid(name, instead):
    for real, generated in ((features(5, 0, 64), features(5, 1, 64)), (features(5, 0), features(5, 1, 64))):
        with pytest.raises(UserError, match=rf"are not of Inception's .* use metrics\.{instead} and name"):
            getattr(metrics, name)(real, generated)


def test_frechet_distances_take_features_and_moments_alike():
    a, b = features(30, 0, 5), features(20, 1, 5)
    kept = metrics.moments(a), metrics.moments(b)
    for distance in (metrics.frechet_distance, metrics.frechet_distance_ddof0):
        assert distance(a, b) == distance(*kept) == distance(a, kept[1]) > 0
    of_moments = metrics.frechet_distance_infinity(a, kept[1], smallest=5, seed=0)
    assert metrics.frechet_distance_infinity(a, b, smallest=5, seed=0) == of_moments


def test_images_become_features_and_logits():
    x = data.load("digits").test.x[:30]
    made = metrics.image_features(x, "digits")
    assert made.shape == (30, 84)
    assert made.dtype == np.float32
    np.testing.assert_allclose(metrics.image_features(x, "pixels"), x.reshape(30, -1) / 255, rtol=2e-7)  # 1 ulp
    logits = metrics.image_logits(x, "digits")
    assert logits.shape == (30, 10)
    assert (logits.argmax(1) == data.load("digits").test.y[:30]).mean() > 0.9
    assert 5 < metrics.inception_score(logits, splits=1)[0] <= 10


def test_images_that_have_no_features_are_refused():
    x = data.load("digits").test.x[:3]
    with pytest.raises(UserError, match=r"pixels is no classifier, so it has no logits: choose another one\."):
        metrics.image_logits(x, "pixels")
    with pytest.raises(UserError, match=r"There are no images: give at least one\."):
        metrics.image_features(x[:0], "pixels")
    with pytest.raises(UserError, match=r"There are no features named 'vgg': choose one of"):
        metrics.image_features(x, "vgg")


@pytest.mark.parametrize(
    ("name", "asked"), [("fid", "frechet with --features inception"), ("recall", "prdc, which gives all four")]
)
def test_the_names_of_papers_point_to_what_to_ask_for(name, asked):
    with pytest.raises(UserError, match=rf"There is no measure '{name}': ask for {asked}\."):
        evaluate.check(config.Evaluation(measures=(name,)))


@pytest.mark.parametrize(
    "package",
    [losses, metrics, statistics, data, config, networks, models, evaluate, compare, train, reproduce, gvlab],
    ids=lambda package: package.__name__,
)
def test_completion_shows_the_public_names_and_no_files(package):
    assert set(dir(package)) == set(package.__all__)
    if package is not gvlab:
        files = {name for name in package.__all__ if getattr(getattr(package, name), "__file__", None)}
        # Of models, whose members are meant to be named with them.
        named = {"binary", "critics", "densities", "image_critics", "objectives", "observation", "posteriors", "priors"}
        named |= {"cycle", "regularised", "second_stage", "pretraining", "aggressive", "weight_terms"}
        assert files <= named
