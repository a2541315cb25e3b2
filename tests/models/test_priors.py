"""Learned priors: densities of the published code, draws that have them, and models that train with them."""

import json
from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import dataset
from waves import wave

from gvlab import build, losses, networks, rng
from gvlab import config as c
from gvlab.models import priors
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_priors.json").read_text())
PRIORS = [c.Mixture(3), c.Vamp(4), c.Flow("realnvp", 2, (4,)), c.Flow("maf", 2, (4,))]
every_prior = pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: getattr(prior, "kind", type(prior).__name__))


def parameters(shapes, scale):
    """The published networks' parameters, by their formula."""
    return {
        name: scale * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.5 * k).reshape(shape)
        for k, (name, shape) in enumerate(shapes.items())
    }


def test_a_mixture_and_the_vampprior_are_those_of_the_published_code():
    mixed, vamped = GOLDEN["mixture_prior"], GOLDEN["vampprior"]
    given = {name: wave(recipe) for name, recipe in mixed["inputs"].items()}
    z, weight, bias = (wave(vamped["inputs"][name]) for name in ("z", "pseudo_weight", "pseudo_bias"))
    of = parameters(vamped["inputs"]["parameters"], 0.7)
    u = np.clip(weight.T + bias, 0, 1)
    np.testing.assert_allclose(u, vamped["outputs"]["pseudo_inputs"], rtol=1e-9)

    def apply(network, inputs, y):
        if network == "pseudo_inputs":
            return jnp.asarray(u)
        return tuple(inputs @ of[f"{head}.weight"].T + of[f"{head}.bias"][None] for head in "ml")

    with jax.enable_x64(True):
        mixture, joint = jax.jit(
            lambda *given: (losses.normal_mixture_log_prob(*given), losses.normal_mixture_log_joint(*given))
        )(*(given[name] for name in ("z", "logits", "means", "logvars")))
        vamp = jax.jit(lambda z: priors.vamp(networks.PseudoInputs(5, (6,))).log_prob(apply, z))(z)
    np.testing.assert_allclose(mixture, mixed["outputs"]["log_prob"], rtol=1e-9)
    of_each = np.exp(np.asarray(joint) - np.asarray(mixture)[:, None])  # p(c|z), VaDE's eq. 16
    np.testing.assert_allclose(of_each, mixed["outputs"]["responsibilities"], rtol=1e-7)
    np.testing.assert_allclose(vamp, vamped["outputs"]["log_p_z"], rtol=1e-6)  # pythae adds log K in float32


def test_flows_are_those_of_the_published_code_and_lead_back():
    golden = GOLDEN["flows"]
    z = wave(golden["inputs"]["z"])
    of = parameters(golden["inputs"]["parameters"]["maf_pythae"], 0.6)
    blocks = {
        f"block_{i}": {
            f"{ours}_{kind}": of[f"net.{i}.net.{theirs}.{published}"].T
            for ours, theirs in (("dense_0", 0), ("dense_1", 2), ("out", 4))
            for kind, published in (("kernel", "weight"), ("bias", "bias"))
        }
        for i in range(2)
    }
    of = parameters(golden["inputs"]["parameters"]["realnvp_normflows"], 0.5)
    couplings = {
        f"coupling_{i}": {
            f"Dense_{j}": {
                "kernel": of[f"{2 * i}.flows.1.param_map.net.{2 * j}.weight"].T,
                "bias": of[f"{2 * i}.flows.1.param_map.net.{2 * j}.bias"],
            }
            for j in range(2)
        }
        for i in range(2)
    }
    maf = partial(networks.MAF(2, (7, 7)).apply, {"params": blocks}, train=False)
    realnvp = partial(networks.RealNVP(2, (6,)).apply, {"params": couplings}, train=False)

    @jax.jit
    def found(z):
        noise, log_det = maf(z)
        out, out_log_det = realnvp(z, inverse=True)
        return noise, log_det, maf(noise, method="inverse"), out, out_log_det, realnvp(out)

    with jax.enable_x64(True):
        noise, log_det, back, out, out_log_det, (noise_again, minus) = found(z)
    published = golden["outputs"]["maf_pythae"]
    np.testing.assert_allclose(noise, published["forward"], rtol=1e-9)
    np.testing.assert_allclose(log_det, published["log_det_forward"], rtol=1e-9)
    published = golden["outputs"]["realnvp_normflows"]
    np.testing.assert_allclose(out, published["out"], rtol=1e-9)
    np.testing.assert_allclose(out_log_det, published["log_det"], rtol=1e-9)
    np.testing.assert_allclose((back, noise_again), (z, z), rtol=1e-7)
    np.testing.assert_allclose(minus, -out_log_det, rtol=1e-9)


def program_of(prior, **options):
    vae = c.VAE(c.MLP((8,)), latent_dim=2, likelihood=c.Gaussian(variance=30.0), prior=prior, **options)
    return build.program(c.Experiment("e", vae, steps=1, batch_size=4), dataset((3,)))


@cache
def stepped(prior):
    """(program, state after a step of 64 draws, its terms, gradients' reach): compiled once."""
    program = program_of(prior, num_samples=64)
    split = program.dataset.train
    batch = program.first_batch()._replace(x=jnp.asarray(split.x[:4]), y=jnp.asarray(split.y[:4]))
    state = program.model.init(rng.root(0), program.first_batch())
    after, info = jax.jit(program.model.train_step)(state, batch, rng.root(1))
    return program, batch, state, after, info


