"""The catalogue of data sets, and those of it that are made on the spot."""

import jax
import numpy as np
import pytest
from fresh import imported_after

from gvlab.data import CATALOGUE, grid, is_prepared, load, prepare, ring
from gvlab.types import UserError


def test_importing_is_light():
    backends = "import gvlab.data\nimport jax\nfrom jax._src import xla_bridge\nassert not xla_bridge._backends"
    assert imported_after(backends) == set()


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UserError, match=r"'fashon_mnist' \(did you mean 'fashion_mnist'\?\): choose one of digits, "):
        load("fashon_mnist")
    with pytest.raises(UserError, match="Unknown data set 'zzz': choose one of"):
        is_prepared("zzz")


@pytest.mark.parametrize("name", ["digits", "ring", "grid"])
def test_the_catalogue_tells_what_comes(name):
    dataset, card = load(name), CATALOGUE[name]
    assert (dataset.name, dataset.shape, dataset.num_classes) == (name, card.shape, card.num_classes)
    assert (len(dataset.train.x), len(dataset.test.x)) == (card.train, card.test)
    assert dataset.train.y.dtype == np.int32
    assert is_prepared(name)
    assert prepare(name) is None


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("digits", "7a7a7addb8347533353e312e24ec3e7c3b113424d3fb3361e804c4373c87a98d"),
        ("ring", "70acc26dcef905af53a23ff4720f2369814d5211d8a54f7403455cc9d18b88ca"),
        ("grid", "f50bf47526c9b21ffce7cc09595781c21e00139ecd1b0ad6441b699d25fee6df"),
    ],
)
def test_embedded_data_never_change(name, checksum):
    assert load(name).checksum == checksum == load(name).checksum


def test_digits_are_those_of_scikit_learn_resized():
    from sklearn.datasets import load_digits

    raw = load_digits()
    resized = jax.image.resize(raw.images.astype(np.float32), (1797, 16, 16), "bilinear") * (255 / 16)
    dataset = load("digits")
    ours = np.concatenate([dataset.train.x, dataset.test.x])[..., 0].astype(np.float32)
    order = np.random.RandomState(1797).permutation(1797)
    assert np.abs(ours - np.asarray(resized)[order]).max() <= 0.5 + 1e-3
    assert (ours.min(), ours.max()) == (0, 255)
    labels = np.concatenate([dataset.train.y, dataset.test.y])
    np.testing.assert_array_equal(labels, raw.target[order])
    assert np.bincount(dataset.test.y).min() >= 18  # 30 on average; every class is tested


@pytest.mark.parametrize(("name", "mixture"), [("ring", ring()), ("grid", grid())])
def test_drawn_points_lie_about_the_mode_that_labels_them(name, mixture):
    for split in (load(name).train, load(name).test):
        away = (split.x - mixture.means[split.y]) / mixture.scale
        n = away.size
        assert abs(away.mean()) < 4 / np.sqrt(n)
        assert abs((away**2).mean() - 1) < 4 * np.sqrt(2 / n)
        modes = len(mixture.means)
        assert np.abs(np.bincount(split.y, minlength=modes) / len(split.y) - 1 / modes).max() < 0.02
