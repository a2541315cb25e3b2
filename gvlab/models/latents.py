"""What all autoencoders with latent variables share, however many layers of latents they have and whatever they bound.

A family states how latents are drawn from q(z|x) and what is decoded from them (`Latents`); an objective states which
lower bound on log p(x) is raised (`Objective`). `model_of` makes a `Model` of the two.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Num

from gvlab import rng, tree
from gvlab.losses import elbo
from gvlab.models import critics
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
from gvlab.models.critics import LatentCritic
from gvlab.models.objectives import Context, Draw, Objective
from gvlab.models.observation import Observation
from gvlab.models.sentences import Choice, check_sentences, write, writing
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError


@flax.struct.dataclass
class VAEState:
    """All that a VAE carries from step to step; `params` and `stats` have one entry for each network."""

    step: PyTree
    """Int[Array, ""]; not declared so, because trees are also made of shapes (`eval_shape`) and of stacked states."""
    params: PyTree
    stats: PyTree
    optimizer: optax.OptState
    critic: PyTree = flax.struct.field(default_factory=dict)
    """A `critics.CriticState`, where there is a critic of latents."""


Apply = Callable[..., Any]
"""(name of a network, inputs [rows, ...], y one-hot [rows, classes] or None) -> what the network gives, in training
(and then its new statistics are kept) or out of it; out of it also of another `method`."""


class Prior(NamedTuple):
    """A prior of its own, with parameters or on another space; without one z is standard normal."""

    networks: dict[str, nn.Module]
    """By name."""
    widths: dict[str, int | None]
    """As of `Latents`."""
    log_prob: Callable[[Apply, Array], Float[Array, "*batch"]]
    """(apply, z [*batch, latent]) -> log p(z) in nats."""
    draw: Callable[[Apply, PRNGKey, Size], Float[Array, "n latent"]]
    """(apply, key, n) -> z."""
    shares_encoder: bool = False
    """Whether it calls the encoder, too."""
    onto: Callable[[Array], Array] | None = None
    """z [rows, latent] -> the nearest that the prior has, which the decoder is given; None: it has all."""
    component: Callable[[Apply, Array], Int[Array, "*batch"]] | None = None
    """(apply, z [*batch, latent]) -> the likeliest component of a mixture that z is of; None: it is none."""


Heads: TypeAlias = tuple[Float[Array, "batch width"], Float[Array, "batch width"]]
"""What an encoder gives."""


class Posterior(NamedTuple):
    """A posterior other than independent normals; without one the encoder's heads are their mean and log-variance."""

    networks: dict[str, nn.Module]
    """By name."""
    widths: dict[str, int | None]
    """As of `Latents`."""
    extra: int
    """Entries of each head beyond those of z."""
    draw: Callable[[Apply, Heads, Float[Array, "k batch latent"]], tuple[Array, Array]]
    """(apply, heads, noise) -> (z [k, batch, latent], log q(z|x) [k, batch]) in nats."""
    moments: Callable[[Apply, Heads], tuple[Array, Array]]
    """(apply, heads) -> (mean, logvar) of z, each [batch, latent]."""
    kl: Callable[[Heads], Float[Array, " batch"]] | None
    """heads -> KL(q(z|x) || p(z)) in nats; None: it is estimated by the draws."""
    prior: Prior | None = None
    """p(z) of that KL, which is estimated for any other; None: N(0, I)."""


class Latents(NamedTuple):
    """How the latents of a family are drawn and decoded; z is [..., length], a priori standard normal by default."""

    networks: dict[str, nn.Module]
    """By name; the one that gives the likelihood's raw parameters is called `decoder`."""
    widths: dict[str, int | None]
    """Length of the vectors that each network takes, besides the labels; None: it takes examples."""
    length: int
    infer: Callable[[Apply, Observation, Array, Array | None, Array], Draw]
    """(apply, observation, x, y, noise [k, batch, length]) -> Draw."""
    expand: Callable[[Apply, Array, Array | None], Array]
    """(apply, z [rows, length], y) -> what the decoder takes, [rows, width]."""
    encode: Callable[[Apply, Array, Array | None], tuple[Array, Array]]
    """(apply, x, y) -> (mean, logvar) of z, each [batch, length]."""
    joint: Callable[[Apply, Observation, Array, Array | None, Array], Float[Array, "k batch"]] | None = None
    """(apply, observation, x, y, z [k, batch, length]) -> log p(x, z); None of several layers."""
    prior: Prior | None = None
    """None: standard normal."""


