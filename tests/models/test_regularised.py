"""Regularised autoencoders: the definition, the decoder's slopes and norms, and what they refuse."""

import json
from dataclasses import replace
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import dataset
from waves import wave
from zoo import quick_jit

import gvlab.evaluate
from gvlab import build, models, networks, rng
from gvlab import config as c
from gvlab.evaluate.ranking import can_be_ranked
from gvlab.models import regularised
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_regularised.json").read_text())


def test_the_slope_is_the_papers_of_the_decoder_at_z():
    given, expected = GOLDEN["inputs"], GOLDEN["outputs"]
    weight, bias = (
        0.6 * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.5 * k).reshape(shape)
        for k, shape in enumerate(given["parameters"]["decoder"].values())
    )
    z = jnp.asarray(wave(given["z"]), jnp.float32)

    def decode(z):
        return jax.nn.sigmoid(z @ weight.T.astype(np.float32) + bias[None].astype(np.float32))

    @quick_jit
    def found(z):
        each = [regularised.squared_slope(decode, z, jnp.broadcast_to(axis, (5, 6))) for axis in jnp.eye(6)]
        noise = jax.random.normal(rng.root(0), (4000, 5, 6))
        drawn = jax.vmap(lambda probe: regularised.squared_slope(decode, z, probe))(noise)
        return sum(each), regularised.squared_slope(decode, z, jnp.ones((5, 6))), drawn.mean(0)

    whole, of_sum, estimated = found(z)
    np.testing.assert_allclose(whole, expected["frobenius2"], rtol=1e-5)
    np.testing.assert_allclose(of_sum, expected["norm2_of_grad_of_sum"], rtol=1e-5)
    np.testing.assert_allclose(estimated, expected["frobenius2"], rtol=0.1)


def program_of(regulariser, **fields):
    rae = c.RAE(c.MLP((8,)), 2, regulariser, latent_weight=0.3, optimizer=c.SGD(0.1))
    return build.program(c.Experiment("e", rae, steps=1, batch_size=4, **fields), dataset((3,)))


def test_a_step_descends_the_papers_loss():
    """By hand with plain gradient descent; on two devices as on one."""
    regulariser = c.DecoderSlope(0.2)
    program, key = program_of(regulariser), rng.root(1)
    x = jnp.asarray(program.dataset.train.x[:4])
    encoder, decoder = networks.MLPEncoder(2, (8,)), networks.MLPDecoder((3,), (8,))
    spread = models.regularised_autoencoder(
        *(encoder, decoder, c.SGD(0.1).transformation()), latent_dim=2, latent_weight=0.3,
        penalty=regulariser.penalty(), data_range=(-jnp.inf, jnp.inf), axis_name="data",
    )  # fmt: skip

    @quick_jit
    def found():
        state = program.model.init(rng.root(0), program.first_batch())
        after, info = program.model.train_step(state, Batch(x), key)
        halves = Batch(x.reshape(2, 2, 3))
        both, _ = jax.vmap(lambda batch: spread.train_step(state, batch, key), axis_name="data")(halves)
        probe = jax.random.normal(rng.stream(key, rng.TERMS), x.shape)

        def loss(params):
            z, _ = encoder.apply({"params": params["encoder"]}, x, train=True)

            def decode(z):
                return decoder.apply({"params": params["decoder"]}, z, train=True)

            terms = ((decode(z) - x) ** 2).sum(-1) + 0.15 * (z**2).sum(-1)
            jacobian = jax.vmap(jax.jacrev(lambda z: decode(z[None])[0]))(z)
            return (terms + 0.2 * (jnp.einsum("bx,bxz->bz", probe, jacobian) ** 2).sum(-1)).mean()

        value, grads = jax.value_and_grad(loss)(state.params)
        by_hand = jax.tree.map(lambda p, g: p - 0.1 * g, state.params, grads)
        return (info["loss"], after.params), (value, by_hand), both.params, state.params

    ours, by_hand, both, before = found()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours, by_hand)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[0], b, rtol=1e-4, atol=1e-6), both, ours[1])
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), before, ours[1])
    assert moved["decoder"]["Dense_0"]["kernel"]
    assert moved["encoder"]["mean"]["kernel"]


def test_the_decay_is_of_the_decoders_parameters():
    params = {"a": jnp.array([1.0, 2.0]), "b": {"c": jnp.array([[3.0]])}}
    added = c.DecoderDecay(0.5).penalty()(params, lambda z: z, jnp.zeros((4, 2)), jnp.zeros((4, 2)))
    np.testing.assert_allclose(added, np.full(4, 7.0))


