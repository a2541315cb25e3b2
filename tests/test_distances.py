"""Distances between sets: every number is the metric of the features, and what is kept on disk is what was computed."""

from __future__ import annotations

import functools
import inspect
import json
import math
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import data, distances, metrics
from gvlab.distances import Features, Sets
from gvlab.networks import features, weights
from gvlab.networks.features import Extracted, Extractor
from gvlab.types import UserError

N = 64


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache directory of the test's own; gives where reference features are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gvlab" / "references"


@functools.cache
def dataset() -> data.Dataset:
    digits = data.load("digits")
    return data.from_arrays("digits", digits.train.x[:96], digits.test.x[:N])


@functools.cache
def generated_images() -> np.ndarray:
    """Training images with noise, and one of them without: a copy."""
    random = np.random.RandomState(0)
    x = data.load("digits").train.x[200 : 200 + N].astype(np.int64) + random.randint(-60, 60, (N, 16, 16, 1))
    x[0] = dataset().train.x[3]
    return x.clip(0, 255).astype(np.uint8)


def sets(extractor: Extractor, generated: np.ndarray, of: data.Dataset) -> Sets:
    return Sets(
        extractor,
        distances.extract(extractor, [generated]),
        distances.of_split(extractor, of, "test"),
        lambda: distances.of_split(extractor, of, "train"),
        of,
    )


@functools.cache
def digits_sets() -> Sets:
    return sets(features.small("digits"), generated_images(), dataset())


def points(n: int, seed: int = 0) -> np.ndarray:
    """Of five of the eight modes of the ring, and some of none."""
    random = np.random.RandomState(seed)
    x = data.ring().means[random.randint(0, 5, n)] + 0.01 * random.randn(n, 2)
    return np.where(np.arange(n)[:, None] % 10 == 0, 1.5 * x, x).astype(np.float32)


@functools.cache
def ring_sets(n: int = N) -> Sets:
    return sets(features.coordinates(), points(n, 1), data.from_arrays("ring", points(96, 2), points(n, 3)))


# --- every measure ----------------------------------------------------------------------------------------------------


def by_hand(name: str, x: np.ndarray, real: np.ndarray, train: np.ndarray, logits: np.ndarray | None) -> dict:
    """The measures of that name, from the metric functions themselves: kind -> value, or (value, spread)."""
    match name:
        case "frechet":
            return {"frechet": metrics.frechet_distance(metrics.moments(x), metrics.moments(real))}
        case "frechet_infinity":
            smallest = len(x) // 2
            value = metrics.frechet_distance_infinity(x, metrics.moments(real), smallest=smallest, seed=0)
            return {"frechet_infinity": value}
        case "kernel":
            return {"kernel": metrics.polynomial_mmd2(x, real)}
        case "inception_score":
            return {"class_score": metrics.inception_score(logits, 10)}
        case "prdc":
            return metrics.prdc(real, x, k=5)._asdict()
        case "improved_precision_recall":
            found = metrics.improved_precision_recall(real, x, k=3)
            return {"improved_precision": found.precision, "improved_recall": found.recall}
        case "prd":
            curve = metrics.prd_curve_from_features(x, real, seed=0)
            return dict(zip(("prd_f8", "prd_f1_8"), metrics.prd_f_scores(curve, 8), strict=True))
        case "vendi":
            return {"vendi": metrics.vendi_score(x)}
        case "sliced_wasserstein":
            projections = metrics.random_projections(x.shape[1], 200, seed=0)
            return {"sliced_wasserstein2": metrics.sliced_wasserstein2(x, real, projections)}
        case "authenticity":
            return {"authenticity": metrics.authenticity(x, train)}
        case "memorisation":
            return {
                "memorisation": metrics.memorisation_rate(x, train, 1 / 3),
                "memorisation_of_real": metrics.memorisation_rate(real, train, 1 / 3),
            }
        case "modes":
            return metrics.mixture_coverage(x, data.ring().means, 0.01)._asdict()
    raise AssertionError(f"a new measure needs its line here: {name}")


