"""Extractors: what they see, what numbers on their features are called, and that the shipped ones are what they say."""

import hashlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from gvlab import data
from gvlab.extractors import extractor as features
from gvlab.extractors import inception, weights
from gvlab.extractors.extractor import SHIPPED, SMALL, Extracted
from gvlab.types import UserError

HERE = [name for name in SMALL if features.has_small(name)]
ACCURACIES = {"digits": "0.9967", "mnist": "0.9929", "fashion_mnist": "0.9083", "cifar10": "0.8475", "vowels": "0.9960"}
ACCURACIES |= {"spoken_digit": "0.9840"}
SHAPES = {name: data.CATALOGUE[name].shape for name in SMALL if name in data.CATALOGUE} | {"spoken_digit": (8192, 1)}
KINDS = ["frechet", "frechet_infinity", "kernel", "class_score", "precision", "improved_recall", "prd_f8", "vendi"]


def images(n: int, channels: int = 1, side: int = 16, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (n, side, side, channels)).astype(np.uint8)


def identity(x):
    """Stands for a network whose features are its input."""
    return x.reshape(len(x), -1).astype(jnp.float32)


class Pools(NamedTuple):
    pool3: jax.Array
    logits_unbiased: jax.Array


class StandIn:
    """Of the Inception network, which takes ten seconds to compile; it sees what that would see."""

    def apply(self, variables, x):
        rows = x.reshape(len(x), -1)
        return Pools(rows * variables["params"]["scale"], rows[:, :3])


@pytest.fixture
def published(monkeypatch):
    """`inception` without a network and without its 95 MB of weights."""
    monkeypatch.setattr(features, "InceptionV3", StandIn)
    monkeypatch.setattr(features, "load_inception", lambda path: {"scale": jnp.float32(2)})
    return features.inception.__wrapped__  # past the cache, which would keep the stand-in


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suffix", "preprocessing"),
    [
        ("inception", "", "preprocess_fid"),
        ("inception-pytorch", "_pytorch", "preprocess_pytorch_fid"),
        ("inception-clean", "_clean", "preprocess_clean_fid"),
    ],
)
def test_inceptions_weights_earn_the_published_names(published, name, suffix, preprocessing):
    assert name in features.INCEPTION
    extractor = published(name)
    found = {kind: extractor.measure(kind) for kind in KINDS}
    assert found == {
        "frechet": f"fid{suffix}",
        "frechet_infinity": f"fid_infinity{suffix}",
        "kernel": f"kid{suffix}",
        "class_score": f"inception_score{suffix}",
        "precision": f"precision_{name}",
        "improved_recall": f"improved_recall_{name}",
        "prd_f8": f"prd_f8_{name}",
        "vendi": f"vendi_{name}",
    }
    assert extractor.sha256 == inception.INCEPTION_SHA256
    assert extractor.preprocessing == preprocessing


def test_three_preprocessings_have_three_names(published):
    extractors = [published(name) for name in features.INCEPTION]
    assert len({extractor.measure("frechet") for extractor in extractors}) == len(features.INCEPTION) == 3


def test_no_other_features_earn_them():
    published = ("fid", "kid", "inception_score")
    others = [features.pixels(), features.coordinates(), features.from_function("mine", identity, version="1")]
    others += [features.small(name) for name in HERE]
    for extractor in others:
        for kind in KINDS:
            assert extractor.measure(kind).endswith(f"_{extractor.name}")
            assert not extractor.measure(kind).startswith(published)
    assert features.pixels().measure("frechet") == "frechet_pixels"
    assert features.coordinates().measure("kernel") == "kernel_coordinates"
    assert features.from_function("mine", identity, version="1").measure("precision") == "precision_mine"


@pytest.mark.parametrize("name", HERE)
def test_the_names_of_shipped_extractors_hold_the_hash_of_their_parameters(name):
    extractor = features.small(name)
    assert extractor.sha256 is not None
    label = f"{name}-{extractor.sha256[:8]}"
    assert extractor.name == label
    found = [extractor.measure(kind) for kind in ("frechet", "kernel", "class_score", "precision")]
    assert found == [f"fld_{label}", f"kld_{label}", f"class_score_{label}", f"precision_{label}"]
    # The hash once more, from the file's own tensors: name, type, shape and bytes, in the order of the names.
    digest = hashlib.sha256()
    tensors = safetensors.numpy.load_file(SHIPPED / f"{name}.safetensors")
    for tensor in sorted(tensors):
        array = tensors[tensor]
        digest.update(f"{tensor} {array.dtype} {array.shape}\n".encode() + array.tobytes())
    assert extractor.sha256 == digest.hexdigest()


