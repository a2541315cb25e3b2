"""The Inception network on weights given by a formula, against the PyTorch implementations (`inception.json`)."""

import inspect
import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_bytes import legacy, strided

from gvlab.extractors import inception, weights
from gvlab.extractors.inception import (
    InceptionFeatures,
    InceptionV3,
    inception_params,
    load_inception,
    preprocess_clean_fid,
    preprocess_fid,
    preprocess_pytorch_fid,
)
from gvlab.metrics import frechet_distance, inception_score, moments, polynomial_mmd2
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "inception.json").read_text())
TAPS = dict(zip(("64", "192", "768", "2048", "logits_unbiased", "logits"), InceptionFeatures._fields, strict=True))


def formula(name, shape):
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("running_var"):
        return (0.5 + random.random_sample(shape)).astype(np.float32)
    a = random.standard_normal(shape)
    if name.endswith("conv.weight"):
        a *= np.sqrt(2 / np.prod(shape[1:]))
    elif name == "fc.weight":
        a *= np.sqrt(1 / 2048)
    elif name.endswith("bn.weight"):
        a = 1 + 0.1 * a
    else:
        a *= 0.1
    return a.astype(np.float32)


def smooth(seed, shape):
    random = np.random.RandomState(seed)
    y, x = np.arange(shape[1])[:, None] / shape[1], np.arange(shape[2])[None, :] / shape[2]
    images = np.zeros(shape, np.uint8)
    for i in range(shape[0]):
        for k in range(shape[3]):
            a = random.random_sample(4)
            phase = (1 + 3 * a[0]) * y + (1 + 3 * a[1]) * x + a[2]
            v = 127.5 + 127.5 * np.sin(2 * np.pi * phase) * np.cos(2 * np.pi * (1 + 3 * a[3]) * y * x)
            images[i, :, :, k] = np.clip(np.floor(v + 0.5), 0, 255)
    return images


def noise(seed, *shape):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


INPUTS = {
    "A_32x32": noise(0, 4, 32, 32, 3),
    "B_299x299": noise(1, 2, 299, 299, 3),
    "C_360x300": noise(2, 1, 360, 300, 3),
    "D_smooth_48x64": smooth(3, (2, 48, 64, 3)),
}
SET1, SET2 = noise(100, 16, 32, 32, 3), smooth(101, (16, 32, 32, 3))


def tensors():
    shapes = {"fc.weight": (1008, 2048), "fc.bias": (1008,)}
    for kernel, shape in GOLDEN["conv_shapes_OIHW"].items():
        shapes[kernel] = tuple(shape)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[kernel.replace("conv.weight", f"bn.{part}")] = (shape[0],)
    return {name: formula(name, shape) for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """(path, parameters, cache directory) of the formula's weights, which here stood for the published ones.

    They pass through a file as the published one is: in PyTorch's older format, with strided views and counters.
    """
    directory = tmp_path_factory.mktemp("inception")
    path = directory / "formula.pth"
    given = {name: strided(tensor) for name, tensor in tensors().items()}
    given |= {
        name.replace("running_mean", "num_batches_tracked"): strided(np.array(0)) for name in given if "mean" in name
    }
    path.write_bytes(legacy(given))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inception, "INCEPTION_SHA256", weights.sha256(path))
        patch.setenv("XDG_CACHE_HOME", str(directory))
        params = load_inception(path)
    yield path, params, directory
    for file in directory.rglob("*.*"):  # 200 MB
        if file.is_file():
            file.unlink()


@pytest.fixture(scope="module")
def extract(published):
    """Preprocessed images to features; always 25 at a time, so that the network is compiled once."""
    network = jax.jit(lambda params, x: InceptionV3().apply({"params": params}, x))
    params = jax.tree.map(jnp.asarray, published[1])

    def extract(x):
        padded = np.zeros((25, 299, 299, 3), np.float32)
        padded[: len(x)] = x
        features = network(params, padded)
        assert {leaf.dtype for leaf in features} == {jnp.dtype("float32")}
        return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[: len(x)], features)

    return extract


