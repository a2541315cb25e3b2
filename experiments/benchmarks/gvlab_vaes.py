"""VAEs and their kin in gvlab; the forms are those of `gvlab_tasks`."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from gvlab_tasks import choose_convolutions, in_turn, vae_parameters, versions
from worker import MASKED, NOISE, Task, coloured, enlarged, levels

from gvlab import Batch, build, config, data, models, networks, rng, tree
from gvlab import restore as restoring
from gvlab.models import objectives, observation, priors
from gvlab.restoration import driving
from gvlab.types import PyTree

__all__ = ["TASKS", "make", "versions"]

LATENT_DIM = 16
"""Of pythae's own examples, which its defaults leave open."""

of_torch = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
"""PyTorch's default for kernels."""


class PseudoInputs(nn.Module):
    """pythae's: one row of a linear layer each, and its bias, which all share, cut off at 0 and 1."""

    components: int = 500

    @nn.compact
    def __call__(self, nothing, y=None, *, train):
        def drawn(key, shape):
            return jax.random.uniform(key, shape, minval=-1, maxval=1) / np.sqrt(self.components)

        rows = self.param("rows", drawn, (self.components, 28, 28, 1))
        return jnp.clip(rows + self.param("bias", drawn, (1, 28, 28, 1)), 0.0, 1.0)


def iwae(form: str, pixels: np.ndarray) -> Task:
    return _mlp(form, pixels, objective=objectives.importance_weighted, num_samples=50)


def vamp(form: str, pixels: np.ndarray) -> Task:
    objective = objectives.evidence_lower_bound()
    return _mlp(form, pixels, objective=objective, prior=priors.vamp(PseudoInputs()))


def _mlp(form: str, pixels: np.ndarray, **options) -> Task:
    """A model with pythae's default networks, by Adam."""
    given = {"hidden": (512,), "activation": nn.relu, "kernel_init": of_torch}
    encoder, decoder = networks.MLPEncoder(LATENT_DIM, **given), networks.MLPDecoder((28, 28, 1), **given)
    adam = optax.adam(1e-3)
    model = models.autoencoder(encoder, decoder, observation.bernoulli(), adam, latent_dim=LATENT_DIM, **options)
    images = jnp.asarray(pixels[:6400] > 127, jnp.float32)
    return in_turn(form, model, images, 64, ("elbo_nats",), vae_parameters)


def vqvae(form: str, pixels: np.ndarray) -> Task:
    """That of `experiments/cifar10_vqvae.py`."""
    vqvae = config.VQVAE(
        quantizer=config.EMAVQ(codes=512, features=64, decay=0.99),
        likelihood=config.Gaussian(variance=0.0633),
        commitment=0.125,
        optimizer=config.Adam(learning_rate=3e-4),
    )
    images = jnp.asarray(coloured(pixels[:6400]), jnp.float32) / 255
    return in_turn(form, build.model(vqvae, images.shape[1:], 0), images, 32, ("loss",), trained_parameters)


def sentence_vae(form: str, tokens: np.ndarray) -> Task:
    """That of `experiments/grammar_vae.py`."""
    vae = config.VAE(
        network=config.SentenceGRU(width=64, embedding=32),
        latent_dim=16,
        likelihood=config.Sentences(word_dropout=0.3),
        kl_warmup_steps=2000,
        optimizer=config.Adam(learning_rate=2e-3),
    )
    model = build.model(vae, tokens.shape[1:], 0, levels=levels(tokens))
    return in_turn(form, model, jnp.asarray(tokens[:6400]), 64, ("elbo_nats",), vae_parameters)


def vdvae(form: str, pixels: np.ndarray) -> Task:
    """That of `experiments/mnist_vdvae.py`."""
    adam = config.AdamW(
        learning_rate=1e-3, b2=0.9, weight_decay=0.01, schedule=config.Linear(steps=100, begin=0.0, end=1.0)
    )
    optimizer = config.Skipped(norm=1e4, optimizer=config.Clipped(norm=200.0, optimizer=adam))
    vae = config.HierarchicalVAE(network=config.VDVAE(), ema_decay=0.999, optimizer=optimizer)
    images = jnp.asarray(pixels[:6400] > 127, jnp.float32)
    model = build.model(vae, images.shape[1:], 0)
    return in_turn(form, model, images, 64, ("elbo_nats",), lambda state: {"network": tree.count(state.params)})


def restore(form: str, digits: np.ndarray) -> Task:
    """`gvlab restore --method optimise` of 100 images with 10 restarts, by the VAE of `experiments/digits_vae.py`.

    A step is one of the search, of all images; as in its driver, nothing is done before it is over. The weights are
    those before training, which cost no more and no less.
    """
    choose_convolutions(form)
    vae, of = config.VAE(latent_dim=16), config.Data("digits", quantization="binarize")
    experiment = config.Experiment(name="restore", data=of, model=vae, steps=1)
    program = build.program(experiment, data.from_arrays("digits", digits, digits[:100]))
    operator = config.Mask(MASKED).operator(digits.shape[1:])
    searcher = restoring.searcher_of(program, operator, config.restoration.Optimise(restarts=10), NOISE)
    key = rng.root(0)
    state = jax.jit(program.model.init)(rng.stream(key, rng.INIT), Batch(jnp.zeros((64, *digits.shape[1:]))))
    true = jnp.asarray(digits[:100], jnp.float32) / 255
    y = operator.observed(rng.stream(key, rng.OBSERVATION), true, NOISE)

    def run(steps: int) -> np.ndarray:
        found = driving.searched(searcher, (state, None), rng.stream(key, rng.PICTURE), y, steps)
        jax.block_until_ready(found)
        return np.full((steps, 1), found.objective.min(1).mean())

    return Task({"decoder": tree.count(state.params["decoder"])}, run)


def factor_vae(form: str, pixels: np.ndarray) -> Task:
    """The networks of Kim & Mnih 2018, appendix A; a batch for the autoencoder and one for the critic."""
    vae = config.VAE(
        network=config.Convolutions(kernels=(4, 4, 4, 4), hidden=128),
        latent_dim=10,
        objective=config.Factor(gamma=6.4),
        optimizer=config.Adam(learning_rate=1e-4),
    )
    images = jnp.asarray(enlarged(pixels[:6400]) > 127, jnp.float32)

    def parameters(state: PyTree) -> dict[str, int]:
        return vae_parameters(state) | {"critic": tree.count(state.critic.params)}

    model = build.model(vae, images.shape[1:], 0)
    return in_turn(form, model, images, 2 * 64, ("elbo_nats", "critic_loss"), parameters)


def trained_parameters(state: PyTree) -> dict[str, int]:
    """Without what is trained by no gradient, such as a codebook of averages."""
    return {name: tree.count(params) for name, params in state.params.items() if params}


TASKS = {
    "iwae": iwae,
    "vamp": vamp,
    "vqvae": vqvae,
    "sentence_vae": sentence_vae,
    "vdvae": vdvae,
    "restore": restore,
    "factor_vae": factor_vae,
}


def make(benchmark: str, form: str, examples: np.ndarray) -> Task:
    return TASKS[benchmark](form, examples)
