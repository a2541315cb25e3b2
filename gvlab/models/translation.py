"""From what is left of an image to the image, learned from pairs: pix2pix (Isola et al. 2017).

A pair is an image and what an operator leaves of it (its edges, its blur, fewer pixels), which is made as it is needed.
So z is that picture and nothing is drawn from a prior: `encode` makes it, and `decode` translates it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab import rng, tree
from gvlab.models import image_critics
from gvlab.models.base import Labels, check_first_batch, eval_apply, init_module, train_apply, updates_of
from gvlab.models.latents import VAEState
from gvlab.parallel import mean_over
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError

UNSAMPLED = (
    "A translator makes images of pictures, and none of nothing: gvlab reconstruct RUN shows what it makes of test "
    "images, and gvlab decode RUN what it makes of pictures that are given as z."
)

Seen = Callable[[Float[Array, "batch *shape"]], Float[Array, "batch *shape"]]
"""Images as the model has them -> what is left of each, as a picture of the same size and range."""


def translator(
    generator: nn.Module,
    critic: nn.Module,
    optimizers: tuple[optax.GradientTransformation, optax.GradientTransformation],
    seen: Seen,
    *,
    shape: tuple[int, ...],
    l1_weight: float | Float[Array, ""],
    data_range: tuple[float, float] = (-1.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A generator G of images x from a = seen(x), and a critic D of patches that is shown a with x or with G(a).

    D descends half of -log D(a, x) - log(1 - D(a, G(a))), then G descends -log D(a, G(a)) + l1_weight |x - G(a)|, means
    over patches and pixels.

    Args:
        generator: Linen module, (a [b, *shape], None, train=) -> x [b, *shape]; its dropout is of training alone, and
            over an `axis_name` of the global batch, as `networks.layers.Dropout` is.
        critic: Linen module, (a and x, one behind the other in channels, None, train=) -> logits [b, *patches].
        optimizers: of G and of D.
        seen: makes a.
        shape: of an image.
        l1_weight: lambda.
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients, statistics and terms are averaged.

    Returns:
        A `Model` with states of type `VAEState` that has `encode`, which gives a (its log-variance is -infinity), but
        no likelihood and no samples: `sample` and `prior` refuse. The terms of training are `g_loss`, `l1`,
        `critic_loss`, `critic_real`, `critic_fake` and `grad_norm`; of held-out examples `translated_absolute_error`
        and `translated_squared_error`, means over pixels of images in [0, 1].

    Reference: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, eq. 1 to 4; half
    of D's objective in section 3.3.
    """
    of_generator, of_critic = optimizers

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        x, a = batch.x, seen(batch.x)
        dropped = rng.stream(key, rng.NOISE)

        def made(params: PyTree) -> tuple[Array, PyTree]:
            return train_apply(
                generator, params["generator"], state.stats["generator"], a, None, rngs={"dropout": dropped}
            )

        fake = jax.lax.stop_gradient(made(state.params)[0])

        def of_pairs(judge: image_critics.Judge) -> tuple[Float[Array, ""], Info]:
            real, false = (judge(jnp.concatenate([a, images], axis=-1), None) for images in (x, fake))
            value = (jax.nn.softplus(-real).mean() + jax.nn.softplus(false).mean()) / 2
            return value, {"critic_real": real.mean(), "critic_fake": false.mean()}

        after, said = image_critics.update(critic, of_critic, state.critic, of_pairs, state.step, axis_name)
        judge = image_critics.judging(critic, after)

        def loss(params: PyTree) -> tuple[Float[Array, ""], tuple[Info, PyTree]]:
            images, stats = made(params)
            verdict = jax.nn.softplus(-judge(jnp.concatenate([a, images], axis=-1), None)).mean()
            l1 = jnp.abs(x - images).mean()
            return verdict + l1_weight * l1, ({"g_loss": verdict, "l1": l1}, stats)

        grads, (info, stats) = jax.grad(loss, has_aux=True)(state.params)
        grads = mean_over(grads, axis_name)
        updates, optimizer = updates_of(of_generator, grads, state.optimizer, state.params, state.step)
        params = optax.apply_updates(state.params, updates)
        new = VAEState(state.step + 1, params, {"generator": stats}, optimizer, after)
        return new, mean_over(info, axis_name) | said | {"grad_norm": tree.norm(grads)}

    def init(key: PRNGKey, batch: Batch) -> VAEState:
        check_first_batch(batch, shape, data_range, 0)
        a = jnp.zeros((2, *shape))
        params, stats = init_module(generator, rng.stream(key, rng.INIT), a, None)
        pair = jnp.concatenate([a, a], axis=-1)
        judging = image_critics.init(critic, of_critic, rng.stream(key, rng.CRITIC), pair, None)
        weights = {"generator": params}
        return VAEState(jnp.zeros((), jnp.int32), weights, {"generator": stats}, of_generator.init(weights), judging)

    def translated(state: VAEState, a: Array) -> Array:
        return eval_apply(generator, state.params["generator"], state.stats["generator"], a, None)

    return translating(init, train_step, translated, seen, shape=shape, data_range=data_range)


def translating(
    init: Callable[[PRNGKey, Batch], VAEState],
    train_step: Callable[[VAEState, Batch, PRNGKey], tuple[VAEState, Info]],
    translated: Callable[[VAEState, Array], Array],
    seen: Seen,
    *,
    shape: tuple[int, ...],
    data_range: tuple[float, float],
) -> Model:
    """The rest of a translator, whatever it learned from.

    Args:
        init, train_step: of the model.
        translated: (state, pictures [b, *shape]) -> images [b, *shape].
        seen, shape, data_range: as of `translator`.
    """
    low, high = data_range

    def encode(state: VAEState, batch: Batch) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        z = seen(batch.x).reshape(batch.x.shape[0], math.prod(shape))
        return z, jnp.full_like(z, -jnp.inf)

    def decode(state: VAEState, z: Float[Array, "n latent"], y: Labels = None) -> Array:
        return jnp.clip(translated(state, z.reshape(-1, *shape)), low, high)

    def evaluate(state: VAEState, batch: Batch, key: PRNGKey) -> Info:
        off = (translated(state, seen(batch.x)) - batch.x) / (high - low)
        return {
            "translated_absolute_error": jnp.abs(off).mean((1, 2, 3)),
            "translated_squared_error": (off**2).mean((1, 2, 3)),
        }

    def prior(key: PRNGKey, n: Size) -> Array:
        raise UserError(UNSAMPLED)

    def sample(state: VAEState, key: PRNGKey, n: int, y: Labels = None) -> Array:
        raise UserError(UNSAMPLED)

    return Model(init, train_step, sample, evaluate, prior, decode, encode, unsampled=UNSAMPLED)
