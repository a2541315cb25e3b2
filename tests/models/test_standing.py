"""Standing statistics: the mean over batches of what each batch's own statistics are."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import zoo

from gvlab import models, networks, rng
from gvlab.models.standing import standing_statistics
from gvlab.networks import ConditionalBatchNorm
from gvlab.types import Batch, UserError

N, BATCHES = 8, 3
KEYS = [jax.random.fold_in(rng.root(3), i) for i in range(BATCHES)]


def inputs(key):
    return 2 + 3 * jax.random.normal(key, (N, 5))


@pytest.mark.parametrize("momentum", [0.5, 0.99])
def test_it_is_the_mean_over_batches_whatever_share_a_layer_keeps(momentum):
    layer = ConditionalBatchNorm(train=True, momentum=momentum)
    variables = layer.init(rng.root(0), inputs(KEYS[0]))

    def after(stats, key):
        return layer.apply(variables | {"batch_stats": stats}, inputs(key), mutable=["batch_stats"])[1]["batch_stats"]

    found = standing_statistics(after, variables["batch_stats"], rng.root(3), BATCHES)
    batches = [np.asarray(inputs(key)) for key in KEYS]
    np.testing.assert_allclose(found["mean"], np.mean([x.mean(0) for x in batches], 0), rtol=1e-4)
    np.testing.assert_allclose(found["var"], np.mean([x.var(0, ddof=1) for x in batches], 0), rtol=1e-4)


def test_with_one_batch_a_generator_is_normalised_by_that_batch():
    generator, discriminator = zoo.norm_gan((2,), None)
    gan = models.alternating_gan(
        generator, discriminator, optax.sgd(0.1), optax.sgd(0.1), latent_dim=4, data_range=(-9.0, 9.0), num_classes=2
    )
    state = gan.init(rng.root(0), Batch(jnp.ones((N, 2)), jnp.arange(N) % 2))
    standing = gan.standing(state, rng.root(3), N, 1)
    z, y = gan.prior(KEYS[0], N), jnp.arange(N) % 2
    variables = {"params": state.ema_params, "batch_stats": state.ema_stats}
    by_batch, _ = generator.apply(variables, z, jax.nn.one_hot(y, 2), train=True, mutable=["batch_stats"])
    np.testing.assert_allclose(gan.decode(standing, z, y), by_batch, rtol=1e-3, atol=1e-4)
    assert not np.allclose(gan.decode(state, z, y), by_batch, atol=0.1)
    before, after = jax.tree.leaves(state.replace(ema_stats={})), jax.tree.leaves(standing.replace(ema_stats={}))
    jax.tree.map(np.testing.assert_array_equal, before, after)  # and nothing else is another


def test_a_generator_without_such_statistics_is_refused():
    players = networks.MLPGenerator((2,), hidden=(3,)), networks.MLPDiscriminator(hidden=(3,))
    gan = models.simultaneous_gan(*players, optax.sgd(0.1), optax.sgd(0.1), latent_dim=4)
    with pytest.raises(UserError, match="MLPGenerator has no BatchNorm whose statistics"):
        gan.standing(gan.init(rng.root(0), Batch(jnp.zeros((2, 2)))), rng.root(0), N, 1)
