"""Distances between sets: every number is the metric of the features."""

from __future__ import annotations

import functools
import inspect
import json
import math

import jax.numpy as jnp
import numpy as np
import pytest
import sklearn
from image_pairs import N, dataset, digits_sets, generated_images, points, sets

from gvlab import data, metrics
from gvlab.evaluate import distances, of_sets
from gvlab.evaluate import features as feature_sets
from gvlab.evaluate.features import Features
from gvlab.evaluate.of_sets import Sets
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.extractors import sets as extractor_sets
from gvlab.extractors.extractor import Extracted, Extractor
from gvlab.types import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache directory of the test's own; gives where reference features are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gvlab" / "references"


@functools.cache
def ring_sets(n: int = N) -> Sets:
    return sets(features.coordinates(), points(n, 1), data.from_arrays("ring", points(96, 2), points(n, 3)))


@functools.cache
def stacked_images() -> np.ndarray:
    """Three of scikit-learn's digits each: the three are tripled pixels, far from MNIST's, but some are recognised."""
    x = data.load("digits").train.x[:, 1:15, 1:15].repeat(2, axis=1).repeat(2, axis=2)
    return np.concatenate([x[start : start + N] for start in (0, 200, 400)], axis=-1)


def digits_seen(images: np.ndarray) -> np.ndarray:
    return np.asarray(features.small("mnist").apply(jnp.asarray(images)).logits).argmax(1)


@functools.cache
def stacked_sets() -> Sets:
    x = stacked_images()
    return sets(catalogue.stacked_digits(), x, data.from_arrays("stacked_mnist", x[::-1][:96], x[:, ::-1]))


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
            return {"class_score": metrics.inception_score_shuffled(logits, 10, seed=2020)}
        case "classes":
            seen = features.small("digits").apply(jnp.asarray(digits_sets().dataset.test.x)).logits
            found = metrics.class_balance(logits.argmax(1), np.asarray(seen).argmax(1), 10)
            return {"classes_reached": found.reached, "class_js_bits": found.js_bits}
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
                "memorisation_of_real": metrics.memorisation_rate(real, train, 1 / 3),  # of the test split
            }
        case "nearest":
            of_real = metrics.nearest_distance(real), metrics.nearest_distance(real, train)
            assert min(of_real) > 0
            return {
                "nearest_self": metrics.nearest_distance(x),
                "nearest_train": metrics.nearest_distance(x, train),
            }
        case "modes":
            return metrics.mixture_coverage(x, data.ring().means, 0.01)._asdict()
        case "stacked_modes":
            digits = np.stack([digits_seen(stacked_images()[..., channel : channel + 1]) for channel in range(3)], 1)
            found = metrics.stacked_coverage(digits)
            return {"modes_covered": found.modes_covered, "reverse_kl_nats": found.kl_nats}
    raise AssertionError(f"a new measure needs its line here: {name}")


