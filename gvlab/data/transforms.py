"""What happens to a batch inside the compiled step: scaling, and the random choices of dynamic augmentation.

Every function is pure; the random ones take their key from the stream `rng.AUGMENT` of the step.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int16, Num, UInt8

from gvlab.types import PRNGKey


def to_unit(x: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Intensities 0..255 as float32 in [0, 1]: x / 255."""
    return x.astype(jnp.float32) / 255


def to_symmetric(x: UInt8[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Intensities 0..255 as float32 in [-1, 1]: x / 127.5 - 1, the range of a tanh."""
    # Subtract first: compiled, x / 127.5 is x times a rounded reciprocal, and 255 would end at 1.0000001.
    return (x.astype(jnp.float32) - 127.5) / 127.5


def to_wave(x: Int16[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Samples of 16 bits as float32 in [-1, 1): x / 32768."""
    return x.astype(jnp.float32) / 32768


def binarize(key: PRNGKey, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Dynamic binarisation: each pixel is 1 with its intensity as probability, else 0.

    Args:
        x: intensities in [0, 1].

    Reference: Salakhutdinov & Murray, "On the Quantitative Analysis of Deep Belief Networks", ICML 2008.
    """
    return jax.random.bernoulli(key, x).astype(x.dtype)


def dequantize(key: PRNGKey, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Uniform dequantisation: (255 x + u) / 256 with u ~ U[0, 1), so that a density can be fitted.

    Args:
        x: intensities k / 255, k = 0, ..., 255.

    Returns:
        Values in [0, 1]: intensity k lies in its own bin [k, k + 1] / 256.

    Reference: Theis et al., "A note on the evaluation of generative models", ICLR 2016, section 3.1.
    """
    return (255 * x + jax.random.uniform(key, x.shape, x.dtype)) / 256


def flip(key: PRNGKey, x: Num[Array, "batch height width channel"]) -> Num[Array, "batch height width channel"]:
    """Mirrors each image left to right with probability 1/2, independently."""
    mirrored = jax.random.bernoulli(key, 0.5, (x.shape[0],))
    return jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)
