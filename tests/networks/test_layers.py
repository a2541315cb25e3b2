import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gvlab.networks import ConvTranspose, append_label, conv_transpose


def numpy_conv_transpose(x: np.ndarray, kernel: np.ndarray, strides: tuple[int, int]) -> np.ndarray:
    """By the definition: every input pixel lays a scaled copy of the kernel down; the SAME margin is cut off."""
    batch, height, width, _ = x.shape
    kernel_height, kernel_width, features, _ = kernel.shape
    top, left = (max(k - s, 0) // 2 for k, s in zip((kernel_height, kernel_width), strides, strict=True))
    out = np.zeros((batch, height * strides[0], width * strides[1], features))
    for i, j in np.ndindex(height, width):
        for a, b in np.ndindex(kernel_height, kernel_width):
            row, column = i * strides[0] + a - top, j * strides[1] + b - left
            if 0 <= row < out.shape[1] and 0 <= column < out.shape[2]:
                out[:, row, column] += x[:, i, j] @ kernel[a, b].T
    return out


def draw(kernel: tuple[int, int], height: int, width: int, seed: int = 0):
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(2, height, width, 3)).astype(np.float32)
    return x, generator.normal(size=(*kernel, 2, 3)).astype(np.float32)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (3, 3)])
@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 3), (4, 4), (5, 5), (5, 2)])
def test_conv_transpose_equals_its_twin_and_flax(kernel_size, strides):
    x, kernel = draw(kernel_size, 4, 5)
    out = conv_transpose(jnp.asarray(x), jnp.asarray(kernel), strides)
    np.testing.assert_allclose(out, numpy_conv_transpose(x, kernel, strides), rtol=1e-5, atol=1e-5)

    flax = nn.ConvTranspose(2, kernel_size, strides, padding="SAME", use_bias=False)
    flax_kernel = kernel[::-1, ::-1].swapaxes(2, 3)
    expected = flax.apply({"params": {"kernel": jnp.asarray(flax_kernel)}}, jnp.asarray(x))
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_conv_transpose_is_the_adjoint_of_a_same_convolution(strides):
    x, kernel = draw((5, 5), 3, 4)
    out = conv_transpose(jnp.asarray(x), jnp.asarray(kernel), strides)
    image = jnp.asarray(np.random.default_rng(1).normal(size=out.shape).astype(np.float32))
    convolved = nn.Conv(3, (5, 5), strides, padding="SAME", use_bias=False).apply(
        {"params": {"kernel": jnp.asarray(kernel)}}, image
    )
    np.testing.assert_allclose(jnp.sum(out * image), jnp.sum(jnp.asarray(x) * convolved), rtol=1e-4)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("size", [3, 4, 5])
def test_conv_transpose_gradients(size, strides):
    def cube(x, kernel):
        """Its second derivatives with respect to one argument alone don't vanish, as the layer's own do."""
        return conv_transpose(jnp.asarray(x), jnp.asarray(kernel), strides) ** 3 / 100

    with jax.enable_x64(True):
        x, kernel = (part.astype(np.float64) for part in draw((size, size), 2, 2))
        check_grads(jax.jit(cube), (x, kernel), order=2, modes=["rev"])


def test_conv_transpose_gradients_equal_automatic_differentiation():
    """Exactly what the custom rule replaces: the derivative of Flax's layer, kernel layout mapped."""
    x, kernel = map(jnp.asarray, draw((5, 5), 3, 4))
    flax = nn.ConvTranspose(2, (5, 5), (2, 2), use_bias=False)

    def theirs(x, kernel):
        return jnp.sum(jnp.sin(flax.apply({"params": {"kernel": kernel[::-1, ::-1].swapaxes(2, 3)}}, x)))

    def ours(x, kernel):
        return jnp.sum(jnp.sin(conv_transpose(x, kernel, (2, 2))))

    for mine, expected in zip(jax.grad(ours, (0, 1))(x, kernel), jax.grad(theirs, (0, 1))(x, kernel), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform", [lambda f: jax.jit(jax.vmap(f)), jax.pmap], ids=["vmap", "pmap"])
def test_conv_transpose_under_transformations(transform):
    """Seeds or devices on the first axis of both arguments: each is as it is alone, in value and gradients."""

    def value_and_gradients(x, kernel):
        return jax.value_and_grad(lambda *a: jnp.sum(jnp.sin(conv_transpose(*a, (2, 2)))), (0, 1))(x, kernel)

    pairs = [draw((5, 5), 3, 4, seed) for seed in range(jax.local_device_count())]
    x, kernel = (jnp.asarray(np.stack(parts)) for parts in zip(*pairs, strict=True))
    together = transform(value_and_gradients)(x, kernel)
    alone = jax.jit(value_and_gradients)
    for i in range(len(pairs)):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-4),
            together,
            alone(x[i], kernel[i]),
        )


def test_layer_adds_its_bias_and_matches_the_function():
    x, kernel = map(jnp.asarray, draw((5, 5), 3, 4))
    layer = ConvTranspose(2, (5, 5), (2, 2))
    bias = jnp.array([1.0, -2.0])
    out = layer.apply({"params": {"kernel": kernel, "bias": bias}}, x)
    np.testing.assert_allclose(out, conv_transpose(x, kernel, (2, 2)) + bias[None, None, None], rtol=1e-6)
    without = ConvTranspose(2, (5, 5), use_bias=False)
    assert jax.tree.map(jnp.shape, without.init(jax.random.key(0), x)) == {"params": {"kernel": (5, 5, 2, 3)}}


def test_default_kernel_has_the_variance_of_the_fan_in():
    """256 channels in, 4 out: LeCun's variance is 1 / (kernel area * 256), and not 1 / (kernel area * 4)."""
    params = ConvTranspose(4, (5, 5)).init(jax.random.key(0), jnp.zeros((1, 2, 2, 256)))["params"]
    variance = np.var(params["kernel"])
    # 25600 draws: the standard error of the variance is at most its sqrt(2 / 25600) = 0.9 %.
    np.testing.assert_allclose(variance, 1 / (25 * 256), rtol=5 * 0.009)
    np.testing.assert_array_equal(params["bias"], 0)


def test_append_label_to_vectors_and_images():
    y = jnp.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    vectors = append_label(jnp.full((2, 4), 7.0), y)
    np.testing.assert_array_equal(vectors, [[7, 7, 7, 7, 0, 1, 0], [7, 7, 7, 7, 1, 0, 0]])
    images = append_label(jnp.full((2, 3, 5, 1), 7.0), y)
    assert images.shape == (2, 3, 5, 4)
    np.testing.assert_array_equal(images[..., 0], 7)
    np.testing.assert_array_equal(images[..., 1:], np.broadcast_to(np.asarray(y)[:, None, None], (2, 3, 5, 3)))


def test_append_label_without_a_label_changes_nothing():
    x = jnp.ones((2, 3))
    assert append_label(x, None) is x
