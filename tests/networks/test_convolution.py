"""`conv` and `conv_transpose` against their definitions, against lax, and through every transformation."""

import re
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from gvlab.networks import conv, conv_transpose, convolution

DIMENSIONS = ("NHWC", "HWIO", "NHWC")

# The two axes don't know of each other, so a case tests one (kernel, stride, size) on the height and another on the
# width; over all cases each axis meets every kernel up to 5 with every stride up to 3 on every size up to 9.
AXIS = [(kernel, stride, size) for size in range(1, 10) for kernel in range(1, 6) for stride in range(1, 4)]
HALF = len(AXIS) // 2
CASES = [*zip(AXIS[:HALF], AXIS[: HALF - 1 : -1], strict=False), (AXIS[HALF], AXIS[0])]
FEW = [((5, 2, 7), (5, 2, 4)), ((4, 2, 4), (3, 3, 5)), ((2, 3, 5), (5, 1, 3)), ((3, 1, 6), (1, 3, 8))]


def cases(table):
    names = ["-".join(f"{kernel}over{stride}on{size}" for kernel, stride, size in case) for case in table]
    return pytest.mark.parametrize(("height", "width"), table, ids=names)


# Compiling is all that these tests cost: LLVM may leave its passes out.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def draw(*shapes, seed=0):
    """In NumPy, as are all comparisons: eagerly, JAX would compile a program for every operation and shape."""
    generator = np.random.default_rng(seed)
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def margins(kernel, stride, size):
    """How far the kernel sticks out before the image, with SAME padding."""
    return max((-(-size // stride) - 1) * stride + kernel - size, 0) // 2


def pairs(large, kernel, small, strides):
    """All (row, column) of the large image that meet a kernel entry at a pixel of the small one, by the definition."""
    top, left = (margins(k, s, n) for k, s, n in zip(kernel[:2], strides, large[1:3], strict=True))
    for i, j, a, b in np.ndindex(*small[1:3], *kernel[:2]):
        row, column = i * strides[0] + a - top, j * strides[1] + b - left
        if 0 <= row < large[1] and 0 <= column < large[2]:
            yield row, column, i, j, a, b


def twin_conv(large, kernel, strides):
    small = np.zeros(
        (len(large), *(-(-n // s) for n, s in zip(large.shape[1:3], strides, strict=True)), kernel.shape[3])
    )
    for row, column, i, j, a, b in pairs(large.shape, kernel.shape, small.shape, strides):
        small[:, i, j] += large[:, row, column] @ kernel[a, b]
    return small


def twin_conv_transpose(small, kernel, strides, size=None):
    """Every pixel lays a scaled copy of the kernel down; the SAME margin is cut off."""
    size = size or tuple(n * s for n, s in zip(small.shape[1:3], strides, strict=True))
    large = np.zeros((len(small), *size, kernel.shape[2]))
    for row, column, i, j, a, b in pairs(large.shape, kernel.shape, small.shape, strides):
        large[:, row, column] += small[:, i, j] @ kernel[a, b].T
    return large


def twin_kernel_gradient(large, small, kernel_shape, strides):
    gradient = np.zeros(kernel_shape)
    for row, column, i, j, a, b in pairs(large.shape, kernel_shape, small.shape, strides):
        gradient[a, b] += large[:, row, column].T @ small[:, i, j]
    return gradient


def lax_conv(large, kernel, strides):
    return jax.lax.conv_general_dilated(large, kernel, strides, "SAME", dimension_numbers=DIMENSIONS)


def lax_conv_transpose(small, kernel, strides):
    size = tuple(n * s for n, s in zip(small.shape[1:3], strides, strict=True))
    image = jax.ShapeDtypeStruct((len(small), *size, kernel.shape[2]), small.dtype)
    (large,) = jax.linear_transpose(lambda image: lax_conv(image, kernel, strides), image)(small)
    return large


def value_and_pullback(f, strides):
    """(x, kernel, cotangent) -> the value and the two gradients, in one compiled function."""

    def both(x, kernel, cotangent):
        value, pull = jax.vjp(lambda x, kernel: f(x, kernel, strides), x, kernel)
        return value, *pull(cotangent)

    return quick_jit(both)


def close(actual, expected):
    # Sums of at most 5 * 5 * 3 products, and over 9 * 9 pixels for a kernel's gradient, of order-one numbers.
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@cases(CASES)
def test_conv_and_its_gradients_equal_the_definition(height, width):
    kernel_size, strides, size = zip(height, width, strict=True)
    x, kernel = draw((2, *size, 3), (*kernel_size, 3, 2))
    expected = twin_conv(x, kernel, strides)
    (cotangent,) = draw(expected.shape, seed=1)
    value, to_x, to_kernel = value_and_pullback(conv, strides)(x, kernel, cotangent)
    close(value, expected)
    close(to_x, twin_conv_transpose(cotangent, kernel, strides, size))
    close(to_kernel, twin_kernel_gradient(x, cotangent, kernel.shape, strides))


@cases(CASES)
def test_conv_transpose_equals_the_definition(height, width):
    kernel_size, strides, size = zip(height, width, strict=True)
    x, kernel = draw((2, *size, 3), (*kernel_size, 2, 3))
    close(quick_jit(conv_transpose, static_argnums=2)(x, kernel, strides), twin_conv_transpose(x, kernel, strides))


@cases(CASES[::4])
def test_conv_transpose_gradients_equal_the_definition(height, width):
    kernel_size, strides, size = zip(height, width, strict=True)
    x, kernel = draw((2, *size, 3), (*kernel_size, 2, 3))
    (cotangent,) = draw(twin_conv_transpose(x, kernel, strides).shape, seed=1)
    _, to_x, to_kernel = value_and_pullback(conv_transpose, strides)(x, kernel, cotangent)
    close(to_x, twin_conv(cotangent, kernel, strides))
    close(to_kernel, twin_kernel_gradient(cotangent, x, kernel.shape, strides))


def test_the_cases_cover_every_kernel_stride_and_size():
    assert {axis for case in CASES for axis in case} == set(AXIS)
    assert any(height[1] != width[1] for height, width in CASES)


@pytest.mark.parametrize(("ours", "theirs"), [(conv, lax_conv), (conv_transpose, lax_conv_transpose)])
@cases(FEW)
def test_values_and_gradients_equal_automatic_differentiation_of_lax(ours, theirs, height, width):
    """Exactly what the custom rules replace."""
    kernel_size, strides, size = zip(height, width, strict=True)
    channels = (3, 2) if ours is conv else (2, 3)
    x, kernel = draw((2, *size, 3), (*kernel_size, *channels))
    (cotangent,) = draw(jax.eval_shape(lambda: theirs(x, kernel, strides)).shape, seed=1)
    for mine, expected in zip(
        value_and_pullback(ours, strides)(x, kernel, cotangent),
        value_and_pullback(theirs, strides)(x, kernel, cotangent),
        strict=True,
    ):
        close(mine, expected)


@cases(FEW)
def test_the_form_for_accelerators_equals_the_one_for_the_cpu(height, width):
    """Tests run on CPU: without this one the other form would never run."""
    kernel_size, strides, size = zip(height, width, strict=True)
    small, kernel = draw((2, *(-(-n // s) for n, s in zip(size, strides, strict=True)), 3), (*kernel_size, 2, 3))
    forms = (convolution._up_as_xla, convolution._up_by_phases)
    as_xla, by_phases = (
        quick_jit(lambda *a, f=form: f(*a, strides=strides, size=size))(small, kernel) for form in forms
    )
    close(by_phases, as_xla)


@cases(FEW)
def test_the_kernel_gradient_for_accelerators_equals_the_one_for_the_cpu(height, width):
    kernel_size, strides, size = zip(height, width, strict=True)
    large, small = draw((2, *size, 3), (2, *(-(-n // s) for n, s in zip(size, strides, strict=True)), 2))
    forms = (convolution._kernel_gradient_as_xla, convolution._kernel_gradient_in_order)
    as_xla, in_order = (
        quick_jit(lambda *a, f=form: f(*a, strides=strides, size=kernel_size))(large, small) for form in forms
    )
    close(in_order, as_xla)


@pytest.mark.parametrize("size", [8, 7])
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
def test_derivatives_of_any_order_keep_the_order_of_axes_that_is_fast_inside_cond(strides, kernel_size, size):
    def output(x, down, up):
        return jnp.sin(conv_transpose(jnp.sin(conv(x, down, strides)), up, strides)).sum((1, 2, 3))

    def penalty(x, down, up):
        return jnp.square(jax.grad(lambda x: output(x, down, up).sum())(x)).sum()

    x, kernel = draw((2, size, size, 3), (kernel_size, kernel_size, 3, 3))
    text = jax.jit(jax.grad(penalty, (0, 1, 2))).lower(x, kernel, kernel).as_text()
    orders = set(re.findall(r"dim_numbers = (\[.*?\]x\[.*?\]->\[.*?\])", text))
    assert orders == {"[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]"}


@cases(FEW)
def test_the_matrix_product_for_small_images_equals_the_convolution(height, width):
    """And so does the form that is taken on accelerators."""
    kernel_size, strides, size = zip(height, width, strict=True)
    x, kernel = draw((2, *size, 3), (*kernel_size, 3, 2))
    padding = jax.lax.padtype_to_pads(size, kernel_size, strides, "SAME")
    out = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))

    @quick_jit
    def forms(x, kernel):
        by_product = convolution._convolve_by_product(x, kernel, strides=strides, padding=padding, out=out)
        return by_product, lax_conv(x, kernel, strides), convolution._down_as_xla(x, kernel, strides)

    by_product, by_lax, as_xla = forms(x, kernel)
    close(by_product, by_lax)
    close(as_xla, by_product)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2)])
def test_conv_transpose_is_the_adjoint_of_conv(strides):
    small, kernel = draw((2, 3, 4, 3), (5, 5, 2, 3))
    large = np.asarray(quick_jit(conv_transpose, static_argnums=2)(small, kernel, strides))
    (image,) = draw(large.shape, seed=1)
    back = np.asarray(quick_jit(conv, static_argnums=2)(image, kernel, strides))
    np.testing.assert_allclose(np.vdot(large, image), np.vdot(small, back), rtol=1e-4)


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (1, 2), (3, 3)])
@pytest.mark.parametrize("kernel_size", [(1, 1), (3, 3), (4, 4), (5, 5), (5, 2)])
def test_conv_transpose_equals_flax_in_its_own_kernel_layout(kernel_size, strides):
    x, kernel = draw((2, 4, 5, 3), (*kernel_size, 2, 3))
    flax = nn.ConvTranspose(2, kernel_size, strides, padding="SAME", use_bias=False)

    @quick_jit
    def both(x, kernel):
        expected = flax.apply({"params": {"kernel": kernel[::-1, ::-1].swapaxes(2, 3)}}, x)
        return conv_transpose(x, kernel, strides), expected

    np.testing.assert_allclose(*both(x, kernel), rtol=1e-5, atol=1e-5)


def test_conv_transpose_gradients_equal_those_of_flax():
    """The derivative of Flax's layer, kernel layout mapped."""
    x, kernel = draw((2, 3, 4, 3), (5, 5, 2, 3))
    flax = nn.ConvTranspose(2, (5, 5), (2, 2), use_bias=False)

    def theirs(x, kernel):
        return jnp.sum(jnp.sin(flax.apply({"params": {"kernel": kernel[::-1, ::-1].swapaxes(2, 3)}}, x)))

    def ours(x, kernel):
        return jnp.sum(jnp.sin(conv_transpose(x, kernel, (2, 2))))

    gradients = quick_jit(lambda *a: (jax.grad(ours, (0, 1))(*a), jax.grad(theirs, (0, 1))(*a)))
    for mine, expected in zip(*gradients(x, kernel), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("function", [conv, conv_transpose])
@pytest.mark.parametrize(
    ("kernel_size", "size", "strides"),
    [
        *((kernel_size, (2, 2), strides) for kernel_size in (3, 4, 5) for strides in ((1, 1), (2, 2))),
        (3, (3, 3), (2, 2)),
        (2, (3, 2), (1, 3)),
    ],
)
def test_second_derivatives(function, kernel_size, size, strides):
    """Gradient penalties differentiate twice; sizes that the stride divides and (3x3) sizes that it doesn't."""

    def cube(x, kernel):
        """Its second derivatives with respect to one argument alone don't vanish, as the function's own do."""
        return function(x, kernel, strides) ** 3 / 100

    def first(x, kernel):
        """Whose derivatives are the second ones of `cube`: what `check_grads` checks beyond the first order."""
        value, pull = jax.vjp(cube, x, kernel)
        return pull(value)

    channels = (2, 1) if function is conv else (1, 2)
    with jax.enable_x64(True):
        x, kernel = (part.astype(np.float64) for part in draw((1, *size, 2), (kernel_size, kernel_size, *channels)))
        for checked in (cube, first):  # each compiled as a whole
            check_grads(jax.jit(checked), (x, kernel), order=1, modes=["rev"])


@pytest.mark.parametrize("function", [conv, conv_transpose])
@pytest.mark.parametrize("adapter", ["vmap", "pmap"])
def test_under_transformations(function, adapter):
    """Seeds or devices on the first axis of both arguments: each is as it is alone, in value and gradients."""

    def value_and_gradients(x, kernel):
        return jax.value_and_grad(lambda *a: jnp.sum(jnp.sin(function(*a, (2, 2)))), (0, 1))(x, kernel)

    channels = (3, 2) if function is conv else (2, 3)
    drawn = [draw((2, 3, 4, 3), (5, 5, *channels), seed=seed) for seed in range(jax.local_device_count())]
    x, kernel = (np.stack(parts) for parts in zip(*drawn, strict=True))
    transform = jax.pmap if adapter == "pmap" else lambda f: jax.jit(jax.vmap(f))
    together = transform(value_and_gradients)(x, kernel)
    alone = jax.jit(value_and_gradients)
    for i in range(len(drawn)):
        jax.tree.map(
            lambda a, b, i=i: np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-4),
            jax.device_get(together),
            alone(x[i], kernel[i]),
        )


@pytest.mark.parametrize("function", [conv, conv_transpose])
@pytest.mark.parametrize("axes", [(0, None), (None, 0)], ids=["images", "kernels"])
def test_vmap_over_one_argument(function, axes):
    channels = (3, 2) if function is conv else (2, 3)
    x, kernel = draw((4, 2, 5, 4, 3), (4, 5, 5, *channels))
    arguments = [part if axis == 0 else part[0] for part, axis in zip((x, kernel), axes, strict=True)]

    def alone(x, kernel):
        return function(x, kernel, (2, 2))

    together = np.asarray(jax.jit(jax.vmap(alone, axes))(*arguments))
    for i in range(4):
        one = [part[i] if axis == 0 else part for part, axis in zip(arguments, axes, strict=True)]
        close(together[i], jax.jit(alone)(*one))


@pytest.mark.parametrize("function", [conv, conv_transpose])
def test_jit_gives_what_eager_gives(function):
    channels = (3, 2) if function is conv else (2, 3)
    x, kernel = map(jnp.asarray, draw((2, 5, 6, 3), (3, 4, *channels)))
    np.testing.assert_allclose(
        jax.jit(function, static_argnums=2)(x, kernel, (2, 3)), function(x, kernel, (2, 3)), rtol=1e-5, atol=1e-5
    )
