"""Quantisers whose codes are points of a grid: each feature is quantised by itself, and nothing is learned.

They have the call form of `gvlab.networks.quantizers`.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gvlab.networks.quantizers import Quantized, of_examples, straight_through
from gvlab.parallel import mean_over
from gvlab.types import UserError

MOST_BITS = 16
"""Of which `batch_entropy` goes through all combinations."""

_MARGIN = 1e-3
"""By which the ends of a feature's range stay short of the outer levels' ends, as in the authors' code."""


class FiniteScalarQuantizer(nn.Module):
    """Each feature at one of its own number of levels in [-1, 1], after a hyperbolic tangent (FSQ).

    The losses are 0: nothing has to be drawn together.

    Attributes:
        levels: of each feature, at least 3.

    Raises:
        UserError: a number of levels is below 3, the features are not as many, or their codes too many for int32.

    Reference: Mentzer et al., "Finite Scalar Quantization: VQ-VAE Made Simple", 2023, eq. 1 and appendix A.1, with the
    inverse hyperbolic tangent for an even number of levels, where the published code has a tangent.
    """

    levels: tuple[int, ...]

    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The levels; indices count the first feature's fastest. The same in training and out of it."""
        if not self.levels or min(self.levels) < 3:
            raise UserError(
                f"FiniteScalarQuantizer.levels is {self.levels}, but needs one number or more, of at least 3 each: use "
                "LookupFreeQuantizer for 2."
            )
        if x.shape[-1] != len(self.levels):
            raise UserError(
                f"FiniteScalarQuantizer.levels is {self.levels}, but what is quantised has {x.shape[-1]} features: use "
                "one number for each."
            )
        if math.prod(self.levels) >= 2**31:
            raise UserError(
                f"FiniteScalarQuantizer.levels is {self.levels}, which makes {math.prod(self.levels)} codes: use fewer "
                "than 2**31."
            )
        levels, x = np.asarray(self.levels), x.astype(jnp.float32)  # in bfloat16, indices would leave their range
        widths, offsets = (levels - 1) * (1 - _MARGIN) / 2, np.where(levels % 2, 0.0, 0.5)
        leading = (1,) * (x.ndim - 1)
        half, offset, shift, width = (
            jnp.asarray(of, x.dtype).reshape(*leading, -1)
            for of in (widths, offsets, np.arctanh(offsets / widths), levels // 2)
        )
        bounded = jnp.tanh(x + shift) * half - offset
        steps = jnp.round(bounded)
        basis = jnp.asarray(np.cumprod([1, *levels[:-1]]), jnp.int32).reshape(*leading, -1)
        indices = ((steps + width).astype(jnp.int32) * basis).sum(-1)
        nothing = jnp.zeros(x.shape[0], x.dtype)
        return Quantized(straight_through(bounded, steps) / width, indices, nothing, nothing)

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (math.prod(self.levels),)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The points of the grid of those indices."""
        leading = (1,) * indices.ndim
        basis, levels, width = (
            jnp.asarray(np.asarray(of).reshape(*leading, -1), jnp.int32)
            for of in (np.cumprod([1, *self.levels[:-1]]), self.levels, np.asarray(self.levels) // 2)
        )
        return (indices[..., None] // basis % levels - width).astype(jnp.float32) / width


class LookupFreeQuantizer(nn.Module):
    """Each feature at its sign, 1 or -1 (LFQ); 0 counts as -1.

    Reference: Yu et al., "Language Model Beats Diffusion: Tokenizer is Key to Visual Generation", 2024, eq. 3 and 4;
    eq. 5 is `code_entropy` less `batch_entropy`.
    """

    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The signs; indices have the first feature as their highest bit. The same in training and out of it."""
        return _signs(x, 1.0)

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (2**features,)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The signs of those indices."""
        return _signs_at(indices, features, 1.0)


class BinarySphericalQuantizer(nn.Module):
    """x on the unit sphere, there at the nearest corner of the cube within it (BSQ).

    Reference: Zhao et al., "Image and Video Tokenization with Binary Spherical Quantization", 2024, section 3.
    """

    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The corners; indices as of `LookupFreeQuantizer`. The same in training and out of it."""
        return _signs(on_sphere(x), 1 / math.sqrt(x.shape[-1]))

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (2**features,)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The corners of those indices."""
        return _signs_at(indices, features, 1 / math.sqrt(features))


def on_sphere(x: Float[Array, "*positions features"]) -> Float[Array, "*positions features"]:
    """x divided by its length; the zero vector stays where it is, with a finite gradient."""
    return x / jnp.sqrt(jnp.maximum((x**2).sum(-1, keepdims=True), 1e-24))


def bit_logits(
    x: Float[Array, "*positions features"], size: float, inverse_temperature: float | Float[Array, ""]
) -> Float[Array, "*positions features"]:
    """Log odds of each bit where codes have the probability softmax(-inverse_temperature |x - code|^2).

    Args:
        x: what is at its sign, times `size`.
        size: of every feature of a code: 1 (LFQ), or 1 / sqrt(features) for x on the unit sphere (BSQ).
        inverse_temperature: how sharply they choose; 100 in LFQ's training.
    """
    return 4 * inverse_temperature * size * x


def code_entropy(logits: Float[Array, "batch *positions features"]) -> Float[Array, " batch"]:
    """Entropy of a position's code in nats, a mean over the positions: the sum of its bits' own, which is exact.

    Reference: Zhao et al. 2024, eq. 8.
    """
    return of_examples(_entropy(logits).sum(-1))


def batch_entropy(logits: Float[Array, "batch *positions features"], axis_name: str | None = None) -> Float[Array, ""]:
    """Entropy of the mean over the batch of the codes' probabilities, in nats; over the devices of `axis_name`, too.

    Raises:
        UserError: there are more than 16 features, of which that is too many numbers.

    Reference: Yu et al. 2024, eq. 5, second term.
    """
    bits = logits.shape[-1]
    if bits > MOST_BITS:
        raise UserError(
            f"{bits} features have 2**{bits} codes, too many to go through at every position: use "
            "factorised_batch_entropy."
        )
    ones = jax.nn.sigmoid(logits.reshape(-1, bits))
    probabilities = jnp.ones((len(ones), 1), ones.dtype)
    for bit in range(bits):
        pair = jnp.stack([1 - ones[:, bit], ones[:, bit]], axis=-1)
        probabilities = (probabilities[:, :, None] * pair[:, None, :]).reshape(len(ones), -1)
    shares = mean_over(probabilities.mean(0), axis_name)
    # A share that underflows counts as the least number: its logarithm must be finite for the gradient.
    return -(shares * jnp.log(jnp.maximum(shares, jnp.finfo(shares.dtype).tiny))).sum()


def factorised_batch_entropy(
    logits: Float[Array, "batch *positions features"], axis_name: str | None = None
) -> Float[Array, ""]:
    """The sum of the entropies of the bits' mean probabilities: at least `batch_entropy`, and cheap for any number.

    Reference: Zhao et al. 2024, eq. 9-10.
    """
    ones = mean_over(jax.nn.sigmoid(logits.reshape(-1, logits.shape[-1])).mean(0), axis_name)
    tiny = jnp.finfo(ones.dtype).tiny
    return -sum((share * jnp.log(jnp.maximum(share, tiny))).sum() for share in (ones, 1 - ones))


def _signs(x: Float[Array, "batch *positions features"], size: float) -> Quantized:
    bits = x.shape[-1]
    if bits > 31:
        raise UserError(f"{bits} features have more codes than int32 can count: use at most 31.")
    positive = x > 0
    codes = jnp.where(positive, size, -size).astype(x.dtype)
    basis = jnp.asarray(2 ** np.arange(bits)[::-1], jnp.int32).reshape((1,) * (x.ndim - 1) + (-1,))
    indices = (positive.astype(jnp.int32) * basis).sum(-1)
    value = straight_through(x, codes)
    return Quantized(value, indices, of_examples((x - codes) ** 2), jnp.zeros(x.shape[0], x.dtype))


def _signs_at(
    indices: Int[Array, "batch *positions"], bits: int, size: float
) -> Float[Array, "batch *positions features"]:
    shifts = jnp.arange(bits - 1, -1, -1, dtype=jnp.int32).reshape((1,) * indices.ndim + (-1,))
    return jnp.where((indices[..., None] >> shifts) & 1 == 1, size, -size).astype(jnp.float32)


def _entropy(logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Of a coin of those log odds, in nats, with all its digits where it is near 0."""
    odds = jnp.abs(logits)
    return jnp.log1p(jnp.exp(-odds)) + odds * jax.nn.sigmoid(-odds)
