"""Where the examples of a train step lie: the whole split on the devices, or on the host, batch after batch.

Both give the same examples to the same step, so that which of them is used changes no number. What lies on the devices
is fastest. What takes too much of their memory stays where it is, mapped from the cache: a thread reads the batches
ahead of the steps.
"""

from __future__ import annotations

import functools
import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, UInt32

from gvlab import data, memory, parallel
from gvlab.build import Program
from gvlab.data import batches, mapped
from gvlab.types import Batch, PyTree

RESIDENT_SHARE = 0.25
"""Of a device's memory, or the host's where devices use that, which a training split may take to lie on the device."""
AHEAD = 2
"""Dispatches whose examples are read before they are wanted."""
DISPATCH_BYTES = 2**28
"""Of the examples of one dispatch that are streamed."""
_BLOCK = 256
"""Steps for which it is computed at once which examples they take."""

Keys = Key[Array, "*runs"]
"""Of one run, or of several that are trained together."""


@dataclass(frozen=True, eq=False)
class Resident:
    """The whole training split on every device: a step picks its batch there."""

    arrays: Batch
    """x [N, *shape], y [N] or None."""
    runs_axis: None = None
    """All runs of a group draw from the same examples."""

    @property
    def nbytes(self) -> int:
        """On each device, for as long as training lasts."""
        return memory.size(self.arrays)

    @property
    def shapes(self) -> Batch:
        """Of the examples that a step of one run is given."""
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), self.arrays)

    def batch(self, program: Program, examples: Batch, key: Array, step: Array) -> Batch:
        """The training batch of a step, of the examples that it is given; traced within the step."""
        return program.draw(examples, key, step)

    def many(self, single: Callable[..., Any], length: int) -> Callable[..., Any]:
        """So many single steps as one function, the rows of their terms stacked: [length, runs, terms]."""

        def steps(state: PyTree, arrays: Batch, inputs: PyTree) -> tuple[PyTree, jax.Array]:
            state, rows = jax.lax.scan(lambda state, _: single(state, arrays, inputs), state, length=length)
            return state, rows[:, 0]

        return steps

    def longest(self, steps: int) -> int:
        """The most steps that may be one dispatch, of the divisors of `steps`."""
        return steps

    def examples(self, keys: Keys, first: int, counts: Iterable[int]) -> Generator[Batch]:
        """The examples of one dispatch after another, of so many steps each, from the step `first` on; to be closed."""
        return (self.arrays for _ in counts)


@dataclass(frozen=True, eq=False)
class Streamed:
    """The training split on the host: the examples of each step are brought to the devices.

    Each process reads what its own devices take, and no more.
    """

    split: data.Split
    size: int
    """Examples a step takes."""
    mesh: parallel.Devices
    """Over which a step's examples are split by their first axis, which is that of the runs or of the examples."""
    runs_axis: int = 0
    """Each run of a group has its own batch."""
    nbytes: int = 0

    @property
    def shapes(self) -> Batch:
        return jax.tree.map(
            lambda array: jax.ShapeDtypeStruct((self.size, *array.shape[1:]), array.dtype), self._arrays
        )

    @property
    def _arrays(self) -> PyTree:
        return Batch(cast(Array, self.split.x), cast("Array | None", self.split.y))

    def batch(self, program: Program, examples: Batch, key: Array, step: Array) -> Batch:
        return program.augmented(examples, key, step)

    def many(self, single: Callable[..., Any], length: int) -> Callable[..., Any]:
        def steps(state: PyTree, examples: Batch, inputs: PyTree) -> tuple[PyTree, jax.Array]:
            state, rows = jax.lax.scan(
                lambda state, batch: single(state, batch, inputs), state, examples, length=length
            )
            return state, rows[:, 0]

        return steps

    def longest(self, steps: int) -> int:
        each = self.size * (self.split.x[0].nbytes + 4)
        return max(n for n in range(1, steps + 1) if steps % n == 0 and (n == 1 or n * each <= DISPATCH_BYTES))

    def examples(self, keys: Keys, first: int, counts: Iterable[int]) -> Generator[Batch]:
        return _read_ahead(self._dispatches(jax.device_get(jax.random.key_data(keys)), first, counts))

    def _dispatches(self, keys: np.ndarray, first: int, counts: Iterable[int]) -> Iterator[Batch]:
        """In the thread that reads: the examples of one step, [*runs, size, ...], or of several, [steps, ...]."""
        steps = self._steps(jax.random.wrap_key_data(jnp.asarray(keys)), first)
        mapped.at_random(self.split.x)
        for count in counts:
            index = next(steps) if count == 1 else np.stack(list(itertools.islice(steps, count)))
            share = parallel.split_if_even(self.mesh, index.shape[count > 1])
            where = share if count == 1 else parallel.behind(share)
            yield jax.tree.map(functools.partial(_placed, index, where), self._arrays)

    def _steps(self, keys: Keys, first: int) -> Iterator[UInt32[np.ndarray, "*runs size"]]:
        """Which examples each step takes, from the step `first` on."""
        count = len(self.split.x)

        def of_step(key: Array, step: Array) -> Array:
            return batches.positions(count, key, step, self.size)

        each = of_step if keys.ndim == 0 else jax.vmap(of_step, (0, None))
        block = jax.jit(lambda keys, first: jax.vmap(each, (None, 0))(keys, first + jnp.arange(_BLOCK)))
        ahead = block(keys, first)
        while True:
            now, first = ahead, first + _BLOCK
            ahead = block(keys, first)  # begun before it is wanted, since it waits for the steps on the device
            yield from np.asarray(now)


def _placed(index: np.ndarray, where: parallel.Sharding, array: np.ndarray) -> jax.Array:
    """The rows `array[index]` on the devices; each process reads those of its own."""
    shape = (*index.shape, *array.shape[1:])

    def rows(slices: Any) -> np.ndarray:
        return mapped.take(array, index[slices[: index.ndim]])

    return jax.make_array_from_callback(shape, where, rows)


Source: TypeAlias = Resident | Streamed


def of(program: Program, mesh: parallel.Devices) -> Source:
    """The training split of a program, where it has room."""
    split = program.dataset.train
    bytes_ = split.x.nbytes + (0 if split.y is None else split.y.nbytes)
    if bytes_ > RESIDENT_SHARE * memory.limit():
        return Streamed(split, program.experiment.examples_per_step, mesh)
    arrays = Batch(jax.tree.map(jnp.asarray, split.x), None if split.y is None else jnp.asarray(split.y))
    return Resident(jax.device_put(arrays, parallel.replicated(mesh)))


def _read_ahead(items: Iterator[Batch]) -> Generator[Batch]:
    """The same items, made by a thread before they are wanted. An error comes in its place; to be closed."""
    over = object()
    with ThreadPoolExecutor(1, "gvlab-examples") as thread:
        waiting = deque(thread.submit(next, items, over) for _ in range(AHEAD))
        while (item := waiting.popleft().result()) is not over:
            waiting.append(thread.submit(next, items, over))
            yield cast(Batch, item)
