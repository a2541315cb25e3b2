"""The screening of pairs: its bounds hold, and what it leaves open is settled exactly."""

import tracemalloc

import jax
import numpy as np
import pytest

from gvlab.metrics import _pairs
from gvlab.types import UserError


def normal(seed, *shape):
    return np.random.RandomState(seed).standard_normal(shape)


def squares(x, y):
    return np.square(x[:, None, :].astype(np.float64) - y[None, :, :].astype(np.float64)).sum(2)


SETS = {
    "plain": (normal(0, 90, 7), normal(1, 70, 7)),
    "far from 0": (1e4 + normal(0, 90, 7), 1e4 + normal(1, 70, 7)),
    "float32": (normal(2, 90, 7).astype(np.float32), normal(3, 70, 7).astype(np.float32)),
    "mixed": (100 + normal(2, 90, 7).astype(np.float32), 100 + normal(3, 70, 7)),
    "two clusters": (
        np.concatenate([normal(4, 45, 7), 1e5 + normal(5, 45, 7)]),
        np.concatenate([normal(6, 30, 7), 1e5 + normal(7, 40, 7)]),
    ),
    "lattice": (
        np.random.RandomState(8).randint(0, 3, (90, 7)).astype(np.float32),
        np.random.RandomState(9).randint(0, 3, (70, 7)).astype(np.float32),
    ),
    "tiny": (1e-30 * normal(10, 90, 7), 1e-30 * normal(11, 70, 7)),
    "huge": (1e30 * normal(12, 90, 7), 1e30 * normal(13, 70, 7)),
    "one wide axis": (normal(14, 90, 7) * np.logspace(-6, 6, 7), normal(15, 70, 7) * np.logspace(-6, 6, 7)),
    "constant": (np.full((90, 7), 3.0), np.full((70, 7), 3.0)),
}


@pytest.mark.parametrize("case", SETS)
def test_bounds_hold(case):
    x, y = SETS[case]
    where = _pairs.frame(x, y)
    bounds = jax.jit(_pairs.squared_bounds)
    lower, upper = bounds(_pairs.loader(x, where, 128)(0), _pairs.loader(y, where, 128)(0))
    exact = squares(x, y) * where.scale**2
    assert (np.asarray(lower, np.float64)[:90, :70] <= exact).all()
    assert (exact <= np.asarray(upper, np.float64)[:90, :70]).all()
    assert np.asarray(lower)[:, 70:].min() > 1e29  # the rows that fill up are near nobody
    assert np.isfinite(lower).all()


@pytest.mark.parametrize("tile", [16, 1024])
@pytest.mark.parametrize("case", SETS)
def test_nearest_are_those_of_the_whole_matrix(case, tile, monkeypatch):
    monkeypatch.setattr(_pairs, "_HOST_TILE", tile)
    x, y = SETS[case]
    exact = squares(x, y)
    order = np.argsort(exact, axis=1, kind="stable")[:, :4]
    indices, found = _pairs.nearest(x, y, 4)
    np.testing.assert_allclose(found, np.take_along_axis(exact, order, 1), rtol=1e-12)
    # Neighbours may differ from the twin's only where its sum, in another order, ties them differently.
    np.testing.assert_allclose(np.take_along_axis(exact, indices, 1), np.take_along_axis(exact, order, 1), rtol=1e-12)

    others = squares(x, x)
    np.fill_diagonal(others, np.inf)
    indices, found = _pairs.nearest_others(x, 4)
    np.testing.assert_allclose(found, np.sort(others, axis=1)[:, :4], rtol=1e-12)
    assert (indices != np.arange(len(x))[:, None]).all()


def test_one_row_far_away_leaves_the_others_near(monkeypatch):
    """A thousand rows, one of them at a million deviations: hardly more pairs are settled than without it."""
    settled = []
    exactly = _pairs.squared_distances

    def counted(x, y, rows, columns):
        settled.append(len(rows))
        return exactly(x, y, rows, columns)

    monkeypatch.setattr(_pairs, "squared_distances", counted)
    x, y = normal(21, 1000, 8), normal(22, 1000, 8)
    _pairs.nearest(x, y, 3)
    without = sum(settled)
    settled.clear()
    x[0] = 1e6
    indices, _ = _pairs.nearest(x, y, 3)
    assert sum(settled) < without + 2000  # the row itself is as near to one as to another
    np.testing.assert_array_equal(indices[1:], np.argsort(squares(x, y), axis=1)[1:, :3])


def test_ties_go_to_the_first():
    x, y = SETS["lattice"]
    order = np.argsort(squares(x, y), axis=1, kind="stable")[:, :9]  # whole numbers: the twin is exact
    np.testing.assert_array_equal(_pairs.nearest(x, y, 9)[0], order)


def test_as_many_neighbours_as_there_are(monkeypatch):
    monkeypatch.setattr(_pairs, "_HOST_TILE", 64)  # and more than a tile has
    x, y = SETS["plain"]
    np.testing.assert_array_equal(_pairs.nearest(x, y, 70)[0], np.argsort(squares(x, y), axis=1))
    assert _pairs.nearest_others(x, 89)[0].shape == (90, 89)


def test_settled_distances_depend_on_the_rows_alone():
    x, y = normal(16, 40, 1000), normal(17, 30, 1000)
    rows, columns = np.divmod(np.arange(1200), 30)
    whole = _pairs.squared_distances(x, y, rows, columns)
    np.testing.assert_allclose(whole, squares(x, y).ravel(), rtol=1e-12)
    np.testing.assert_array_equal(_pairs.squared_distances(y, x, columns, rows), whole)
    for i in (0, 7, 1199):
        alone = _pairs.squared_distances(x[rows[i : i + 1]], y[columns[i : i + 1]], np.zeros(1, int), np.zeros(1, int))
        assert alone[0] == whole[i]
    assert (_pairs.squared_distances(x, x, np.arange(40), np.arange(40)) == 0).all()


def test_distinct_rows_and_their_counts():
    x = normal(18, 5, 3)
    rows, counts = _pairs.distinct(x[[2, 0, 2, 1, 2, 0]])
    np.testing.assert_array_equal(rows, x[[2, 0, 1]])
    np.testing.assert_array_equal(counts, [3, 2, 1])
    assert _pairs.distinct(x)[0] is x
    np.testing.assert_array_equal(_pairs.distinct(np.array([[0.0], [-0.0]]))[1], [2])


def test_memory_is_that_of_tiles():
    x, y = normal(19, 6000, 256).astype(np.float32), normal(20, 6000, 256).astype(np.float32)
    tracemalloc.start()
    _pairs.nearest(x, y, 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One matrix of distances has 144e6 bytes. 16 MiB for pairs that are settled, thrice (two operands, one result).
    assert peak < 70e6


def test_refuses_a_spread_that_float32_cannot_hold():
    with pytest.raises(UserError, match=r"spread over 1.0e\+40"):
        _pairs.frame(np.array([[0.0], [2e40]]))
