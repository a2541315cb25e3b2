"""Features of whole sets: what is kept on disk is what was computed."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from image_pairs import N, dataset

from gvlab import data
from gvlab.evaluate import features as feature_sets
from gvlab.extractors import catalogue, sets, weights
from gvlab.extractors import extractor as features
from gvlab.extractors.extractor import Extracted, Extractor


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache directory of the test's own; gives where reference features are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gvlab" / "references"


def test_batches_make_no_difference(monkeypatch):
    extractor, x = features.small("digits"), dataset().test.x
    whole = feature_sets.extract(extractor, [x])
    monkeypatch.setattr(sets, "BATCH", 24)
    pieces = list(feature_sets.pieces(x))
    assert [len(piece) for piece in pieces] == [24, 24, 16]
    parts = feature_sets.extract(extractor, pieces)
    for part, expected in zip(parts, whole, strict=True):  # sums of float32 in another order
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert feature_sets.extract(features.pixels(), pieces).logits is None


class Counting:
    """An extractor that counts the examples that it sees."""

    def __init__(self, **fields):
        self.seen = 0
        self.extractor = Extractor("counting", self.apply, **({"sha256": "a" * 64, "preprocessing": "none"} | fields))

    def apply(self, x):
        self.seen += len(x)
        rows = jnp.asarray(x, jnp.float32).reshape(len(x), -1)
        return Extracted(rows[:, :5], rows[:, 5:8])


def test_features_of_a_data_set_are_made_once_and_kept(cache):
    counting = Counting()
    made = feature_sets.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == N
    (file,) = cache.iterdir()
    again = feature_sets.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == N
    for first, second in zip(made, again, strict=True):
        assert first.dtype == second.dtype == np.float32
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(made.features, dataset().test.x.reshape(N, -1)[:, :5])
    assert list(cache.iterdir()) == [file]
    # Another process finds it, too: nothing of it is in memory.
    other = Counting()
    np.testing.assert_array_equal(feature_sets.of_split(other.extractor, dataset(), "test").features, made.features)
    assert other.seen == 0


def fewer_examples(of: data.Dataset) -> data.Dataset:
    return replace(of, test=data.Split(of.test.x[:50]))


@pytest.mark.parametrize(
    ("change", "of", "split"),
    [
        ({}, lambda of: replace(of, checksum="0" * 64), "test"),
        ({}, lambda of: of, "train"),
        ({}, fewer_examples, "test"),
        ({"sha256": "b" * 64}, lambda of: of, "test"),
        ({"preprocessing": "x / 255"}, lambda of: of, "test"),
    ],
    ids=["checksum", "split", "number", "network", "preprocessing"],
)
def test_kept_features_are_not_those_of_anything_else(change, of, split, cache):
    feature_sets.of_split(Counting().extractor, dataset(), "test")
    other, changed = Counting(**change), of(dataset())
    found = feature_sets.of_split(other.extractor, changed, split)
    x = getattr(changed, split).x
    assert other.seen == len(x) == len(found.features)
    assert len(list(cache.iterdir())) == 2
    # Not even under the other's name, where a broken file system or a hand may have put it.
    files = sorted(cache.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    files[1].write_bytes(files[0].read_bytes())
    feature_sets.of_split(other.extractor, changed, split)
    assert other.seen == 2 * len(x)


def test_kept_features_are_not_those_of_another_protocol(monkeypatch):
    """Which is raised where the code of an extractor changes, but not its weights."""
    feature_sets.of_split(Counting().extractor, dataset(), "test")
    monkeypatch.setattr(feature_sets, "PROTOCOL", feature_sets.PROTOCOL + 1)
    other = Counting()
    feature_sets.of_split(other.extractor, dataset(), "test")
    assert other.seen == N


def test_the_hash_of_features_by_their_names(monkeypatch):
    monkeypatch.setattr(features, "inception", None)  # whose weights are not fetched for it
    found = {name: catalogue.sha256(name) for name in ("pixels", "digits", "stacked_mnist", "inception-clean")}
    digits, mnist = (features.small(name).sha256 for name in ("digits", "mnist"))
    published = features.INCEPTION_SHA256
    assert found == {"pixels": None, "digits": digits, "stacked_mnist": mnist, "inception-clean": published}


def test_functions_are_asked_again():
    """Nothing is known of their parameters, so what they gave is not kept."""
    counting = Counting(sha256=None)
    for times in (1, 2):
        feature_sets.of_split(counting.extractor, dataset(), "test")
        assert counting.seen == times * N
    assert not weights.weights_dir().parent.exists()


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path):
    few = data.from_arrays("few", dataset().train.x[:2], dataset().test.x[:2])
    identity = {"dataset_sha256": few.checksum, "split": "test"}
    made = feature_sets.extract(Counting().extractor, [few.test.x])
    file = tmp_path / "kept.safetensors"
    feature_sets._keep(file, identity, made)
    content = file.read_bytes()
    assert feature_sets._kept(file, identity) is not None
    assert feature_sets._kept(file, identity | {"split": "train"}) is None
    assert feature_sets._kept(tmp_path / "nothing", identity) is None
    for place in range(len(content)):
        for bit in (1, 32):
            damaged = bytearray(content)
            damaged[place] ^= bit
            file.write_bytes(damaged)
            assert feature_sets._kept(file, identity) is None, (place, bit, content[max(0, place - 9) : place + 9])
    for length in (0, 1, 8, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        assert feature_sets._kept(file, identity) is None


def test_a_damaged_file_is_made_anew(cache):
    counting = Counting()
    made = feature_sets.of_split(counting.extractor, dataset(), "test")
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = feature_sets.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == 2 * N
    np.testing.assert_array_equal(again.features, made.features)
    feature_sets.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == 2 * N
    assert list(cache.iterdir()) == [file]
