"""How much memory there is, and what a computation needs of it at least, before any of it is asked for."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax

from gvlab.errors import UserError

_CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_STORED = ("dot_general", "conv_general_dilated")
"""Operations whose results are arrays in memory; XLA may fuse any other one into the next."""


def limit() -> int:
    """Bytes of the first device, or of the host where the devices use its memory."""
    of_device = (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")
    return int(of_device) if of_device else _of_host()


def _of_host() -> int:
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for file in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):  # there is none, or it says max
            limits.append(int(Path(file).read_text(encoding="utf-8")))
    address_space, _ = resource.getrlimit(resource.RLIMIT_AS)
    return min(limits if address_space == resource.RLIM_INFINITY else [*limits, address_space])


def check(what: str, needed: int, instead: str) -> None:
    """Raises `UserError` if so many bytes are more than there are; `what` needs them, `instead` is the advice."""
    if needed > limit():
        raise UserError(f"{what} needs at least {_text(needed)} of memory, but there are {_text(limit())}: {instead}.")


def _text(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size < 2**50 else f"{size / 2**30:.1e} GiB"


def least(function: Callable[..., Any], *args: Any) -> int:
    """Bytes that a function's arguments, its results and its largest stored array take; nothing is computed.

    Args:
        function: as for `jax.jit`.
        args: arrays, or their shapes and dtypes.
    """
    closed = jax.make_jaxpr(function)(*args)
    ends = sum(map(_size, [*closed.in_avals, *closed.out_avals]))
    return ends + max(_stored(closed.jaxpr), default=0)


def size(tree: Any) -> int:
    """Bytes of all arrays, or shapes and dtypes, in a tree."""
    return sum(map(_size, jax.tree.leaves(tree)))


def _size(array: Any) -> int:
    """Of an array or its shape and dtype; a random key is two words of 32 bits."""
    return math.prod(array.shape) * (
        8 if jax.dtypes.issubdtype(array.dtype, jax.dtypes.extended) else array.dtype.itemsize
    )


def _stored(jaxpr: Any) -> Iterator[int]:
    for equation in jaxpr.eqns:
        if equation.primitive.name in _STORED:
            yield from (_size(out.aval) for out in equation.outvars)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(inner):
                yield from _stored(getattr(inner, "jaxpr", inner))


def _is_jaxpr(value: Any) -> bool:
    return hasattr(value, "eqns")
