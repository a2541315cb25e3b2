"""Critics of images: numbers of the published code, steps by hand, and what they refuse."""

import json
from functools import partial
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import IMAGE, dataset
from waves import waves
from zoo import quick_jit

from gvlab import build, models, networks, rng
from gvlab import config as c
from gvlab.models import image_critics, observation
from gvlab.types import Batch, UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_image_critics.json").read_text())


def test_vqgans_losses_are_those_of_the_published_code():
    given, expected = waves(GOLDEN["inputs"]), GOLDEN["outputs"]
    with jax.enable_x64(True):
        h, x, kernel, of_critic = (jnp.asarray(given[name]) for name in ("h", "x", "last_layer", "d_weights"))
        of_reconstruction = jax.grad(lambda w: jnp.abs(h @ w.T - x).mean())(kernel)
        of_verdict = jax.grad(lambda w: -(jnp.tanh(h @ w.T) @ of_critic).mean())(kernel)
        weight = 0.8 * image_critics.adaptive_weight(of_reconstruction, of_verdict)
        real, fake = (jnp.asarray(given[f"logits_{kind}"]).reshape(2, 3) for kind in ("real", "fake"))
        np.testing.assert_allclose(weight, expected["adaptive_weight_times_0_8"], rtol=1e-9)
        np.testing.assert_allclose(image_critics.patch_loss(real, fake), expected["hinge_d_loss"], rtol=1e-9)