def model_of(
    latents: Latents,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    objective: Objective,
    *,
    num_samples: int,
    num_classes: int,
    data_range: tuple[float, float],
    axis_name: str | None,
    examples: int | None,
    critic: LatentCritic | None = None,
    noise_weight: Callable[[Array], Array] | None = None,
) -> Model:
    """The model of those latents, trained on that objective; the arguments are those of `autoencoder`."""
    networks = latents.networks

    def evaluating(state: VAEState) -> Apply:
        def apply(network: str, inputs: Any, y: Array | None, method: str | None = None) -> Any:
            return eval_apply(networks[network], state.params[network], state.stats[network], inputs, y, method=method)

        return apply

    def infer(
        apply: Apply, batch: Batch, noise: Float[Array, "k batch latent"], observed: Observation = observation
    ) -> Draw:
        return latents.infer(apply, observed, batch.x, one_hot(batch.y, num_classes), noise)

    def context_of(state: VAEState, params: PyTree, batch: Batch, key: PRNGKey, observed: Observation) -> Context:
        """The statistics that passes of an objective's own would leave are not kept."""
        joint_of = latents.joint
        if joint_of is None:
            return Context(state.step, axis_name=axis_name, key=key, examples=examples)

        def joint(params: PyTree, z: Array) -> Array:
            def apply(network: str, inputs: Any, y: Array | None) -> Any:
                return train_apply(networks[network], params[network], state.stats[network], inputs, y)[0]

            return joint_of(apply, observed, batch.x, one_hot(batch.y, num_classes), z)

        fixed = jax.lax.stop_gradient(params)
        return Context(state.step, partial(joint, params), partial(joint, fixed), axis_name, key, examples)

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        new, info, _ = step_of(state, batch, key, None)
        return new, info

    def train_step_with_critic(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        """Algorithm 2 of Kim & Mnih 2018: a batch for the autoencoder, then one for the critic."""
        assert critic is not None
        if len(batch.x) % 2:
            raise UserError(
                f"The batch has {len(batch.x)} examples (per device), which the autoencoder and its critic cannot "
                "share equally: use a multiple of 2."
            )
        # One share each, taken in strides: then N devices see the same shares as one.
        first, second = (jax.tree.map(lambda leaf, i=i: leaf[i::2], batch) for i in range(2))

        def judge(z: Array) -> Float[Array, " batch"]:
            return critics.logits(critic, state.critic.params, state.critic.stats, z)

        new, info, z = step_of(state, first, key, judge)

        def apply(network: str, inputs: Any, y: Array | None) -> Any:
            return train_apply(networks[network], new.params[network], new.stats[network], inputs, y)[0]

        draw_key, other_key = jax.random.split(rng.stream(key, rng.CRITIC))
        mean, logvar = latents.encode(apply, second.x, one_hot(second.y, num_classes))
        drawn = reparametrised(mean, logvar, rng.normal(draw_key, mean.shape, axis_name))
        other = critic.others(other_key, drawn, axis_name)
        after, critic_info = critics.update(critic, state.critic, z, other, state.step, axis_name)
        return replace(new, critic=after), info | critic_info

    def step_of(
        state: VAEState, batch: Batch, key: PRNGKey, judge: Callable[[Array], Array] | None
    ) -> tuple[VAEState, Info, Array]:
        """(state, terms, one draw of the latents of each example)."""
        noise = rng.normal(key, (num_samples, len(batch.x), latents.length), axis_name, axis=1)
        if noise_weight is not None:
            noise = noise_weight(state.step) * noise
        observed = _in_training(observation, key, axis_name)

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, Array]]:
            stats = dict(state.stats)

            def apply(network: str, inputs: Any, y: Array | None) -> Any:
                out, stats[network] = train_apply(networks[network], params[network], stats[network], inputs, y)
                return out

            draw = infer(apply, batch, noise, observed)
            context = context_of(state, params, batch, key, observed)._replace(critic=judge)
            value = -objective(draw, context).mean()
            reconstruction = draw.log_likelihood.mean(0)
            info = {
                "loss": value,
                "elbo_nats": elbo(reconstruction, draw.kl).mean(),
                "kl_nats": draw.kl.mean(),
                "reconstruction_nats": reconstruction.mean(),
            }
            return value, (info, stats, draw.z[0])

        grads, (info, stats, z) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = VAEState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=stats,
            optimizer=optimizer_state,
            critic=state.critic,
        )
        return new, mean_over(info, axis_name) | {"grad_norm": tree.norm(grads)}, z

    def init(key: PRNGKey, batch: Batch) -> VAEState:
        y = labels_for(None, 2, num_classes)
        keys = dict(zip(networks, jax.random.split(key, len(networks)), strict=True))
        vectors: dict[str, Any] = {
            network: jnp.zeros((2, width)) for network, width in latents.widths.items() if width is not None
        }
        if observation.length:
            vectors["decoder"] = (vectors["decoder"], jnp.zeros((2, observation.length), jnp.int32))
        raw = output_of(networks["decoder"], keys["decoder"], vectors["decoder"], y)
        example = jax.eval_shape(observation.mean, raw)
        made = example.shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        if observation.length:
            check_sentences(batch.x, observation.length, observation.parameters)
        else:
            check_first_batch(batch, made, data_range, num_classes)
        variables = {
            network: init_module(
                module,
                keys[network],
                vectors.get(network, jnp.zeros((2, *made), example.dtype)),
                None if network in ("prior", "posterior") else y,  # those are the same for all classes
            )
            for network, module in networks.items()
        }
        if latents.prior is not None and latents.prior.shares_encoder and variables["encoder"][1]:
            raise UserError(
                f"The prior is made by {type(networks['encoder']).__name__}, whose BatchNorm would mix learned "
                "examples with those of the data: use an encoder without, or another prior."
            )
        params = {network: of[0] for network, of in variables.items()}
        return VAEState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={network: of[1] for network, of in variables.items()},
            optimizer=optimizer.init(params),
            critic=critics.init(critic, rng.stream(key, rng.CRITIC), latents.length) if critic else {},
        )

    def encode(state: VAEState, batch: Batch) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        return latents.encode(evaluating(state), batch.x, one_hot(batch.y, num_classes))

    def clusters(state: VAEState, batch: Batch) -> Int[Array, " batch"]:
        assert latents.prior is not None
        assert latents.prior.component is not None
        return latents.prior.component(evaluating(state), encode(state, batch)[0])

    def log_likelihood(state: VAEState, batch: Batch, z: Float[Array, "k batch latent"]) -> Float[Array, "k batch"]:
        y, apply = one_hot(batch.y, num_classes), evaluating(state)
        h = latents.expand(apply, z.reshape(-1, latents.length), repeat(y, len(z)))
        return decoded_log_likelihood(apply, observation, batch.x, y, h.reshape(*z.shape[:2], -1))

    def evaluate(state: VAEState, batch: Batch, key: PRNGKey) -> Info:
        draw = infer(evaluating(state), batch, jax.random.normal(key, (num_samples, len(batch.x), latents.length)))
        reconstruction = draw.log_likelihood.mean(0)
        return {"elbo_nats": elbo(reconstruction, draw.kl), "kl_nats": draw.kl, "reconstruction_nats": reconstruction}

    def log_weights(state: VAEState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        """Burda et al. 2016, equation 6."""
        noise = jax.random.normal(key, (k, len(batch.x), latents.length))
        return infer(evaluating(state), batch, noise).log_weights

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        if latents.prior is not None:
            raise UserError("The prior of this model is learned, so its draws depend on the state: use Model.latents.")
        return jax.random.normal(key, (n, latents.length))

    def drawn(state: VAEState, key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        return prior(key, n) if latents.prior is None else latents.prior.draw(evaluating(state), key, n)

    def decoded(state: VAEState, z: Array, y: Labels) -> Array:
        """The likelihood's raw parameters."""
        apply, labels = evaluating(state), labels_for(y, z.shape[0], num_classes)
        return apply("decoder", latents.expand(apply, z, labels), labels)

    def written(state: VAEState, z: Array, y: Labels, choose: Choice, given: Any) -> Array:
        """Sentences of latents, their symbols chosen one after another."""
        apply, labels = evaluating(state), labels_for(y, z.shape[0], num_classes)
        begin = apply("decoder", latents.expand(apply, z, labels), labels, method="begin")

        def step(carried: Any, token: Array) -> tuple[Any, Array]:
            return apply("decoder", (carried, token), labels, method="step")

        return write(step, begin, z.shape[0], observation.length, choose, given)

    decode, sample, draw = (
        writing(written, drawn, observation.length)
        if observation.length
        else generating(observation, decoded, drawn, data_range)
    )

    of_z = (prior, decode, encode, log_likelihood, log_weights)
    learned = None if latents.prior is None else drawn
    clustered = clusters if latents.prior is not None and latents.prior.component is not None else None
    step = train_step if critic is None else train_step_with_critic
    return Model(init, step, sample, evaluate, *of_z, draw=draw, learned_prior=learned, clusters=clustered)


def _in_training(observation: Observation, key: PRNGKey, axis_name: str | None) -> Observation:
    """The observation as the decoder sees it in the train step of that key."""
    corrupt = observation.corrupt
    if corrupt is None:
        return observation
    return observation._replace(sees=lambda x: corrupt(rng.stream(key, rng.WORDS), x, axis_name))


def decoded_log_likelihood(
    apply: Apply,
    observation: Observation,
    x: Num[Array, "batch *shape"],
    y: Float[Array, "batch classes"] | None,
    h: Float[Array, "k batch width"],
) -> Float[Array, "k batch"]:
    """log p(x|h) in nats, of what the decoder takes."""
    given: Any = h.reshape(-1, h.shape[-1])
    if observation.sees is not None:
        given = (given, jnp.tile(observation.sees(x), (len(h), 1)))
    raw = apply("decoder", given, repeat(y, len(h)))
    return observation.log_prob(raw.reshape(*h.shape[:2], *raw.shape[1:]), x)


def repeat(y: Float[Array, "batch classes"] | None, times: int) -> Float[Array, "repeated classes"] | None:
    """Labels for `times` latents per example, in the order of [times, batch] flattened."""
    return None if y is None else jnp.tile(y, (times, 1))


def reparametrised(
    mean: Float[Array, "*batch d"], logvar: Float[Array, "*batch d"], noise: Float[Array, "*samples_batch d"]
) -> Float[Array, "*samples_batch d"]:
    """mean + exp(logvar / 2) * noise: draws of N(mean, exp(logvar)) with gradients (Kingma & Welling 2014, eq. 10)."""
    extra = (1,) * (noise.ndim - mean.ndim)
    return mean.reshape(extra + mean.shape) + jnp.exp(0.5 * logvar).reshape(extra + mean.shape) * noise
