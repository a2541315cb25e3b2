"""The one table that every loss must be in, and what each member must keep."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import losses
from gvlab.types import Judged

BATCH, SAMPLES, EVENT, LATENT, CLASSES, LEVELS = 5, 3, (4, 2, 1), 6, 7, 16


class Case(NamedTuple):
    loss: Callable
    names: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    constants: dict[str, object] = {}  # noqa: RUF012
    samples: tuple[int, ...] = ()


def normal(*shape):
    return np.random.RandomState(sum(shape)).standard_normal(shape).astype(np.float32)


def integers(high, *shape):
    return np.random.RandomState(sum(shape)).randint(0, high, shape).astype(np.int32)


def image():
    return (integers(LEVELS, BATCH, *EVENT) / (LEVELS - 1)).astype(np.float32)


def one_hot():
    return np.eye(CLASSES, dtype=np.float32)[[0, 3, 0, 2, 3]]


PARAMETERS = normal(SAMPLES, BATCH, *EVENT)
LATENTS = {"mean": normal(BATCH, LATENT), "logvar": 0.1 * normal(BATCH, LATENT)}
CASES = [
    Case(
        losses.discriminator_loss,
        ("real_logits", "fake_logits"),
        {"real_logits": normal(BATCH), "fake_logits": -normal(BATCH)},
    ),
    *(
        Case(loss, ("real_logits", "fake_logits"), {"real_logits": normal(BATCH), "fake_logits": -normal(BATCH)})
        for loss in (
            losses.hinge_discriminator_loss,
            losses.least_squares_discriminator_loss,
            losses.wasserstein_discriminator_loss,
        )
    ),
    *(
        Case(
            loss,
            ("real_logits", "fake_logits", "target"),
            {"real_logits": normal(BATCH), "fake_logits": -normal(BATCH)},
            {"target": 0.8},
        )
        for loss in (losses.smoothed_discriminator_loss, losses.smoothed_least_squares_discriminator_loss)
    ),
    *(
        Case(loss, ("fake_logits",), {"fake_logits": normal(BATCH)})
        for loss in (losses.least_squares_generator_loss, losses.wasserstein_generator_loss)
    ),
    Case(losses.minimax_generator_loss, ("fake_logits",), {"fake_logits": normal(BATCH)}),
    Case(losses.non_saturating_generator_loss, ("fake_logits",), {"fake_logits": normal(BATCH)}),
    *(
        Case(loss, ("margin",), {"margin": normal(BATCH)})
        for loss in (
            losses.logistic_margin_loss,
            losses.hinge_margin_loss,
            losses.squared_margin_loss,
            losses.linear_margin_loss,
        )
    ),
    *(
        Case(loss, (name, "y"), {name: normal(BATCH, CLASSES), "y": one_hot()})
        for loss, name in ((losses.class_cross_entropy, "classes"), (losses.multi_hinge_loss, "scores"))
    ),
    Case(
        losses.conditional_contrastive_loss,
        ("embedding", "proxy", "y", "temperature"),
        {"embedding": normal(BATCH, LATENT), "proxy": -normal(BATCH, LATENT), "y": one_hot()},
    ),
    Case(
        losses.data_to_data_loss,
        ("embedding", "proxy", "y", "temperature", "margin"),
        {"embedding": normal(BATCH, LATENT), "proxy": -normal(BATCH, LATENT), "y": one_hot()},
    ),
    Case(losses.bernoulli_log_prob, ("logits", "x"), {"logits": PARAMETERS, "x": image()}, samples=(SAMPLES,)),
    Case(
        losses.gaussian_log_prob,
        ("mean", "logvar", "x"),
        {"mean": PARAMETERS, "logvar": 0.1 * PARAMETERS, "x": image()},
        samples=(SAMPLES,),
    ),
    Case(
        losses.gaussian_log_prob,
        ("mean", "logvar", "x"),
        {"mean": PARAMETERS, "x": image()},
        {"logvar": -1.0},
        samples=(SAMPLES,),
    ),
    Case(
        losses.discretized_logistic_log_prob,
        ("mean", "log_scale", "x", "levels"),
        {"mean": PARAMETERS, "log_scale": 0.1 * PARAMETERS - 2, "x": image()},
        {"levels": LEVELS},
        samples=(SAMPLES,),
    ),
    Case(
        losses.discretized_logistic_mixture_log_prob,
        ("logits", "mean", "log_scale", "x", "levels"),
        {
            "logits": normal(SAMPLES, BATCH, *EVENT[:-1], CLASSES),
            "mean": normal(SAMPLES, BATCH, *EVENT, CLASSES),
            "log_scale": 0.1 * normal(SAMPLES, BATCH, *EVENT, CLASSES) - 2,
            "x": image(),
        },
        {"levels": LEVELS},
        samples=(SAMPLES,),
    ),
    Case(
        losses.categorical_log_prob,
        ("logits", "x"),
        {"logits": normal(SAMPLES, BATCH, *EVENT, CLASSES), "x": integers(CLASSES, BATCH, *EVENT)},
        samples=(SAMPLES,),
    ),
    Case(
        losses.sentence_log_prob,
        ("logits", "tokens"),
        {"logits": normal(SAMPLES, BATCH, 4, CLASSES), "tokens": integers(CLASSES, BATCH, 4)},
        samples=(SAMPLES,),
    ),
    Case(
        losses.masked_log_prob,
        ("logits", "tokens", "counted"),
        {
            "logits": normal(SAMPLES, BATCH, 4, CLASSES),
            "tokens": integers(CLASSES, BATCH, 4),
            "counted": integers(2, BATCH, 4) > 0,
        },
        samples=(SAMPLES,),
    ),
    Case(losses.gaussian_kl, ("mean", "logvar"), LATENTS),
    Case(
        losses.normal_log_prob,
        ("z", "mean", "logvar"),
        {"z": normal(SAMPLES, BATCH, LATENT), **LATENTS},
        samples=(SAMPLES,),
    ),
    Case(
        losses.normal_mixture_log_prob,
        ("z", "logits", "mean", "logvar"),
        {"z": normal(SAMPLES, BATCH, LATENT)},
        {"logits": jnp.asarray(normal(2)), "mean": jnp.asarray(normal(2, LATENT)), "logvar": jnp.zeros((2, LATENT))},
        samples=(SAMPLES,),
    ),
    Case(losses.standard_normal_log_prob, ("z",), {"z": normal(SAMPLES, BATCH, LATENT)}, samples=(SAMPLES,)),
    Case(
        losses.elbo,
        ("log_likelihood", "kl", "beta"),
        {"log_likelihood": normal(BATCH), "kl": normal(BATCH) ** 2},
        {"beta": 0.5},
    ),
    Case(losses.importance_weighted_bound, ("log_weights",), {"log_weights": normal(SAMPLES, BATCH)}),
    *(
        Case(loss, ("log_weights", name), {"log_weights": normal(SAMPLES, BATCH)}, {name: value})
        for loss, name, value in (
            (losses.multiply_importance_weighted_bound, "groups", SAMPLES),
            (losses.combined_importance_weighted_bound, "share", 0.3),
            (losses.renyi_bound, "alpha", 0.5),
        )
    ),
    Case(losses.free_nats_of_examples, ("kl", "least"), {"kl": normal(BATCH, LATENT) ** 2}, {"least": 0.5}),
    Case(losses.categorical_kl_to_uniform, ("logits",), {"logits": normal(BATCH, CLASSES)}),
    Case(
        losses.relaxed_categorical_log_prob,
        ("log_value", "logits", "temperature"),
        {"log_value": -(normal(BATCH, CLASSES) ** 2), "logits": normal(BATCH, CLASSES)},
        {"temperature": 0.5},
    ),
    Case(
        losses.von_mises_fisher_kl,
        ("concentration", "dimension"),
        {"concentration": 5 + normal(BATCH)},
        {"dimension": 3},
    ),
    Case(losses.mean_resultant, ("concentration", "dimension"), {"concentration": 5 + normal(BATCH)}, {"dimension": 3}),
    Case(
        losses.von_mises_fisher_log_prob,
        ("z", "mean", "concentration"),
        {"z": normal(SAMPLES, BATCH, LATENT), "mean": normal(BATCH, LATENT), "concentration": 5 + normal(BATCH)},
        samples=(SAMPLES,),
    ),
    Case(losses.bits_per_dim, ("nats", "dims"), {"nats": normal(BATCH)}, {"dims": 12}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.loss.__name__)


def bound(case):
    """The loss with its constants given, and its arrays on the device."""
    arrays = {name: jnp.asarray(array) for name, array in case.arrays.items()}
    return (lambda arrays: case.loss(**arrays, **case.constants)), arrays


COMBINATORS = {"relativistic", "relativistic_average", "top_k", "scheduled_top_k"}
"""What makes a contest of a loss or of another contest."""


TERMS = (
    losses.r1,
    losses.r2,
    losses.zero_centred,
    losses.gradient_penalty,
    losses.one_sided_gradient_penalty,
    losses.dragan,
    losses.clipped_dragan,
    losses.r1_finite_difference,
    losses.r2_finite_difference,
    losses.centring,
    losses.lecam,
    losses.real_consistency,
    losses.fake_consistency,
    losses.latent_consistency,
    losses.latent_diversity,
    losses.real_classes,
    losses.fake_classes,
    losses.real_contrast,
    losses.fake_contrast,
    losses.real_data_to_data,
    losses.fake_data_to_data,
    losses.path_length,
)
"""What is added to a player's loss, by weight."""


