"""Models with an exact log p(x): of vectors mixtures of normals and flows, of codes and sentences what goes in order.

What is random in an example is its noise, of a distribution without parameters, and `decode` makes one of the other:
so the noise is the latent of these models.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from gvlab import tree
from gvlab.losses import normal_mixture_log_prob, sentence_log_prob, standard_normal_log_prob
from gvlab.models.base import Labels, check_first_batch, eval_apply, init_module, train_apply, updates_of
from gvlab.models.sentences import by_chance, write
from gvlab.models.sentences import chosen as _chosen
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError

Apply = Callable[..., Any]
"""(inputs) -> what the network gives; out of training also of another `method`."""


class Distribution(NamedTuple):
    """A family of distributions of examples [length], whose parameters are those of one network."""

    network: nn.Module
    inputs: PyTree
    """Two of what the network takes, to make its parameters by."""
    log_prob: Callable[[Apply, Array], Float[Array, " batch"]]
    """(apply, x [batch, length]) -> log p(x) in nats."""
    noise: Callable[[PRNGKey, Size], Float[Array, "n noise"]]
    """(key, n) -> what n examples are made of."""
    decode: Callable[[Apply, Array], Array]
    """(apply, noise) -> x [n, length]."""
    length: int
    levels: int = 0
    """Of integer codes 0, 1, ..., levels - 1; 0: the examples are vectors."""


def mixture(components: nn.Module, length: int) -> Distribution:
    """A mixture of normal distributions; the first number of the noise chooses the component, the others are its draw.

    Args:
        components: `networks.NormalMixture`, or another that gives (logits [c], mean [c, length], logvar [c, length]).
        length: of an example.
    """
    nothing = jnp.zeros((2, 0))

    def log_prob(apply: Apply, x: Array) -> Float[Array, " batch"]:
        return normal_mixture_log_prob(x, *apply(nothing))

    def decode(apply: Apply, noise: Float[Array, "n noise"]) -> Float[Array, "n length"]:
        logits, mean, logvar = apply(nothing)
        component = _chosen(jax.scipy.stats.norm.cdf(noise[:, 0]), logits[None])
        return mean[component] + jnp.exp(0.5 * logvar[component]) * noise[:, 1:]

    return Distribution(components, nothing, log_prob, _normal(length + 1), decode, length)


def flow(bijection: nn.Module, length: int) -> Distribution:
    """What a bijection makes of standard normal noise.

    Args:
        bijection: `networks.RealNVP` or `networks.MAF`: (x, y, train=) -> (noise, log |det d noise / d x|), with the
            method `inverse` from noise to x.
        length: of an example.

    Reference: Papamakarios et al., "Normalizing Flows for Probabilistic Modeling and Inference", 2021, eq. 2.
    """

    def log_prob(apply: Apply, x: Array) -> Float[Array, " batch"]:
        noise, log_det = apply(x)
        return standard_normal_log_prob(noise) + log_det

    def decode(apply: Apply, noise: Array) -> Float[Array, "n length"]:
        return apply(noise, method="inverse")

    return Distribution(bijection, jnp.zeros((2, length)), log_prob, _normal(length), decode, length)


def autoregressive(network: nn.Module, sizes: tuple[int, ...]) -> Distribution:
    """Codes of which each is drawn by those before it: log p(x) = sum_i log p(x_i | x_1, ..., x_{i-1}).

    The noise is uniform, one number for each code, which is where its cumulative probability passes that number.

    Args:
        network: `networks.CausalTransformer` or `networks.GatedPixelCNN`: (codes, y, train=) -> logits
            [batch, positions, levels], each by the codes before it.
        sizes: how many codes there are at each position.
    """
    positions, levels = len(sizes), max(sizes)
    possible = jnp.asarray(np.arange(levels)[None] < np.array(sizes)[:, None])  # by NumPy: nothing is compiled for it

    def logits_of(apply: Apply, codes: Int[Array, "batch positions"]) -> Float[Array, "batch positions levels"]:
        return jnp.where(possible[None], apply(codes), -jnp.inf)

    def log_prob(apply: Apply, codes: Int[Array, "batch positions"]) -> Float[Array, " batch"]:
        of_each = jax.nn.log_softmax(logits_of(apply, codes))
        return jnp.take_along_axis(of_each, codes[..., None], axis=-1)[..., 0].sum(-1)

    def noise(key: PRNGKey, n: Size) -> Float[Array, "n positions"]:
        return jax.random.uniform(key, (n, positions))

    def decode(apply: Apply, noise: Float[Array, "n positions"]) -> Int[Array, "n positions"]:
        def one(codes: Array, position: Array) -> tuple[Array, None]:
            logits = jnp.take(logits_of(apply, codes), position, axis=1)
            return codes.at[:, position].set(_chosen(jnp.take(noise, position, axis=1), logits)), None

        return jax.lax.scan(one, jnp.zeros(noise.shape, jnp.int32), jnp.arange(positions))[0]

    inputs = jnp.zeros((2, positions), jnp.int32)
    return Distribution(network, inputs, log_prob, noise, decode, positions, levels)


def sentences(network: nn.Module, length: int, levels: int) -> Distribution:
    """Sentences of which each symbol is drawn by those before it, up to the first end: a language model.

    The noise is uniform, one number for each symbol that there is room for.

    Args:
        network: a decoder of sentences, as `networks.GRUDecoder`, which is given no latents.
        length: of a row.
        levels: integers that a symbol may be.
    """

    def log_prob(apply: Apply, x: Int[Array, "batch length"]) -> Float[Array, " batch"]:
        return sentence_log_prob(apply((jnp.zeros((len(x), 0)), x)), x)

    def noise(key: PRNGKey, n: Size) -> Float[Array, "n length"]:
        return jax.random.uniform(key, (n, length))

    def decode(apply: Apply, noise: Float[Array, "n length"]) -> Int[Array, "n length"]:
        n = noise.shape[0]

        def step(carried: Any, token: Array) -> tuple[Any, Array]:
            return apply((carried, token), method="step")

        return write(step, apply(jnp.zeros((n, 0)), method="begin"), n, length, by_chance, noise.T)

    inputs = (jnp.zeros((2, 0)), jnp.zeros((2, length), jnp.int32))
    return Distribution(network, inputs, log_prob, noise, decode, length, levels)


def _normal(length: int) -> Callable[[PRNGKey, Size], Float[Array, "n noise"]]:
    return lambda key, n: jax.random.normal(key, (n, length))


@flax.struct.dataclass
class DensityState:
    """All that such a model carries from step to step."""

    step: PyTree
    """Int[Array, ""]."""
    params: PyTree
    optimizer: optax.OptState


def density(
    distribution: Distribution, optimizer: optax.GradientTransformation, *, axis_name: str | None = None
) -> Model:
    """A model of vectors, of integer codes, or of sentences, trained on its log p(x).

    Args:
        distribution: such as `flow(networks.MAF(), length=2)`.
        optimizer: optax transformation of the gradients.
        axis_name: name of the `pmap` axis over which gradients and terms are averaged.

    Returns:
        A `Model` with states of type `DensityState` and the terms `loss`, `log_prob_nats` and `grad_norm`. Its latents
        are the noise, its `log_weights` are log p(x) in every row.

    Examples:
        >>> import jax
        >>> import optax
        >>> from gvlab import Batch, networks, rng
        >>> from gvlab.models import densities
        >>> model = densities.density(densities.flow(networks.MAF(), length=2), optax.adam(1e-3))
        >>> batch = Batch(jax.random.normal(rng.root(0), (5, 2)))
        >>> state = jax.jit(model.init)(rng.root(0), batch)
        >>> state, info = jax.jit(model.train_step)(state, batch, rng.root(1))
        >>> int(state.step), sorted(info), model.sample(state, rng.root(2), 3).shape
        (1, ['grad_norm', 'log_prob_nats', 'loss'], (3, 2))
    """
    network, length, levels = distribution.network, distribution.length, distribution.levels

    def evaluating(state: DensityState) -> Apply:
        return lambda x, method=None: eval_apply(network, state.params, {}, x, None, method=method)

    def init(key: PRNGKey, batch: Batch) -> DensityState:
        if levels and not jnp.issubdtype(batch.x.dtype, jnp.integer):
            raise UserError(
                f"The data are of type {batch.x.dtype}, but {type(network).__name__} is of integer codes: train it as "
                "the second stage of a model of codes."
            )
        if levels and batch.x.shape[1:] != (length,):
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the model is of {length} codes.")
        if not levels:
            check_first_batch(batch, (length,), (-float("inf"), float("inf")), 0)
        params, _ = init_module(network, key, distribution.inputs, None)
        return DensityState(jnp.zeros((), jnp.int32), params, optimizer.init(params))

    def train_step(state: DensityState, batch: Batch, key: PRNGKey) -> tuple[DensityState, Info]:
        def loss(params: PyTree) -> Float[Array, ""]:
            return -distribution.log_prob(lambda x: train_apply(network, params, {}, x, None)[0], batch.x).mean()

        value, grads = jax.value_and_grad(loss)(state.params)
        grads, value = mean_over(grads, axis_name), mean_over(value, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = DensityState(state.step + 1, optax.apply_updates(state.params, updates), optimizer_state)
        return new, {"loss": value, "log_prob_nats": -value, "grad_norm": tree.norm(grads)}

    def evaluate(state: DensityState, batch: Batch, key: PRNGKey) -> Info:
        return {"log_prob_nats": distribution.log_prob(evaluating(state), batch.x)}

    def log_weights(state: DensityState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        log_prob = distribution.log_prob(evaluating(state), batch.x)
        return jnp.broadcast_to(log_prob[None], (k, *log_prob.shape))

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n noise"]:
        return distribution.noise(key, n)

    def decode(state: DensityState, z: Float[Array, "n noise"], y: Labels = None) -> Array:
        return distribution.decode(evaluating(state), z)

    def sample(state: DensityState, key: PRNGKey, n: int, y: Labels = None) -> Array:
        return decode(state, prior(key, n), y)

    return Model(init, train_step, sample, evaluate, prior, decode, log_weights=log_weights)
