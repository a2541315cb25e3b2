import inspect
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.metrics import _pairs
from gvlab.metrics.precision_recall import PRDC, improved_precision_recall, prdc
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "distributions.json").read_text())["arithmetic"]


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


F1 = normal(10, 600, 12)
F2 = normal(12, 500, 12) @ (np.eye(12) + 0.3 * normal(13, 12, 12)) + 0.25
D1 = np.repeat(normal(16, 20, 4), 3, 0)
D2 = np.concatenate([D1[:30], normal(17, 30, 4)])


def twin(real, generated, k, inside=np.less):
    """The definitions on whole matrices of distances, each summed term by term."""
    between = np.square(real[:, None, :] - generated[None, :, :]).sum(2)
    radius = lambda x: np.sort(np.square(x[:, None, :] - x[None, :, :]).sum(2), axis=1)[:, k]  # noqa: E731
    in_real, in_generated = inside(between, radius(real)[:, None]), inside(between, radius(generated)[None, :])
    return PRDC(in_real.any(0).mean(), in_generated.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean())


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_agrees_with_the_published_implementation(k):
    np.testing.assert_allclose(prdc(F1, F2, k), list(GOLDEN["prdc"][f"k{k}"].values()), rtol=1e-9)


def test_closed_balls_agree_with_torch_fidelity():
    expected = GOLDEN["prc_torch_fidelity_generated_F2_real_F1_k3"]  # which rounds to float32
    np.testing.assert_allclose(
        improved_precision_recall(F1, F2), [expected["precision"], expected["recall"]], rtol=1e-7
    )


def test_ties_agree_with_the_published_implementations():
    np.testing.assert_array_equal(prdc(D1, D2, 2), list(GOLDEN["ties"]["prdc_strict_lt"].values()))
    expected = GOLDEN["ties"]["torch_fidelity_le"]
    np.testing.assert_allclose(
        improved_precision_recall(D1, D2, 2), [expected["precision"], expected["recall"]], rtol=1e-7
    )


@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("inside", [np.less, np.less_equal])
def test_lattices_have_the_ties_of_the_definition(inside, offset):
    # Whole numbers, where every sum is exact and most distances tie; a third of the rows repeat.
    random = np.random.RandomState(0)
    real, generated = (offset + random.randint(0, 3, (n, 4)).astype(float) for n in (150, 120))
    for k in (1, 4):
        expected = twin(real, generated, k, inside)
        if inside is np.less:
            np.testing.assert_allclose(prdc(real, generated, k), expected, rtol=1e-12)
        else:
            np.testing.assert_allclose(improved_precision_recall(real, generated, k), expected[:2], rtol=1e-12)


def test_tiles_do_not_change_the_result(monkeypatch):
    whole = prdc(F1, F2)
    monkeypatch.setattr(_pairs, "_HOST_TILE", 64)
    assert prdc(F1, F2) == whole
    expected = twin(D1, D2, 4)
    np.testing.assert_allclose(prdc(D1, D2, 4), expected, rtol=1e-12)


def test_the_two_sets_change_places():
    a, b = improved_precision_recall(F1, F2), improved_precision_recall(F2, F1)
    assert a == (b.recall, b.precision)


def test_low_precision_and_jax_arrays_are_measured_exactly():
    small = F1.astype(np.float32), F2.astype(np.float32)
    np.testing.assert_allclose(prdc(*small), twin(*(x.astype(float) for x in small), 5), rtol=1e-12)
    assert prdc(*map(jnp.asarray, small)) == prdc(*small)
    pixels = np.random.RandomState(1).randint(0, 256, (80, 9)).astype(np.uint8)
    np.testing.assert_allclose(prdc(pixels[:50], pixels[50:]), twin(pixels[:50] * 1.0, pixels[50:] * 1.0, 5))


def test_shift_and_scale_do_not_matter():
    assert prdc(1e4 + F1, 1e4 + F2) == prdc(F1, F2)
    assert prdc(1e-9 * F1, 1e-9 * F2) == prdc(F1, F2)


def test_identical_sets():
    found = prdc(F1, F1)
    assert found[:2] == (1.0, 1.0)
    assert found.coverage == 1.0
    np.testing.assert_allclose(found.density, 1.0)  # a ball of radius k holds itself and k - 1 others, strictly


def test_disjoint_sets():
    assert prdc(F1, F2 + 100.0) == (0.0, 0.0, 0.0, 0.0)
    assert improved_precision_recall(F1, F2 + 100.0) == (0.0, 0.0)


def test_collapsed_sets():
    # Every generated example is the same real one: precise, but it covers little, and its own balls are points.
    collapsed = np.repeat(F1[:1], 4000, axis=0)
    expected = twin(F1, collapsed[:100], 5)
    np.testing.assert_allclose(prdc(F1, collapsed), expected, rtol=1e-12)
    assert expected.precision == 1.0
    assert expected.recall == 0.0
    assert improved_precision_recall(F1, collapsed).recall == 1 / 600
    assert prdc(collapsed, collapsed) == (0.0, 0.0, 0.0, 0.0)
    assert improved_precision_recall(collapsed, collapsed) == (1.0, 1.0)


def test_density_and_coverage_have_their_expectations():
    # Equal distributions: E density = 1, E coverage = 1 - (n-1)...(n-k) / ((2n-1)...(2n-k)) (Naeem 2020, section 3.3).
    n, k, pairs = 60, 3, 60
    found = np.array([prdc(normal(i, n, 2), normal(1000 + i, n, 2), k)[2:] for i in range(pairs)])
    expected = [1.0, 1 - np.prod([(n - i) / (2 * n - i) for i in range(1, k + 1)])]
    assert (np.abs(found.mean(0) - expected) < 4 * found.std(0, ddof=1) / np.sqrt(pairs)).all()


@pytest.mark.parametrize("measure", [prdc, improved_precision_recall])
@pytest.mark.parametrize(
    ("real", "generated", "k", "sentence"),
    [
        (F1[:1], F2, 1, "real has 1 row"),
        (F1, F2[:1], 1, "generated has 1 row"),
        (F1, F2[:, :5], 1, "12 and 5 features"),
        (F1[:, 0], F2, 1, r"real has shape \(600,\)"),
        (F1, np.where(np.arange(6000).reshape(500, 12) == 40, np.nan, F2), 1, r"generated\[3, 4\] is nan"),
        (F1, F2, 0, "k is 0, but must be from 1 to 499"),
        (F1[:5], F2, 5, "k is 5, but must be from 1 to 4"),
    ],
)
def test_refuses_sets_without_balls(measure, real, generated, k, sentence):
    with pytest.raises(UserError, match=sentence):  # unwrapped: without the tests' type checks
        inspect.unwrap(measure)(real, generated, k)
