"""VAEs whose mixture prior begins at the clusters that a plain autoencoder finds: VaDE's pre-training.

A train step is one of three, by its number alone: of a plain autoencoder; of nothing, while encodings of training data
are kept; and of the VAE, whose prior has been fitted to these. The fit is thus to what one encoder makes of its data.

Reference: Jiang et al., "Variational Deep Embedding: An Unsupervised and Generative Approach to Clustering", 2017,
sections 3.2 and 4.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.models.latents import VAEState
from gvlab.networks import fitted_mixture
from gvlab.networks.mixture_fits import ENCODINGS
from gvlab.parallel import gather
from gvlab.types import Batch, Info, Model, PRNGKey

Gate = Callable[[Array], Float[Array, ""]]


def after(steps: int) -> Gate:
    """step -> 0 of the first `steps` steps, then 1: of a VAE's noise and its KL term, without which it is a plain
    autoencoder. The encoder's log-variance has no gradient then, and begins the rest as it was made."""
    return lambda step: (step >= steps).astype(jnp.float32)


def pretrained(
    model: Model, optimizer: optax.GradientTransformation, *, steps: int, axis_name: str | None = None
) -> Model:
    """The VAE whose prior, a `networks.FittedMixture`, is fitted to encodings after the first steps.

    Args:
        model: with a state of type `VAEState`, whose noise and KL term are `after(steps)`.
        optimizer: the model's, which begins anew once the prior is fitted.
        steps: of the plain autoencoder. So many follow as the mixture's rows need batches: in these nothing is trained.
        axis_name: as of the model.

    Returns:
        The `Model` with another `train_step`. Before the prior is fitted the terms in nats are no bounds.
    """
    assert model.encode is not None
    encode = model.encode

    def train_step(state: VAEState, batch: Batch, key: PRNGKey) -> tuple[VAEState, Info]:
        kept, step = state.stats["prior"][ENCODINGS], state.step
        size = len(batch.x) * (1 if axis_name is None else jax.lax.axis_size(axis_name))
        last = steps + -(-len(kept) // size)
        keeps = (step >= steps) & (step < last)
        trained, info = model.train_step(state, batch, key)

        def encodings() -> Float[Array, "rows latent"]:
            mean = gather(encode(state, batch)[0], axis_name)
            # Of the last batch the rows that are beyond the end are dropped.
            return kept.at[(step - steps) * size + jnp.arange(size)].set(mean, mode="drop")

        def fitted(new: VAEState) -> VAEState:
            components = len(new.params["prior"]["logits"])
            found = fitted_mixture(rng.stream(key, rng.MIXTURE), new.stats["prior"][ENCODINGS], components)
            params = new.params | {"prior": dict(zip(("logits", "mean", "logvar"), found, strict=True))}
            return replace(new, params=params, optimizer=optimizer.init(params))

        new = jax.tree.map(lambda old, new: jnp.where(keeps, old, new), state, trained)
        rows = jax.lax.cond(keeps, encodings, lambda: kept)
        new = replace(new, step=trained.step, stats=new.stats | {"prior": {ENCODINGS: rows}})
        return jax.lax.cond(step + 1 == last, fitted, lambda new: new, new), info

    return model._replace(train_step=train_step)