@pytest.fixture(scope="module")
def found(extract):
    """The features of all inputs and sets, by name."""
    original = {name: jax.jit(preprocess_fid)(x) for name, x in {**INPUTS, "1": SET1, "2": SET2}.items()}
    other = {f"pytorch_{name}": jax.jit(preprocess_pytorch_fid)(x) for name, x in INPUTS.items()}
    everything = np.concatenate([*original.values(), *other.values()])
    batches = [extract(everything[i : i + 25]) for i in range(0, len(everything), 25)]
    features = jax.tree.map(lambda *parts: np.concatenate(parts), *batches)
    ends = np.cumsum([len(x) for x in (*original.values(), *other.values())])
    return {
        name: jax.tree.map(lambda leaf, a=start, b=end: leaf[a:b], features)
        for name, start, end in zip([*original, *other], [0, *ends[:-1]], ends, strict=True)
    }


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("tap", TAPS)
def test_every_tap_agrees_with_torch_fidelity(found, name, tap):
    features, expected = getattr(found[name], TAPS[tap]), GOLDEN["torch_fidelity"][name][tap]
    # The file's own measure: ten times what the reference loses in float32; and half its last printed digit.
    tolerance = 10 * expected["float32_max_abs_dev"] + 0.5e-6
    np.testing.assert_allclose(features[:, :8], expected["first8_per_image"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), expected["l2_per_image"], rtol=1e-6)
    np.testing.assert_allclose(features.mean(1), expected["mean_per_image"], rtol=5e-6)


@pytest.mark.parametrize("name", INPUTS)
def test_the_other_preprocessing_agrees_with_pytorch_fid(found, name):
    features, expected = found[f"pytorch_{name}"], GOLDEN["pytorch_fid"][name]
    tolerance = 10 * GOLDEN["torch_fidelity"][name]["2048"]["float32_max_abs_dev"] + 0.5e-6
    np.testing.assert_allclose(features.pool3[:, :8], expected["2048"]["first8_per_image"], rtol=0, atol=tolerance)
    for tap, norms in (
        ("768", expected["768_l2"]),
        ("64", expected["64_l2"]),
        ("2048", expected["2048"]["l2_per_image"]),
    ):
        np.testing.assert_allclose(np.linalg.norm(getattr(features, TAPS[tap]), axis=1), norms, rtol=1e-6)


@pytest.mark.parametrize("tap", ["64", "192", "768", "2048"])
def test_distances_agree_from_image_to_number(found, tap):
    a, b = (getattr(found[name], TAPS[tap]) for name in "12")
    expected = GOLDEN["end_to_end_16_vs_16"]["values"][tap]
    np.testing.assert_allclose(frechet_distance(moments(a), moments(b)), expected["fid_torch_fidelity_eig"], rtol=1e-5)
    np.testing.assert_allclose(polynomial_mmd2(a, b), expected["kid_full_unbiased"], rtol=1e-5)


@pytest.mark.parametrize("splits", [1, 4])
def test_the_inception_score_agrees_from_image_to_number(found, splits):
    expected = GOLDEN["end_to_end_16_vs_16"]["values"][f"isc_splits{splits}_noshuffle_set2"]
    mean, std = inception_score(found["2"].logits_unbiased, splits)
    np.testing.assert_allclose(mean, expected["inception_score_mean"], rtol=1e-6)
    # Of scores of 1.0015 with seven digits; float32 logits move the last two.
    np.testing.assert_allclose(std, expected["inception_score_std"], atol=1e-6)


@pytest.mark.parametrize("name", ["A_32x32", "C_360x300"])
def test_the_resize_of_clean_fid_agrees(name):
    """All that is its own: the network and the scaling are those of the other two."""
    expected = GOLDEN["resize_channel0_of_image0"][name]["clean_pil_bicubic_float"]
    x = np.asarray(preprocess_clean_fid(jnp.asarray(INPUTS[name])))[0, :, :, 0] * 128.0 + 128
    at = GOLDEN["resize_channel0_of_image0"]["idx"]
    np.testing.assert_allclose(x[0, at], np.clip(expected["row0_at_idx"], 0, 255), rtol=0, atol=1e-3)
    np.testing.assert_allclose(x[at, at], np.clip(expected["diag_at_idx"], 0, 255), rtol=0, atol=1e-3)


