"""What a discriminator is told of the other images of its batch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.parallel import gather
from gvlab.types import UserError


def minibatch_stddev(
    x: Float[Array, "batch height width channel"], group: int = 4, maps: int = 1, axis_name: str | None = None
) -> Float[Array, "batch height width channel_and_maps"]:
    """Appends how far the images of a group differ: the mean over pixels and channels of their standard deviations.

    Image n of N is in group n mod (N / group). A batch that the group doesn't divide is completed by its own first
    images, and a smaller one is a group itself.

    Args:
        x: maps of images [batch, height, width, channel].
        group: images of a group.
        maps: how many to append, each of a share of the channels.
        axis_name: the mapped axis that the batch is spread over; groups are of the whole batch.

    Returns:
        `x` with `maps` more channels, each of one value for an image.

    Raises:
        UserError: if the channels cannot be shared equally.

    Reference: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018,
    section 3; in groups as in StyleGAN2's published code.
    """
    channels = x.shape[-1]
    if channels % maps:
        raise UserError(f"{channels} channels cannot be shared equally among {maps} maps of their deviation.")
    everything = gather(x, axis_name)
    count = len(everything)
    group = min(group, count)
    completed = everything[jnp.arange(count + -count % group) % count] if count % group else everything
    grouped = completed.reshape(group, -1, *x.shape[1:3], maps, channels // maps)
    deviation = jnp.sqrt(jnp.square(grouped - grouped.mean(0, keepdims=True)).mean(0) + 1e-8)
    values = jnp.tile(deviation.mean((1, 2, 4)), (group, 1))[:count]  # [whole batch, maps]
    if axis_name is not None:
        values = jax.lax.dynamic_slice_in_dim(values, jax.lax.axis_index(axis_name) * len(x), len(x))
    return jnp.concatenate([x, jnp.broadcast_to(values[:, None, None, :], (*x.shape[:3], maps))], axis=-1)
