"""Deterministic autoencoders whose decoder is regularised instead of whose latents are noisy: RAE (Ghosh et al. 2020).

An encoder gives one z, so that there is no density of it, no likelihood and no bound. Nor is there a prior to sample
from, until a second stage has learned what the encoder makes of the data (`models.second_stage`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab import rng, tree
from gvlab.models.base import Labels, check_first_batch, eval_apply, init_module, output_of, train_apply, updates_of
from gvlab.models.latents import VAEState
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError

UNSAMPLED = (
    "A regularised autoencoder has no prior to sample from: train a second stage on its run (gvlab train "
    "experiments/second_stage/rae_mixture.py --on RUN) and sample that."
)

Penalty: TypeAlias = Callable[[PyTree, Callable[[Array], Array], Array, Array], Float[Array, " batch"]]
"""(the decoder's parameters, the decoder, z [batch, latent], normal noise like what it makes) -> what is added to the
loss of each example."""


def weight_decay(weight: float | Float[Array, ""]) -> Penalty:
    """weight |theta|^2 of the decoder's parameters (RAE-L2; Ghosh et al. 2020, section 3.2)."""

    def penalty(params: PyTree, decode: Callable[[Array], Array], z: Array, probe: Array) -> Float[Array, " batch"]:
        return jnp.full(len(z), weight * sum((leaf**2).sum() for leaf in jax.tree.leaves(params)))

    return penalty


def slope_penalty(weight: float | Float[Array, ""]) -> Penalty:
    """weight |dD/dz|^2 of the decoder at the latents (RAE-GP; Ghosh et al. 2020, section 3.2).

    Of the whole Jacobian, by one product with noise whose square has that expectation. The published code has the
    slope of the sum of all numbers instead, in which slopes of different signs cancel.
    """

    def penalty(params: PyTree, decode: Callable[[Array], Array], z: Array, probe: Array) -> Float[Array, " batch"]:
        return weight * squared_slope(decode, z, probe)

    return penalty


def squared_slope(
    decode: Callable[[Array], Array], z: Float[Array, "batch latent"], probe: Float[Array, "batch *shape"]
) -> Float[Array, " batch"]:
    """|J^T probe|^2 of each example, J the Jacobian of what is decoded; of normal probes its mean is |J|_F^2."""
    _, back = jax.vjp(decode, z)
    return (back(probe)[0] ** 2).sum(-1)


def regularised_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    latent_dim: int,
    latent_weight: float | Float[Array, ""],
    penalty: Penalty | None = None,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """An autoencoder trained on |x - D(z)|^2 + latent_weight |z|^2 / 2 + penalty, per example, z = E(x).

    Args:
        encoder: Linen module, (x [b, *shape], None, train=) -> two heads [b, latent_dim], of which the first is z.
        decoder: Linen module, (z [b, latent_dim], None, train=) -> x [b, *shape].
        optimizer: optax transformation of the joint gradients.
        latent_dim: length of z.
        latent_weight: beta in the paper.
        penalty: of the decoder; None where its layers are regularised themselves (RAE-SN).
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and terms are averaged.

    Returns:
        A `Model` with states of type `VAEState` that has `encode` (its log-variance is -infinity), but no likelihood
        and, until a second stage gives one, no samples: `sample` and `prior` refuse. The terms of training are `loss`,
        `squared_error`, `latent_norm`, `penalty` and `grad_norm`; of held-out examples `squared_error`.

    Reference: Ghosh et al., "From Variational to Deterministic Autoencoders", 2020, eq. 10 and section 3.2.
    """
    networks = {"encoder": encoder, "decoder": decoder}

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        x = batch.x
        probe = rng.normal(rng.stream(key, rng.TERMS), x.shape, axis_name)

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree]]:
            stats = dict(state.stats)
            (z, _), stats["encoder"] = train_apply(encoder, params["encoder"], stats["encoder"], x, None)
            made, stats["decoder"] = train_apply(decoder, params["decoder"], stats["decoder"], z, None)

            def decode(z: Array) -> Array:
                return train_apply(decoder, params["decoder"], state.stats["decoder"], z, None)[0]

            error, norm = squared_error(made, x), (z**2).sum(-1)
            added = jnp.zeros(len(x)) if penalty is None else penalty(params["decoder"], decode, z, probe)
            value = (error + latent_weight * norm / 2 + added).mean()
            info = {"loss": value, "squared_error": error.mean(), "latent_norm": norm.mean(), "penalty": added.mean()}
            return value, (info, stats)

        grads, (info, stats) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = VAEState(state.step + 1, optax.apply_updates(state.params, updates), stats, optimizer_state)
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> VAEState:
        keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
        z = jnp.zeros((2, latent_dim))
        made = output_of(decoder, keys["decoder"], z, None).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        check_first_batch(batch, made, data_range, 0)
        given = {"encoder": jnp.zeros((2, *made)), "decoder": z}
        variables = {name: init_module(module, keys[name], given[name], None) for name, module in networks.items()}
        params = {name: of[0] for name, of in variables.items()}
        stats = {name: of[1] for name, of in variables.items()}
        return VAEState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))

    def apply(state: VAEState, name: str, inputs: Array) -> Any:
        return eval_apply(networks[name], state.params[name], state.stats[name], inputs, None)

    def encode(state: VAEState, batch: Batch) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        z, _ = apply(state, "encoder", batch.x)
        return z, jnp.full_like(z, -jnp.inf)

    def decode(state: VAEState, z: Float[Array, "n latent"], y: Labels = None) -> Array:
        return jnp.clip(apply(state, "decoder", z), *data_range)

    def evaluate(state: VAEState, batch: Batch, key: PRNGKey) -> Info:
        return {"squared_error": squared_error(apply(state, "decoder", apply(state, "encoder", batch.x)[0]), batch.x)}

    def prior(key: PRNGKey, n: Size) -> Array:
        raise UserError(UNSAMPLED)

    def sample(state: VAEState, key: PRNGKey, n: int, y: Labels = None) -> Array:
        raise UserError(UNSAMPLED)

    return Model(init, train_step, sample, evaluate, prior, decode, encode, unsampled=UNSAMPLED)


def squared_error(made: Float[Array, "batch *shape"], x: Float[Array, "batch *shape"]) -> Float[Array, " batch"]:
    """|x - made|^2, summed over all numbers of an example."""
    return ((made - x) ** 2).reshape(len(x), -1).sum(-1)
