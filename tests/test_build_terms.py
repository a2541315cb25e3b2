"""The terms of a discriminator's loss come from the configuration to the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import IMAGE, dataset

from gvlab import build, losses, models
from gvlab import config as c


@pytest.fixture
def given(monkeypatch):
    """The terms that the factories of GANs are given, which then make GANs without them."""
    terms: list[Any] = []

    def kept(factory):
        def make(*args, **options):
            terms.append(options.pop("discriminator_terms", None))
            return factory(*args, **options)

        return make

    for name in ("alternating_gan", "simultaneous_gan"):
        monkeypatch.setattr(models, name, kept(getattr(models, name)))
    return terms


@pytest.mark.parametrize("update", ["alternating", "simultaneous"])
def test_terms_come_to_the_model_in_their_order(update, given):
    config = c.GAN(c.MLP((3,)), 2, update=update, discriminator_terms=(c.Every(2, c.LeCam()), c.R1()))
    build.model(config, IMAGE, 0)
    build.model(replace(config, discriminator_terms=()), IMAGE, 0)
    (lecam, r1), nothing = given
    assert [type(term) for term in (lecam, r1)] == [losses.Term] * 2
    assert (lecam.name, r1.name, nothing) == ("lecam", "r1", None)


def test_a_weight_of_a_term_may_be_an_array(given):
    """As where runs of several weights are trained as one program."""
    config = c.GAN(c.MLP((3,)), 2, discriminator_terms=(c.LeCam(), c.R1()))
    made = build.program(c.Experiment("e", config, 1, batch_size=4), dataset(IMAGE))
    real, z = jnp.ones((2, *IMAGE)), jnp.ones((2, 2))

    def critic(x):
        return x.reshape(len(x), -1).sum(1)

    def loss(weight):
        build.with_values(made, {"model.discriminator_terms.1.weight": weight})
        _, r1 = given[-1]
        key, step = jax.random.key(0), jnp.int32(0)
        this = losses.Round(step, key, real, real, z, critic, lambda z: real, critic(real), critic(real))
        return r1.value(this, {})[0]

    squared_slope = 16  # of each example, whose 16 pixels are summed
    np.testing.assert_allclose(jax.jit(loss)(jnp.float32(0.5)), [0.5 / 2 * squared_slope] * 2)
