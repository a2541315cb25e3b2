"""The benchmarks in gvlab. The forms:

- `gvlab`: one dispatch a step, as the training loop does on CPU;
- `gvlab scan`: all the steps of a turn in one dispatch, as it does on accelerators;
- `gvlab 8 seeds`: eight runs at once, under `jax.vmap`.
- `gvlab onednn`: as `gvlab`, with the convolutions of the extra gvlab[onednn].
"""

import importlib.metadata
import os
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from worker import Task

from gvlab import Batch, Model, backend, build, config, data, models, networks, rng, tree
from gvlab.models import observation
from gvlab.train import engines
from gvlab.types import PRNGKey, PyTree

SEEDS = 8

backend.fast_cpu()  # as the command line does
backend.keep_memory()


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("gvlab", "jax", "flax")}


# --- the networks that gvlab has no preset for ----------------------------------------------------------------------


class TutorialGenerator(nn.Module):
    """The generator of TensorFlow's DCGAN tutorial."""

    @nn.compact
    def __call__(self, z, y=None, *, train):
        glorot = nn.initializers.variance_scaling(1.0, "fan_avg", "uniform", in_axis=-1, out_axis=-2)
        up = partial(networks.ConvTranspose, kernel_size=(5, 5), use_bias=False, kernel_init=glorot)
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.99, epsilon=1e-3)
        x = nn.Dense(7 * 7 * 256, use_bias=False, kernel_init=nn.initializers.glorot_uniform())(z)
        x = nn.leaky_relu(norm()(x), 0.3).reshape(-1, 7, 7, 256)
        x = nn.leaky_relu(norm()(up(128)(x)), 0.3)
        x = nn.leaky_relu(norm()(up(64, strides=(2, 2))(x)), 0.3)
        return jnp.tanh(up(1, strides=(2, 2))(x))


class TutorialDiscriminator(nn.Module):
    """The discriminator of TensorFlow's DCGAN tutorial, without its dropout."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        glorot = nn.initializers.glorot_uniform()
        for features in (64, 128):
            x = nn.leaky_relu(networks.Conv(features, (5, 5), (2, 2), kernel_init=glorot)(x), 0.3)
        return nn.Dense(1, kernel_init=glorot)(x.reshape(len(x), -1))[:, 0]


class GuideEncoder(nn.Module):
    """The encoder of Keras' guide to the variational autoencoder."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        for features in (32, 64):
            x = nn.relu(networks.Conv(features, (3, 3), (2, 2))(x))
        x = nn.relu(nn.Dense(16)(x.reshape(len(x), -1)))
        return nn.Dense(2)(x), nn.Dense(2)(x)


class GuideDecoder(nn.Module):
    """The decoder of Keras' guide to the variational autoencoder; it gives logits."""

    @nn.compact
    def __call__(self, z, y=None, *, train):
        x = nn.relu(nn.Dense(7 * 7 * 64)(z)).reshape(-1, 7, 7, 64)
        for features in (64, 32):
            x = nn.relu(networks.ConvTranspose(features, (3, 3), (2, 2))(x))
        return networks.ConvTranspose(1, (3, 3))(x)


# --- the benchmarks -------------------------------------------------------------------------------------------------


def dcgan(form: str, pixels: np.ndarray) -> Task:
    generator = networks.DCGANGenerator(shape=(28, 28, 1), width=64)
    return _gan(form, pixels, generator, networks.DCGANDiscriminator(width=64))


def dcgan_tutorial(form: str, pixels: np.ndarray) -> Task:
    return _gan(form, pixels, TutorialGenerator(), TutorialDiscriminator())