@pytest.mark.parametrize("name", distances.MEASURES)
def test_every_number_is_the_metric_of_the_features(name, monkeypatch):
    if name == "prd":  # whose ten clusterings take five seconds
        defaults = inspect.signature(metrics.prd_curve_from_features).parameters
        once = functools.partial(metrics.prd_curve_from_features, runs=1)
        monkeypatch.setattr(metrics, "prd_curve_from_features", once)
    of = ring_sets() if name == "modes" else digits_sets()
    x, real, train = of.generated.features, of.real.features, of.training().features
    assert x.dtype == real.dtype == np.float32
    expected = by_hand(name, x, real, train, of.generated.logits)
    found = distances.measure(of, [name])
    assert found.keys() == {kind if name == "modes" else of.extractor.measure(kind) for kind in expected}
    for one, wanted in zip(found.values(), expected.values(), strict=True):
        value, spread = wanted if isinstance(wanted, tuple) else (wanted, None)
        assert one["value"] == pytest.approx(value, rel=1e-12)
        assert one.get("spread") == spread
        assert math.isfinite(one["value"])
        stamp = one["stamp"]
        assert stamp["features"] == of.extractor.name
        assert stamp["features_sha256"] == of.extractor.sha256
        assert stamp["preprocessing"] == of.extractor.preprocessing
        assert stamp["generated"] == len(x) == N
        assert stamp["examples"] == len(real) == N
        assert len(stamp) > 5 or name == "authenticity"  # which has no parameters of its own
        if name == "prd":
            assert all(stamp[option] == defaults[option].default for option in ("clusters", "runs", "angles"))
    json.dumps(found, allow_nan=False)


def test_the_measures_see_what_was_put_there():
    """A copy is memorised, three of eight modes are lost, every tenth point is of none."""
    copied = distances.measure(digits_sets(), ["memorisation", "authenticity"])
    assert all(copied[digits_sets().extractor.measure(kind)]["value"] > 0 for kind in ("memorisation", "authenticity"))
    modes = distances.measure(ring_sets(1000), ["modes"])
    assert modes["modes_covered"]["value"] == 5
    assert modes["high_quality"]["value"] == pytest.approx(0.9 * (1 - math.exp(-4.5)), abs=4 * 0.01 / math.sqrt(10))
    assert modes["modes_covered"]["stamp"]["modes"] == 8
    assert abs(modes["reverse_kl_nats"]["value"] - math.log(8 / 5)) < 0.02


@pytest.mark.parametrize("name", ["prdc", "improved_precision_recall", "prd"])
def test_neighbours_are_looked_for_in_equal_numbers(name):
    """The first 32 of 64 generated examples beside 32 real ones, and the other way round."""
    of = digits_sets()
    half = Features(of.real.features[:32], None)
    few = distances.measure(of._replace(real=half), [name])
    assert few == distances.measure(
        of._replace(real=half, generated=Features(of.generated.features[:32], None)), [name]
    )
    assert all(one["stamp"]["generated"] == one["stamp"]["examples"] == 32 for one in few.values())
    fewer = distances.measure(of._replace(generated=half), [name])
    assert all(one["stamp"]["generated"] == one["stamp"]["examples"] == 32 for one in fewer.values())


def test_several_measures_in_the_order_that_was_asked_for():
    found = list(distances.measure(digits_sets(), ["kernel", "vendi", "frechet"]))
    name = digits_sets().extractor.name
    assert found == [f"kld_{name}", f"vendi_{name}", f"fld_{name}"]


