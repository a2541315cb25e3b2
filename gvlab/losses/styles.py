"""Terms of the loss of a generator that makes styles of its latents, and examples of the styles."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.losses.penalties import Number
from gvlab.losses.terms import Round, Term
from gvlab.types import PyTree, UserError


def path_lengths(
    images: Callable[[Array], Array],
    ws: Float[Array, "batch layers units"],
    noise: Float[Array, "batch height width channel"],
) -> Float[Array, " batch"]:
    """||J^T y|| of each example: how far its styles would have to go to change its image by the noise.

    Args:
        images: styles -> images, none of whose layers couples examples.
        ws: the styles of all layers, shape [batch, layers, units].
        noise: y, shape [batch, height, width, channel].

    Returns:
        The lengths, shape [batch]: the root of the mean over the layers of each one's squared norm.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, eq. 4; the mean over the
    layers as in its published code.
    """
    _, pull = jax.vjp(images, ws)
    (gradients,) = pull(noise)
    squared = jnp.einsum("blu,blu->b", gradients, gradients) / ws.shape[1]
    # The root has no slope at 0; either side of a `where` must be finite.
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


def path_length(weight: Number, decay: Number = 0.01, shrink: int = 2) -> Term:
    """weight (||J^T y|| - a)^2, where a is an average of past lengths, and y ~ N(0, 1 / pixels): see `path_lengths`.

    It is taken of the first part of the batch alone, and each example is given the mean of that. The average takes in
    the mean length before it is used, with its gradient, as in the published code; where it is used in every fourth
    step it counts those.

    Args:
        weight: of the term: published is 2, in every fourth step and then 4 times that (`every`).
        decay: share of a new mean length in the average.
        shrink: the whole batch over the part of it that is taken.

    Raises:
        UserError: where it is used, if the generator has no styles.

    Reference: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020, eq. 4, and its published
    code.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        if this.styled is None:
            raise UserError("path_length is of a generator with styles, which this one has not: use StyleGAN2.")
        z = this.z[: max(len(this.z) // shrink, 1)]
        ws, images = this.styled(z)
        shape = (len(z), *this.fake.shape[1:])
        noise = rng.normal(this.key, shape, this.axis_name) / math.sqrt(math.prod(shape[1:3]))
        lengths = path_lengths(images, ws, noise)
        mean = lengths.mean()
        if this.axis_name is not None:
            mean = jax.lax.pmean(mean, this.axis_name)
        average = memory["length"] + decay * (mean - memory["length"])
        penalty = weight * jnp.square(lengths - average).mean()
        return jnp.broadcast_to(penalty, this.on_fake.shape), {"length": jax.lax.stop_gradient(average)}

    return Term("path_length", value, lambda: {"length": jnp.zeros(())})
