"""VQ-VAEs: a step by hand, every quantiser's codes there and back, the start by k-means, and what is refused."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from zoo import quick_jit

from gvlab import build, families, models, networks, rng, tree
from gvlab import config as c
from gvlab.models import codes, observation
from gvlab.models.base import output_of
from gvlab.types import Batch, UserError

SHAPE = (4, 4, 1)


class Linear(nn.Module):
    """x W, as maps of the given shape."""

    out: tuple[int, ...]

    @nn.compact
    def __call__(self, x, y=None, *, train):
        kernel = self.param("kernel", nn.initializers.normal(0.5), (int(np.prod(x.shape[1:])), int(np.prod(self.out))))
        return (x.reshape(len(x), -1) @ kernel).reshape(len(x), *self.out)


def test_a_step_by_hand():
    """van den Oord et al. 2017: straight through the codes, commitment for the encoder, averages for the codebook."""
    beta, rate, decay, variance = 0.3, 0.1, 0.9, 0.5
    quantizer = networks.EMAVectorQuantizer(3, decay)
    pixels = observation.gaussian(variance)
    model = models.vector_quantized_autoencoder(
        Linear((2, 2)),
        quantizer,
        Linear((4,)),
        pixels,
        optax.sgd(rate),
        latent_shape=(2, 2),
        commitment=beta,
        data_range=(-9.0, 9.0),
    )
    x = jax.random.normal(jax.random.key(1), (5, 4))
    state = model.init(jax.random.key(0), Batch(x))
    after, info = jax.jit(model.train_step)(state, Batch(x), jax.random.key(2))

    start, x = jax.device_get(state), np.asarray(x, np.float64)
    w, v = (start.params[name]["kernel"].astype(np.float64) for name in ("encoder", "decoder"))
    counts, sums = (start.codebook[name].astype(np.float64) for name in ("counts", "sums"))
    book = sums / counts[:, None]  # the smoothing of equal counts is none
    h = (x @ w).reshape(5, 2, 2)
    indices = ((h[:, :, None] - book) ** 2).sum(-1).argmin(-1)
    q = book[indices]
    mean = q.reshape(5, 4) @ v
    log_likelihood = (-0.5 * np.log(2 * np.pi * variance) - (x - mean) ** 2 / (2 * variance)).sum(1)
    commitment = ((h - q) ** 2).mean((1, 2))
    of_mean = (mean - x) / variance / 4 / 5  # a mean over 5 examples of nats over 4 values
    of_h = (of_mean @ v.T).reshape(5, 2, 2) + beta * 2 * (h - q) / 4 / 5
    chosen = np.eye(3)[indices.reshape(-1)]
    shares = chosen.mean(0)
    expected = {
        "loss": (-log_likelihood / 4 + beta * commitment).mean(),
        "elbo_nats": log_likelihood.mean() - 2 * np.log(3),
        "kl_nats": 2 * np.log(3),
        "reconstruction_nats": log_likelihood.mean(),
        "commitment": commitment.mean(),
        "perplexity": np.exp(-sum(share * np.log(share) for share in shares if share)),
    }
    for term, value in expected.items():
        np.testing.assert_allclose(info[term], value, rtol=1e-5, err_msg=term)
    moved = {"encoder": w - rate * x.T @ of_h.reshape(5, 4), "decoder": v - rate * q.reshape(5, 4).T @ of_mean}
    for name, kernel in moved.items():
        np.testing.assert_allclose(after.params[name]["kernel"], kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(after.codebook["counts"], decay * counts + (1 - decay) * chosen.sum(0), rtol=1e-5)
    np.testing.assert_allclose(
        after.codebook["sums"], decay * sums + (1 - decay) * chosen.T @ h.reshape(10, 2), rtol=1e-4, atol=1e-6
    )


QUANTIZERS = {
    "VQ": (c.VQ(5, 3, "rotation"), (5,) * 4),
    "EMAVQ": (c.EMAVQ(5, 3), (5,) * 4),
    "ResidualVQ": (c.ResidualVQ(2, 5, 3, start_at="kmeans", revive_below=0.1), (5,) * 8),
    "SimVQ": (c.SimVQ(5, 3), (5,) * 4),
    "FSQ": (c.FSQ((3, 4)), (12,) * 4),
    "LFQ": (c.LFQ(3), (8,) * 4),
    "BSQ": (c.BSQ(3), (8,) * 4),
}


@cache
def made(quantizer):
    config = c.VQVAE(c.CodeMLP(4, (16,)), quantizer)  # which compile faster than convolutions
    setting = families.Setting(SHAPE, 0, (0.0, 1.0), None, build.PRECISIONS["float32"], None, None)
    return families.vqvae(config, setting)


def images(n=8):
    return Batch((jax.random.uniform(jax.random.key(3), (n, *SHAPE)) < 0.5).astype(jnp.float32))


@pytest.mark.parametrize("name", QUANTIZERS)
def test_codes_there_and_back(name):
    """What is decoded of an example's codes is what the bound was computed of; and a step changes all that learns."""
    quantizer, sizes = QUANTIZERS[name]
    model, batch = made(quantizer), images()
    assert model.code_sizes == sizes

    @quick_jit
    def found(key, batch):
        state = model.init(key, batch)
        after, info = model.train_step(state, batch, key)
        z = model.codes(after, batch)
        terms, likelihood = model.evaluate(after, batch, key), model.log_likelihood(after, batch, z[None])[0]
        return state, after, info, z, terms, likelihood, model.log_weights(after, batch, key, 2), model.prior(key, 50)

    state, after, info, z, terms, likelihood, weights, drawn = jax.device_get(found(jax.random.key(0), batch))
    for latents in (z, drawn):
        assert latents.dtype == np.int32
        assert latents.shape[1:] == (len(sizes),)
        assert (latents >= 0).all()
        assert (latents < sizes).all()
    assert len(np.unique(drawn)) == sizes[0]
    np.testing.assert_allclose(likelihood, terms["reconstruction_nats"], rtol=1e-5)
    np.testing.assert_allclose(terms["kl_nats"], np.log(sizes).sum(), rtol=1e-6)
    np.testing.assert_allclose(weights, [terms["elbo_nats"]] * 2, rtol=1e-6)
    np.testing.assert_allclose(terms["elbo_nats"], terms["reconstruction_nats"] - terms["kl_nats"], rtol=1e-5)
    assert 1 <= info["perplexity"] <= sizes[0] + 1e-3
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(after))
    before, now = state.params, after.params
    for (path, old), new in zip(jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(now), strict=True):
        assert (old != new).any(), path
    if name in ("EMAVQ", "ResidualVQ"):
        assert tree.digest(after.codebook) != tree.digest(state.codebook)


