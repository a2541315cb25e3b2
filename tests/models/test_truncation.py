"""Truncated styles: nearer to the mean one, by so much."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import MLP_GAN, program
from zoo import NormDiscriminator, quick_jit

from gvlab import models, networks, rng
from gvlab.models import truncation
from gvlab.trained import Trained
from gvlab.types import Batch, UserError


class Styled(nn.Module):
    """The smallest generator in two halves, of vectors."""

    styled = True

    def setup(self):
        self.mapping, self.last = nn.Dense(3), nn.Dense(2)

    def styles(self, z, y=None, *, train):
        w = jnp.tanh(self.mapping(networks.append_label(z, y)))
        return jnp.stack([w, w], axis=1)

    def images(self, ws, *, train):
        return self.last(ws[:, 0] * ws[:, 1])

    def __call__(self, z, y=None, *, train):
        return self.images(self.styles(z, y, train=train), train=train)


def test_styles_are_drawn_towards_their_mean():
    make = partial(models.alternating_gan, latent_dim=2, num_classes=3, data_range=(-jnp.inf, jnp.inf))
    model = make(Styled(), NormDiscriminator(), optax.sgd(0.1), optax.sgd(0.1))
    half = truncation.with_psi(model, 0.5)
    batch = Batch(jnp.ones((4, 2)), jnp.arange(4) % 3)

    @quick_jit
    def found(batch):
        state = model.init(rng.root(0), batch)
        z, y = model.prior(rng.root(1), 3), jnp.arange(3)
        mapping, last = (state.ema_params[name] for name in ("mapping", "last"))
        many = model.prior(rng.root(0), truncation.DRAWS)

        def style(z, y):
            return jnp.tanh(jnp.concatenate([z, jax.nn.one_hot(y, 3)], -1) @ mapping["kernel"] + mapping["bias"][None])

        mean = style(many, jnp.arange(len(many)) % 3).mean(0, keepdims=True)
        near = mean + 0.5 * (style(z, y) - mean)
        expected = near**2 @ last["kernel"] + last["bias"][None]
        whole = model.truncated(state, z, y, 1.0), model.decode(state, z, y)
        return expected, half.decode(state, z, y), half.sample(state, rng.root(1), 3), *whole

    expected, decoded, sampled, whole, plain = jax.device_get(found(batch))
    np.testing.assert_allclose(decoded, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(sampled, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(whole, plain, rtol=1e-4, atol=1e-5)
    assert np.abs(plain - expected).max() > 0.01


def test_what_cannot_be_truncated_is_refused():
    model = Trained(program(MLP_GAN), None)
    with pytest.raises(UserError, match=r"psi is 0\.5, but the model has no styles to be truncated: use a run of"):
        model.truncated(0.5)
    for psi in (-0.1, 1.5, float("nan")):
        with pytest.raises(UserError, match=f"psi is {psi}, but must be from 0"):
            model.truncated(psi)
