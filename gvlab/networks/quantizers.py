"""Vector quantisers: modules `(x [batch, *positions, features], *, train) -> Quantized`.

`sizes(features)` is how many codes there are, one number for each level; `codes_at(indices, features)` is what indices
stand for.

A codebook that no gradient trains lies in the collection `codebook`. It moves where `train` is true and the collection
is mutable, after it was used; all other passes use the stored one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float, Int

from gvlab.networks.codebooks import Codebook, averaged, kmeans_codebook, nearest_code, revived
from gvlab.types import PRNGKey, PyTree, UserError

LEAST_LENGTH = 1e-6
"""Lengths below it count as it where a rotation divides by them."""

Passing: TypeAlias = Callable[[Array, Array], Array]
"""(x, its codes), both [*positions, features] -> the codes, with a gradient for x: `straight_through` or `rotated`."""

code_init = nn.initializers.variance_scaling(1.0, "fan_in", "uniform", in_axis=-1, out_axis=0)
"""Of [codes, features], as Sonnet's."""


class Quantized(NamedTuple):
    """What a quantiser makes of x [batch, *positions, features].

    The loss of van den Oord et al. 2017, eq. 3, is `codebook` + beta `commitment`.
    """

    value: Float[Array, "batch *positions features"]
    """The codes, with a gradient for x and none for the codebook."""
    indices: Int[Array, "batch *positions"]
    """Which codes; of several levels with one more axis behind."""
    commitment: Float[Array, " batch"]
    """Squared distance of x from its codes, a mean over positions and features; its gradient goes to x alone."""
    codebook: Float[Array, " batch"]
    """The same number with a gradient for the codes alone; 0 where no gradient trains them."""


def straight_through(
    x: Float[Array, "*positions features"], codes: Float[Array, "*positions features"]
) -> Float[Array, "*positions features"]:
    """The codes, with the gradient of x itself (Bengio et al. 2013; van den Oord et al. 2017, section 3.1)."""
    return _valued(codes, x)


def rotated(
    x: Float[Array, "*positions features"], codes: Float[Array, "*positions features"]
) -> Float[Array, "*positions features"]:
    """The codes, with the gradient of the rotation and scaling that take x to them (the rotation trick).

    Where a code is opposite to x, or one of both is 0, there is no such rotation: the gradient is finite, and no more.

    Reference: Fifty et al., "Restructuring Vector Quantization with the Rotation Trick", 2025, section 4.2.
    """
    still, codes = jax.lax.stop_gradient((x, codes))
    length, code_length = (jnp.linalg.norm(of, axis=-1, keepdims=True) for of in (still, codes))
    unit, code_unit = still / jnp.maximum(length, LEAST_LENGTH), codes / jnp.maximum(code_length, LEAST_LENGTH)
    between = unit + code_unit
    between = between / jnp.maximum(jnp.linalg.norm(between, axis=-1, keepdims=True), LEAST_LENGTH)
    scale = code_length / jnp.maximum(length, LEAST_LENGTH)
    # R = I - 2 r r^T + 2 q e^T, of unit vectors: a reflection at r, then one that takes e to q.
    turned = x - 2 * _dot(x, between) * between + 2 * _dot(x, unit) * code_unit
    return _valued(codes, scale * turned)


class VectorQuantizer(nn.Module):
    """Codes that a gradient trains, by `Quantized.codebook`; the parameter `codes` [codes, features].

    Attributes:
        codes: how many.
        passing: how gradients pass.
        code_init: makes the codes.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, eq. 1-3.
    """

    codes: int
    passing: Passing = straight_through
    code_init: Initializer = code_init

    @nn.compact
    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The nearest codes. The same in training and out of it."""
        codes = self.param("codes", self.code_init, (self.codes, x.shape[-1]), jnp.float32)
        return quantized(x, codes, self.passing)

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (self.codes,)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The codes of those indices."""
        return self.get_variable("params", "codes")[indices]


class EMAVectorQuantizer(nn.Module):
    """Codes that are averages of what chooses them; `counts` [codes] and `sums` [codes, features] in `codebook`.

    Attributes:
        codes: how many.
        decay: of the averages.
        revive_below: average count under which a code is replaced by a position of the batch, by keys of the stream
            `codebook`; 0: never.
        passing: how gradients pass.
        code_init: makes the codes to start at; `kmeans_codebook` of a first batch replaces them.
        axis_name: the mapped axis over which counts and sums are added.

    Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, appendix A.1.
    """

    codes: int
    decay: float = 0.99
    revive_below: float = 0.0
    passing: Passing = straight_through
    code_init: Initializer = code_init
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The nearest codes of before the codebook moves."""
        shape = self.codes, x.shape[-1]
        counts = self.variable("codebook", "counts", lambda: jnp.ones(self.codes))
        sums = self.variable("codebook", "sums", lambda: self.code_init(self.make_rng("params"), shape, jnp.float32))
        book = Codebook(counts.value, sums.value)
        found = quantized(x, jax.lax.stop_gradient(book.codes()), self.passing)
        if train and self.is_mutable_collection("codebook") and not self.is_initializing():
            book = averaged(book, x, found.indices, self.decay, self.axis_name)
            if self.revive_below:
                book = revived(self.make_rng("codebook"), book, x, self.revive_below, self.axis_name)
            counts.value, sums.value = book
        return found._replace(codebook=jnp.zeros_like(found.codebook))

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (self.codes,)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The codes of those indices."""
        book = Codebook(self.get_variable("codebook", "counts"), self.get_variable("codebook", "sums"))
        return book.codes()[indices]


