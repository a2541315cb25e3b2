"""Autoencoders of categorical latents, several of as many classes each, by the Gumbel-softmax (Jang et al. 2017).

The latents are codes, int32 [n, variables]; the decoder takes them one-hot, side by side. What is relaxed in training
is never reported as a bound: `evaluate` and `log_weights` are of hard draws of q(z|x).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import losses, rng, tree
from gvlab.losses import elbo
from gvlab.models.base import (
    Labels,
    check_first_batch,
    eval_apply,
    generating,
    init_module,
    labels_for,
    one_hot,
    output_of,
    train_apply,
    updates_of,
)
from gvlab.models.latents import repeat
from gvlab.models.observation import Observation
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError


@flax.struct.dataclass
class CategoricalState:
    """All that such a model carries from step to step; `params` and `stats` have one entry for each network."""

    step: PyTree
    """Int[Array, ""]; not declared so, as in `VAEState`."""
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState


def categorical_autoencoder(
    encoder: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    variables: int,
    classes: int,
    temperature: Callable[[Array], Array],
    hard: bool = False,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A VAE of independent categorical latents, whose prior is uniform.

    A step raises log p(x|z) - KL(q(z|x) || uniform) of one draw, z relaxed to points of the simplex: their sum bounds
    nothing (Maddison et al. 2017, appendix C.3).

    Args:
        encoder: Linen module, (x [b, *shape], y one-hot or None, train=) -> two heads [b, at least variables classes /
            2], which are the logits of all latents side by side.
        decoder: Linen module, (z [b, variables classes], y, train=) -> raw [b, *shape[:-1], channels * parameters].
        observation: what the raw output means; see `gvlab.models.observation`.
        optimizer: optax transformation of the joint gradients.
        variables: latents.
        classes: of each.
        temperature: train steps before -> above 0; the lower, the nearer to one-hot, and the more variance.
        hard: decode one-hot draws, with the (biased) gradient of the relaxed ones (straight-through): then it is the
            ELBO.
        num_classes, data_range, axis_name: as in `variational_autoencoder`.

    Returns:
        A `Model` with states of type `CategoricalState` and latents int32 [n, variables]: `codes` are the likeliest
        values of q(z|x), `code_sizes` all `classes`. The terms in training are `loss`, `kl_nats`, `temperature`,
        `grad_norm` and, where draws are hard, `elbo_nats`; of held-out examples `elbo_nats`, `kl_nats` and
        `reconstruction_nats`.

    Reference: Jang, Gu & Poole, "Categorical Reparameterization with Gumbel-Softmax", 2017, sections 2 and 4.
    """
    networks = {"encoder": encoder, "decoder": decoder}
    width = variables * classes

    def logits_by(apply: Callable[..., Any], x: Array, y: Array | None) -> Float[Array, "batch variables classes"]:
        heads = jnp.concatenate(apply("encoder", x, y), axis=-1)
        return heads[:, :width].reshape(-1, variables, classes)

    def evaluating(state: CategoricalState) -> Callable[..., Any]:
        return lambda name, inputs, y: eval_apply(networks[name], state.params[name], state.stats[name], inputs, y)

    def train_step(state: CategoricalState, batch: Batch, key: PRNGKey) -> tuple[CategoricalState, Info]:
        y = one_hot(batch.y, num_classes)
        uniforms = rng.uniform(key, (len(batch.x), variables, classes), axis_name)
        gumbels = -jnp.log(-jnp.log(jnp.clip(uniforms, 1e-7, 1 - 1e-7)))
        now = temperature(state.step)
        draw = losses.straight_through_categorical if hard else losses.relaxed_categorical

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree]]:
            stats = dict(state.stats)

            def apply(name: str, inputs: Array, y: Array | None) -> Any:
                out, stats[name] = train_apply(networks[name], params[name], stats[name], inputs, y)
                return out

            logits = logits_by(apply, batch.x, y)
            z = draw(logits, gumbels, now)
            reconstruction = observation.log_prob(apply("decoder", z.reshape(-1, width), y), batch.x)
            kl = losses.categorical_kl_to_uniform(logits).sum(-1)
            value = elbo(reconstruction, kl).mean()
            info = {"loss": -value, "kl_nats": kl.mean(), "temperature": jnp.asarray(now, jnp.float32)}
            return -value, (info | ({"elbo_nats": value} if hard else {}), stats)

        grads, (info, stats) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = CategoricalState(state.step + 1, optax.apply_updates(state.params, updates), stats, optimizer_state)
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> CategoricalState:
        y = labels_for(None, 2, num_classes)
        keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
        z = jnp.zeros((2, width))
        made = jax.eval_shape(observation.mean, output_of(decoder, keys["decoder"], z, y)).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        given = {"encoder": jnp.zeros((2, *made)), "decoder": z}
        found = {name: init_module(module, keys[name], given[name], y) for name, module in networks.items()}
        params = {name: of[0] for name, of in found.items()}
        stats = {name: of[1] for name, of in found.items()}
        return CategoricalState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params))

    def logits_of(state: CategoricalState, batch: Batch) -> Float[Array, "batch variables classes"]:
        return logits_by(evaluating(state), batch.x, one_hot(batch.y, num_classes))

    def raw_of(state: CategoricalState, z: Int[Array, "n variables"], y: Array | None) -> Array:
        return evaluating(state)("decoder", jax.nn.one_hot(z, classes).reshape(-1, width), y)

    def codes(state: CategoricalState, batch: Batch) -> Int[Array, "batch variables"]:
        return jnp.argmax(logits_of(state, batch), axis=-1).astype(jnp.int32)

    def log_likelihood(
        state: CategoricalState, batch: Batch, z: Int[Array, "k batch variables"]
    ) -> Float[Array, "k batch"]:
        y = one_hot(batch.y, num_classes)
        raw = raw_of(state, z.reshape(-1, variables), repeat(y, z.shape[0]))
        return observation.log_prob(raw.reshape(*z.shape[:2], *raw.shape[1:]), batch.x)

    def drawn(logits: Array, key: PRNGKey, k: int) -> Int[Array, "k batch variables"]:
        return jax.random.categorical(key, logits, shape=(k, *logits.shape[:-1])).astype(jnp.int32)

    def evaluate(state: CategoricalState, batch: Batch, key: PRNGKey) -> Info:
        logits = logits_of(state, batch)
        reconstruction = log_likelihood(state, batch, drawn(logits, key, 1))[0]
        kl = losses.categorical_kl_to_uniform(logits).sum(-1)
        return {"elbo_nats": elbo(reconstruction, kl), "kl_nats": kl, "reconstruction_nats": reconstruction}

    def log_weights(state: CategoricalState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        logits = logits_of(state, batch)
        z = drawn(logits, key, k)
        log_q = (jax.nn.one_hot(z, classes) * jax.nn.log_softmax(logits)[None]).sum((-2, -1))
        return log_likelihood(state, batch, z) - variables * math.log(classes) - log_q

    def prior(key: PRNGKey, n: Size) -> Int[Array, "n variables"]:
        return jax.random.randint(key, (n, variables), 0, classes, jnp.int32)

    def decoded(state: CategoricalState, z: Int[Array, "n variables"], y: Labels) -> Array:
        """The likelihood's raw parameters."""
        return raw_of(state, z, labels_for(y, z.shape[0], num_classes))

    decode, sample, draw_of = generating(observation, decoded, lambda state, key, n: prior(key, n), data_range)
    return Model(
        *(init, train_step, sample, evaluate, prior, decode),
        log_likelihood=log_likelihood,
        log_weights=log_weights,
        draw=draw_of,
        codes=codes,
        code_sizes=(classes,) * variables,
    )
