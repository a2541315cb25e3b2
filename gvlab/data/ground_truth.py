"""Images as a function of factors of variation: what every image was made from is known, and none need be stored.

A set holds a small table and the numbers of its images; the images are drawn from them where and when they are wanted,
on the device inside the compiled step and on the host elsewhere, by integer arithmetic alone: so both have the same
bits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Integer, Num, UInt8

from gvlab.spelling import nearest
from gvlab.types import PRNGKey, UserError

Drawn: TypeAlias = Callable[[Any, Any], Any]
"""(table, factors [n, factors]) -> images uint8 [n, height, width, channel]; of NumPy's arrays one of NumPy's, of JAX's
one of JAX's."""


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """A world of images: one for each combination of the factors' values, numbered with the last factor fastest."""

    name: str
    factors: tuple[str, ...]
    """The names of the factors."""
    sizes: tuple[int, ...]
    """How many values each has: factor j is from 0 to sizes[j] - 1."""
    shape: tuple[int, ...]
    """(height, width, channel) of an image."""
    label: str
    """The factor that is the label of an image."""
    classes: tuple[str, ...]
    """Names of its values."""
    table: Callable[[], UInt8[np.ndarray, "..."]]
    """What images are drawn from; made at the first call, and read-only."""
    drawn: Drawn

    def __repr__(self) -> str:
        factors = ", ".join(f"{name} {size}" for name, size in zip(self.factors, self.sizes, strict=True))
        return f"<{self.name}: {len(self)} images of {factors}>"

    def __len__(self) -> int:
        return math.prod(self.sizes)

    def render(self, factors: Num[np.ndarray | Array, "..."]) -> UInt8[Array, "n height width channel"]:
        """The images of these factors, as a pure function: it may be jitted and vmapped.

        Args:
            factors: integers, shape [n, factors], factor j from 0 to sizes[j] - 1.

        Raises:
            UserError: for another shape, numbers that are not integers or, unless transformed, a value that a factor
                doesn't have.
        """
        if factors.ndim != 2 or factors.shape[1] != len(self.sizes):
            raise UserError(
                f"The factors have shape {factors.shape}, but {self.name} has {len(self.sizes)} factors "
                f"({', '.join(self.factors)}): give an array [n, {len(self.sizes)}]."
            )
        if not jnp.issubdtype(factors.dtype, jnp.integer):
            raise UserError(f"The factors have the type {factors.dtype}, but must be integers: number their values.")
        if not isinstance(factors, jax.core.Tracer):  # which has no values to look at
            self._check(np.asarray(factors))
        return _compiled(self)(_on_device(self), jnp.asarray(factors))

    def draw(
        self, key: PRNGKey, n: int, held: Mapping[str, int | Integer[np.ndarray | Array, "..."]] | None = None
    ) -> Int[Array, "n factors"]:
        """Independent uniform factors of n images, with some of them held; may be jitted.

        Args:
            key: what is drawn of a factor depends on the key and on no other factor, so who holds one leaves the
                others as they were.
            n: how many.
            held: by the names of factors, the value that they have in all images, or one for each [n].

        Returns:
            Integers [n, factors], for `render`.

        Raises:
            UserError: for a factor that isn't there or, unless transformed, a value that it doesn't have.
        """
        held = held or {}
        for name in held:
            if name not in self.factors:
                hint = nearest(repr(name), map(repr, self.factors))
                raise UserError(f"{self.name} has no factor {name!r}{hint}: hold some of {', '.join(self.factors)}.")
        columns = [
            jnp.broadcast_to(jnp.asarray(held[name], jnp.int32), (n,))
            if name in held
            else jax.random.randint(jax.random.fold_in(key, number), (n,), 0, size)
            for number, (name, size) in enumerate(zip(self.factors, self.sizes, strict=True))
        ]
        factors = jnp.stack(columns, axis=1)
        if not isinstance(factors, jax.core.Tracer):
            self._check(np.asarray(factors))
        return factors

    def factors_of(self, numbers: Any) -> Any:
        """The factors [n, factors] of images by their numbers [n], from 0 to len(self) - 1; NumPy's arrays or JAX's."""
        columns = []
        for size in self.sizes[::-1]:
            columns.append(numbers % size)
            numbers = numbers // size
        stack = jnp.stack if isinstance(numbers, jax.Array) else np.stack
        return stack(columns[::-1], axis=-1)

    def _check(self, factors: np.ndarray) -> None:
        for name, size, values in zip(self.factors, self.sizes, factors.T, strict=True):
            outside = values[(values < 0) | (values >= size)]
            if len(outside):
                raise UserError(
                    f"The factor {name} of {self.name} is {outside[0]}, but its values are 0 to {size - 1}: give one "
                    "of them."
                )


@functools.cache
def _compiled(truth: GroundTruth) -> Callable[..., Array]:
    return jax.jit(truth.drawn)


@functools.cache
def _on_device(truth: GroundTruth) -> Array:
    with jax.ensure_compile_time_eval():  # kept for all who ask, so it must be no part of what is being traced
        return jnp.asarray(truth.table())


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False, repr=False)
class Rendered:
    """Some images of a world, which are drawn when they are asked for: stands where an array of images would.

    A pytree of the table and the numbers, so that both go to the device together: 8 MB at most, for gigabytes of
    images.
    """

    table: Any
    """Of the world, an array of uint8."""
    numbers: Any
    """Of the images, integers [n]."""
    truth: GroundTruth = field(metadata={"static": True})

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "height width channel"]]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        return f"<{len(self)} of {self.truth!r}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that it stands for."""
        return (*self.numbers.shape, *self.truth.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8)

    @property
    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        """All that the images depend on: the table and the numbers."""
        return self.table, self.numbers

    @property
    def nbytes(self) -> int:
        """That are held, not those of the images."""
        return self.table.nbytes + self.numbers.nbytes

    def __getitem__(self, index: Any) -> UInt8[np.ndarray, "*n height width channel"]:
        """The images at these rows, on the host."""
        numbers = np.asarray(self.numbers[index])
        return self._drawn(numbers.reshape(-1)).reshape(*numbers.shape, *self.truth.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All images, which may be gigabytes."""
        return self[:] if dtype is None else self[:].astype(dtype)

    def rows(self, index: Integer[Array, " n"]) -> UInt8[Array, "n height width channel"]:
        """The images at these rows, on the device; to be traced."""
        return self._drawn(self.numbers.at[index].get(mode="promise_in_bounds"))

    def part(self, index: Integer[np.ndarray, " n"]) -> Rendered:
        """Only the images at these rows."""
        return replace(self, numbers=np.asarray(self.numbers[index]))

    def _drawn(self, numbers: Any) -> Any:
        return self.truth.drawn(self.table, self.truth.factors_of(numbers))