def test_clean_fids_preprocessing_is_clipped():
    x = preprocess_clean_fid(jnp.asarray(np.kron(noise(5, 1, 8, 8, 3) // 128 * 255, np.ones((1, 4, 4, 1), np.uint8))))
    assert x.shape == (1, 299, 299, 3)
    assert x.min() == -1
    assert x.max() == 127 / 128


@pytest.mark.parametrize("preprocess", [preprocess_fid, preprocess_pytorch_fid, preprocess_clean_fid])
@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (jnp.zeros((2, 32, 32, 3)), r"float32\[2, 32, 32, 3\]"),
        (jnp.zeros((2, 32, 32, 1), jnp.uint8), "repeat a single channel three times"),
        (jnp.zeros((32, 32, 3), jnp.uint8), r"uint8\[32, 32, 3\]"),
    ],
)
def test_other_images_are_refused(preprocess, images, sentence):
    with pytest.raises(UserError, match=sentence):
        inspect.unwrap(preprocess)(images)


def test_the_converted_file_is_the_same_and_is_used(published, monkeypatch):
    path, params, directory = published
    monkeypatch.setattr(inception, "INCEPTION_SHA256", weights.sha256(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    monkeypatch.setattr(inception, "read_torch", None)  # not needed again
    (converted,) = weights.weights_dir().iterdir()
    assert jax.tree.all(jax.tree.map(np.array_equal, load_inception(), params))
    # Only as gvlab's own, from where it put it: any file could claim to be made from the published weights.
    with pytest.raises(UserError, match="is not the file it should be"):
        load_inception(converted)
    content = bytearray(converted.read_bytes())
    content[-1] ^= 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory / "damaged"))
    damaged = weights.weights_dir() / converted.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(content)
    with pytest.raises(UserError, match="was not made from the published Inception weights"):
        load_inception()


def test_the_tensors_are_those_of_the_published_file():
    """Names, shapes and strides as they were read from its first bytes (`inception_layout.json`)."""
    layout = json.loads((Path(__file__).parents[1] / "golden" / "inception_layout.json").read_text())
    tensors = {name: (tuple(shape), tuple(strides)) for name, shape, strides in layout["tensors"]}
    assert len(tensors) == 472
    expected = inception._torch_shapes(inception._inception_shapes())
    assert {name: shape for name, (shape, _) in tensors.items()} == expected
    assert sum(int(np.prod(shape)) for shape in expected.values()) == layout["n_float_params"]
    for name, (shape, strides) in tensors.items():  # as the formula's weights are laid out, above
        assert strided(np.broadcast_to(np.float32(0), shape).copy()).strides == strides, name


def test_another_file_is_refused_by_its_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "pt_inception-2015-12-05-6726825d.pth"
    path.write_bytes(b"Not Found")
    with pytest.raises(UserError, match=r"is not the file it should be: .* instead of 6726825d0af5f729"):
        load_inception(path)
    with pytest.raises(UserError, match="cannot be read"):
        load_inception(tmp_path / "absent.pth")
    with pytest.raises(UserError, match="cannot be read"):
        load_inception(tmp_path / "absent.safetensors")


def test_without_a_network_the_sentence_says_how_to_bring_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "INCEPTION_URL", (tmp_path / "nowhere").as_uri())
    with pytest.raises(UserError, match=r"cannot be fetched .* copy it to .*inception-6726825d\.pth"):
        load_inception()


def test_other_tensors_are_refused():
    given = {name: np.zeros(1, np.float32) for name in names()}
    with pytest.raises(UserError, match="The Inception file has "):
        inception_params(given)
    with pytest.raises(UserError, match=r"lacks the tensor Conv2d_1a_3x3\.bn\.bias"):
        inception_params({name: tensor for name, tensor in given.items() if not name.startswith("Conv2d_1a")})
    with pytest.raises(UserError, match=r"has the unknown tensor AuxLogits\.fc\.weight"):
        inception_params({**given, "AuxLogits.fc.weight": np.zeros(1, np.float32)})


def names():
    parts = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "conv.weight")
    kernels = GOLDEN["conv_shapes_OIHW"]
    return ["fc.weight", "fc.bias"] + [name.replace("conv.weight", part) for name in kernels for part in parts]