# --- the shipped files ------------------------------------------------------------------------------------------------


def test_the_shipped_files_are_small_and_can_be_made_again():
    files = sorted(SHIPPED.iterdir())
    assert [file.name for file in files] == sorted(f"{name}.safetensors" for name in SMALL)
    assert list(SMALL) == HERE
    assert sum(file.stat().st_size for file in files) < 2_200_000
    recipes = Path(__file__).parents[2] / "experiments" / "extractors"
    for name in SMALL:
        assert f'"{name}"' in (recipes / f"{name}.py").read_text()


@pytest.mark.parametrize("name", HERE)
def test_a_shipped_file_says_what_it_was_trained_on_and_holds_that_network(name):
    variables, about = weights.read_safetensors(SHIPPED / f"{name}.safetensors")
    assert about["dataset"] == name
    assert len(about["dataset_sha256"]) == 64
    assert about["test_accuracy"] == ACCURACIES[name]
    assert about["test_accuracy"] in features.small(name).preprocessing
    readme = (Path(__file__).parents[2] / "experiments" / "extractors" / "README.md").read_text()
    assert f"{100 * float(ACCURACIES[name]):.2f} % | {features.small(name).sha256[:8]} |" in readme
    init = partial(SMALL[name]().init, train=False)
    wanted = jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, *SHAPES[name])))
    leaves = {".".join(key.key for key in path): leaf.shape for path, leaf in jax.tree.leaves_with_path(wanted)}
    weights.require_shapes(weights.flatten(variables), leaves, name)


@pytest.mark.parametrize("name", SMALL)
def test_the_stated_accuracy_is_reached_again(name):
    """On all test examples of `digits` and of sounds, on the first 500 of the others, where they have been prepared."""
    added = [own.name for own in data.listed()]  # as no catalogue has it
    if not (name in added if name not in data.CATALOGUE else data.is_prepared(name)):
        pytest.skip(f"{name} is not prepared in TFDS_DATA_DIR")
    dataset = data.load(name)
    _, about = weights.read_safetensors(SHIPPED / f"{name}.safetensors")
    assert about["dataset_sha256"] == dataset.checksum
    x, y = dataset.test.x[:500], dataset.test.y[:500]
    found = features.small(name).apply(jnp.asarray(x))
    assert found.features.shape == (len(x), 64 if name in ("cifar10", "vowels", "spoken_digit") else 84)
    accuracy, stated = float(np.mean(np.asarray(found.logits).argmax(-1) == y)), float(about["test_accuracy"])
    if len(x) == len(dataset.test.x):
        assert f"{accuracy:.4f}" == about["test_accuracy"]
    else:  # a random sample of the test split, whose images are in no order
        assert abs(accuracy - stated) < 4 * (stated * (1 - stated) / len(x)) ** 0.5


def test_there_is_no_extractor_of_other_data_and_a_damaged_one_is_refused(tmp_path, monkeypatch):
    for name in ("ring", "digitz"):
        with pytest.raises(UserError, match=rf"no extractor of the data set '{name}': choose one of digits, "):
            features.small(name)
        assert not features.has_small(name)
    content = (SHIPPED / "digits.safetensors").read_bytes()
    (tmp_path / "digits.safetensors").write_bytes(content[:-1])
    monkeypatch.setattr(features, "SHIPPED", tmp_path)
    assert not features.has_small("mnist")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        features.small.__wrapped__("digits")


# --- what they see ----------------------------------------------------------------------------------------------------


def test_pixels_and_coordinates_are_the_values_themselves():
    x = images(3, channels=3)
    found = features.pixels().apply(jnp.asarray(x))
    np.testing.assert_allclose(found.features, x.reshape(3, -1) / np.float32(255), rtol=1e-7)
    assert found.features.dtype == jnp.float32
    assert found.logits is None
    points = np.random.RandomState(0).randn(5, 2).astype(np.float32)
    np.testing.assert_array_equal(features.coordinates().apply(jnp.asarray(points)).features, points)
    assert features.pixels() is features.pixels()  # compiled once
    for extractor in (features.pixels(), features.coordinates(), features.from_function("mine", identity, version="1")):
        assert extractor.sha256 is None
    assert features.pixels().preprocessing == "x / 255"