def test_the_codebook_starts_at_the_means_of_the_first_step_alone():
    quantizer = networks.EMAVectorQuantizer(3)
    options = {"latent_shape": (2, 2), "data_range": (-9.0, 9.0), "start": partial(networks.kmeans_start, quantizer)}
    parts = Linear((2, 2)), quantizer, Linear((4,)), observation.gaussian(1.0), optax.sgd(0.0)
    model = models.vector_quantized_autoencoder(*parts, **options)
    x = jax.random.normal(jax.random.key(1), (6, 4))
    step, key = jax.jit(model.train_step), jax.random.key(2)
    state = model.init(jax.random.key(0), Batch(x))
    first, info = step(state, Batch(x), key)
    h = x @ state.params["encoder"]["kernel"]
    start_key, _ = jax.random.split(rng.stream(key, rng.CODEBOOK))
    book = networks.kmeans_codebook(start_key, h.reshape(6, 2, 2), 3)
    distances = ((h.reshape(-1, 1, 2) - book.codes()[None]) ** 2).sum(-1).min(-1) / 2
    np.testing.assert_allclose(info["commitment"], distances.mean(), rtol=1e-4)
    # From then on averages: of the same examples they hardly move.
    second, _ = step(first, Batch(x + 5), key)
    np.testing.assert_allclose(second.codebook["counts"].sum(), 0.99 * first.codebook["counts"].sum() + 0.01 * 12, 1e-5)
    few = models.vector_quantized_autoencoder(*parts, **options)
    with pytest.raises(UserError, match=r"3 codes cannot start at the means of a first batch of 2 positions: use at "):
        jax.eval_shape(few.train_step, state, Batch(x[:1]), key)


def test_perplexity_is_that_of_the_counts():
    indices = jax.random.randint(jax.random.key(0), (40, 2), 0, 5)
    usage = [networks.code_usage(networks.code_counts(indices[:, level], 5)) for level in range(2)]
    found = networks.codebooks.index_perplexity(indices)
    np.testing.assert_allclose(found, np.sqrt(usage[0].perplexity * usage[1].perplexity), rtol=1e-5)
    np.testing.assert_allclose(networks.codebooks.index_perplexity(indices[:, 0]), usage[0].perplexity, rtol=1e-5)


def test_entropies_of_signs():
    h = jax.random.normal(jax.random.key(0), (6, 2, 3))
    logits = networks.bit_logits(h, 1.0, 2.0)
    expected = 0.1 * (networks.code_entropy(logits) - networks.batch_entropy(logits))
    np.testing.assert_allclose(codes.entropy_penalty(0.1, 1.0, 2.0)(h, None), expected, rtol=1e-6)
    many = jax.random.normal(jax.random.key(0), (6, 2, codes.EXACT_BITS + 1))
    logits = networks.bit_logits(many, 1.0, 2.0)
    expected = networks.code_entropy(logits) - networks.factorised_batch_entropy(logits)
    np.testing.assert_allclose(codes.entropy_penalty(1.0, 1.0, 2.0)(many, None), expected, rtol=1e-6)


