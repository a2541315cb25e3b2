"""A whole model of one's own: a generative moment matching network, which has no discriminator; a template to copy.

    gvlab train experiments/own_model.py
    gvlab compare experiments/own_model.py experiments/digits_dcgan.py

Where parts of a GAN or a VAE would not do, the experiment's `model` is a frozen dataclass with the method `model`: it
gives a `gvlab.Model`, pure functions of a state with the field `step`. docs/own_parts.md says more.

Cost: about a minute on 2 busy CPU cores.
Reached (seed 0): frechet_pixels 1.07; fld_digits-032b91b4 25.
Reference: Li, Swersky & Zemel, "Generative Moment Matching Networks", ICML 2015, equation 3 and section 4.2 (its root).
"""

from dataclasses import dataclass

import flax
import jax
import jax.numpy as jnp
import optax

from gvlab import Model, networks
from gvlab.config import Data, Evaluation, Experiment


@flax.struct.dataclass
class State:
    step: jax.Array
    params: dict
    optimizer: optax.OptState


def squared_discrepancy(x: jax.Array, y: jax.Array, scales: tuple[float, ...]) -> jax.Array:
    """The squared maximum mean discrepancy of x [m, d] and y [n, d], by Gaussian kernels of several widths."""
    both = jnp.concatenate([x, y])
    squares = jnp.square(both).sum(1)
    distances = squares[:, None] + squares[None] - 2 * both @ both.T
    kernel = sum(jnp.exp(-distances / (2 * scale**2 * x.shape[1])) for scale in scales)
    sign = jnp.concatenate([jnp.full(len(x), 1 / len(x)), jnp.full(len(y), -1 / len(y))])
    return sign @ kernel @ sign


@dataclass(frozen=True)
class MomentMatching:
    hidden: tuple[int, ...] = (256, 256)
    latent_dim: int = 16
    scales: tuple[float, ...] = (0.1, 0.2, 0.4, 0.8)
    """Widths of the kernels, in units of a pixel's distance times the root of their number."""
    learning_rate: float = 1e-3
    data_range: tuple[float, ...] = (-1.0, 1.0)

    def model(self, shape, classes, axis_name):
        generator = networks.MLPGenerator(shape=shape, hidden=self.hidden)
        optimizer = optax.adam(self.learning_rate)

        def prior(key, n):
            return jax.random.normal(key, (n, self.latent_dim))

        def generate(params, z):
            return generator.apply({"params": params}, z, train=True)

        def loss(params, x, key):
            made = generate(params, prior(key, len(x)))
            return squared_discrepancy(x.reshape(len(x), -1), made.reshape(len(x), -1), self.scales)

        def init(key, batch):
            params = generator.init(key, prior(key, 2), train=True)["params"]
            return State(jnp.int32(0), params, optimizer.init(params))

        def train_step(state, batch, key):
            value, gradient = jax.value_and_grad(lambda params: jnp.sqrt(loss(params, batch.x, key)))(state.params)
            updates, memory = optimizer.update(gradient, state.optimizer)
            return State(state.step + 1, optax.apply_updates(state.params, updates), memory), {"loss": value}

        def evaluate(state, batch, key):
            """Of the whole batch: its examples share it."""
            return {"squared_discrepancy": jnp.full(len(batch.x), loss(state.params, batch.x, key))}

        def decode(state, z, y=None):
            return generate(state.params, z)

        def sample(state, key, n, y=None):
            return decode(state, prior(key, n))

        return Model(init, train_step, sample, evaluate, prior, decode)


def config() -> Experiment:
    return Experiment(
        name="own_model",
        data=Data(name="digits"),
        model=MomentMatching(),
        steps=3000,
        batch_size=256,
        evaluation=Evaluation(samples=2000),
    )
