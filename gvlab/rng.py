"""Named, numbered random streams: the randomness of step t is a pure function of (seed, t)."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import jax
from jaxtyping import Array, Float, Int

from gvlab.types import PRNGKey

# Every stream that the project draws from. A new use gets a new name: two uses of one stream are correlated.
INIT = "init"  # parameters
ORDER = "order"  # the order of the examples in each epoch
AUGMENT = "augment"  # flips, dynamic binarisation, dequantisation
TRAIN = "train"  # noise inside a train step
TERMS = "terms"  # noise of the terms of a loss
OBSERVATION = "observation"  # draws from p(x|z)
NOISE = "noise"  # what a generator draws besides its latents
CRITIC = "critic"  # of latents: its first parameters, its own draws
CODEBOOK = "codebook"  # positions at which codes start, or begin anew
MIXTURE = "mixture"  # rows at which the fit of a mixture starts
INFERENCE = "inference"  # noise of updates of an encoder alone
WORDS = "words"  # symbols that a decoder of sentences is not shown in training
SIDES = "sides"  # which examples of a batch stand on which side of a translation without pairs
VIEW = "view"  # what an augmentation shows a discriminator
PICTURE = "picture"  # the fixed latents of the sample grids
EVALUATE = "evaluate"  # everything that a measurement draws


def root(seed: int | Int[Array, ""]) -> PRNGKey:
    """The one key of a run; every other key is a stream of it. JAX's default generator is the user's to change."""
    return jax.random.key(seed, impl="threefry2x32")


def stream(key: PRNGKey, name: str, step: int | Int[Array, ""] = 0) -> PRNGKey:
    """The key number `step` of the stream `name`.

    The name enters by its CRC-32, which is the same in every process and every version of Python (`hash` is not).

    Examples:
        >>> import jax
        >>> from gvlab import rng
        >>> key = rng.root(0)
        >>> noise = [jax.random.normal(rng.stream(key, rng.TRAIN, step)).item() for step in (0, 1, 0)]
        >>> noise[0] == noise[2], noise[0] == noise[1]
        (True, False)
    """
    return jax.random.fold_in(jax.random.fold_in(key, zlib.crc32(name.encode())), step)


def normal(key: PRNGKey, shape: tuple[int, ...], axis_name: str | None = None, axis: int = 0) -> Float[Array, "..."]:
    """Standard normal noise for the batch on axis `axis`, the same for any number of devices.

    With an `axis_name` (of `pmap`, or a `vmap` that stands for it) `shape` is one device's share: the noise is drawn
    for the global batch, and each device takes its slice.
    """
    return _share(jax.random.normal, key, shape, axis_name, axis)


def uniform(key: PRNGKey, shape: tuple[int, ...], axis_name: str | None = None, axis: int = 0) -> Float[Array, "..."]:
    """Noise from U(0, 1), as `normal` draws it."""
    return _share(jax.random.uniform, key, shape, axis_name, axis)


def _share(draw: Callable[..., Array], key: PRNGKey, shape: tuple[int, ...], axis_name: str | None, axis: int) -> Array:
    if axis_name is None:
        return draw(key, shape)
    share = shape[axis]
    devices = jax.lax.axis_size(axis_name)
    everything = draw(key, (*shape[:axis], share * devices, *shape[axis + 1 :]))
    return jax.lax.dynamic_slice_in_dim(everything, jax.lax.axis_index(axis_name) * share, share, axis)