@pytest.mark.parametrize(("side", "layers", "patches"), [(4, 1, 2), (8, 2, 2), (28, 3, 4)])
def test_critics_judge_images_of_any_size(side, layers, patches):
    x = jnp.zeros((2, side, side, 3))
    made = jax.eval_shape(
        lambda: networks.PatchDiscriminator(4, layers).init_with_output(rng.root(0), x, train=True)[0]
    )
    assert made.shape == (2, patches, patches)
    similar = networks.SimilarityDiscriminator(2, 3)
    logits, features = jax.eval_shape(lambda: similar.init_with_output(rng.root(0), x, train=True)[0])
    assert logits.shape == (2,)
    assert features.shape == (2, 16 * (-(-side // 8)) ** 2)


def test_the_last_kernel_is_that_of_the_last_layer():
    plain = networks.MLPDecoder(IMAGE, hidden=(5, 4))
    path = image_critics.last_kernel(networks.WithShared(plain, 1), jnp.zeros((2, 3)), None)
    assert path == ("network", "Dense_2", "kernel")
    maps = networks.CodeDecoder((8, 8, 1), width=4, residual_width=2, blocks=1, downsamplings=2)
    for decoder in (maps, networks.InBfloat16(maps)):
        path = image_critics.last_kernel(decoder, jnp.zeros((2, 2, 2, 3)), None)
        assert path == ("ConvTranspose_1", "kernel")
    one, two = jnp.ones(()), jnp.zeros(())
    changed = image_critics.with_leaf({"a": {"kernel": one, "bias": one}, "b": one}, ("a", "kernel"), two)
    assert changed == {"a": {"kernel": two, "bias": one}, "b": one}
    assert image_critics.leaf_of(changed, ("a", "kernel")) is two


class Tiny(nn.Module):
    """A critic as small as can be: verdicts, or patches of them, and features."""

    patches: bool = False

    @nn.compact
    def __call__(self, x, y=None, *, train):
        features = nn.Dense(3)(x)
        logits = nn.Dense(2)(jnp.tanh(features))
        return logits if self.patches else (logits[:, 0], features)


X = Batch(jnp.sin(jnp.arange(12.0)).reshape(4, 3))
WHOLE = {"data_range": (-jnp.inf, jnp.inf)}
close = partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)


def stepped(params, grads):
    return jax.tree.map(lambda p, g: p - 0.1 * g, params, grads)


def test_a_vqgans_step_is_that_of_its_definition():
    """By hand with plain gradient descent; before `start` the decoder hears nothing, and the critic learns all the
    same."""
    critic = image_critics.PatchCritic(
        Tiny(True), optax.sgd(0.1), 0.5, 1, lambda made, x: 0.3 * jnp.abs(made - x).sum(-1)
    )
    encoder, decoder = networks.CodeMLPEncoder(2, 2, (4,)), networks.CodeMLPDecoder((3,), 1, (4,))
    quantizer, sgd, observed = networks.VectorQuantizer(3), optax.sgd(0.1), observation.gaussian(0.5)
    model = models.vector_quantized_autoencoder(
        encoder, quantizer, decoder, observed, sgd, latent_shape=(2, 2), critic=critic, **WHOLE
    )

    @quick_jit
    def found(batch):
        state = model.init(rng.root(0), batch)
        (before, _), (after, info) = (
            model.train_step(state.replace(step=jnp.int32(step)), batch, rng.root(1)) for step in (0, 1)
        )
        value = state.params["quantizer"]["codes"][model.codes(state, batch)]

        def losses(params):
            made = decoder.apply({"params": params}, value, train=True)
            apart = made - batch.x
            error = 0.5 * (apart**2 / 0.5 + jnp.log(jnp.pi)).mean() + 0.3 * jnp.abs(apart).sum(-1).mean()
            return error, -critic.network.apply({"params": state.critic.params}, made, train=True).mean(), made

        of_decoder = state.params["decoder"]
        slopes = [jax.grad(lambda params, i=i: losses(params)[i])(of_decoder) for i in range(2)]
        lengths = [jnp.linalg.norm(slope["Dense_1"]["kernel"]) for slope in slopes]
        weight = lengths[0] / (lengths[1] + 1e-4)

        def of_critic(params):
            real, fake = (
                critic.network.apply({"params": params}, x, train=True) for x in (batch.x, losses(of_decoder)[2])
            )
            return 0.5 * (jax.nn.relu(1 - real) + jax.nn.relu(1 + fake)).mean()

        loss, grads = jax.value_and_grad(of_critic)(state.critic.params)
        decoded = [
            stepped(of_decoder, jax.tree.map(lambda a, b, share=share: a + share * b, *slopes))
            for share in (0.0, 0.5 * weight)
        ]
        judged = stepped(state.critic.params, grads)
        ours = [before.params["decoder"], after.params["decoder"]], before.critic.params, after.critic.params
        return (
            (*ours, info["critic_loss"], info["adaptive_weight"]),
            (decoded, judged, judged, loss, weight),
            state.critic.params,
        )

    ours, by_hand, begun = jax.device_get(found(X))
    jax.tree.map(close, ours, by_hand)
    assert (ours[0][0]["Dense_0"]["kernel"] != ours[0][1]["Dense_0"]["kernel"]).any()
    assert (begun["Dense_0"]["kernel"] != ours[1]["Dense_0"]["kernel"]).any()


def test_a_vae_gans_step_is_that_of_its_algorithm():
    """By hand with plain gradient descent, each network by its own loss."""
    encoder, decoder, network = networks.MLPEncoder(2, (4,)), networks.MLPDecoder((3,), (4,)), Tiny()
    sgd, observed, key = optax.sgd(0.1), observation.gaussian(0.5), rng.root(1)
    vae = models.variational_autoencoder(encoder, decoder, observed, sgd, latent_dim=2, **WHOLE)
    critic = image_critics.SimilarityCritic(network, sgd, 0.3)
    model = models.vae_gan(vae, encoder, decoder, observed, sgd, critic, latent_dim=2)

    @quick_jit
    def found(batch):
        state = model.init(rng.root(0), batch)
        after, info = model.train_step(state, batch, key)
        noise, prior = jax.random.normal(key, (4, 2)), jax.random.normal(rng.stream(key, rng.CRITIC), (4, 2))
        whole = state.params | {"critic": state.critic.params}

        def says(x, params=whole["critic"]):
            return network.apply({"params": params}, x, train=True)

        def images(of_encoder, of_decoder):
            mean, logvar = encoder.apply({"params": of_encoder}, batch.x, train=True)
            latents = mean + jnp.exp(logvar / 2) * noise, prior
            made, drawn = (decoder.apply({"params": of_decoder}, z, train=True) for z in latents)
            return made, drawn, 0.5 * (mean**2 + jnp.exp(logvar) - logvar - 1).sum(-1).mean()

        def unlike(made):
            return 0.5 * ((says(batch.x)[1] - says(made)[1]) ** 2).sum(-1).mean()

        def of_encoder(params):
            made, _, kl = images(params, whole["decoder"])
            return kl + unlike(made)

        def of_decoder(params):
            made, drawn, _ = images(whole["encoder"], params)
            return 0.3 * unlike(made) - sum(jnp.log(jax.nn.sigmoid(says(x)[0])).mean() for x in (made, drawn))

        def of_critic(params):
            made, drawn, _ = images(whole["encoder"], whole["decoder"])
            verdicts = (says(batch.x, params)[0], -says(made, params)[0], -says(drawn, params)[0])
            return -sum(jnp.log(jax.nn.sigmoid(verdict)).mean() for verdict in verdicts)

        values, expected = {}, {}
        for name, loss in (("encoder", of_encoder), ("decoder", of_decoder), ("critic", of_critic)):
            values[name], grads = jax.value_and_grad(loss)(whole[name])
            expected[name] = stepped(whole[name], grads)
        terms = {
            name: info[term]
            for name, term in (("encoder", "loss"), ("decoder", "decoder_loss"), ("critic", "critic_loss"))
        }
        return after.params | {"critic": after.critic.params}, expected, terms, values, whole

    ours, expected, terms, values, before = jax.device_get(found(X))
    jax.tree.map(close, (ours, terms), (expected, values))
    for name, of in before.items():
        assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (of, ours[name])), strict=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.Patches(weight=-1.0), "Patches.weight is -1.0"),
        (lambda: c.Patches(layers=0), "Patches.layers is 0"),
        (lambda: c.VQVAE(critic=c.Patches(), likelihood=c.Categorical()), "VQVAE.critic is Patches, but the mean of"),
        (lambda: c.LearnedSimilarity(gamma=-1.0), "LearnedSimilarity.gamma is -1.0"),
        (
            lambda: c.VAE(objective=c.LearnedSimilarity(), likelihood=c.DiscretizedLogistic()),
            "VAE.objective is LearnedSimilarity, but the mean of DiscretizedLogistic is one of its levels",
        ),
        (lambda: c.VAE(objective=c.LearnedSimilarity(), num_samples=2), "VAE.num_samples is 2, but LearnedSimilarity"),
        (lambda: c.VAE(objective=c.LearnedSimilarity(), prior=c.Mixture()), "compares the latents with a standard"),
    ],
)
def test_what_no_critic_can_judge_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_vectors_are_refused():
    for model, critic in (
        (c.VQVAE(c.CodeMLP(2, (4,)), c.VQ(3, 2), c.Gaussian(), critic=c.Patches()), "Patches"),
        (c.VAE(c.MLP((4,)), 2, c.LearnedSimilarity(), c.Gaussian()), "LearnedSimilarity"),
        (c.GAN(c.MLP((4,)), 2, discriminator_terms=(c.Every(2, c.ClippedDragan()),)), "ClippedDragan"),
    ):
        with pytest.raises(UserError, match=f"{critic} is of images, but the data are vectors"):
            build.program(c.Experiment("e", model, steps=1, batch_size=4), dataset((3,)))