def vae_mlp(form: str, pixels: np.ndarray) -> Task:
    """The training loop's own compiled step, which draws, scales and binarises its batch itself."""
    experiment = config.Experiment(
        name="vae_mlp",
        data=config.Data(name="mnist", quantization="binarize"),
        model=config.VAE(config.MLP(hidden=(200, 200)), latent_dim=50, optimizer=config.Adam(1e-3, eps=1e-4)),
        steps=10**6,
        batch_size=100,
    )
    engine = engines.alone(build.program(experiment, data.from_arrays("mnist", pixels, pixels[:100])))

    def step(state: PyTree, arrays: Batch, key: PRNGKey) -> tuple[PyTree, jax.Array]:
        state, terms = engine.single(state, arrays, key)
        return state, terms[0, 0, jnp.array([engine.names.index("loss")])]

    return _task(form, engine.init, step, engine.data, vae_parameters)


def vae_conv(form: str, pixels: np.ndarray) -> Task:
    model = models.variational_autoencoder(
        GuideEncoder(), GuideDecoder(), observation.bernoulli(), optax.adam(1e-3), latent_dim=2
    )
    images = jnp.asarray(pixels[:6400] > 127, jnp.float32)
    return in_turn(form, model, images, 128, ("loss",), vae_parameters)


TASKS = {"dcgan": dcgan, "dcgan_tutorial": dcgan_tutorial, "vae_mlp": vae_mlp, "vae_conv": vae_conv}


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    return TASKS[benchmark](form, pixels)


def _gan(form: str, pixels: np.ndarray, generator: nn.Module, discriminator: nn.Module) -> Task:
    adam = optax.adam(2e-4, b1=0.5)
    model = models.simultaneous_gan(generator, discriminator, adam, adam, latent_dim=100)
    images = data.to_symmetric(jnp.asarray(pixels[:6400]))

    return in_turn(form, model, images, 64, ("d_loss", "g_loss"), gan_parameters)


def gan_parameters(state: PyTree) -> dict[str, int]:
    players = {"generator": state.generator, "discriminator": state.discriminator}
    return {name: tree.count(player.params) for name, player in players.items()}


def vae_parameters(state: PyTree) -> dict[str, int]:
    return {name: tree.count(params) for name, params in state.params.items()}


def in_turn(
    form: str, model: Model, images: jax.Array, size: int, losses: tuple[str, ...], parameters: Callable
) -> Task:
    """Batches of consecutive images; drawing them is no part of this benchmark."""

    def init(key: PRNGKey) -> PyTree:
        return model.init(rng.stream(key, rng.INIT), Batch(jnp.zeros((size, *images.shape[1:]), images.dtype)))

    def step(state: PyTree, images: jax.Array, key: PRNGKey) -> tuple[PyTree, jax.Array]:
        x = jax.lax.dynamic_slice_in_dim(images, state.step % (len(images) // size) * size, size)
        state, info = model.train_step(state, Batch(x), rng.stream(key, rng.TRAIN, state.step))
        return state, jnp.stack([info[name] for name in losses])

    return _task(form, init, step, images, parameters)


def choose_convolutions(form: str) -> None:
    """Before anything is traced."""
    if form == "gvlab onednn":
        os.environ["GVLAB_CONVOLUTIONS"] = "onednn"
        backend.fast_convolutions()


def _task(form: str, init: Callable, step: Callable, arrays: PyTree, parameters: Callable) -> Task:
    choose_convolutions(form)
    key = rng.root(0)
    counts = parameters(jax.eval_shape(init, key))
    if form == "gvlab 8 seeds":
        key = jax.vmap(rng.root)(jnp.arange(SEEDS))
        init, step = jax.vmap(init), jax.vmap(step, in_axes=(0, None, 0))
    single = jax.jit(step, donate_argnums=0)

    @partial(jax.jit, static_argnums=3, donate_argnums=0)
    def many(state: PyTree, arrays: PyTree, key: PRNGKey, steps: int) -> tuple[PyTree, jax.Array]:
        return jax.lax.scan(lambda state, _: step(state, arrays, key), state, length=steps)

    state = jax.jit(init)(key)

    def run(steps: int) -> np.ndarray:
        nonlocal state
        if form == "gvlab scan":
            state, rows = many(state, arrays, key, steps)
            return np.asarray(rows)
        rows = []
        for _ in range(steps):
            state, row = single(state, arrays, key)
            rows.append(row)
        return np.stack(jax.device_get(rows))

    return Task(counts, run)