def test_parameters_of_sonnets_example():
    """372,416 and 290,307 (the latter and the codebook apart), as the published networks have."""
    x, z = jnp.zeros((1, 32, 32, 3)), jnp.zeros((1, 8, 8, 64))
    for network, given, expected in (
        (networks.CodeEncoder(), x, 372_416),
        (networks.CodeDecoder((32, 32, 3)), z, 290_307),
    ):
        variables = jax.eval_shape(partial(network.init, train=True), jax.random.key(0), given)
        assert sum(leaf.size for leaf in jax.tree.leaves(variables)) == expected


@pytest.mark.parametrize(("downsamplings", "positions"), [(1, (8, 8)), (3, (2, 2))])
def test_networks_of_other_depths_fit_each_other(downsamplings, positions):
    encoder, decoder = c.CodeMaps(8, 4, 1, downsamplings).maps((16, 16, 2), 5, 3)
    key, y = jax.random.key(0), jnp.zeros((2, 3))
    h = output_of(encoder, key, jnp.zeros((2, 16, 16, 2)), y)
    assert h.shape == (2, *positions, 5)
    assert output_of(decoder, key, jnp.zeros(h.shape), y).shape == (2, 16, 16, 6)


def test_networks_of_waves_fit_each_other():
    encoder, decoder = c.CodeWaves(6, (2, 5)).maps((40, 1), 3, 2)
    key, y = jax.random.key(0), jnp.zeros((2, 3))
    assert c.CodeWaves(6, (2, 5)).grid((40, 1)) == (4,)
    h = output_of(encoder, key, jnp.zeros((2, 40, 1)), y)
    assert h.shape == (2, 4, 3)
    assert output_of(decoder, key, jnp.zeros(h.shape), y).shape == (2, 40, 2)


REFUSED = {
    "no strides": (lambda: c.CodeWaves(strides=()), r"CodeWaves\.strides is empty"),
    "samples left over": (
        lambda: c.CodeWaves(strides=(4, 4)).grid((24, 1)),
        r"CodeWaves\.strides is \(4, 4\), which shorten a wave 16 times, but its 24 samples",
    ),
    "images of waves": (
        lambda: c.CodeWaves().grid((8, 8, 1)),
        r"CodeWaves is of waves, but the data are images \(8, 8, 1\): use CodeMaps\.",
    ),
    "waves of images": (
        lambda: c.CodeMaps().grid((64, 1)),
        r"CodeMaps is of images, but the data are waves \(64, 1\): use CodeWaves\.",
    ),
    "two levels": (lambda: c.FSQ((8, 2)), r"FSQ\.levels is \(8, 2\), but each must be at least 3: use LFQ for 2\."),
    "too many codes": (lambda: c.FSQ((2**16, 2**16)), r"which makes 4294967296 codes: use fewer than 2147483648\."),
    "too many bits": (lambda: c.LFQ(31), r"LFQ\.features is 31, but must be from 1 to 30"),
    "no codes": (lambda: c.EMAVQ(codes=0), r"EMAVQ\.codes is 0, but must be from 1"),
    "decay": (lambda: c.ResidualVQ(decay=1.0), r"ResidualVQ\.decay is 1\.0, but must be at least 0 and below 1"),
    "revival": (lambda: c.EMAVQ(revive_below=-1), r"EMAVQ\.revive_below is -1\.0, but must be a number of at least 0"),
    "commitment": (lambda: c.VQVAE(commitment=-0.1), r"VQVAE\.commitment is -0\.1, but must be a number of at least"),
    "temperature": (lambda: c.BSQ(inverse_temperature=0), r"BSQ\.inverse_temperature is 0\.0, but must be a positive"),
    "no halving": (lambda: c.CodeMaps(downsamplings=0), r"CodeMaps\.downsamplings is 0, but must be from 1"),
    "half a channel": (lambda: c.CodeMaps(1), r"CodeMaps\.width is 1, but its half must be a number of channels"),
    "size": (
        lambda: c.CodeMaps(downsamplings=1).grid((5, 4, 1)),
        r"downsamplings is 1, but images of 5x4 pixels are no multiple of 2",
    ),
    "vectors": (
        lambda: c.CodeMaps(downsamplings=1).grid((2,)),
        r"CodeMaps is of images, but the data are vectors \(2,\): use CodeMLP\.",
    ),
    "k-means of gradients": (
        lambda: networks.kmeans_start(networks.VectorQuantizer(3), jax.random.key(0), jnp.zeros((9, 2))),
        r"VectorQuantizer has no averages that k-means could start",
    ),
    "levels of the data": (
        lambda: c.Experiment("e", c.VQVAE(likelihood=c.Categorical(2)), 9),
        r"Data\.quantization is 'none', but Categorical",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    call, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence):
        call()
