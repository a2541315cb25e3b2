"""DCGAN's discriminator without BatchNorm: plain, and with spectral norm."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab.networks import PlainDCGANDiscriminator, SpectralDCGANDiscriminator
from gvlab.types import UserError

BOTH = {"plain": PlainDCGANDiscriminator(width=4), "spectral_norm": SpectralDCGANDiscriminator(width=4)}
X = jax.random.uniform(jax.random.key(1), (3, 16, 16, 1), minval=-1)
Y = jnp.eye(5)[:3]


@pytest.mark.parametrize("name", BOTH)
def test_each_example_is_judged_for_itself(name):
    network = BOTH[name]
    variables = jax.jit(lambda: network.init(jax.random.key(0), X, Y, train=True))()
    judge = jax.jit(lambda x, y: network.apply(variables, x, y, train=False))
    logits = judge(X, Y)
    assert (logits.shape, logits.dtype) == ((3,), jnp.float32)
    np.testing.assert_allclose(judge(X[::-1], Y[::-1])[::-1], logits, rtol=1e-5, atol=1e-6)
    changed = judge(X.at[1].multiply(-1.0), Y)
    np.testing.assert_allclose(changed[jnp.array([0, 2])], logits[jnp.array([0, 2])], rtol=1e-5, atol=1e-6)
    assert abs(changed[1] - logits[1]) > 1e-4
    assert np.any(judge(X, Y[::-1]) != logits)  # the class counts
    assert c.DCGAN(4, name).networks((16, 16, 1), 5, None)[1] == network


def test_all_layers_have_a_spectral_norm():
    shapes = jax.eval_shape(lambda: BOTH["spectral_norm"].init(jax.random.key(0), X, train=True))
    assert set(shapes["spectral"]) == set(shapes["params"]) == {"SpectralConv_0", "SpectralConv_1", "SpectralDense_0"}


def test_it_takes_the_sizes_of_the_generator():
    for network in BOTH.values():
        with pytest.raises(UserError, match=r"cannot make images of shape \(9, 9, 1\)"):
            jax.eval_shape(
                lambda network=network: network.init(jax.random.key(0), jnp.zeros((1, 9, 9, 1)), Y[:1], train=True)
            )
