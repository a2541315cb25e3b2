"""Autoencoders with many layers of latents, drawn from the top down in q as in p: ladder VAEs, VDVAE, NVAE.

q(z|x) = q(z_L|x) q(z_L-1|z_L, x) ... and p(z) = p(z_L) p(z_L-1|z_L) ..., each layer normal with a diagonal covariance
(Sønderby et al. 2016, section 2.2; Child 2021, section 2.1).

To the outside the model has one latent: the standard normal noise that p's layers are drawn by, of all of them,
flattened, the top layer first. So it is standard normal a priori, `decode` is a function of it, and `sample` is a
decoded draw from the prior, all exactly. Latents times t are what published code calls a temperature of t.
"""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab import rng, tree
from gvlab.losses import elbo
from gvlab.models.base import Labels, check_first_batch, eval_apply, generating, init_module, train_apply, updates_of
from gvlab.models.objectives import Context, Draw, Objective
from gvlab.models.observation import Observation
from gvlab.models.weight_terms import WeightTerm
from gvlab.networks.ladders import Descent
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError

MOST_NAMED = 12
"""Of so many layers each has a KL of its own among the terms; of more, each resolution has one."""


@flax.struct.dataclass
class HierarchyState:
    """All that a hierarchical VAE carries from step to step."""

    step: PyTree
    """Int[Array, ""]; not declared so, because trees are also made of shapes (`eval_shape`) and of stacked states."""
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    ema_params: PyTree
    """The average that is evaluated and sampled from."""
    ema_stats: PyTree
    memory: PyTree = flax.struct.field(default_factory=dict)
    """Of a term of the weights, where there is one."""