def test_any_function_is_an_extractor():
    extractor = features.from_function("means", lambda x: x.astype(jnp.float32).mean((1, 2)), version="3 of May")
    x = images(4, channels=3)
    found = extractor.apply(jnp.asarray(x))
    assert isinstance(found, Extracted)
    np.testing.assert_allclose(found.features, x.mean((1, 2)), rtol=1e-6)
    assert found.logits is None
    assert extractor.preprocessing == "the function's own, version 3 of May"  # in the stamp, so that two are told apart


@pytest.mark.parametrize("name", ["pixels", "digits", "mine"])
def test_the_same_images_have_the_same_features(name):
    """To the last bit; and what stands beside an image in its batch does not matter."""
    makers = {"pixels": features.pixels, "digits": lambda: features.small("digits")}
    extractor = makers.get(name, lambda: features.from_function(name, identity, version="1"))()
    x = jnp.asarray(images(6))
    first, again = extractor.apply(x), extractor.apply(jnp.array(x))
    np.testing.assert_array_equal(first.features, again.features)
    turned = extractor.apply(x[::-1])
    np.testing.assert_allclose(turned.features[::-1], first.features, rtol=0, atol=1e-5 * first.features.max())
    if name == "digits":
        np.testing.assert_array_equal(first.logits, again.logits)


def test_shipped_extractors_divide_by_255():
    """Seen through the network itself: 0..255 becomes [0, 1], as in training."""
    variables, _ = weights.read_safetensors(SHIPPED / "digits.safetensors")
    x = images(2)
    expected = SMALL["digits"]().apply(variables, jnp.asarray(x / 255, jnp.float32), train=False)
    found = features.small("digits").apply(jnp.asarray(x))
    np.testing.assert_allclose(found.features, expected[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.logits, expected[1], rtol=1e-5, atol=1e-5)


def test_inception_sees_three_channels_of_eight_bits(published, monkeypatch):
    seen = []

    def preprocess(x):
        seen.append((x.dtype, x.shape))
        return x.astype(jnp.float32)

    extractor = features.inception_of("tiny", {"scale": jnp.float32(2)}, "0" * 64, preprocess, "_tiny")
    grey, colour = images(2, channels=1, side=4), images(2, channels=3, side=4)
    found = extractor.apply(jnp.asarray(grey))
    np.testing.assert_array_equal(found.features, 2.0 * grey.repeat(3, axis=-1).reshape(2, -1))
    np.testing.assert_array_equal(found.logits, grey.repeat(3, axis=-1).reshape(2, -1)[:, :3])
    np.testing.assert_array_equal(extractor.apply(jnp.asarray(colour)).features, 2.0 * colour.reshape(2, -1))
    assert seen == [(jnp.uint8, (2, 4, 4, 3))] * 2
    assert extractor.sha256 == "0" * 64
    assert extractor.preprocessing == "preprocess"
    assert extractor.measure("frechet") == "fid_tiny"


@pytest.mark.parametrize(
    ("name", "x", "word"),
    [
        ("digits", images(2, channels=3), "uint8[2, 16, 16, 3]"),
        ("digits", images(2)[..., 0], "uint8[2, 16, 16]"),
        ("digits", images(2) / np.float32(255), "float32[2, 16, 16, 1]"),
        ("digits", np.zeros((2, 2), np.float32), "float32[2, 2]"),
        ("inception", images(2, channels=2), "uint8[2, 16, 16, 2]"),
        ("inception", images(2, channels=4), "uint8[2, 16, 16, 4]"),
        ("inception", images(2) / np.float32(255), "float32[2, 16, 16, 1]"),
        ("pixels", images(2) / np.float32(255), "float32[2, 16, 16, 1]"),
        ("pixels", np.zeros((2, 2), np.float32), "float32[2, 2]"),
        ("coordinates", images(2), "uint8[2, 16, 16, 1]"),
    ],
)
def test_what_an_extractor_does_not_take_is_refused(published, name, x, word):
    makers = {"digits": features.small, "inception": published}
    extractor = makers[name](name) if name in makers else getattr(features, name)()
    with pytest.raises(UserError) as caught:
        extractor.apply(jnp.asarray(x))
    sentence = str(caught.value)
    assert word in sentence
    assert sentence.endswith("choose another --features.")
    assert "\n" not in sentence
