"""Which latents say most, and of what."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from programs import MLP_GAN, MLP_VAE, program

from gvlab import build, data, rng
from gvlab import config as c
from gvlab.compare.paper import canvas
from gvlab.compare.paper.latents import heat_map
from gvlab.evaluate import ranking
from gvlab.types import UserError


def with_encoder(made, encode):
    """The program, whose encoder is that function of the batch."""
    return replace(made, model=made.model._replace(encode=lambda state, batch: encode(batch)))


def test_a_latent_of_more_nats_comes_first_and_follows_the_class_that_it_tells_of():
    made = build.program(c.Experiment("e", MLP_VAE, steps=1, batch_size=4), data.load("digits"))

    def encode(batch):
        ramp = jnp.linspace(-1, 1, batch.x.shape[0])[:, None]
        mean = jnp.concatenate([0.01 * ramp, batch.y[:, None] / 5.0, 0 * ramp], axis=1)
        return mean, jnp.zeros(mean.shape).at[:, 2].set(-4.0)

    found = ranking.ranking(with_encoder(made, encode), None)
    np.testing.assert_array_equal(found.latents, [2, 1, 0])
    y = made.dataset.test.y
    kl = [0.5 * (np.exp(-4.0) + 3), 0.5 * np.mean((y / 5) ** 2), 0.5 * 1e-4 * np.mean(np.linspace(-1, 1, len(y)) ** 2)]
    np.testing.assert_allclose(found.kl_nats, kl, rtol=1e-4)
    assert found.factors == ("class",)
    shares = np.bincount(y) / len(y)
    np.testing.assert_allclose(found.information_nats[1], -np.sum(shares * np.log(shares)), rtol=1e-6)
    assert found.followed == [None, "class", None]
    assert found.examples == len(y)


def test_factors_of_a_known_world_are_followed(monkeypatch):
    monkeypatch.setattr(ranking, "COMBINATIONS", 1_000)
    world = data.load("gvsprites")
    made = build.program(c.Experiment("e", MLP_VAE, steps=1, batch_size=4, data=c.Data("gvsprites")), world)

    def encode(batch):
        rows = jnp.arange(batch.x.shape[1])[None, :, None]
        mass = batch.x[..., 0].sum((1, 2))
        height = (batch.x[..., 0] * rows).sum((1, 2)) / mass
        mean = jnp.stack([height / 32 - 1, jnp.zeros(len(mass))], axis=1)
        return mean, jnp.zeros(mean.shape)

    found = ranking.ranking(with_encoder(made, encode), None)
    assert found.factors == world.truth.factors
    (followed,) = [name for name in found.followed if name is not None]
    assert "y" in followed
    assert found.information_nats[0, found.factors.index(followed)] > 1
    drawn = heat_map(found)
    assert canvas.rendered(drawn, "svg").startswith(b"<?xml")
    assert "1,000 examples" in drawn.caption


def test_without_classes_there_is_nothing_to_follow():
    made = program(MLP_VAE, classes=0)
    found = ranking.ranking(made, made.model.init(rng.root(0), made.first_batch()))
    assert found.factors == ()
    assert found.followed == [None, None]
    assert found.information_nats.shape == (2, 0)
    assert "mutual" not in heat_map(found).caption


@pytest.mark.parametrize("options", [{"posterior": c.FullCovariance()}, {"prior": c.Mixture(2)}])
def test_where_the_kl_is_another_nothing_is_ranked(options):
    made = program(c.VAE(network=c.MLP(hidden=(4,)), latent_dim=2, **options))
    assert not ranking.can_be_ranked(made)
    with pytest.raises(UserError, match="another posterior than independent normals, or another prior"):
        ranking.ranking(made, None)


def test_a_gan_is_refused():
    with pytest.raises(UserError, match="e has no encoder whose latents could be ranked"):
        ranking.ranking(program(MLP_GAN), None)
