"""DiffAugment, APA, the flips and shifts of consistency, and what every transform must keep."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import augment
from gvlab.augment.base import Transform
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment.json").read_text())
SHAPE = (8, 8, 3)


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape).astype(np.float32)


def nhwc(x):
    return jnp.asarray(np.moveaxis(x, 1, -1))


def stored(entry):
    return np.moveaxis(np.reshape(entry["values"], entry["shape"]), 1, -1)


X = nhwc(arr((3, 3, 8, 8), 0.9, 1))
COLOUR = {"brightness": [0.1, 0.55, 0.93], "saturation": [0.7, 0.2, 0.45], "contrast": [0.35, 0.8, 0.05]}
SHIFT = {"rows": [-1, 0, 1], "columns": [1, -1, 0]}
HOLES = {"rows": [0, 4, 8], "columns": [7, 2, 8]}


def given(draws):
    return {name: jnp.asarray(numbers) for name, numbers in draws.items()}


def colours(**changed):
    """Draws that leave the colours as they are, but for some."""
    return given({"brightness": [0.5] * 3, "saturation": [0.5] * 3, "contrast": [0.5] * 3} | changed)


CASES = {
    "brightness": (augment.colour(), colours(brightness=COLOUR["brightness"])),
    "saturation": (augment.colour(), colours(saturation=COLOUR["saturation"])),
    "contrast": (augment.colour(), colours(contrast=COLOUR["contrast"])),
    "translation": (augment.translation(), given(SHIFT)),
    "cutout": (augment.cutout(), given(HOLES)),
    "color,translation,cutout": (augment.diffaugment(), (given(COLOUR), given(SHIFT), given(HOLES))),
}


@pytest.mark.parametrize("case", GOLDEN["diffaugment"]["cases"])
def test_diffaugment_agrees_with_the_published_code(case):
    transform, draws = CASES[case]
    expected = stored(GOLDEN["diffaugment"]["cases"][case])
    np.testing.assert_allclose(transform.apply(draws, X, 0.0), expected, rtol=1e-5, atol=1e-6)


def test_flips_and_shifts_agree_with_studiogan():
    draws = given(SHIFT | {"flip": [0.2, 0.8, 0.4]})
    found = augment.flip_and_translate().apply(draws, X, 0.0)
    np.testing.assert_allclose(found, stored(GOLDEN["cr_augmentation"]["output"]), rtol=1e-6, atol=1e-7)


def test_apa_agrees_with_studiogan():
    real, fake, transform = nhwc(arr((4, 1, 2, 2), 1, 1)), nhwc(arr((4, 1, 2, 2), 1, 2)), augment.apa()
    draws = jnp.array([0.1, 0.5, 0.3, 0.9])
    found = transform.deceive(draws, real, fake, 0.4)
    np.testing.assert_allclose(found, stored(GOLDEN["apa"]["output"]), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(transform.apply(draws, real, 0.4), real)
    through = jax.grad(lambda fake: transform.deceive(draws, real, fake, 0.4).sum())(fake)
    assert not through.any()  # the generator learns nothing from what stands in for real images


def test_instance_noise_has_its_deviation_and_falls_with_p():
    transform = augment.instance_noise(0.3)
    draws = transform.draw(jax.random.key(0), 400, SHAPE, None)
    for p in (1.0, 0.5, 0.0):
        noise = np.asarray(transform.apply(draws, jnp.zeros((400, *SHAPE)), p), np.float64)
        error = 0.3 * p / np.sqrt(2 * noise.size)
        assert abs(noise.std() - 0.3 * p) <= 5 * error
        assert abs(noise.mean()) <= 5 * 0.3 * p / np.sqrt(noise.size)


# --- what is drawn ----------------------------------------------------------------------------------------------------


def test_each_whole_number_is_drawn_as_often():
    """Shifts of up to round(8 / 8) rows and round(20 / 8) columns; 9 places of a hole of 4, 10 of one of 5."""
    n = 20_000
    key = jax.random.key(0)
    shifts = augment.translation().draw(key, n, (8, 20, 1), None)
    holes = augment.cutout().draw(key, n, (8, 10, 1), None)
    for drawn, values in (
        (shifts["rows"], range(-1, 2)),
        (shifts["columns"], range(-3, 4)),
        (holes["rows"], range(9)),
        (holes["columns"], range(10)),
    ):
        found, counts = np.unique(drawn, return_counts=True)
        assert found.tolist() == list(values)
        share = 1 / len(values)
        assert (np.abs(counts - n * share) < 5 * np.sqrt(n * share * (1 - share))).all()


TRANSFORMS = {
    "diffaugment": augment.diffaugment(),
    "ada": augment.ada({**augment.ADA_PRESETS["bgc"], "noise": 1.0, "cutout": 1.0}),
    "filter": augment.ada(augment.ADA_PRESETS["filter"]),
    "apa": augment.apa(),
    "instance_noise": augment.instance_noise(0.1),
    "flip_and_translate": augment.flip_and_translate(),
    "a chain": augment.chain(augment.instance_noise(0.1), augment.apa(), augment.colour()),
}
each_transform = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


@each_transform
def test_devices_draw_together_what_one_would(transform: Transform):
    key = jax.random.key(3)
    # Eagerly: each kind of draw is then compiled once for all transforms.
    whole = transform.draw(key, 4, SHAPE, None)
    shares = jax.vmap(lambda _: transform.draw(key, 2, SHAPE, "devices"), axis_name="devices")(jnp.arange(2))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.reshape(4, *a.shape[1:])), whole, shares)
    drawn = {tuple(np.ravel(leaf)[:4].tolist()) for leaf in jax.tree.leaves(whole) if leaf.dtype == jnp.float32}
    assert len(drawn) == sum(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(whole))  # no stream is used twice


@each_transform
def test_shapes_and_types_are_kept_and_a_gradient_comes_through(transform: Transform):
    shape = (24, 22, 3)

    def apply(x: jax.Array, p: jax.Array) -> jax.Array:
        return transform.apply(transform.draw(jax.random.key(0), 2, shape, None), x, p)

    x, p = jax.ShapeDtypeStruct((2, *shape), jnp.float32), jax.ShapeDtypeStruct((), jnp.float32)
    for function in (apply, jax.grad(lambda x, p: apply(x, p).sum())):
        found = jax.eval_shape(function, x, p)
        assert (found.shape, found.dtype) == ((2, *shape), jnp.float32)
    transform.check(shape)


@pytest.mark.parametrize("channels", [1, 2])
def test_images_of_other_channels(channels):
    shape = (12, 12, channels)
    names = ("bgc", "noise", "cutout") if channels == 1 else ("bg", "noise", "cutout")
    for transform in (
        augment.diffaugment(),
        augment.flip_and_translate(),
        *(augment.ada(augment.ADA_PRESETS[name]) for name in names),
    ):
        transform.check(shape)
        drawn = jax.eval_shape(lambda t=transform: t.draw(jax.random.key(0), 2, shape, None))
        found = jax.eval_shape(transform.apply, drawn, jax.ShapeDtypeStruct((2, *shape), jnp.float32), 1.0)
        assert found.shape == (2, *shape)


def test_a_probability_of_0_leaves_images_alone_and_differs_from_1():
    transform = augment.ada({"xflip": 1.0, "brightness": 1.0, "cutout": 1.0})
    x = jnp.asarray(np.random.RandomState(0).uniform(-1, 1, (64, 8, 8, 1)), jnp.float32)
    draws = transform.draw(jax.random.key(0), 64, (8, 8, 1), None)
    apply = jax.jit(transform.apply)
    # The geometric part goes through a filter that an image nearly, but not quite, passes unchanged.
    np.testing.assert_allclose(apply(draws, x, 0.0), x, atol=0.2)
    changed = [float((jnp.abs(apply(draws, x, p) - x).max(axis=(1, 2, 3)) > 0.2).mean()) for p in (0.1, 0.5, 1.0)]
    assert changed == sorted(changed)
    assert changed[0] < 0.5 < changed[-1]
    np.testing.assert_array_equal(apply(draws, x, 1.0), apply(draws, x, 1.7))


# --- chains, and what is refused -------------------------------------------------------------------------------------


def test_a_chain_is_done_in_turn():
    def adding(number: float) -> Transform:
        """x + number, where 0 stands for x * 10."""
        return Transform(
            "adding",
            lambda key, n, shape, axis_name: jnp.zeros(n),
            lambda draws, x, p: x + number if number else 10 * x,
            lambda draws, real, fake, p: real + fake,
        )

    both = augment.chain(adding(1.0), adding(0.0))
    draws = both.draw(jax.random.key(0), 2, SHAPE, None)
    x = jnp.full((2, *SHAPE), 3.0)
    assert (both.apply(draws, x, 1.0) == 40).all()
    assert (both.deceive(draws, x, x, 1.0) == 9).all()
    assert both.name == "adding+adding"
    assert (augment.chain().apply((), x, 1.0) == x).all()


@pytest.mark.parametrize("policy", [(), ("colour",), ("color", "color"), "color"])
def test_a_policy_that_cannot_be_is_refused(policy):
    with pytest.raises(UserError, match="but must be one or more of color, translation, cutout, each once"):
        augment.diffaugment(policy)


@pytest.mark.parametrize("name", ["diffaugment", "ada", "flip_and_translate"])
def test_vectors_are_no_images(name):
    with pytest.raises(UserError, match=r"not examples of shape \(784,\): use data of"):
        TRANSFORMS[name].check((784,))


@pytest.mark.parametrize("make", [augment.instance_noise, augment.apa], ids=["instance_noise", "apa"])
def test_noise_and_deception_take_vectors(make):
    transform = make(0.1) if make is augment.instance_noise else make()
    transform.check((784,))
    x = jnp.zeros((2, 784))
    draws = transform.draw(jax.random.key(0), 2, (784,), None)
    assert transform.deceive(draws, transform.apply(draws, x, 1.0), x, 1.0).shape == (2, 784)
