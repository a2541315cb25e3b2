"""The small classifiers against twins in NumPy, and that they can be trained."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from gvlab.extractors.classifiers import CifarResNet, LeNet5, ResNet20
from gvlab.extractors.resize import resize_bilinear


def conv(x, kernel, stride=1, padding=0):
    """In NHWC and HWIO, by definition."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    windows = sliding_window_view(x, kernel.shape[:2], (1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", windows, kernel)


def pool(x):
    return x.reshape(x.shape[0], x.shape[1] // 2, 2, x.shape[2] // 2, 2, x.shape[3]).max((2, 4))


def drawn(module, shape):
    """Every parameter and statistic random, in float64."""
    variables = jax.eval_shape(partial(module.init, train=False), jax.random.key(0), jnp.zeros(shape))
    random = np.random.RandomState(3)

    def draw(path, leaf):
        a = random.standard_normal(leaf.shape)
        name = path[-1].key
        if name == "kernel":
            return a / np.sqrt(np.prod(leaf.shape[:-1]))
        return 1 + 0.1 * np.abs(a) if name in ("scale", "var") else 0.1 * a

    return jax.tree.map_with_path(draw, variables)


def as_float32(tree):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), tree)


@pytest.mark.parametrize(("side", "channels"), [(32, 1), (28, 1), (8, 3)])
@pytest.mark.parametrize(("activation", "twin"), [(jnp.tanh, np.tanh), (jax.nn.relu, lambda x: np.maximum(x, 0))])
def test_lenet5_is_its_twin(side, channels, activation, twin):
    module = LeNet5(activation=activation)
    x = np.random.RandomState(1).random_sample((2, side, side, channels))
    variables = drawn(module, x.shape)
    p = variables["params"]
    h = np.asarray(resize_bilinear(jnp.asarray(x, jnp.float32), (32, 32)), np.float64)
    h = pool(twin(conv(h, p["c1"]["kernel"]) + p["c1"]["bias"]))
    h = pool(twin(conv(h, p["c3"]["kernel"]) + p["c3"]["bias"]))
    h = twin(conv(h, p["c5"]["kernel"].reshape(5, 5, 16, 120)) + p["c5"]["bias"]).reshape(2, 120)
    expected = twin(h @ p["f6"]["kernel"] + p["f6"]["bias"])
    features, logits = module.apply(as_float32(variables), jnp.asarray(x, jnp.float32), train=False)
    np.testing.assert_allclose(features, expected, rtol=0, atol=5e-6)
    np.testing.assert_allclose(logits, expected @ p["f7"]["kernel"] + p["f7"]["bias"], rtol=0, atol=5e-6)


def test_the_residual_network_is_its_twin():
    module = CifarResNet(1)
    x = np.random.RandomState(2).random_sample((2, 8, 8, 3))
    variables = drawn(module, x.shape)

    def norm(h, *path):
        p, s = variables["params"], variables["batch_stats"]
        for key in path:
            p, s = p[key], s[key]
        return (h - s["mean"]) / np.sqrt(s["var"] + 1e-5) * p["scale"] + p["bias"]

    p = variables["params"]
    h = (x - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    h = np.maximum(norm(conv(h, p["conv1"]["kernel"], padding=1), "bn1"), 0)
    for name, stride, new in (("layer1_0", 1, 0), ("layer2_0", 2, 8), ("layer3_0", 2, 16)):
        y = np.maximum(norm(conv(h, p[name]["conv1"]["kernel"], stride, 1), name, "bn1"), 0)
        y = norm(conv(y, p[name]["conv2"]["kernel"], 1, 1), name, "bn2")
        h = np.maximum(y + np.pad(h[:, ::stride, ::stride], ((0, 0), (0, 0), (0, 0), (new, new))), 0)
    expected = h.mean((1, 2))
    apply = jax.jit(partial(module.apply, train=False))
    features, logits = apply(as_float32(variables), jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(features, expected, rtol=0, atol=5e-6)
    np.testing.assert_allclose(logits, expected @ p["linear"]["kernel"] + p["linear"]["bias"], rtol=0, atol=5e-6)


def test_resnet20_has_the_papers_size():
    variables = jax.eval_shape(partial(ResNet20().init, train=False), jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 269_722  # "0.27M", table 6


@pytest.mark.parametrize("module", [LeNet5(classes=3), CifarResNet(1, classes=3)], ids=["lenet", "resnet"])
def test_learns_eight_examples(module):
    x = jax.random.uniform(jax.random.key(1), (8, 8, 8, 3))
    y = jnp.arange(8) % 3
    variables = as_float32(drawn(module, x.shape))
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(variables, state):
        def loss(params):
            (_, logits), updated = module.apply({**variables, "params": params}, x, train=True, mutable=["batch_stats"])
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), updated

        (value, updated), gradient = jax.value_and_grad(loss, has_aux=True)(variables["params"])
        change, state = optimizer.update(gradient, state)
        return {**variables, **updated, "params": optax.apply_updates(variables["params"], change)}, state, value

    state = optimizer.init(variables["params"])
    for _ in range(60):
        variables, state, value = step(variables, state)
    assert value < 0.1 * np.log(3)
    _, logits = jax.jit(partial(module.apply, train=False))(variables, x)
    np.testing.assert_array_equal(logits.argmax(-1), y)


def test_statistics_are_those_of_the_whole_batch():
    """Two devices with half a batch each, stood for by a named axis, see what one device sees."""
    x = jax.random.uniform(jax.random.key(1), (4, 8, 8, 3))
    alone, shared = (CifarResNet(1, axis_name=name) for name in (None, "devices"))
    variables = drawn(alone, x.shape)
    apply, expect = (partial(module.apply, train=True, mutable=["batch_stats"]) for module in (shared, alone))
    halves = x.reshape(2, 2, 8, 8, 3)
    (features, _), updated = jax.jit(jax.vmap(apply, (None, 0), axis_name="devices"))(as_float32(variables), halves)
    (expected, _), expected_updated = jax.jit(expect)(as_float32(variables), x)
    np.testing.assert_allclose(features.reshape(4, 64), expected, rtol=0, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=0, atol=1e-5), updated, expected_updated)