@every_prior
def test_a_step_moves_every_parameter_of_the_prior(prior):
    _, _, state, after, info = stepped(prior)
    own = set(state.params) - {"encoder", "decoder"}
    assert len(own) == 1
    for name in own:
        moved = jax.tree.map(lambda a, b: (a != b).any(), state.params[name], after.params[name])
        last_is_zero = name == "prior" and isinstance(prior, c.Flow)  # nothing comes through it in the first step
        assert any(jax.tree.leaves(moved)) if last_is_zero else all(jax.tree.leaves(moved))
    np.testing.assert_allclose(info["elbo_nats"], info["reconstruction_nats"] - info["kl_nats"], rtol=1e-5)


@every_prior
def test_the_draws_have_the_density(prior):
    """The mean of 1 / p(z) over a box, by draws that fall into it, is the box's area over the share of them."""
    program, _, _, state, _ = stepped(prior)
    params = jax.tree.map(
        lambda leaf: leaf + 0.3 * jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape),
        {name: of for name, of in state.params.items() if name not in ("encoder", "decoder")},
    )
    state = state.replace(params=state.params | params)
    made = prior.prior((3,), 2, build.UNBOUNDED)
    n = 20_000

    @jax.jit
    def found(state):
        def apply(network, inputs, y):
            module = made.networks.get(network) or networks.MLPEncoder(latent_dim=2, hidden=(8,))
            return module.apply({"params": state.params[network]}, inputs, y, train=False)

        z = program.model.latents(state, rng.root(2), n)
        return z, made.log_prob(apply, z)

    z, log_prob = map(np.asarray, found(state))
    assert z.shape == (n, 2)
    low, high = np.quantile(z, 0.2, axis=0), np.quantile(z, 0.8, axis=0)
    within = ((z > low) & (z < high)).all(axis=1)
    weights = np.where(within, np.exp(-log_prob), 0)
    area = np.prod(high - low)
    assert abs(weights.mean() - area) < 5 * weights.std() / np.sqrt(n)
    assert weights.std() / np.sqrt(n) < area / 20  # it would be noticed


@every_prior
def test_the_bound_is_a_bound(prior):
    """Importance weights have the mean p(x), whatever the number of draws: as found from the prior itself."""
    program, batch, _, state, _ = stepped(prior)
    model, k = program.model, 20_000

    @jax.jit
    def found(state):
        weights = model.log_weights(state, batch, rng.root(3), k)
        z = jnp.broadcast_to(model.latents(state, rng.root(4), k)[:, None], (k, 4, 2))
        return weights, model.log_likelihood(state, batch, z)

    by_posterior, by_prior = (jax.nn.logsumexp(found, axis=0) - np.log(k) for found in found(state))
    np.testing.assert_allclose(by_posterior, by_prior, atol=0.1)


def test_the_stateless_prior_of_a_learned_one_is_refused():
    program = stepped(PRIORS[0])[0]
    with pytest.raises(UserError, match=r"use Model\.latents"):
        program.model.prior(rng.root(0), 3)
    assert program.latent_dim == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior": c.Vamp(), "conditional": True}, "VAE.prior is Vamp, whose learned examples have no classes"),
        ({"prior": c.Flow(), "latent_dim": 1}, "VAE.latent_dim is 1, but in a Flow"),
        ({"prior": c.Mixture(), "objective": c.FreeNats()}, "FreeNats compares the latents with a standard normal"),
        ({"prior": c.Mixture(), "network": c.TwoLayerMLP(first=2), "latent_dim": 4}, "TwoLayerMLP has two"),
    ],
)
def test_what_a_prior_cannot_be_with_is_refused(options, words):
    with pytest.raises(UserError, match=words):
        c.VAE(**options)


@pytest.mark.parametrize("make", [networks.MAF, networks.RealNVP])
def test_a_flow_of_one_entry_is_refused(make):
    with pytest.raises(UserError, match="vectors of 1 entry"):
        make().init(jax.random.key(0), jnp.zeros((2, 1)), train=True)


def test_a_vampprior_of_an_encoder_with_batch_norm_is_refused():
    import flax.linen as nn
    import optax

    from gvlab import models
    from gvlab.networks.layers import BatchNorm

    class Encoder(nn.Module):
        @nn.compact
        def __call__(self, x, y=None, *, train):
            h = BatchNorm(use_running_average=not train)(nn.Dense(4)(x))
            return nn.Dense(2)(h), nn.Dense(2)(h)

    observed = models.observation.gaussian(1.0)
    model = models.autoencoder(
        Encoder(), networks.MLPDecoder((3,), (4,), parameters=observed.parameters), observed, optax.sgd(0.1),
        objective=models.objectives.importance_weighted, latent_dim=2, data_range=build.UNBOUNDED,
        prior=priors.vamp(networks.PseudoInputs(3, (3,), *build.UNBOUNDED)),
    )  # fmt: skip
    with pytest.raises(UserError, match="whose BatchNorm would mix learned examples"):
        model.init(jax.random.key(0), program_of(PRIORS[0]).first_batch())