@pytest.mark.parametrize("name", distances.MEASURES)
def test_every_number_is_the_metric_of_the_features(name, monkeypatch):
    if name == "prd":  # whose ten clusterings take five seconds
        defaults = inspect.signature(metrics.prd_curve_from_features).parameters
        once = functools.partial(metrics.prd_curve_from_features, runs=1)
        monkeypatch.setattr(metrics, "prd_curve_from_features", once)
    of = {"modes": ring_sets, "stacked_modes": stacked_sets}.get(name, digits_sets)()
    x, real, train = of.generated.features, of.real.features, of.training().features
    assert x.dtype == real.dtype == np.float32
    expected = by_hand(name, x, real, train, of.generated.logits)
    found = distances.measure(of, [name])
    assert found.keys() == {kind if "modes" in name else of.extractor.measure(kind) for kind in expected}
    for one, wanted in zip(found.values(), expected.values(), strict=True):
        value, spread = wanted if isinstance(wanted, tuple) else (wanted, None)
        assert one["value"] == pytest.approx(value, rel=1e-9)
        assert one.get("spread") == spread
        assert math.isfinite(one["value"])
        stamp = one["stamp"]
        assert stamp["features"] == of.extractor.name
        assert stamp["features_sha256"] == of.extractor.sha256
        assert stamp["preprocessing"] == of.extractor.preprocessing
        assert stamp["protocol"] == feature_sets.PROTOCOL
        assert stamp["generated"] == len(x) == N
        assert stamp["examples"] == len(real) == N
        assert len(stamp.keys() - {"warning"}) > 6 or name == "authenticity"  # which has no parameters of its own
        if name == "prd":
            assert stamp["scikit_learn"] == sklearn.__version__
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
    """32 of 64 generated examples, drawn by the seed in the stamp, beside 32 real ones; and the other way round."""
    of = digits_sets()
    half = Features(of.real.features[:32], None)
    few = distances.measure(of._replace(real=half), [name])
    drawn = of.generated.features[np.random.RandomState(0).permutation(N)[:32]]
    assert few == distances.measure(of._replace(real=half, generated=Features(drawn, None)), [name])
    assert all(one["stamp"]["subset_seed"] == 0 for one in few.values())
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
    with pytest.raises(UserError, match=r"kernel cannot be made of 64 generated and 64 real .* at least 1000 of each"):
        distances.measure(of, ["kernel"])
    for module in (distances, of_sets):
        monkeypatch.setattr(module, "KID_SIZE", 20)
    monkeypatch.setattr(of_sets, "KID_SUBSETS", 7)
    found = distances.measure(of, ["kernel", "frechet"])
    assert found.keys() == {"kid", "fid"}
    value, spread = metrics.polynomial_mmd2_subsets(
        of.generated.features, of.real.features, subsets=7, size=20, seed=2020
    )
    assert found["kid"]["value"] == value
    assert found["kid"]["spread"] == spread
    assert found["kid"]["stamp"]["estimator"] == "unbiased, 7 subsets of 20, seed 2020"
    assert found["fid"]["stamp"]["features"] == "tiny"


def test_small_sets_are_warned_of(monkeypatch):
    few = distances.measure(digits_sets(), ["frechet", "prdc", "inception_score"])
    assert "64 examples for 84 features" in few[digits_sets().extractor.measure("frechet")]["stamp"]["warning"]
    assert "only 64 examples" in few[digits_sets().extractor.measure("recall")]["stamp"]["warning"]
    assert "6 examples a split" in few[digits_sets().extractor.measure("class_score")]["stamp"]["warning"]
    small = ["improved_precision_recall", "prd", "vendi", "sliced_wasserstein", "authenticity", "memorisation"]
    monkeypatch.setattr(metrics, "prd_curve_from_features", functools.partial(metrics.prd_curve_from_features, runs=1))
    small.append("kernel")
    enough = distances.measure(ring_sets(1000), ["prdc", *small])
    assert not any("warning" in one["stamp"] for one in enough.values())
    fewer = distances.measure(ring_sets(), ["frechet_infinity"])
    assert not any("warning" in one["stamp"] for one in fewer.values())
    assert all("only 64 ex" in one["stamp"]["warning"] for one in distances.measure(ring_sets(), small).values())


def test_a_frechet_distance_that_is_mostly_of_small_sets_is_warned_of():
    """A tenth of it is enough, whatever the counts: what matters is what it says of the model."""
    points = np.random.RandomState(0).standard_normal((1400, 3)).astype(np.float32)
    sets_of = ring_sets()._replace(extractor=features.coordinates())
    for shift, count, warns in ((0.0, 300, True), (2.0, 300, False), (0.0, 1000, True), (0.2, 20, True)):
        generated, real = Features(points[:count] + np.float32(shift), None), Features(points[1000:], None)
        (one,) = distances.measure(sets_of._replace(generated=generated, real=real), ["frechet"]).values()
        bias = metrics.frechet_bias(metrics.moments(points[1000:]), count, 400)
        assert (bias > 0.1 * one["value"]) == warns
        text = f"{count} and 400 real examples would be about {bias:.2g} apart by chance alone"
        assert one["stamp"].get("warning", "").startswith(text) == warns


