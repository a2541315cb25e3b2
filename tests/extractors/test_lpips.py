"""LPIPS with the published heads on backbones whose weights a formula gives (`lpips.json`)."""

import inspect
import json
import zlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from torch_bytes import legacy, strided

from gvlab.extractors.lpips import load_lpips_alex, load_lpips_squeeze, load_lpips_vgg, lpips, lpips_heads
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "lpips.json").read_text())
LOADERS = {"alex": load_lpips_alex, "vgg": load_lpips_vgg, "squeeze": load_lpips_squeeze}


def uniform(seed):
    return np.random.RandomState(seed).random_sample((2, 3, 64, 64)) * 2 - 1


def images():
    x = uniform(60)
    y = 0.5 * x + 0.5 * uniform(61)
    return [jnp.asarray(z.transpose(0, 2, 3, 1).astype(np.float32)) for z in (x, y)]


def backbone(network):
    """torchvision's file, in name and layout: `slice2.3.squeeze.weight` is `features.3.squeeze.weight` there."""
    tensors = {"classifier.6.bias": np.zeros(1, np.float32)}
    for name, shape in GOLDEN[network]["backbone_shapes"].items():
        a = np.random.RandomState(zlib.crc32(f"{network}.{name}".encode())).standard_normal(shape)
        a = a * (np.sqrt(2 / np.prod(shape[1:])) if name.endswith("weight") else 0.1)
        tensors[f"features.{name.split('.', 1)[1]}"] = a.astype(np.float32)
    return tensors


@pytest.fixture
def save(tmp_path):
    def save(tensors):
        path = tmp_path / "backbone.pth"
        path.write_bytes(legacy({name: strided(tensor) for name, tensor in tensors.items()}))
        return path

    return save


@pytest.mark.parametrize("network", LOADERS)
def test_agrees_with_lpips(network, save):
    distance = jax.jit(LOADERS[network](save(backbone(network))))
    x, y = images()
    np.testing.assert_allclose(distance(x, y), GOLDEN[network]["lpips"], rtol=5e-6)
    np.testing.assert_allclose(distance(y, x), GOLDEN[network]["lpips"], rtol=5e-6)
    np.testing.assert_allclose(distance(x, x), 0, atol=1e-12)


def test_the_sum_over_layers_in_closed_form():
    def features(x):
        return x[..., :2], x[:, ::2, ::2]

    x = jnp.full((1, 4, 4, 3), 0.5)
    heads = [np.array([1.0, 2.0], np.float32), np.array([1.0, 0.0, 0.5], np.float32)]
    units = []
    for value in (0.5, -0.25):
        scaled = (value - np.array([-0.030, -0.088, -0.188])) / [0.458, 0.448, 0.450]
        units.append([scaled[:2] / np.linalg.norm(scaled[:2]), scaled / np.linalg.norm(scaled)])
    expected = sum(head @ (a - b) ** 2 for head, a, b in zip(heads, *units, strict=True))
    np.testing.assert_allclose(lpips(features, heads, x, jnp.full_like(x, -0.25)), [expected], rtol=1e-5)


def test_gradients_are_finite_where_all_features_are_zero():
    def dead(x):
        return (jax.nn.relu(x - 100),)

    x, y = images()
    gradient = jax.grad(lambda x: lpips(dead, [np.ones(3, np.float32)], x, y).sum())(x)
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(("network", "layers"), [("alex", 5), ("vgg", 5), ("squeeze", 7)])
def test_the_published_heads_weigh_without_signs(network, layers):
    heads = lpips_heads(network)
    assert len(heads) == layers
    assert all((head >= 0).all() and head.max() > 0 for head in heads)


def test_images_that_do_not_fit_are_refused():
    x, _ = images()
    bare = inspect.unwrap(lpips)
    for a, b in ((x, x[:1]), (x[..., :1], x[..., :1]), (x[0], x[0])):
        with pytest.raises(UserError, match="LPIPS compares images"):
            bare(lambda x: (x,), [], a, b)
    with pytest.raises(UserError, match="too small for LPIPS"):
        bare(lambda x: (x[:, :0],), [np.ones(3)], x, x)


def test_another_networks_file_is_refused(save):
    tensors = backbone("alex")
    with pytest.raises(UserError, match="has the unknown tensor"):
        load_lpips_squeeze(save({**backbone("squeeze"), "features.0.extra": np.zeros(1, np.float32)}))
    with pytest.raises(UserError, match="lacks the tensor"):
        load_lpips_vgg(save(tensors))
    tensors["features.0.weight"] = tensors["features.0.weight"][:, :1]
    with pytest.raises(UserError, match=r"has features\.0\.weight as float32\[64, 1, 11, 11\] instead of"):
        load_lpips_alex(save(tensors))
