"""Truncation of styles: examples nearer to the generator's mean one, less varied and more typical."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.models.base import Labels, eval_apply, labels_for
from gvlab.types import Model, PRNGKey, PyTree, Size, UserError

DRAWS = 10_000
"""Latents that the mean style is of, always the same ones; the published code keeps an average of training's."""


def towards_mean(
    generator: nn.Module, prior: Callable[[PRNGKey, Size], Array], num_classes: int
) -> Callable[..., Float[Array, "n *shape"]] | None:
    """`Model.truncated` of a GAN: x of the styles w' = mean w + psi (w - mean w) in every layer; None without styles.

    Args:
        generator: with its two halves as the methods `styles` and `images`, if it has styles.
        prior: (key, n) -> z.
        num_classes: 0, or how many it is conditioned on; the mean is one of all.

    Reference: Karras et al., "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019,
    appendix B.
    """
    if not getattr(generator, "styled", False):
        return None

    def truncated(state: PyTree, z: Float[Array, "n latent"], y: Labels, psi: Any) -> Float[Array, "n *shape"]:
        def half(method: str, *inputs: Any) -> Any:
            given = state.ema_params, state.ema_stats, *inputs
            return eval_apply(generator, *given, collections=state.generator.collections, method=method)

        many = half("styles", prior(rng.root(0), DRAWS), labels_for(None, DRAWS, num_classes))
        mean = many.mean(axis=0, keepdims=True)
        styles = half("styles", z, labels_for(y, z.shape[0], num_classes))
        return half("images", mean + psi * (styles - mean))

    return truncated


def with_psi(model: Model, psi: float) -> Model:
    """The model whose `decode` and `sample` truncate its styles.

    Raises:
        UserError: psi is not from 0 to 1, or the model has no styles.
    """
    if not 0 <= psi <= 1:
        raise UserError(f"psi is {psi}, but must be from 0, which makes one image of all, to 1, which changes nothing.")
    if model.truncated is None:
        raise UserError(f"psi is {psi}, but the model has no styles to be truncated: use a run of StyleGAN2.")
    truncated = model.truncated

    def decode(state: PyTree, z: Float[Array, "n latent"], y: Labels = None) -> Array:
        return truncated(state, z, y, psi)

    def sample(state: PyTree, key: PRNGKey, n: int, y: Labels = None) -> Array:
        return decode(state, model.latents(state, key, n), y)

    return model._replace(decode=decode, sample=sample)