def test_a_regression_that_begins_too_early_is_warned_of():
    """100 examples are more than the 84 features, but the regression begins at 50."""
    more = Features(np.concatenate([digits_sets().generated.features, digits_sets().real.features])[:100], None)
    of = digits_sets()._replace(generated=more, real=more)
    plain, infinite = distances.measure(of, ["frechet", "frechet_infinity"]).values()
    assert "singular" not in plain["stamp"]["warning"]
    assert "begins at 50 examples for 84 features" in infinite["stamp"]["warning"]


@pytest.mark.parametrize("name", ["pixels", "digits"])
def test_moments_need_no_features_of_all(name, monkeypatch):
    """The same number, to the last bit, as where they are held for other measures."""
    monkeypatch.setattr(extractor_sets, "BATCH", 24)
    extractor, x = catalogue.extractor(name), generated_images()
    whole = Sets(
        extractor,
        feature_sets.extract(extractor, feature_sets.pieces(x)),
        feature_sets.of_split(extractor, dataset(), "test"),
        lambda: feature_sets.of_split(extractor, dataset(), "train"),
        dataset(),
    )
    monkeypatch.setattr(feature_sets, "extract", None if name == "pixels" else feature_sets.extract)
    found = distances.frechet_streamed(extractor, feature_sets.pieces(x), dataset(), "test")
    assert found == distances.measure(whole, ["frechet"])


def test_held_out_examples_are_those_of_the_test_split():
    """Also where the training split is what all is compared with, whose examples are copies of themselves."""
    of = digits_sets()
    asked = ["memorisation"]
    assert distances.measure(of._replace(real=of.training()), asked).keys() == distances.measure(of, asked).keys()
    for sets_of in (of, of._replace(real=of.training())):
        found = distances.measure(sets_of, asked)[of.extractor.measure("memorisation_of_real")]
        assert found["value"] == metrics.memorisation_rate(of.real.features, of.training().features) < 1
        assert (found["stamp"]["split"], found["stamp"]["examples"]) == ("test", N)


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("prdc", 5, "at least 6 of each"),
        ("improved_precision_recall", 3, "at least 4 of each"),
        ("frechet", 1, "at least 2 of each"),
        ("frechet_infinity", 3, "at least 4 generated"),
        ("kernel", 1, "at least 2 of each"),
        ("inception_score", 9, "at least 10 generated"),
        ("prd", 1, "at least 2 of each"),
        ("sliced_wasserstein", 1, "at least 2 of each"),
        ("vendi", 1, "at least 2 of each"),
        ("modes", N, "mixture of known modes (ring, grid), and digits is none"),
        ("stacked_modes", N, "thousand modes of stacked_mnist, and digits has others"),
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
    # The same sentence before anything is computed.
    with pytest.raises(UserError) as ahead:
        distances.check_ahead([name], of.extractor, of.dataset, "test", rows)
    assert str(ahead.value) == sentence
    if "at least" in words:
        assert f"{words}, so ask for more samples (evaluation.samples;" in sentence.replace(" ones,", ",")
        assert "or other measures (evaluation.measures;" in sentence


def test_of_few_real_examples_the_remedy_is_a_larger_share_for_testing():
    of = digits_sets()
    with pytest.raises(UserError) as caught:
        distances.measure(of._replace(real=Features(of.real.features[:4], None)), ["prdc"])
    assert str(caught.value) == (
        f"The measure prdc cannot be made of {N} generated and 4 real examples: it needs at least 6 of each, so take a "
        "larger share for testing (gvlab data add ... --test 0.3; test=0.3 in an experiment's source), or other "
        "measures (evaluation.measures; --metrics of gvlab evaluate)."
    )


