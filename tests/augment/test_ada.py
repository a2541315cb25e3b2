"""ADA's transformations against the published ones, the draws of both being given."""

import functools
import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erfinv

from gvlab import augment
from gvlab.augment import geometry, wavelets
from gvlab.augment.base import Gated
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment.json").read_text())
N = 5
PARTS = {
    "xflip": "u", "rotate90": "u", "xint": "u2", "scale": "n", "rotate_before": "u", "aniso": "n", "rotate_after": "u",
    "xfrac": "n2", "brightness": "n", "contrast": "n", "lumaflip": "u", "hue": "u", "saturation": "n",
    "band0": "n", "band1": "n", "band2": "n", "band3": "n",
}  # fmt: skip
"""Uniform or normal, and how many numbers."""


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


def stored(entry):
    return np.reshape(entry["values"], entry["shape"])


def images(size, channels=3):
    """The first two are those of the cases by percentiles, too."""
    return np.moveaxis(arr((N, channels, size, size), 0.9, 1), 1, -1)


@functools.cache
def program(names: tuple[str, ...], shape: tuple[int, ...]):
    """(multipliers, draws, x, p) -> images, compiled once for all multipliers; and the parts of the draws."""

    def apply(multipliers, draws, x, p):
        return augment.ada(multipliers).apply(draws, x, p)

    drawn = jax.eval_shape(lambda: augment.ada(dict.fromkeys(names, 1.0)).draw(jax.random.key(0), N, shape, None))
    return jax.jit(apply), drawn


def group_of(names):
    """What is compiled for a case: a preset that has all of its transformations, and the size of the images."""
    if "imgfilter" in names:
        return ("filter" if len(names) == 1 else "bgcfnc"), 24
    if set(names) <= set(augment.ADA_PRESETS["bg"]):
        return "bg", 12
    return ("rest" if not set(names) & set(augment.ADA_PRESETS["bg"]) else "r3gan"), 12


REST = {**augment.ADA_PRESETS["color"], "noise": 1.0, "cutout": 1.0}


def transformed(multipliers, number, p, channels=3):
    """Images after the transformations that have a multiplier; `number` gives the draws of a part and of a kind."""
    group, size = ("color", 12) if channels == 1 else group_of(tuple(multipliers))
    names = tuple(REST if group == "rest" else augment.ADA_PRESETS[group])
    apply, drawn = program(names, (size, size, channels))
    draws = []
    for of_group in drawn:
        draws.append({})
        for name, part in of_group.items():
            if name == "noise":
                draws[-1][name] = number(name, "image", part.shape)
            else:
                value = number(name, "value", part.value.shape)
                draws[-1][name] = Gated(value, number(name, "chance", part.chance.shape))
    all_of_them = dict.fromkeys(names, 0.0) | multipliers
    return apply, (all_of_them, tuple(draws), images(size, channels), p)


def called(apply, arguments):
    return np.moveaxis(np.asarray(apply(*jax.tree.map(jnp.asarray, arguments))), -1, 1)


# --- every random number at one percentile ---------------------------------------------------------------------------


def at_percentile(q, before):
    """`before` normal numbers are drawn, and not used, before the noise is, which has no percentile."""
    normal = erfinv(2 * q - 1)  # as published: that of a normal of half the variance

    def number(name, kind, shape):
        if kind == "image":
            k = before + np.arange(math.prod(shape))
            return np.moveaxis(1.7 * np.sin(2.3 * k + 0.4).reshape(N, 3, *shape[1:3]), 1, -1)
        if kind == "chance":
            return np.zeros(shape)
        given = {"rotate_after": 0.5, "deviation": erfinv(q), "middle": q}
        return np.full(shape, given.get(name, normal if PARTS.get(name, "u").startswith("n") else q))

    return number


def names_of(case):
    what = case.partition(" @ ")[0]
    if what.startswith("only "):
        return [what.removeprefix("only ")]
    return list(augment.ADA_PRESETS[{"all (bgcfnc)": "bgcfnc", "color, one channel": "color"}.get(what, what)])


@pytest.mark.parametrize("case", GOLDEN["ada_percentile"]["cases"])
def test_every_transformation_agrees_with_the_published_one(case):
    golden = GOLDEN["ada_percentile"]["cases"][case]
    number = at_percentile(float(case.rpartition(" ")[2]), before=24 if case.startswith("all") else 2)
    with jax.enable_x64(True):
        x = called(*transformed(dict.fromkeys(names_of(case), 1.0), number, 1.0, 1 if "one channel" in case else 3))[:2]
    agree(x, golden)


def test_float32_is_enough():
    golden = GOLDEN["ada_percentile"]["cases"]["bgc @ 0.375"]
    x = called(*transformed(dict.fromkeys(names_of("bgc"), 1.0), at_percentile(0.375, before=2), 1.0))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[0], stored(golden["image0"]), atol=1e-5)


