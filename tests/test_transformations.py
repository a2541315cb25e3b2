"""What acts on updates: the field's recipes against golden values, closed forms and twins."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import config as c
from gvlab import transformations, tree
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parent / "golden" / "updates.json").read_text())


def test_the_orthogonal_decay_is_bigganpytorchs():
    weights = 0.5 * np.sin(0.37 * np.arange(36 + 12) + 0.1 + 0.7 * 2).reshape(4, 3, 2, 2)  # [out, in, height, width]
    golden = GOLDEN["orthogonal_regularisation"]["added_gradient_strength_1"]
    kernel = jnp.asarray(weights.transpose(2, 3, 1, 0), jnp.float32)
    expected = np.reshape(golden["values"], golden["shape"]).transpose(2, 3, 1, 0)
    np.testing.assert_allclose(transformations.orthogonal_slope(kernel), expected, rtol=1e-5, atol=1e-6)

    def half(kernel):
        outputs = kernel.reshape(-1, kernel.shape[-1])
        products = outputs.T @ outputs
        return jnp.square(products - jnp.diag(jnp.diag(products))).sum() / 2

    np.testing.assert_allclose(
        half(kernel), GOLDEN["orthogonal_regularisation"]["half_of_||offdiag(WW^T)||_F^2"], rtol=1e-6
    )
    np.testing.assert_allclose(jax.grad(half)(kernel), expected, rtol=1e-5, atol=1e-6)


def test_kernels_alone_are_drawn_towards_orthogonality():
    params = {
        "Dense_0": {"kernel": jnp.array([[1.0, 2.0], [0.5, -1.0]]), "bias": jnp.array([1.0, 2.0])},
        "shared": {"kernel": jnp.array([[1.0, 2.0], [0.5, -1.0]])},  # of BigGAN's classes, by that name
    }
    optimizer = c.Orthogonal(weight=0.5, optimizer=c.SGD(learning_rate=0.1)).transformation()
    zeros = jax.tree.map(jnp.zeros_like, params)
    moved, _ = optimizer.update(zeros, optimizer.init(params), params)
    slope = transformations.orthogonal_slope(params["Dense_0"]["kernel"])
    np.testing.assert_allclose(moved["Dense_0"]["kernel"], -0.05 * slope, rtol=1e-6)
    assert not any(np.any(leaf) for leaf in (moved["Dense_0"]["bias"], moved["shared"]["kernel"]))
    assert np.abs(slope).max() > 0


def test_parameters_stay_in_their_box():
    params = {"w": jnp.array([0.009, -0.02, 0.0])}
    optimizer = c.Boxed(bound=0.01, optimizer=c.SGD(learning_rate=1.0)).transformation()
    state = optimizer.init(params)
    updates, _ = optimizer.update({"w": jnp.array([-0.1, -0.001, 0.002])}, state, params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["w"], [0.01, -0.01, -0.002], rtol=1e-6)


def test_one_may_act_on_what_another_does_in_one_order():
    """Orthogonality is part of the gradient that is clipped, and the box is last."""
    params = {"Dense_0": {"kernel": jnp.array([[1.0, 2.0], [0.5, -1.0]])}}
    inner = c.Clipped(0.1, c.Boxed(0.99, c.SGD(learning_rate=1.0)))
    optimizer = c.Orthogonal(0.5, inner).transformation()
    zeros = jax.tree.map(jnp.zeros_like, params)
    moved, _ = optimizer.update(zeros, optimizer.init(params), params)
    kernel = params["Dense_0"]["kernel"]
    slope = transformations.orthogonal_slope(kernel)
    expected = jnp.clip(kernel - 0.1 * slope / jnp.linalg.norm(slope), -0.99, 0.99)
    np.testing.assert_allclose(kernel + moved["Dense_0"]["kernel"], expected, rtol=1e-6)


def test_a_lazy_adam_is_adam_with_the_published_correction():
    ratio = 16 / 17
    params, gradient = {"w": jnp.array([1.0])}, {"w": jnp.array([0.3])}
    lazy = c.LazyAdam(0.002, 0.0, 0.99).transformation()
    twin = optax.adam(0.002 * ratio, 0.0**ratio, 0.99**ratio, 1e-8)
    for found, expected in zip(
        jax.tree.leaves(lazy.update(gradient, lazy.init(params), params)),
        jax.tree.leaves(twin.update(gradient, twin.init(params), params)),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("row", GOLDEN["ema_beta"]["rows"], ids=str)
def test_half_lives_are_the_published_decays(row):
    if "step" in row:  # StyleGAN2: never more than a share of the images seen
        images, batch, step = row["ema_kimg"] * 1000.0, row["batch"], row["step"]
        seen = step * batch * row["rampup"]
        np.testing.assert_allclose(tree.half_life_decay(min(images, seen), batch), row["beta"], rtol=1e-5)
        ramp = c.Linear(steps=round(images / row["rampup"] / batch), begin=0.0, end=1.0)
        decay = c.HalfLife(images, ramp).decay()(step, batch)
        np.testing.assert_allclose(decay, row["beta"], atol=0.01 if step < 100 else 2e-5)  # 1 - (1 - step / steps)
    else:
        np.testing.assert_allclose(tree.half_life_decay(row["half_life_images"], row["batch"]), row["beta"], rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: c.HalfLife(0.0), r"HalfLife.images is 0.0, but must be a positive number"),
        (lambda: c.Boxed(bound=-1.0), r"Boxed.bound is -1.0, but must be a positive number"),
        (lambda: c.Orthogonal(weight=-0.1), r"Orthogonal.weight is -0.1, but must be a number of at least 0"),
        (lambda: c.LazyAdam(every=0), r"LazyAdam.every is 0, but must be from 1"),
        (lambda: c.AnnealedAdam(final_b2=1.0), r"AnnealedAdam.final_b2 is 1.0, but must be at least 0 and below 1"),
        (lambda: c.Smoothed(target=0.3), r"Smoothed.target is 0.3, but must be above 0.5 and at most 1"),
    ],
)
def test_meaningless_numbers_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_updates_of_long_gradients_are_left_out_until_patience_ends():
    optimizer = c.Skipped(norm=5.0, patience=2, optimizer=c.SGD(learning_rate=1.0, momentum=0.5)).transformation()
    params = {"w": jnp.zeros(2)}
    state, seen = optimizer.init(params), []
    update = jax.jit(optimizer.update)
    for gradient in ([3.0, 0.0], [3.0, 4.0], [jnp.nan, 0.0], [3.0, 0.0], [6.0, 8.0], [6.0, 8.0], [6.0, 8.0]):
        updates, state = update({"w": jnp.array(gradient)}, state, params, step=0)
        seen.append((updates["w"].tolist(), int(state.in_a_row)))
    # A norm of 5 is too long already; the momentum knows nothing of what was left out.
    nothing = [0.0, 0.0]
    left_out = [(nothing, 1), (nothing, 2)]
    assert seen == [([-3.0, 0.0], 0), *left_out, ([-4.5, 0.0], 0), *left_out, ([-8.25, -8.0], 0)]