class Normed(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return nn.BatchNorm(use_running_average=not train)(nn.Dense(3)(z))


class Small(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        h = nn.Dense(8)(z).reshape(-1, 2, 2, 2)
        return networks.ConvTranspose(3, (3, 3), (2, 2))(h)


def test_spectral_norm_divides_every_kernel_of_a_decoder():
    decoder, z = networks.SpectrallyNormalised(Small()), jnp.ones((2, 3))

    @quick_jit
    def found():
        variables = decoder.init(rng.root(0), z, train=True)

        def step(_, stats):
            _, after = decoder.apply({**variables, "batch_stats": stats}, z, train=True, mutable=["batch_stats"])
            return after["batch_stats"]

        stats = jax.lax.fori_loop(0, 60, step, variables["batch_stats"])
        params = variables["params"]["weights"]
        norms = {  # those of transposed convolutions are [height, width, out, in]
            "Dense_0": jnp.linalg.norm(params["Dense_0"]["kernel"].T, ord=2),
            "ConvTranspose_0": jnp.linalg.norm(
                params["ConvTranspose_0"]["kernel"].transpose(2, 0, 1, 3).reshape(3, -1), ord=2
            ),
        }
        divided = {name: layer | {"kernel": layer["kernel"] / norms[name]} for name, layer in params.items()}
        made = decoder.apply({**variables, "batch_stats": stats}, z, train=False)
        return (
            made,
            Small().apply({"params": divided}, z, train=False),
            Small().apply({"params": params}, z, train=False),
        )

    made, expected, plain = jax.device_get(found())
    np.testing.assert_allclose(made, expected, rtol=1e-3, atol=1e-4)
    assert np.abs(made - plain).max() > 0.05
    with pytest.raises(UserError, match=r"Normed has statistics beside its weights \(batch_stats\), so spectral"):
        jax.eval_shape(lambda: networks.SpectrallyNormalised(Normed()).init(rng.root(0), z, train=True))


def test_no_likelihood_and_no_samples_are_claimed():
    program = program_of(c.DecoderDecay(), evaluation=c.Evaluation(samples=20))
    state = program.model.init(rng.root(0), program.first_batch())
    measures = gvlab.evaluate.evaluate(program, state, extractors=[])
    assert set(measures) == {"squared_error", "active_units"}
    assert program.model.log_weights is program.model.log_likelihood is None
    assert program.latent_dim == 2
    assert not can_be_ranked(program)
    for refusing in (
        lambda: program.model.prior(rng.root(0), 3),
        lambda: program.model.sample(state, rng.root(0), 3),
        lambda: program.model.latents(state, rng.root(0), 3),
    ):
        with pytest.raises(UserError, match=r"^A regularised autoencoder has no prior to sample from: train a second"):
            refusing()
    for measure, words in (
        ("frechet", "The measure frechet is of samples. A regularised"),
        ("ais", r"e has no p\(x\|z"),
    ):
        asking = replace(program.experiment, evaluation=c.Evaluation(samples=20, measures=(measure,)))
        with pytest.raises(UserError, match=words):
            gvlab.evaluate.evaluate(replace(program, experiment=asking), state, extractors=[])


def test_samples_come_by_a_second_stage():
    program = program_of(c.DecoderDecay())
    frozen = program.model.init(rng.root(0), program.first_batch())
    second = models.densities.density(
        models.densities.mixture(networks.NormalMixture(2, 2), 2), c.SGD(0.1).transformation()
    )
    both = models.latent_model(program.model, frozen, second, data_range=(-jnp.inf, jnp.inf))
    batch = Batch(jnp.asarray(program.dataset.train.x[:4]))

    @quick_jit
    def found(batch):
        state, info = both.train_step(both.init(rng.root(1), batch), batch, rng.root(2))
        z, _ = program.model.encode(frozen, batch)
        of_z = second.log_weights(state.second, Batch(z), rng.root(3), 1)[0]
        drawn = program.model.decode(frozen, second.sample(state.second, rng.root(4), 5))
        error = program.model.evaluate(frozen, batch, rng.root(0))["squared_error"]
        return both.evaluate(state, batch, rng.root(3)), of_z, error, both.sample(state, rng.root(4), 5), drawn, info

    terms, of_z, error, sampled, drawn, info = found(batch)
    np.testing.assert_allclose(terms["latents/log_prob_nats"], of_z, rtol=1e-5)
    np.testing.assert_allclose(terms["squared_error"], error, rtol=1e-5)
    np.testing.assert_allclose(sampled, drawn, rtol=1e-5)
    assert both.log_weights is None
    assert np.isfinite(info["latents/log_prob_nats"])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.RAE(latent_dim=0), "RAE.latent_dim is 0"),
        (lambda: c.RAE(latent_weight=-1.0), "RAE.latent_weight is -1.0"),
        (lambda: c.DecoderDecay(-1.0), "DecoderDecay.weight is -1.0"),
        (lambda: c.DecoderSlope(float("nan")), "DecoderSlope.weight is nan"),
    ],
)
def test_impossible_numbers_are_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