def hierarchical_autoencoder(
    network: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    layers: tuple[tuple[int, ...], ...],
    objective: Objective,
    num_samples: int = 1,
    ema_decay: float | Float[Array, ""] = 0.999,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
    weight_term: WeightTerm | None = None,
) -> Model:
    """A hierarchical VAE, trained on any bound of `models.objectives` that several layers have.

    Args:
        network: Linen module, (x [batch, *shape], noise [k, batch, total], None, train=) -> `networks.Descent`, with
            the method `generate`, (noise [rows, total], None, train=) -> raw [rows, *raw_shape]; `networks.VDVAE`,
            `networks.LadderMLP`.
        observation: what the raw output means; see `gvlab.models.observation`.
        optimizer: optax transformation of the gradients.
        layers: the shapes of the layers of latents, from the top down.
        objective: (draw, context) -> what is raised. The KL of its draw is the sum of the layers', each by its formula
            given the draws above it.
        num_samples: draws of all latents per example and step.
        ema_decay: of the average of parameters and batch statistics that all but training uses, with `tree.ema_decay`
            for its first steps; 0: there is none.
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and terms are averaged.
        weight_term: added to the loss, such as `weight_terms.spectral_regularisation`.

    Returns:
        A `Model` with states of type `HierarchyState` and the terms of a VAE, and `kl_nats/layer_1` and so on, from
        the top down; of more than 12 layers `kl_nats/1x1` and so on, the sums of each resolution. It has no `encode`:
        q(z|x) is no one normal distribution.

    Raises:
        UserError: from `train_step`: the objective is of one layer.
    """
    total = sum(math.prod(shape) for shape in layers)
    names = _names(layers)

    def draw_of(descent: Descent, batch: Batch) -> Draw:
        log_likelihood = observation.log_prob(descent.raw, batch.x)
        log_weights = log_likelihood + descent.log_prior - descent.log_posterior
        kl = descent.kl.sum(-1).mean(0)
        return Draw(descent.z, log_likelihood, descent.log_prior, descent.log_posterior, log_weights, kl)

    def terms_of(descent: Descent, draw: Draw) -> Info:
        """Of each example, [batch]."""
        reconstruction = draw.log_likelihood.mean(0)
        terms = {"elbo_nats": elbo(reconstruction, draw.kl), "kl_nats": draw.kl, "reconstruction_nats": reconstruction}
        kl = descent.kl.mean(0)
        return terms | {name: kl[:, list(members)].sum(-1) for name, members in names.items()}

    def train_step(state: HierarchyState, batch: Batch, key: PRNGKey) -> tuple[HierarchyState, Info]:
        noise = rng.normal(key, (num_samples, len(batch.x), total), axis_name, axis=1)

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, PyTree]]:
            descent, stats = train_apply(network, params, state.stats, batch.x, noise, None)
            draw = draw_of(descent, batch)
            value = -objective(draw, Context(state.step, axis_name=axis_name, key=key)).mean()
            terms = {name: values.mean() for name, values in terms_of(descent, draw).items()}
            memory = state.memory
            if weight_term is not None:
                added, memory, said = weight_term.value(params, memory)
                value, terms = value + added, terms | said
            return value, ({"loss": value} | terms, stats, memory)

        grads, (info, stats, memory) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        params, decay = optax.apply_updates(state.params, updates), tree.ema_decay(ema_decay, state.step)
        new = HierarchyState(
            step=state.step + 1,
            params=params,
            stats=stats,
            optimizer=optimizer_state,
            ema_params=tree.ema(state.ema_params, params, decay),
            ema_stats=tree.ema(state.ema_stats, stats, decay),
            memory=memory,
        )
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> HierarchyState:
        def generated() -> Array:
            raw, _ = network.init_with_output(key, jnp.zeros((2, total)), None, train=True, method="generate")
            return observation.mean(raw)

        made = jax.eval_shape(generated).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the network makes {made}.")
        check_first_batch(batch, made, data_range, 0)
        params, stats = init_module(network, key, jnp.zeros((2, *made)), jnp.zeros((1, 2, total)), None)
        return HierarchyState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats=stats,
            optimizer=optimizer.init(params),
            ema_params=jax.tree.map(jnp.copy, params),
            ema_stats=jax.tree.map(jnp.copy, stats),
            memory=weight_term.init(rng.stream(key, rng.TERMS), params) if weight_term is not None else {},
        )

    def evaluated(state: HierarchyState, *inputs: Any, method: str | None = None) -> Any:
        return eval_apply(network, state.ema_params, state.ema_stats, *inputs, None, method=method)

    def evaluate(state: HierarchyState, batch: Batch, key: PRNGKey) -> Info:
        descent = evaluated(state, batch.x, jax.random.normal(key, (num_samples, len(batch.x), total)))
        return terms_of(descent, draw_of(descent, batch))

    def log_likelihood(
        state: HierarchyState, batch: Batch, z: Float[Array, "k batch total"]
    ) -> Float[Array, "k batch"]:
        raw = evaluated(state, z.reshape(-1, total), method="generate")
        return observation.log_prob(raw.reshape(*z.shape[:2], *raw.shape[1:]), batch.x)

    def log_weights(state: HierarchyState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        """Burda et al. 2016, equation 6."""
        descent = evaluated(state, batch.x, jax.random.normal(key, (k, len(batch.x), total)))
        return draw_of(descent, batch).log_weights

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n total"]:
        return jax.random.normal(key, (n, total))

    def decoded(state: HierarchyState, z: Float[Array, "n total"], y: Labels) -> Array:
        """The likelihood's raw parameters."""
        return evaluated(state, z, method="generate")

    decode, sample, draw = generating(observation, decoded, lambda state, key, n: prior(key, n), data_range)

    of_z = (prior, decode, None, log_likelihood, log_weights)
    return Model(init, train_step, sample, evaluate, *of_z, draw=draw)


def _names(layers: tuple[tuple[int, ...], ...]) -> dict[str, tuple[int, ...]]:
    """By the name of a KL term the layers that it is of."""
    if len(layers) <= MOST_NAMED:
        return {f"kl_nats/layer_{number + 1}": (number,) for number in range(len(layers))}
    found: dict[str, tuple[int, ...]] = {}
    for number, shape in enumerate(layers):
        name = f"kl_nats/{'x'.join(map(str, shape[:-1])) or 'vectors'}"
        found[name] = (*found.get(name, ()), number)
    return found
