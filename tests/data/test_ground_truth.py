"""Images of known factors: bit for bit as the formulas say, wherever they are drawn."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import build, data, memory, parallel, rng
from gvlab import config as c
from gvlab.data import CATALOGUE, batches, ground_truth, mapped, rooms, sprites
from gvlab.train import sources
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "procedural.json").read_text())
TRUTHS = pytest.mark.parametrize("truth", [data.gvsprites(), data.gvrooms()], ids=lambda truth: truth.name)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def some(truth: data.GroundTruth, n: int = 40) -> np.ndarray:
    """Factors of the first and the last image, and of others between them."""
    return truth.factors_of(np.linspace(0, len(truth) - 1, n).round().astype(np.int32))


def test_the_sprites_are_the_golden_ones():
    golden, table = GOLDEN["sprites"], sprites.table()
    assert set(np.unique(table)) == {0, 255}
    assert sha256(np.packbits(table > 0)) == golden["packbits_sha256"]
    areas = (table > 0).sum(axis=(1, 2))
    assert (areas.min(), areas.max()) == (golden["area_min"], golden["area_max"])
    assert areas[[0, 1, 2, 240, 480, 719]].tolist() == golden["area_of_sprite_0_1_2_240_480_719"]


def test_the_views_of_the_rooms_are_the_golden_ones():
    golden, table = GOLDEN["rooms"], rooms.table()
    assert sha256(table) == golden["layers_sha256"]  # elsewhere a tie may be rounded to the other side, by a level
    coverage = (table[..., 2] > 0).mean(axis=(1, 2))
    assert [coverage.min(), coverage.max()] == golden["object_coverage_min_max"]
    assert rooms.PALETTE.tolist() == golden["palette"]
    assert table.sum(axis=-1, dtype=int).max() <= 255  # so no mixture of hues is above 255


def test_a_sprite_is_put_at_its_place():
    factors, table = some(data.gvsprites()), sprites.table().reshape(3, 6, 40, 33, 33)
    for image, (shape, scale, orientation, x, y) in zip(data.gvsprites().render(factors), factors, strict=True):
        wanted = np.zeros((64, 64, 1), np.uint8)
        wanted[y : y + 33, x : x + 33, 0] = table[shape, scale, orientation]
        np.testing.assert_array_equal(image, wanted)


def test_a_room_has_its_hues():
    factors, table = some(data.gvrooms()), rooms.table().reshape(8, 4, 15, 64, 64, 3).astype(int)
    for image, (*hues, scale, shape, orientation) in zip(data.gvrooms().render(factors), factors, strict=True):
        layers, palette = table[scale, shape, orientation], np.array(GOLDEN["rooms"]["palette"])
        np.testing.assert_array_equal(image, (layers @ palette[hues] + 127) // 255)


@pytest.mark.parametrize(
    ("truth", "sha"),
    [
        (data.gvsprites(), "75cccf49d0b1577f28f697eefeb9efad363b6754ccb3f4990fe2a871956f12ae"),
        (data.gvrooms(), "d733e156fe0c800813ddab5078d177a378cfb73a2b81454937c9624d6737260f"),
    ],
    ids=["gvsprites", "gvrooms"],
)
def test_the_host_and_the_device_draw_the_same_images_as_ever(truth, sha):
    factors = some(truth)
    images = np.asarray(truth.render(factors))
    assert (images.shape, images.dtype) == ((40, *truth.shape), np.uint8)
    np.testing.assert_array_equal(truth.drawn(truth.table(), factors), images)
    within = jax.jit(lambda factors: truth.render(factors))(jnp.asarray(factors))
    np.testing.assert_array_equal(within, images)
    assert sha256(images) == sha


@TRUTHS
def test_images_are_numbered_with_the_last_factor_fastest(truth):
    numbers = np.arange(0, len(truth), 7919)
    factors = truth.factors_of(numbers)
    np.testing.assert_array_equal(np.ravel_multi_index(tuple(factors.T), truth.sizes), numbers)
    np.testing.assert_array_equal(truth.factors_of(jnp.asarray(numbers)), factors)


@TRUTHS
def test_factors_are_uniform_and_held_ones_leave_the_others_alone(truth):
    draw = jax.jit(lambda key: truth.draw(key, 20_000))
    factors = np.asarray(draw(rng.root(3)))
    for values, size in zip(factors.T, truth.sizes, strict=True):
        expected = len(values) / size
        chi2 = ((np.bincount(values, minlength=size) - expected) ** 2 / expected).sum()
        assert abs(chi2 - (size - 1)) < 5 * np.sqrt(2 * (size - 1))
    each = np.arange(20_000) % 3
    held = np.asarray(truth.draw(rng.root(3), 20_000, {"shape": 1, "scale": jnp.asarray(each)}))
    shape, scale = truth.factors.index("shape"), truth.factors.index("scale")
    assert set(held[:, shape]) == {1}
    np.testing.assert_array_equal(held[:, scale], each)
    others = [j for j in range(len(truth.sizes)) if j not in (shape, scale)]
    np.testing.assert_array_equal(held[:, others], factors[:, others])


def test_factors_that_are_not_there_are_refused():
    truth = data.gvsprites()
    with pytest.raises(UserError, match=r"^gvsprites has no factor 'scael' \(did you mean 'scale'\?\): hold some of "):
        truth.draw(rng.root(0), 2, {"scael": 1})
    with pytest.raises(UserError, match=r"^The factor scale of gvsprites is 6, but its values are 0 to 5: give one of"):
        truth.draw(rng.root(0), 2, {"scale": 6})
    with pytest.raises(UserError, match=r"^The factor y of gvsprites is -1, but its values are 0 to 31: "):
        truth.render(np.array([[0, 0, 0, 0, -1]]))
    with pytest.raises(UserError, match=r"^The factors have shape \(5,\), but gvsprites has 5 factors \(shape, scale"):
        truth.render(np.zeros(5, int))
    with pytest.raises(UserError, match=r"^The factors have the type float32, but must be integers: number their val"):
        truth.render(jnp.zeros((1, 5)))


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("gvsprites", "a7a6389437d6df9c71b48224a839b7d533b947e25d1239154acca50035e9b527"),
        ("gvrooms", "0587e5a3a74ccf33852c706d8d03f229bf0000de5e50b4183591c4606b2f9ff0"),
    ],
)
def test_the_sets_hold_every_image_once(name, checksum):
    dataset, card = data.load(name), CATALOGUE[name]
    assert (dataset.name, dataset.shape, dataset.num_classes) == (name, card.shape, card.num_classes)
    assert (len(dataset.train.x), len(dataset.test.x)) == (card.train, card.test)
    numbers = np.concatenate([dataset.train.x.numbers, dataset.test.x.numbers])
    np.testing.assert_array_equal(np.sort(numbers), np.arange(len(dataset.truth)))
    labels = dataset.truth.factors_of(dataset.test.x.numbers)[:, dataset.truth.factors.index("shape")]
    np.testing.assert_array_equal(dataset.test.y, labels)
    assert len(dataset.class_names) == dataset.num_classes == dataset.test.y.max() + 1
    assert dataset.checksum == checksum
    assert data.is_prepared(name)
    assert data.prepare(name) is None
    assert data.load(name) is dataset


def test_a_split_is_indexed_like_an_array_of_images():
    x = data.load("gvsprites").test.x
    images = np.asarray(x.part(np.arange(600)))  # all of them
    assert (x.shape, x.ndim, x.dtype, len(x)) == ((10_000, 64, 64, 1), 4, np.uint8, 10_000)
    assert images.shape == (600, 64, 64, 1)
    index = np.array([[5, 0], [599, 5]])
    for rows in (slice(3, 9), 7, index, index[0]):
        np.testing.assert_array_equal(x[rows], images[rows])
    np.testing.assert_array_equal(next(iter(x)), images[0])
    np.testing.assert_array_equal(mapped.take(x, index), images[index])
    np.testing.assert_array_equal(mapped.mean(x.part(np.arange(600))), images.mean(axis=0))
    assert repr(x).startswith("<10000 of <gvsprites: 737280 images of shape 3, scale 6,")


def test_a_part_of_a_set_draws_the_same_images():
    whole = data.load("gvsprites")
    few = data.part(whole, 0.001)
    assert len(few.train.x) == 726
    assert few.checksum != whole.checksum
    assert few.truth is whole.truth
    rows = np.flatnonzero(np.isin(whole.train.x.numbers, few.train.x.numbers))
    np.testing.assert_array_equal(few.train.x[:], whole.train.x[rows])


@TRUTHS
def test_a_step_draws_its_batch_on_the_device(truth):
    """Of a split that would be gigabytes its numbers alone lie there, and the batch has the bits of the host's."""
    experiment = c.Experiment("e", c.VAE(c.MLP(hidden=(4,)), latent_dim=2), 1, data=c.Data(truth.name), batch_size=8)
    program = build.program(experiment, data.load(truth.name))
    source = sources.of(program, parallel.data_mesh(jax.local_devices()[:1]))
    assert isinstance(source, sources.Resident)
    assert source.nbytes < 10 * 2**20 < len(truth) * 4096
    assert memory.size(source.shapes) == source.nbytes
    step = jax.jit(lambda arrays, key, step: source.batch(program, arrays, key, step))
    for number in (0, 3 * len(truth) // 8):  # in another epoch
        batch = step(source.arrays, rng.root(0), number)
        rows = np.asarray(batches.positions(len(program.dataset.train.x), rng.root(0), number, 8))
        np.testing.assert_array_equal(batch.x, data.to_unit(jnp.asarray(program.dataset.train.x[rows])))
        np.testing.assert_array_equal(batch.y, program.dataset.train.y[rows])


def test_what_is_traced_is_not_kept():
    ground_truth._on_device.cache_clear()
    truth = data.gvsprites()
    jax.jit(lambda: truth.render(jnp.zeros((1, 5), jnp.int32)))()
    truth.render(np.zeros((1, 5), int))
