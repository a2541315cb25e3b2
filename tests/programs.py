"""Small programs of any shape."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import build, data
from gvlab import config as c
from gvlab.types import Batch

MLP_VAE, MLP_GAN = c.VAE(network=c.MLP(hidden=(4,)), latent_dim=2), c.GAN(network=c.MLP(hidden=(4,)), latent_dim=2)
IMAGE = (4, 4, 1)


@cache
def dataset(shape, n=20, classes=3):
    generator = np.random.default_rng(0)
    if len(shape) == 3:
        train, test = (generator.integers(0, 256, (size, *shape), dtype=np.uint8) for size in (n, 5))
    else:
        train, test = (generator.normal(size=(size, *shape)).astype(np.float32) for size in (n, 5))
    labels = [np.arange(size) % classes for size in (n, 5)] if classes else [None, None]
    return data.from_arrays("made", train, test, *labels)


@cache
def program(model, shape=(16, 16, 1), classes=3, **fields):
    known = {"name": "e", "steps": 10, "batch_size": 4} | fields
    return build.program(c.Experiment(model=model, **known), dataset(shape, classes=classes))


@cache
def drawer(made: build.Program):
    split = made.dataset.train
    arrays = Batch(jnp.asarray(split.x), jnp.asarray(split.y))
    return jax.jit(lambda key, step: made.draw(arrays, key, step))
