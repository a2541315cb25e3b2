"""Autoencoders whose latents are codes: the VQ-VAE and its kin (van den Oord et al. 2017).

An encoder gives features at some positions, a quantiser (`gvlab.networks.quantizers`) puts each at one of its codes,
and a decoder gives p(x|codes). The codes are the latents z, integers [n, positions]: of several levels all levels of a
position, then the next position.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from gvlab import rng, tree
from gvlab.losses import elbo
from gvlab.models import image_critics
from gvlab.models.base import (
    Labels,
    advancing_apply,
    check_first_batch,
    eval_apply,
    generating,
    init_collections,
    labels_for,
    one_hot,
    output_of,
    train_apply,
    updates_of,
)
from gvlab.models.image_critics import PatchCritic
from gvlab.models.latents import repeat
from gvlab.models.observation import Observation
from gvlab.networks.codebooks import index_perplexity
from gvlab.networks.quantizers import Quantized
from gvlab.networks.scalar_quantizers import batch_entropy, bit_logits, code_entropy, factorised_batch_entropy
from gvlab.parallel import gather, mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError


@flax.struct.dataclass
class CodesState:
    """All that such a model carries from step to step; `params` and `stats` have one entry for each network."""

    step: PyTree
    """Int[Array, ""]; not declared so, as in `VAEState`."""
    params: PyTree
    stats: PyTree
    codebook: PyTree
    """What of the quantiser no gradient trains, its collection `codebook`; {} without."""
    optimizer: optax.OptState
    critic: PyTree = flax.struct.field(default_factory=dict)
    """A `critics.CriticState`, where there is a critic of images."""


def begun(critic: PatchCritic, key: PRNGKey, x: Array, y: Array | None) -> PyTree:
    """A critic before the first step."""
    return image_critics.init(critic.network, critic.optimizer, rng.stream(key, rng.CRITIC), x, y)


EXACT_BITS = 10
"""Up to which the batch's entropy goes through all codes: with more it would hold thousands of numbers a position."""

Start: TypeAlias = Callable[[PRNGKey, Array], PyTree]
"""(key, features of the first batch [batch, *positions, features]) -> the collection `codebook` to begin with."""
Penalty: TypeAlias = Callable[[Array, str | None], Array]
"""(features [batch, *positions, features], axis_name) -> what is added to the loss of each example [batch]."""


def entropy_penalty(
    weight: float | Float[Array, ""],
    size: float,
    inverse_temperature: float | Float[Array, ""],
    placed: Callable[[Array], Array] = lambda h: h,
) -> Penalty:
    """weight x (entropy of a position's code - entropy of the batch's codes): sure of each, and all codes in use.

    Args:
        weight: 0.1 in LFQ's training.
        size: of every feature of a code, as of `networks.bit_logits`.
        inverse_temperature: of the same.
        placed: takes the features to where they are quantised, as `networks.on_sphere`.

    Reference: Yu et al., "Language Model Beats Diffusion", 2024, eq. 5; the batch's entropy is the sum of its bits'
    (Zhao et al. 2024, eq. 9-10) where there are more than `EXACT_BITS`.
    """

    def penalty(h: Float[Array, "batch *positions features"], axis_name: str | None) -> Float[Array, " batch"]:
        logits = bit_logits(placed(h), size, inverse_temperature)
        of_batch = batch_entropy if h.shape[-1] <= EXACT_BITS else factorised_batch_entropy
        return weight * (code_entropy(logits) - of_batch(logits, axis_name))

    return penalty