OF_BATCHES = {
    *(
        "capacity_loss",
        "free_nats",
        "gaussian_kl_by_latent",
        "normal_kl_by_latent",
        "normal_mixture_log_joint",
        "precision_weighted",
        "stratified_log_densities",
        "weighted_log_densities",
    ),
    *("covariance_of_means", "covariance_of_latents", "disentangled_prior_loss", "squared_mmd"),
    *("gaussian_kernel", "multiquadric_kernel", "optimal_gaussian_log_prob"),
}
"""What gives no number of each example by itself: tests/models/test_objectives.py, tests/losses/test_divergences.py,
tests/losses/test_mixture.py, tests/models/test_priors.py."""


ESTIMATORS = {
    *("arm", "disarm", "nvil", "nvil_statistics", "reinforce", "surrogate", "vimco"),
    *("relaxed_bernoulli", "relaxed_categorical", "straight_through_categorical", "relaxed_bernoulli_log_prob"),
}
"""Gradients by discrete latents, and relaxed latents: tests/losses/test_discrete.py."""


ON_SPHERES = {"sphere_log_area", "von_mises_fisher_draws"}
"""tests/models/test_posteriors.py."""


def test_every_public_loss_is_in_the_table():
    functions = (
        {name for name in losses.__all__ if inspect.isfunction(getattr(losses, name))}
        - COMBINATORS
        - OF_BATCHES
        - ESTIMATORS
        - ON_SPHERES
    )
    functions -= {"every", "scheduled", *(make.__name__ for make in TERMS)}
    assert {case.loss.__name__ for case in CASES} == functions


