"""What an image is restored to without a model: the simplest thing that uses what is seen."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab.restoration.operators import Operator


def simple(
    operator: Operator, y: Float[Array, "n *measured"], mean: Float[np.ndarray, "height width channel"]
) -> tuple[str, Float[Array, "n height width channel"]]:
    """(its name, images in [0, 1]): what is seen where that is pixels, and the mean training image elsewhere.

    Hidden pixels are the mean's; fewer pixels are enlarged (bicubic); grey is grey in all channels; where no pixels are
    measured all is the mean.

    Args:
        operator: of the measurements.
        y: measurements.
        mean: of the training images, in [0, 1].
    """
    shape, average = operator.shape, jnp.asarray(mean, y.dtype)
    if operator.seen is not None:
        found = jnp.where(jnp.asarray(operator.seen)[None], y, average[None])
        return "the mean training image where nothing is seen", jnp.clip(found, 0, 1)
    if y.shape[1:] == shape:
        return "what is seen", jnp.clip(y, 0, 1)
    if y.ndim == 4:
        return "bicubic enlargement", jnp.clip(jax.image.resize(y, (y.shape[0], *shape), "cubic"), 0, 1)
    if y.ndim == 3:
        return "grey", jnp.clip(jnp.broadcast_to(y[..., None], (y.shape[0], *shape)), 0, 1)
    return "the mean training image", jnp.broadcast_to(average[None], (y.shape[0], *shape))
