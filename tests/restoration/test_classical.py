"""Baselines against golden values, and closed forms."""

import json
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.fft import idctn

from gvlab.restoration import baselines, classical, operators
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "restoration.json").read_text())["baselines"]
SHAPE = (16, 16, 1)


@cache
def image():
    i, j = np.mgrid[0:16, 0:16]
    return (0.5 + 0.4 * np.sin(0.5 * i) * np.cos(0.35 * j))[..., None]


def psnr(x):
    return -10 * np.log10(((np.asarray(x, np.float64) - image()) ** 2).mean())


def projection():
    r, n = np.mgrid[0:80, 0:256]
    phase = np.modf(0.6180339887498949 * (r + 1) * (n + 1) ** 2)[0]
    return operators.matrix(SHAPE, np.sqrt(2 / 80) * np.cos(0.7 + 2 * np.pi * phase))


def training(operator):
    x = np.stack([image(), image()[::-1]]).astype(np.float32)
    y = np.stack([np.asarray(operator.apply(jnp.asarray(one))) for one in x])
    return classical.Training(x, y, np.full(SHAPE, 0.25, np.float32))


def test_total_variation_denoises_to_the_golden_values():
    pytest.importorskip("skimage")
    i, j = np.mgrid[0:16, 0:16]
    noisy = np.clip(image() + 0.15 * np.cos(2.9 * i * j + 1.3 * i)[..., None], 0, 1)
    golden = GOLDEN["tv_chambolle_weight0.1"]
    assert abs(psnr(noisy) - golden["psnr_before"]) < 1e-6
    (found,) = classical.total_variation(operators.identity(SHAPE), noisy[None], 0.1)
    np.testing.assert_allclose(psnr(found), golden["psnr"], rtol=1e-7)
    np.testing.assert_allclose(found.ravel()[:4], golden["first4"], rtol=1e-7)


def test_the_simplest_baseline_enlarges_as_well_as_scikit_images():
    operator = operators.downsample(SHAPE, 2)
    y = operator.apply(jnp.asarray(image(), jnp.float32))[None]
    name, (found,) = baselines.simple(operator, y, np.zeros(SHAPE, np.float32))
    assert name == "bicubic enlargement"
    # Another cubic: scikit-image's is a spline through the pixels, ours Keys' kernel with a = -0.5.
    assert abs(psnr(found) - GOLDEN["bicubic_up_of_mean_downsample_2"]["psnr"]) < 2


def test_total_variation_inverts_operators_too(monkeypatch):
    pytest.importorskip("skimage")
    monkeypatch.setattr(classical, "TV_STEPS", 30)
    operator = operators.mask(SHAPE, (np.arange(256).reshape(16, 16) * 7) % 5 != 0)
    y = np.asarray(operator.apply(jnp.asarray(image(), jnp.float32)))[None]
    (found,) = classical.total_variation(operator, y, 0.003)
    assert psnr(found) > psnr(np.where(operator.seen, y[0], 0.5)) + 10
    (filled,) = classical.biharmonic(operator, y)
    np.testing.assert_allclose(filled[operator.seen], y[0][operator.seen], rtol=1e-6)
    assert psnr(filled) > 40


def test_lasso_of_cosines_is_the_golden_one():
    golden = GOLDEN["lasso_dct_m80"]
    operator = projection()
    y = np.asarray(operator.apply(jnp.asarray(image(), jnp.float32)))[None]
    (found,) = classical.lasso_dct(operator, y, 1e-4, steps=20_000, tolerance=1e-8)
    np.testing.assert_allclose(psnr(found), golden["psnr"], rtol=1e-4)
    np.testing.assert_allclose(((found - image()) ** 2).mean(), golden["error_per_pixel"], rtol=1e-3)


def test_lasso_without_a_strength_solves_what_can_be_solved():
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(256, 256)))[0]
    operator = operators.matrix(SHAPE, basis)
    y = np.asarray(operator.apply(jnp.asarray(image(), jnp.float32)))[None]
    np.testing.assert_allclose(classical.lasso_pixels(operator, y, 1e-9, tolerance=1e-9)[0], image(), atol=1e-4)
    # Of orthonormal rows the solution is known: soft thresholds of A^T y by m times the strength.
    (shrunk,) = classical.lasso_pixels(operator, y, 0.3 / 256, tolerance=1e-9)
    np.testing.assert_allclose(shrunk, np.sign(image()) * np.maximum(abs(image()) - 0.3, 0), atol=1e-4)
    cosines = idctn(np.eye(256).reshape(256, 16, 16, 1), axes=(1, 2), norm="ortho").reshape(256, -1)
    (same,) = classical.lasso_dct(
        operators.matrix(SHAPE, cosines), (cosines @ image().ravel())[None], 1e-9, tolerance=1e-9
    )
    np.testing.assert_allclose(same, image(), atol=1e-4)


def test_the_strength_is_the_best_on_training_images_and_the_rest_has_none():
    operator = projection()
    of = training(operator)
    found = classical.restored("lasso_dct", operator, of.y, of)
    errors = {s: ((np.clip(classical.lasso_dct(operator, of.y, s), 0, 1) - of.x) ** 2).mean()
              for s in classical.STRENGTHS["lasso_dct"]}  # fmt: skip
    assert found.strength == min(errors, key=errors.get)
    assert found.x.min() >= 0
    assert found.x.max() <= 1
    mean = classical.restored("mean", operator, of.y, of)
    assert mean.strength is None
    assert (mean.x == 0.25).all()
    back = classical.adjoint(operator, of.y)
    fit = classical.as_matrix(operator) @ back.reshape(2, -1).T - of.y.T
    further = classical.as_matrix(operator) @ (1.01 * back).reshape(2, -1).T - of.y.T
    assert ((fit**2).sum(0) < (further**2).sum(0)).all()
    exact = np.linalg.norm(classical.as_matrix(operator), 2) ** 2
    np.testing.assert_allclose(classical.largest_eigenvalue(operator), 1.01 * exact, rtol=5e-3)


def test_what_is_no_baseline_for_an_operator_is_refused(monkeypatch):
    monkeypatch.setattr(classical, "find_spec", lambda name: object())
    with pytest.raises(UserError, match="fills hidden pixels in, but here none is hidden"):
        classical.check("biharmonic", operators.identity(SHAPE))
    with pytest.raises(UserError, match="a matrix of 12288 columns"):
        classical.check("lasso", operators.identity((64, 64, 3)))
    monkeypatch.setattr(classical, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="but here none is hidden"):  # before anything is asked to be installed
        classical.check("biharmonic", operators.identity(SHAPE))
    with pytest.raises(UserError, match="tv is scikit-image's, which is missing: pip install"):
        classical.check("tv", operators.identity(SHAPE))