def test_kid_is_the_published_estimator(monkeypatch):
    """Subsets of 1000, of which small sets have none; here smaller ones, so that it is quick."""
    extractor = Extractor("tiny", lambda x: Extracted(x), names={"kernel": "kid", "frechet": "fid"})
    of = ring_sets()._replace(extractor=extractor)
    with pytest.raises(UserError, match=r"measure kernel cannot be made of 64 generated and 64 real .* size is 1000"):
        distances.measure(of, ["kernel"])
    monkeypatch.setattr(distances, "KID_SIZE", 20)
    monkeypatch.setattr(distances, "KID_SUBSETS", 7)
    found = distances.measure(of, ["kernel", "frechet"])
    assert found.keys() == {"kid", "fid"}
    value, spread = metrics.polynomial_mmd2_subsets(
        of.generated.features, of.real.features, subsets=7, size=20, seed=2020
    )
    assert found["kid"]["value"] == value
    assert found["kid"]["spread"] == spread
    assert found["kid"]["stamp"]["estimator"] == "unbiased, 7 subsets of 20, seed 2020"
    assert found["fid"]["stamp"]["features"] == "tiny"


def test_small_sets_are_warned_of():
    few = distances.measure(digits_sets(), ["frechet", "prdc", "inception_score"])
    assert "64 examples for 84 features" in few[digits_sets().extractor.measure("frechet")]["stamp"]["warning"]
    assert "only 64 examples" in few[digits_sets().extractor.measure("recall")]["stamp"]["warning"]
    assert "6 examples a split" in few[digits_sets().extractor.measure("class_score")]["stamp"]["warning"]
    enough = distances.measure(ring_sets(1000), ["frechet", "prdc", "improved_precision_recall"])
    assert not any("warning" in one["stamp"] for one in enough.values())
    fewer = distances.measure(ring_sets(), ["frechet", "frechet_infinity", "improved_precision_recall"])
    assert ["warning" in one["stamp"] for one in fewer.values()] == [False, False, True, True]


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("prdc", 5, "k is 5, but must be from 1 to 4"),
        ("improved_precision_recall", 3, "k is 3, but must be from 1 to 2"),
        ("frechet", 1, "1 row"),
        ("frechet_infinity", 3, "smallest is 1"),
        ("kernel", 1, "1 row"),
        ("inception_score", 9, "splits is 10, but 9 rows"),
        ("prd", 1, "1 row"),
        ("sliced_wasserstein", 1, "1 row"),
        ("vendi", 1, "1 row"),
        ("modes", N, "mixture of known modes (ring, grid), and digits is none"),
    ],
)
def test_a_number_that_would_mean_nothing_is_refused(name, rows, words):
    of = digits_sets()
    cut = Features(of.generated.features[:rows], of.generated.logits[:rows])
    with pytest.raises(UserError) as caught:
        distances.measure(of._replace(generated=cut), [name])
    sentence = str(caught.value)
    assert sentence.startswith(f"The measure {name} cannot be made of {rows} generated and {N} real examples: ")
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_score_of_classes_needs_classes():
    pixels = sets(features.pixels(), generated_images(), dataset())
    with pytest.raises(UserError, match=r"needs a classifier's features, and pixels are none\.$"):
        distances.measure(pixels, ["inception_score"])


def test_modes_are_counted_in_the_plane_alone():
    other = features.from_function("doubled", lambda x: 2 * x)
    with pytest.raises(UserError, match="in the features coordinates, and not in doubled"):
        distances.measure(ring_sets()._replace(extractor=other), ["modes"])


# --- names ------------------------------------------------------------------------------------------------------------


def test_what_is_usual():
    digits, ring = data.load("digits"), data.from_arrays("ring", points(8), points(8))
    assert distances.usual_measures(digits) == ("frechet", "kernel", "prdc")
    assert distances.usual_measures(ring) == ("frechet", "kernel", "modes")
    assert distances.usual_features(digits) == ("pixels", "digits")
    assert distances.usual_features(ring) == ("coordinates",)
    assert distances.usual_features(replace(digits, name="mine")) == ("pixels",)
    assert set(distances.usual_measures(digits) + distances.usual_measures(ring)) <= distances.MEASURES.keys()