def test_what_else_is_public_are_the_contests():
    others = {name for name in losses.__all__ if not inspect.isfunction(getattr(losses, name))}
    others -= {"Contest", "Estimate", "Kernel", "Round", "SignalStatistics", "Term"}
    assert others == {"non_saturating", "minimax", "hinge", "least_squares", "wasserstein", "multi_hinge"}
    assert all(isinstance(getattr(losses, name), losses.Contest) for name in others)


@each_case
def test_argument_names(case):
    assert tuple(inspect.signature(case.loss).parameters) == case.names


@each_case
def test_output_is_per_example_and_keeps_float32(case):
    loss, arrays = bound(case)
    value = loss(arrays)
    assert value.shape == (*case.samples, BATCH)
    assert value.dtype == jnp.float32
    assert np.isfinite(value).all()


@each_case
def test_an_example_does_not_see_the_others(case):
    loss, arrays = bound(case)
    # Permuting the examples permutes the values. The batch axis of every array in the table is the one of size BATCH.
    order = np.array([3, 0, 4, 1, 2])
    permuted = {name: jnp.asarray(np.take(a, order, axis=a.shape.index(BATCH))) for name, a in case.arrays.items()}
    np.testing.assert_allclose(loss(permuted), np.asarray(loss(arrays))[..., order], rtol=1e-6)