def test_the_least_that_is_not_refused_is_measured():
    """The check ahead asks for no more than the measures do."""
    of = digits_sets()
    for name, rows in (("prdc", 6), ("improved_precision_recall", 4), ("frechet_infinity", 4), ("inception_score", 10)):
        cut = Features(of.generated.features[:rows], of.generated.logits[:rows])
        real = (
            Features(of.real.features[:rows], None) if name not in ("frechet_infinity", "inception_score") else of.real
        )
        distances.check_ahead([name], of.extractor, of.dataset, "test", rows)
        assert distances.measure(of._replace(generated=cut, real=real), [name])


def test_features_of_other_data_are_refused_ahead():
    ring = data.from_arrays("ring", points(8), points(8))
    with pytest.raises(UserError, match=r"^The features pixels are of images, not of float32\[500, 2\]: "):
        distances.check_ahead(["frechet"], features.pixels(), ring, "test", 100)
    with pytest.raises(UserError, match=r"^The extractor digits-.* takes uint8 images of 1 channel"):
        distances.check_ahead(["frechet"], features.small("digits"), ring, "test", 100)
    # A function of the user's own is not called for it: it might not bear to be traced.
    mine = features.from_function("mine", lambda x: np.asarray(x, np.float32), version="1")
    distances.check_ahead(["frechet", "inception_score"], mine, ring, "test", 100)


def test_a_score_of_classes_needs_classes():
    pixels = sets(features.pixels(), generated_images(), dataset())
    with pytest.raises(UserError, match=r"needs a classifier's features, and pixels are none\.$"):
        distances.measure(pixels, ["inception_score"])


def test_modes_are_counted_in_the_plane_alone():
    other = features.from_function("doubled", lambda x: 2 * x, version="1")
    with pytest.raises(UserError, match="in the features coordinates, and not in doubled"):
        distances.measure(ring_sets()._replace(extractor=other), ["modes"])


def test_three_digits_are_seen_each_in_its_channel():
    of, classifier = stacked_sets(), features.small("mnist")
    made = feature_sets.extract(catalogue.stacked_digits(), [stacked_images()])
    for channel in range(3):
        alone = classifier.apply(jnp.asarray(stacked_images()[..., channel : channel + 1]))
        np.testing.assert_allclose(made.features.reshape(N, 3, 84)[:, channel], alone.features, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(made.logits.reshape(N, 3, 10)[:, channel], alone.logits, rtol=1e-4, atol=1e-3)
    found = distances.measure(of, ["stacked_modes"])
    assert found.keys() == {"modes_covered", "reverse_kl_nats"}
    assert 10 < found["modes_covered"]["value"] <= N
    for one in found.values():
        assert one["stamp"]["features"] == "stacked_mnist-" + classifier.name.removeprefix("mnist-")
        assert one["stamp"]["features_sha256"] == classifier.sha256
        assert one["stamp"]["preprocessing"].startswith("each channel alone; x / 255, resized to 32x32 by bilinear")
        assert one["stamp"]["modes"] == 1000
        assert one["stamp"]["warning"].startswith("64 generated examples: published numbers are of 26000")
    frechet = distances.measure(of, ["frechet"])
    assert list(frechet) == [f"fld_{catalogue.stacked_digits().name}"]


def test_the_published_number_of_examples_is_not_warned_of(monkeypatch):
    monkeypatch.setattr(of_sets, "STACKED_SAMPLES", N)
    assert not any("warning" in one["stamp"] for one in distances.measure(stacked_sets(), ["stacked_modes"]).values())


@pytest.mark.parametrize(
    ("measure", "change", "words"),
    [
        ("stacked_modes", {"extractor": features.pixels()}, "in the features stacked_mnist, and not in pixels"),
        ("inception_score", {}, "it needs one class for each image, and stacked_mnist-"),
    ],
)
def test_digits_of_other_things_are_refused(measure, change, words):
    with pytest.raises(UserError, match=words):
        distances.measure(stacked_sets()._replace(**change), [measure])


def test_three_digits_need_three_channels():
    with pytest.raises(UserError, match=r"^The features stacked_mnist-.* 3 channels, not of uint8\[64, 16, 16, 1\]: "):
        feature_sets.extract(catalogue.stacked_digits(), [generated_images()])