def agree(x, golden, sums=2e-5):
    weights = arr(x.shape[1:], 1, 9)[None]
    found = {
        "sums": x.sum((1, 2, 3)),
        "abs_sums": np.abs(x).sum((1, 2, 3)),
        "weighted_sums": (weights * x).sum((1, 2, 3)),
        "image0": x[0],
        "image0_channel1": x[0, min(1, x.shape[1] - 1)],
        "channel1_of_images_0_to_3": x[:4, min(1, x.shape[1] - 1)],
    }
    for name in golden.keys() & found.keys():
        atol = sums if "sums" in name else 1e-6  # they are of 432 numbers and more, which nearly cancel
        np.testing.assert_allclose(found[name], stored(golden[name]), rtol=2e-6, atol=atol)


# --- draws of all images their own -----------------------------------------------------------------------------------

MULTIPLIERS = {
    "all (bgcfnc)": augment.ADA_PRESETS["bgcfnc"],
    "r3gan (colour 0.5, cutout) p=0.55": augment.ADA_PRESETS["r3gan"],
}


def of_formulas(case):
    """As the published code would call for them, one call after another, of the parts that the case has."""
    counts = {"u": 0, "n": 0}

    def fresh(kind, *shape):
        k = counts[kind] + np.arange(math.prod(shape))
        counts[kind] += math.prod(shape)
        numbers = np.modf(0.7548776662466927 * k + 0.137)[0] if kind == "u" else 1.7 * np.sin(2.3 * k + 0.4)
        return numbers.reshape(shape)

    given = {}
    multipliers = MULTIPLIERS.get(case) or augment.ADA_PRESETS[case]
    size = group_of(tuple(multipliers))[1]
    for name, kind in PARTS.items():
        if name.partition("_")[0] in multipliers or (name.startswith("band") and "imgfilter" in multipliers):
            given[name, "value"] = fresh(kind[0], N, *map(int, kind[1:]))
            given[name, "chance"] = fresh("u", N)
    if "noise" in multipliers:
        given["deviation", "value"], given["deviation", "chance"] = fresh("n", N), fresh("u", N)
        given["noise", "image"] = np.moveaxis(fresh("n", N, 3, size, size), 1, -1)
    if "cutout" in multipliers:
        given["middle", "chance"], given["middle", "value"] = fresh("u", N), fresh("u", N, 2)
    return multipliers, lambda name, kind, shape: given.get((name, kind), np.zeros(shape))


GIVEN = [case for case in GOLDEN["ada_given_draws"]["cases"] if case != "r3gan gradient"]


@pytest.mark.parametrize("case", GIVEN)
def test_a_batch_agrees_with_the_published_code(case):
    with jax.enable_x64(True):
        x = called(*transformed(*of_formulas(case), 0.55 if "r3gan" in case else 0.6))
    # Where it pads by a few pixels only, the published code cuts a tail of the filter off.
    agree(x, GOLDEN["ada_given_draws"]["cases"][case], sums=1e-4 if "r3gan" in case else 2e-5)


def test_the_gradient_agrees_with_the_published_code():
    golden = GOLDEN["ada_given_draws"]["cases"]["r3gan gradient"]
    with jax.enable_x64(True):
        apply, (multipliers, draws, x, p) = transformed(*of_formulas("r3gan (colour 0.5, cutout) p=0.55"), 0.55)
        weights = jnp.asarray(np.moveaxis(arr((N, 3, 12, 12), 1, 9), 1, -1))
        gradient = jax.jit(jax.grad(lambda x: (weights * apply(multipliers, draws, x, p)).sum()))(jnp.asarray(x))
    np.testing.assert_allclose(np.abs(gradient).sum((1, 2, 3)), stored(golden["abs_sums"]), rtol=1e-5)
    np.testing.assert_allclose(gradient[0, :, :, 0], stored(golden["image0_channel0"]), rtol=1e-5, atol=1e-6)


def test_of_two_rotations_one_at_least_is_done_with_the_probability():
    for p in (0.0, 0.1, 0.7, 1.0):
        np.testing.assert_allclose(1 - (1 - geometry.PARTS["rotate_before"].probability(p)) ** 2, p, atol=1e-6)
    assert geometry.PARTS["rotate_after"].probability(1.5) == 1


def test_the_filters_are_the_published_ones():
    golden = GOLDEN["ada_constants"]
    np.testing.assert_allclose(wavelets.band_filters(), stored(golden["Hz_fbank"]), atol=1e-8)
    np.testing.assert_allclose(wavelets.LOW_PASS, stored(golden["Hz_geom"]), atol=1e-8)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_cannot_be_gets_one_sentence():
    with pytest.raises(UserError, match=r"no transformation x_flip \(did you mean xflip\?\): it has xflip,"):
        augment.ada({"x_flip": 1.0})
    presets = {name: augment.ada(multipliers) for name, multipliers in augment.ADA_PRESETS.items()}
    for name, shape, words in (
        ("bgcf", (21, 22, 3), "ADA's filters take images of at least 22 pixels a side, but these are of shape"),
        ("color", (32, 32, 2), "ADA changes the colours of images of one or three channels"),
        ("bg", (784,), r"Images can be augmented, but not examples of shape \(784,\)"),
        ("filter", (784,), "ADA's filters take images"),
        ("r3gan", (784,), "Images can be augmented"),
    ):
        with pytest.raises(UserError, match=words):
            presets[name].check(shape)
    presets["bgcfnc"].check((22, 22, 1))
    presets["bg"].check((4, 3, 2))
