"""Weights fitted beside latents: on generators whose optimum is known, and of which leaves of a state."""

import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import rng
from gvlab.restoration import driving, finetuning, operators

SHAPE = (4, 4, 1)


@pytest.mark.parametrize("stride", [1, 50])
def test_weights_and_latents_meet_what_is_seen_and_leave_the_rest(stride, monkeypatch):
    monkeypatch.setattr(driving, "stride_here", lambda: stride)
    y = jnp.linspace(0.0, 1.0, 32).reshape(2, *SHAPE)
    kept = np.arange(16).reshape(4, 4) < 10
    operator = operators.mask(SHAPE, kept)
    weights, z = [jnp.full(SHAPE, 0.5)], jnp.asarray([[0.1], [-0.1]])

    def generate(weights, z, image):
        return weights[0][None] + z[:, :, None, None]

    seen = jax.vmap(operator.apply)(y)
    heard = []
    options = {"rate": 0.02, "latent_rate": 1e-6, "listen": lambda *now: heard.append(now)}
    found = finetuning.finetune(weights, generate, operator, seen, z, steps=300, **options)
    np.testing.assert_allclose(np.asarray(found.x)[:, kept], np.asarray(y)[:, kept], atol=1e-3)
    # Of what is hidden the gradient is 0: it stays what the search found.
    np.testing.assert_allclose(found.x[0][~kept], 0.6, atol=1e-3)
    np.testing.assert_allclose(found.x[1][~kept], 0.4, atol=1e-3)
    before = [((0.5 + float(shift) - y[i][kept]) ** 2).sum() for i, shift in enumerate(z[:, 0])]
    np.testing.assert_allclose(found.before, before, rtol=1e-5)
    assert (found.objective < 1e-4).all()
    assert heard[-1] == (600 - stride, 600)
    assert (weights[0] == 0.5).all()


def test_the_latents_move_with_the_weights():
    operator = operators.identity(SHAPE)
    y = jnp.full((1, *SHAPE), 0.8)

    def generate(weights, z, image):
        return jnp.broadcast_to(weights[0] + z[:, :, None, None], (1, *SHAPE))

    options = {"steps": 200, "rate": 1e-9, "latent_rate": 0.02}
    found = finetuning.finetune([jnp.float32(0.5)], generate, operator, y, jnp.zeros((1, 1)), **options)
    np.testing.assert_allclose(found.x, y, atol=1e-3)


def test_of_a_state_the_weights_that_a_picture_depends_on_are_chosen():
    program = harness.program("gan")
    state = jax.eval_shape(program.model.init, rng.root(0), program.first_batch())
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    weights, with_weights = finetuning.weights_of(
        zeros, lambda state: program.model.decode(state, jnp.zeros((1, program.latent_dim)))
    )
    assert [leaf.shape for leaf in weights] == [leaf.shape for leaf in jax.tree.leaves(state.ema_params)]
    other = with_weights([leaf + 1 for leaf in weights])
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(other.ema_params))
    rest = jax.tree.leaves((other.generator, other.discriminator, other.ema_stats))
    assert all((leaf == 0).all() for leaf in rest if jnp.issubdtype(leaf.dtype, jnp.number))