@each_case
def test_jit_and_vmap_agree_with_the_plain_call(case):
    loss, arrays = bound(case)
    expected = loss(arrays)
    np.testing.assert_allclose(jax.jit(loss)(arrays), expected, rtol=1e-5, atol=1e-6)
    # Over stacked seeds, the way a group of runs is trained.
    flipped = {name: jnp.asarray(a[::-1]) for name, a in case.arrays.items()}
    stacked = {name: np.stack([a, a[::-1]]) for name, a in case.arrays.items()}
    seeds = np.asarray(jax.jit(jax.vmap(loss))(stacked))
    np.testing.assert_allclose(seeds[0], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seeds[1], loss(flipped), rtol=1e-5, atol=1e-6)


@each_case
def test_every_docstring_names_its_source(case):
    assert "Reference" in case.loss.__doc__


def round_of(weights, step=0):
    """Of a discriminator that is a quadratic form, so that its slope differs from place to place."""

    def critic(x):
        return jnp.square(x).reshape(len(x), -1) @ weights

    real, fake = jnp.asarray(image()), jnp.asarray(image()[::-1] - 0.5)
    z = jnp.zeros((BATCH, LATENT))

    def generate(z):
        return fake[: len(z)] + z.sum(axis=1).reshape(-1, 1, 1, 1)

    def judged(x):
        scaled = x.reshape(BATCH, -1)[:, :CLASSES] * weights[0]
        return Judged(critic(x), classes=scaled, embedding=scaled, proxy=-scaled[::-1])

    def styled(z):
        return jnp.stack([z, z], axis=1), lambda ws: generate(ws[:, 0] + jnp.tanh(ws[:, 1]))

    return losses.Round(
        jnp.int32(step), jax.random.key(0), real, fake, z, critic, generate, critic(real), critic(fake), styled=styled,
        y=jnp.asarray(one_hot()), judged_real=judged(real), judged_fake=judged(fake),
    )  # fmt: skip


each_term = pytest.mark.parametrize("make", TERMS, ids=lambda make: make.__name__)


@each_term
def test_a_term_bears_the_name_of_its_function_and_says_its_source(make):
    assert make(1.0).name == make.__name__
    assert "Reference" in make.__doc__ or "As `r1_finite_difference`" in make.__doc__


@each_term
def test_a_term_is_a_number_per_example_and_keeps_its_memory(make):
    term, weights = make(1.0), jnp.linspace(-1.0, 1.0, EVENT[0] * EVENT[1])
    before = term.init()
    value, after = jax.eval_shape(lambda: term.value(round_of(weights), before))
    assert (value.shape, value.dtype) == ((BATCH,), jnp.float32)
    assert jax.tree.map(jnp.shape, before) == jax.tree.map(jnp.shape, after)


@each_term
def test_a_weight_may_be_traced_and_scales_a_term(make):
    """So that runs of several weights share a program."""
    weights = jnp.linspace(-1.0, 1.0, EVENT[0] * EVENT[1])

    def loss(weight, lazy):
        term = losses.every(2, make(weight)) if lazy else make(weight)
        return term.value(round_of(weights), term.init())[0]

    @jax.jit
    def both(weights):
        return jax.vmap(lambda weight: loss(weight, False))(weights), loss(1.0, True)

    (one, three), lazy = jax.device_get(both(np.array([1.0, 3.0], np.float32)))
    assert (one != 0).any()
    np.testing.assert_allclose(three, 3 * one, rtol=1e-5)
    np.testing.assert_allclose(lazy, 2 * one, rtol=1e-3, atol=1e-9)  # differences of logits keep few digits


@each_term
def test_every_other_number_of_a_term_may_be_traced(make):
    numbers = {
        name: jnp.float32(parameter.default)
        for name, parameter in inspect.signature(make).parameters.items()
        if isinstance(parameter.default, float)
    }
    weights = jnp.linspace(-1.0, 1.0, EVENT[0] * EVENT[1])

    def loss(numbers):
        term = make(1.0, **numbers)
        return term.value(round_of(weights), term.init())[0]

    traced, given = jax.jit(lambda numbers: (loss(numbers), loss({})))(numbers)
    np.testing.assert_allclose(traced, given, rtol=1e-3, atol=1e-6)