def vector_quantized_autoencoder(
    encoder: nn.Module,
    quantizer: nn.Module,
    decoder: nn.Module,
    observation: Observation,
    optimizer: optax.GradientTransformation,
    *,
    latent_shape: tuple[int, ...],
    commitment: float | Float[Array, ""] = 0.25,
    start: Start | None = None,
    penalty: Penalty | None = None,
    critic: PatchCritic | None = None,
    num_classes: int = 0,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A VQ-VAE, trained on -log p(x|z) / D + codebook loss + `commitment` x commitment loss, D the numbers in x.

    The likelihood is divided so that the weight means the same for images of any size: the other two are means over
    positions and features, too. Of Sonnet's loss, squared error / variance + 0.25 commitment, this is the half where
    p(x|z) is Gaussian with that variance and the weight 0.125.

    The prior is uniform, as in the paper's training, and q(z|x) has one code: so the KL term is log K for each
    position, a constant, and the bound is log p(x|z) less these. A second stage learns a prior that costs less.

    Args:
        encoder: Linen module, (x [b, *shape], y one-hot or None, train=) -> features [b, *positions, features].
        quantizer: of `gvlab.networks`: (features, train=) -> `Quantized`, with `sizes` and `codes_at`.
        decoder: Linen module, (codes [b, *positions, features], y, train=) -> raw [b, *shape[:-1], channels *
            parameters].
        observation: what the raw output means; see `gvlab.models.observation`.
        optimizer: optax transformation of the joint gradients.
        latent_shape: (*positions, features), what the encoder gives of one example.
        commitment: weight of the commitment loss, beta in the paper's eq. 3.
        start: makes the codebook of the first step's features, such as `networks.kmeans_start`; None: as `init` drew
            it.
        penalty: added to the loss, such as the entropies of LFQ.
        critic: of images, whose verdict is part of the loss then, and which a step trains besides (VQGAN; Esser et al.
            2021). The likelihood's mean must have a slope.
        num_classes: 0, or the number of classes that both networks are conditioned on.
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and terms are averaged. The quantiser has
            one of its own.

    Returns:
        A `Model` with states of type `CodesState` and latents int32 [n, positions], whose `evaluate` gives `elbo_nats`,
        `kl_nats`, `reconstruction_nats` and `commitment`. In training there are `loss`, `grad_norm` and `perplexity`,
        which is of the batch's codes, as well. `encode` is None; `codes` has the latents of examples.

    Raises:
        UserError: the quantiser cannot be one of such features.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, eq. 1-3.
    """
    features = latent_shape[-1]
    # Of one example; a quantiser of several levels has one axis more than there are axes of positions.
    index_shape = output_of(quantizer, jax.random.key(0), jnp.zeros((1, *latent_shape))).indices.shape[1:]
    code_sizes = tuple(int(size) for size in np.broadcast_to(quantizer.sizes(features), index_shape).ravel())
    kl_nats = sum(math.log(size) for size in code_sizes)

    def heard(
        state: CodesState, params: PyTree, value: Array, raw: Array, batch: Batch, y: Array | None
    ) -> tuple[Float[Array, " batch"], Info, Array]:
        """(what the critic adds to the loss of each example, terms, the images made)."""
        assert critic is not None
        judge, still = image_critics.judging(critic.network, state.critic), jax.lax.stop_gradient
        path = image_critics.last_kernel(decoder, value, y)

        def similar(raw: Array) -> Float[Array, " batch"]:
            made = observation.mean(raw)
            error = -observation.log_prob(raw, batch.x) / math.prod(batch.x.shape[1:])
            return error if critic.perceptual is None else error + critic.perceptual(made, batch.x)

        def verdict(raw: Array) -> Float[Array, " batch"]:
            return -judge(observation.mean(raw), y).reshape(len(raw), -1).mean(-1)

        def by_kernel(kernel: Array) -> tuple[Float[Array, ""], Float[Array, ""]]:
            changed = image_critics.with_leaf(still(params["decoder"]), path, kernel)
            raw, _ = train_apply(decoder, changed, state.stats["decoder"], still(value), y)
            return similar(raw).mean(), verdict(raw).mean()

        _, back = jax.vjp(by_kernel, still(image_critics.leaf_of(params["decoder"], path)))
        one, none = jnp.ones(()), jnp.zeros(())
        slopes = mean_over((back((one, none)), back((none, one))), axis_name)
        weight = still(image_critics.adaptive_weight(*slopes))
        share = critic.weight * weight * (state.step >= critic.start)
        added = share * verdict(raw)
        if critic.perceptual is not None:
            added = added + critic.perceptual(observation.mean(raw), batch.x)
        return added, {"adaptive_weight": weight}, still(observation.mean(raw))

    def quantised(params: PyTree, book: PyTree, h: Array, key: PRNGKey) -> tuple[Quantized, PyTree]:
        """In training: (what becomes of the features, the codebook after it)."""
        found, _, collections = advancing_apply(
            quantizer, params, {}, {"codebook": book} if book else {}, h, rngs={"codebook": key}
        )
        return found, collections.get("codebook", book)

    def started(state: CodesState, h: Array, key: PRNGKey) -> PyTree:
        """The codebook that a step uses."""
        if start is None:
            return state.codebook
        still = jax.lax.stop_gradient(h)
        return jax.lax.cond(state.step == 0, lambda: start(key, gather(still, axis_name)), lambda: state.codebook)

    def train_step(state: CodesState, batch: Batch, key: PRNGKey) -> tuple[CodesState, Info]:
        y = one_hot(batch.y, num_classes)
        start_key, moving_key = jax.random.split(rng.stream(key, rng.CODEBOOK))

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree, PyTree, Array, Array | None]]:
            stats = dict(state.stats)
            h, stats["encoder"] = train_apply(encoder, params["encoder"], stats["encoder"], batch.x, y)
            book = started(state, h, start_key)
            found, book = quantised(params["quantizer"], book, h, moving_key)
            raw, stats["decoder"] = train_apply(decoder, params["decoder"], stats["decoder"], found.value, y)
            log_likelihood = observation.log_prob(raw, batch.x)
            each = -log_likelihood / math.prod(batch.x.shape[1:]) + found.codebook + commitment * found.commitment
            if penalty is not None:
                each = each + penalty(h, axis_name)
            made, said = None, Info()
            if critic is not None:
                added, said, made = heard(state, params, found.value, raw, batch, y)
                each = each + added
            reconstruction = log_likelihood.mean()
            info = {
                "loss": each.mean(),
                "elbo_nats": reconstruction - kl_nats,
                "kl_nats": jnp.asarray(kl_nats, jnp.float32),
                "reconstruction_nats": reconstruction,
                "commitment": found.commitment.mean(),
            } | said
            indices = found.indices.reshape(-1, *found.indices.shape[len(latent_shape) :])
            return each.mean(), (info, stats, book, indices, made)

        grads, (info, stats, book, indices, made) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer_state = updates_of(optimizer, grads, state.optimizer, state.params, state.step)
        new = CodesState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            stats=stats,
            codebook=book,
            optimizer=optimizer_state,
        )
        perplexity = index_perplexity(indices, axis_name)
        if critic is not None:
            after, said = criticised(state, batch.x, made, y)
            new, info = replace(new, critic=after), info | said
        return new, mean_over(info, axis_name) | {"perplexity": perplexity, "grad_norm": tree.norm(grads)}

    def criticised(state: CodesState, x: Array, made: Array, y: Array | None) -> tuple[PyTree, Info]:
        """(the critic after its own step, its terms)."""
        assert critic is not None

        def loss(judge: image_critics.Judge) -> tuple[Float[Array, ""], Info]:
            real, fake = judge(x, y), judge(made, y)
            return image_critics.patch_loss(real, fake), {"critic_real": real.mean(), "critic_fake": fake.mean()}

        return image_critics.update(critic.network, critic.optimizer, state.critic, loss, state.step, axis_name)

    def init(key: PRNGKey, batch: Batch) -> CodesState:
        y = labels_for(None, 2, num_classes)
        modules = {"encoder": encoder, "quantizer": quantizer, "decoder": decoder}
        keys = dict(zip(modules, jax.random.split(key, len(modules)), strict=True))
        z = jnp.zeros((2, *latent_shape))
        raw = output_of(decoder, keys["decoder"], z, y)
        made = jax.eval_shape(observation.mean, raw).shape[1:]
        if batch.x.shape[1:] != made:
            raise UserError(f"The data have the shape {batch.x.shape[1:]}, but the decoder makes {made}.")
        check_first_batch(batch, made, data_range, num_classes)
        x = jnp.zeros((2, *made))
        encoded = output_of(encoder, keys["encoder"], x, y).shape[1:]
        if encoded != latent_shape:
            raise UserError(f"The encoder gives {encoded} of an example, but latent_shape is {latent_shape}.")
        given: dict[str, tuple[Any, ...]] = {"encoder": (x, y), "quantizer": (z,), "decoder": (z, y)}
        variables = {name: init_collections(module, keys[name], *given[name]) for name, module in modules.items()}
        params = {name: of[0] for name, of in variables.items()}
        return CodesState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            stats={name: variables[name][1] for name in ("encoder", "decoder")},
            codebook=variables["quantizer"][2].get("codebook", {}),
            optimizer=optimizer.init(params),
            critic=begun(critic, key, x, y) if critic else {},
        )

    def of_quantizer(state: CodesState, *args: Any, **options: Any) -> Any:
        book = {"codebook": state.codebook} if state.codebook else {}
        return quantizer.apply({"params": state.params["quantizer"], **book}, *args, **options)

    def inferred(state: CodesState, batch: Batch) -> Quantized:
        y = one_hot(batch.y, num_classes)
        h = eval_apply(encoder, state.params["encoder"], state.stats["encoder"], batch.x, y)
        return of_quantizer(state, h, train=False)

    def raw_of(state: CodesState, value: Array, y: Float[Array, "n classes"] | None) -> Array:
        return eval_apply(decoder, state.params["decoder"], state.stats["decoder"], value, y)

    def values_of(state: CodesState, z: Int[Array, "n positions"]) -> Array:
        """What the decoder takes, of codes."""
        return of_quantizer(state, z.reshape(-1, *index_shape), features, method="codes_at")

    def codes(state: CodesState, batch: Batch) -> Int[Array, "batch positions"]:
        return inferred(state, batch).indices.reshape(-1, len(code_sizes))

    def log_likelihood(state: CodesState, batch: Batch, z: Int[Array, "k batch positions"]) -> Float[Array, "k batch"]:
        y = one_hot(batch.y, num_classes)
        raw = raw_of(state, values_of(state, z.reshape(-1, len(code_sizes))), repeat(y, len(z)))
        return observation.log_prob(raw.reshape(*z.shape[:2], *raw.shape[1:]), batch.x)

    def evaluate(state: CodesState, batch: Batch, key: PRNGKey) -> Info:
        found = inferred(state, batch)
        reconstruction = observation.log_prob(raw_of(state, found.value, one_hot(batch.y, num_classes)), batch.x)
        kl = jnp.full_like(reconstruction, kl_nats)
        return {
            "elbo_nats": elbo(reconstruction, kl),
            "kl_nats": kl,
            "reconstruction_nats": reconstruction,
            "commitment": found.commitment,
        }

    def log_weights(state: CodesState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        """q(z|x) has one code, so all rows are equal, and every bound of them is the ELBO."""
        bound = evaluate(state, batch, key)["elbo_nats"]
        return jnp.broadcast_to(bound, (k, *bound.shape))

    def prior(key: PRNGKey, n: Size) -> Int[Array, "n positions"]:
        return jax.random.randint(key, (n, len(code_sizes)), 0, jnp.asarray(code_sizes, jnp.int32)[None])

    def decoded(state: CodesState, z: Int[Array, "n positions"], y: Labels) -> Array:
        """The likelihood's raw parameters."""
        return raw_of(state, values_of(state, z), labels_for(y, z.shape[0], num_classes))

    decode, sample, draw = generating(observation, decoded, lambda state, key, n: prior(key, n), data_range)

    return Model(
        init,
        train_step,
        sample,
        evaluate,
        prior,
        decode,
        log_likelihood=log_likelihood,
        log_weights=log_weights,
        draw=draw,
        codes=codes,
        code_sizes=code_sizes,
    )
