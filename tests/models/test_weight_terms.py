"""Spectral regularisation: singular values and gradients by NumPy, and a hierarchical VAE that is trained with it."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gvlab import build, models, rng
from gvlab import config as c
from gvlab.models import weight_terms
from gvlab.networks.ladders import Descent
from gvlab.types import Batch, UserError

quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
WEIGHT = 0.3


def parameters():
    """Of a convolution, one by channel, one of single pixels, and what is no convolution."""
    generator = np.random.default_rng(0)

    def drawn(*shape):
        return jnp.asarray(generator.normal(size=shape), jnp.float32)

    return {
        "conv": {"kernel": drawn(3, 3, 2, 4), "bias": drawn(4)},
        "depthwise": {"kernel": drawn(5, 5, 1, 3)},
        "pixel": {"kernel": drawn(4, 3)},
        "cell": {"se": {"squeeze": {"kernel": drawn(4, 4)}}, "bn1": {"norm": {"scale": drawn(4), "bias": drawn(4)}}},
    }


def test_the_term_and_its_gradient_are_those_of_the_singular_values():
    params = parameters()
    term = weight_terms.spectral_regularisation(WEIGHT, iterations=100)

    @quick_jit
    def found(params):
        memory = term.init(rng.root(0), params)
        value, grads = jax.value_and_grad(lambda params: term.value(params, memory)[0])(params)
        return value, grads, term.value(params, memory)[2]

    value, grads, said = jax.device_get(found(params))
    expected = 0.0
    for name in ("conv", "depthwise", "pixel"):
        kernel = np.asarray(params[name]["kernel"], np.float64)
        u, s, vt = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]).T, full_matrices=False)
        expected += s[0]
        slope = WEIGHT * np.outer(vt[0], u[:, 0]).reshape(kernel.shape)
        np.testing.assert_allclose(grads[name]["kernel"], slope, atol=1e-4)
    gains = np.abs(params["cell"]["bn1"]["norm"]["scale"])
    np.testing.assert_allclose(said["spectral_norms"], expected, rtol=1e-5)
    np.testing.assert_allclose(value, WEIGHT * (expected + gains.max()), rtol=1e-5)
    assert value == said["spectral_term"]
    slope = grads["cell"]["bn1"]["norm"]["scale"]
    np.testing.assert_array_equal(np.flatnonzero(slope), [gains.argmax()])
    for still in (grads["conv"]["bias"], grads["cell"]["se"]["squeeze"]["kernel"]):
        np.testing.assert_array_equal(still, 0)


def test_the_iteration_goes_on_where_it_was():
    params = {"pixel": parameters()["pixel"]}
    matrix = np.asarray(params["pixel"]["kernel"], np.float64).T
    memory = {"pixel/kernel": {"u": jnp.asarray([1.0, 0, 0]), "v": jnp.zeros(4)}}
    u = np.array([1.0, 0, 0])
    for _ in range(2):
        v = u @ matrix / np.linalg.norm(u @ matrix)
        u = matrix @ v / np.linalg.norm(matrix @ v)
    value, new, _ = quick_jit(weight_terms.spectral_regularisation(1.0, 2).value)(params, memory)
    np.testing.assert_allclose(new["pixel/kernel"]["u"], u, rtol=1e-5)
    np.testing.assert_allclose(new["pixel/kernel"]["v"], v, rtol=1e-5)
    np.testing.assert_allclose(value, u @ matrix @ v, rtol=1e-5)


def test_kernels_that_begin_at_nothing_or_are_small_are_followed_too():
    """As the heads of NVAE's and VDVAE's priors, which begin at 0."""
    kernel = parameters()["pixel"]["kernel"]
    term = weight_terms.spectral_regularisation(1.0, iterations=50)

    @quick_jit
    def found(key):
        memory = term.init(key, {"kernel": jnp.zeros_like(kernel)})
        _, memory, none = term.value({"kernel": jnp.zeros_like(kernel)}, memory)
        _, memory, small = term.value({"kernel": 1e-5 * kernel}, memory)
        return [said["spectral_norms"] for said in (none, small, term.value({"kernel": kernel}, memory)[2])]

    largest = np.linalg.svd(kernel, compute_uv=False)[0]
    np.testing.assert_allclose(found(rng.root(0)), [0, 1e-5 * largest, largest], rtol=1e-5)


class Descending(nn.Module):
    """A descent through one layer of latents, of one dense layer: what is compiled is little."""

    @nn.compact
    def generate(self, noise, y=None, *, train):
        return nn.Dense(3)(noise)

    def __call__(self, x, noise, y=None, *, train):
        none = jnp.zeros(noise.shape[:2])
        return Descent(self.generate(noise, train=train), noise, none[..., None], none, none)


def test_a_loss_has_the_term_and_the_state_its_memory():
    term = weight_terms.spectral_regularisation(WEIGHT)
    network = Descending()
    model = models.hierarchical_autoencoder(
        network, models.observation.gaussian(1.0), optax.sgd(0.1), layers=((2,),),
        objective=models.objectives.evidence_lower_bound(), data_range=build.UNBOUNDED, weight_term=term,
    )  # fmt: skip

    @quick_jit
    def found(key):
        batch = Batch(jnp.full((4, 3), 0.5))
        state = model.init(key, batch)
        after, info = model.train_step(state, batch, key)
        added, memory, _ = term.value(state.params, state.memory)
        return after, info, added, memory

    after, info, added, memory = found(rng.root(0))
    np.testing.assert_allclose(info["loss"], added - info["elbo_nats"], rtol=1e-5)
    for leaf, expected in zip(*map(jax.tree.leaves, (after.memory, memory)), strict=True):
        np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-6)


def test_the_configuration_makes_it():
    network = c.NVAE("1x1", "1x1", width=2, latents=1, expansion=1)
    model = build.model(c.HierarchicalVAE(network, regulariser=c.SpectralRegularisation()), (1, 1, 1), 0)
    batch = Batch(jnp.zeros((3, 1, 1, 1)))
    state = jax.eval_shape(model.init, rng.root(0), batch)
    kernels = {"/".join(name[:2]) for name in map(lambda key: key.split("/"), state.memory)}
    assert {"in_conv/kernel", "enc_blocks_0/conv1", "dec_blocks_0/cell", "out_conv/kernel"} <= kernels
    assert not any("/se/" in name for name in state.memory)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.SpectralRegularisation(-1), r"SpectralRegularisation\.weight is -1"),
        (lambda: c.SpectralRegularisation(iterations=0), r"SpectralRegularisation\.iterations is 0"),
        (
            lambda: c.HierarchicalVAE(c.LadderMLP((3, 2), (8, 4)), regulariser=c.SpectralRegularisation()),
            "is of convolutions, but LadderMLP has none: use NVAE or VDVAE, or Unregularised",
        ),
        (lambda: weight_terms.spectral_regularisation(1.0).init(rng.root(0), {"bias": 0}), "There is no convolution"),
    ],
)
def test_what_has_no_such_term_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