class SimVQ(nn.Module):
    """Fixed vectors under a linear map that is trained, so that every code moves whenever one is chosen.

    The vectors, N(0, 1 / features), are `fixed` [codes, features] in `codebook`; the map is the parameter `kernel`.

    Attributes:
        codes: how many.
        passing: how gradients pass.
        kernel_init: makes the map [features, features].

    Reference: Zhu et al., "Addressing Representation Collapse in Vector Quantized Models with One Linear Layer", 2024.
    """

    codes: int
    passing: Passing = straight_through
    kernel_init: Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The nearest codes. The same in training and out of it."""
        features = x.shape[-1]

        def drawn() -> Float[Array, "codes features"]:
            return jax.random.normal(self.make_rng("params"), (self.codes, features)) / jnp.sqrt(features)

        fixed = self.variable("codebook", "fixed", drawn)
        kernel = self.param("kernel", self.kernel_init, (features, features), jnp.float32)
        return quantized(x, jax.lax.stop_gradient(fixed.value) @ kernel, self.passing)

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes."""
        return (self.codes,)

    def codes_at(self, indices: Int[Array, "batch *positions"], features: int) -> Float[Array, "batch *positions d"]:
        """The codes of those indices."""
        return (self.get_variable("codebook", "fixed") @ self.get_variable("params", "kernel"))[indices]


class ResidualQuantizer(nn.Module):
    """Quantisers one after another, each of what those before it left over; the codes add up.

    Gradients pass to x once, as through one quantiser, and not once for each level.

    Attributes:
        quantizers: the levels.
        passing: how gradients pass.

    Raises:
        UserError: there are none.

    Reference: Zeghidour et al., "SoundStream", 2021, algorithm 1.
    """

    quantizers: Sequence[nn.Module]
    passing: Passing = straight_through

    @nn.compact
    def __call__(self, x: Float[Array, "batch *positions features"], *, train: bool) -> Quantized:
        """The sums of the codes; indices [batch, *positions, levels]; losses are added over the levels."""
        if not self.quantizers:
            raise UserError("ResidualQuantizer has no quantizers, but needs at least one.")
        rest, levels = x, []
        for quantizer in self.quantizers:
            levels.append(quantizer(rest, train=train))
            rest = rest - jax.lax.stop_gradient(levels[-1].value)
        return Quantized(
            self.passing(x, sum(level.value for level in levels)),
            jnp.stack([level.indices for level in levels], axis=-1),
            sum(level.commitment for level in levels),
            sum(level.codebook for level in levels),
        )

    def sizes(self, features: int) -> tuple[int, ...]:
        """How many codes, of each level."""
        return tuple(size for quantizer in self.quantizers for size in quantizer.sizes(features))

    def codes_at(
        self, indices: Int[Array, "batch *positions levels"], features: int
    ) -> Float[Array, "batch *positions d"]:
        """The sums of the codes of those indices."""
        levels = enumerate(self.quantizers)
        return sum(quantizer.codes_at(indices[..., level], features) for level, quantizer in levels)


def kmeans_start(quantizer: nn.Module, key: PRNGKey, x: Float[Array, "*positions features"]) -> PyTree:
    """The collection `codebook` of an `EMAVectorQuantizer`, or of several under a `ResidualQuantizer`, that starts at
    the means of k-means over a first batch; of each level over what those before it leave over.

    Raises:
        UserError: there are fewer positions than codes, or a quantiser has no averages to start.
    """
    if isinstance(quantizer, ResidualQuantizer):
        started = {}
        for number, level in enumerate(quantizer.quantizers):
            started[f"quantizers_{number}"] = kmeans_start(level, jax.random.fold_in(key, number), x)
            codes = Codebook(**started[f"quantizers_{number}"]).codes()
            x = x - codes[nearest_code(x, codes)]
        return started
    if not isinstance(quantizer, EMAVectorQuantizer):
        raise UserError(
            f"{type(quantizer).__name__} has no averages that k-means could start: use EMAVectorQuantizer, or start at "
            "random."
        )
    return kmeans_codebook(key, x, quantizer.codes)._asdict()


def quantized(
    x: Float[Array, "batch *positions features"], codes: Float[Array, "codes features"], passing: Passing
) -> Quantized:
    """x at its nearest codes, with both losses of van den Oord et al. 2017, eq. 3, as means over positions and features
    (Sonnet's convention; others add them up)."""
    indices = nearest_code(jax.lax.stop_gradient(x), jax.lax.stop_gradient(codes))
    chosen = codes[indices]
    commitment = of_examples((x - jax.lax.stop_gradient(chosen)) ** 2)
    return Quantized(passing(x, chosen), indices, commitment, of_examples((jax.lax.stop_gradient(x) - chosen) ** 2))


def of_examples(x: Float[Array, "batch *rest"]) -> Float[Array, " batch"]:
    """The mean of each example."""
    return x.reshape(x.shape[0], -1).mean(-1)


def _valued(value: Float[Array, "*shape"], gradient: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Exactly that value, with the gradient of another."""
    return jax.lax.stop_gradient(value) + (gradient - jax.lax.stop_gradient(gradient))


def _dot(
    x: Float[Array, "*positions features"], y: Float[Array, "*positions features"]
) -> Float[Array, "*positions 1"]:
    return (x * y).sum(-1, keepdims=True)