def test_extractors_by_name(monkeypatch):
    assert distances.extractor("pixels") is features.pixels()
    assert distances.extractor("coordinates") is features.coordinates()
    assert distances.extractor("digits") is features.small("digits")
    asked = []
    monkeypatch.setattr(features, "inception", lambda *args: asked.append(args) or features.pixels())
    distances.extractor("inception-clean", Path("file.pth"))
    assert asked == [("inception-clean", Path("file.pth"))]
    with pytest.raises(UserError, match=r"no features named 'inceptoin': choose one of pixels, coordinates, digits, "):
        distances.extractor("inceptoin")


def test_a_measure_that_does_not_exist_is_refused():
    distances.check_measures(distances.MEASURES)
    for refuse in (distances.check_measures, functools.partial(distances.measure, digits_sets())):
        with pytest.raises(UserError, match=r"no measure 'fid': choose from frechet, .*, modes\.$"):
            refuse(["frechet", "fid"])


# --- features of whole sets -------------------------------------------------------------------------------------------


def test_batches_make_no_difference(monkeypatch):
    extractor, x = features.small("digits"), dataset().test.x
    whole = distances.extract(extractor, [x])
    monkeypatch.setattr(distances, "BATCH", 24)
    pieces = list(distances._pieces(x))
    assert [len(piece) for piece in pieces] == [24, 24, 16]
    parts = distances.extract(extractor, pieces)
    for part, expected in zip(parts, whole, strict=True):  # sums of float32 in another order
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert distances.extract(features.pixels(), pieces).logits is None


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
    made = distances.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == N
    (file,) = cache.iterdir()
    again = distances.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == N
    for first, second in zip(made, again, strict=True):
        assert first.dtype == second.dtype == np.float32
        np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(made.features, dataset().test.x.reshape(N, -1)[:, :5])
    assert list(cache.iterdir()) == [file]
    # Another process finds it, too: nothing of it is in memory.
    other = Counting()
    np.testing.assert_array_equal(distances.of_split(other.extractor, dataset(), "test").features, made.features)
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
    distances.of_split(Counting().extractor, dataset(), "test")
    other, changed = Counting(**change), of(dataset())
    found = distances.of_split(other.extractor, changed, split)
    x = getattr(changed, split).x
    assert other.seen == len(x) == len(found.features)
    assert len(list(cache.iterdir())) == 2
    # Not even under the other's name, where a broken file system or a hand may have put it.
    files = sorted(cache.iterdir(), key=lambda file: file.stat().st_mtime_ns)
    files[1].write_bytes(files[0].read_bytes())
    distances.of_split(other.extractor, changed, split)
    assert other.seen == 2 * len(x)


def test_functions_are_asked_again():
    """Nothing is known of their parameters, so what they gave is not kept."""
    counting = Counting(sha256=None)
    for times in (1, 2):
        distances.of_split(counting.extractor, dataset(), "test")
        assert counting.seen == times * N
    assert not weights.weights_dir().parent.exists()


def test_a_changed_byte_is_noticed_wherever_it_is(tmp_path):
    few = data.from_arrays("few", dataset().train.x[:2], dataset().test.x[:2])
    identity = {"dataset_sha256": few.checksum, "split": "test"}
    made = distances.extract(Counting().extractor, [few.test.x])
    file = tmp_path / "kept.safetensors"
    distances._keep(file, identity, made)
    content = file.read_bytes()
    assert distances._kept(file, identity) is not None
    assert distances._kept(file, identity | {"split": "train"}) is None
    assert distances._kept(tmp_path / "nothing", identity) is None
    for place in range(len(content)):
        for bit in (1, 32):
            damaged = bytearray(content)
            damaged[place] ^= bit
            file.write_bytes(damaged)
            assert distances._kept(file, identity) is None, (place, bit, content[max(0, place - 9) : place + 9])
    for length in (0, 1, 8, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        assert distances._kept(file, identity) is None


def test_a_damaged_file_is_made_anew(cache):
    counting = Counting()
    made = distances.of_split(counting.extractor, dataset(), "test")
    (file,) = cache.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = distances.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == 2 * N
    np.testing.assert_array_equal(again.features, made.features)
    distances.of_split(counting.extractor, dataset(), "test")
    assert counting.seen == 2 * N
    assert list(cache.iterdir()) == [file]
