"""What a trained model computes, as functions of its weights, lowered by `jax.export` for any batch and platform."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
from jaxtyping import Array

from gvlab import config as c
from gvlab import models, rng
from gvlab.config import own
from gvlab.networks.mixture_fits import ENCODINGS
from gvlab.trained import Trained, codes_of, examples_of, posterior_of
from gvlab.types import PRNGKey, PyTree, UserError

PLATFORMS = ("cpu", "cuda", "tpu")

_COLLECTIONS: dict[type, dict[str, str]] = {
    models.GANState: {"ema_params": "params", "ema_stats": "batch_stats"},
    models.VAEState: {"params": "params", "stats": "batch_stats"},
    models.CodesState: {"params": "params", "stats": "batch_stats", "codebook": "codebook"},
}
"""The fields of a state that samples, latents and reconstructions are computed with, and what Flax calls them."""


@dataclass(frozen=True)
class Weights:
    """The arrays that a trained model computes with, by name: `decoder.params.Dense_0.kernel`."""

    arrays: dict[str, Array]
    paths: dict[str, str]
    """Where each lies in the state, as JAX writes it: `.params['decoder']['Dense_0']['kernel']`."""
    state: Callable[[dict[str, Array]], PyTree]
    """The state with other arrays of these names."""

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Of the arrays, with their types."""
        return {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in self.arrays.items()}


def weights_of(model: Trained) -> Weights:
    """Of a GAN those of the generator's average, of a VAE those of all its networks; no optimizer's, no critic's.

    Of a model of one's own they are what its `prior`, `decode` and `encode` read.
    """
    if type(model.state) in _COLLECTIONS:
        return _named(model.state, _name)
    names = _read(model, _named(model.state, _plain_name))
    return _named(model.state, lambda state, path: name if (name := _plain_name(state, path)) in names else None)


def _read(model: Trained, everything: Weights) -> set[str]:
    """Which of the arrays the programs read; JAX tells of a batch of a known size only."""
    given, read = arguments(model, 2), set()
    for name, function in functions(model, everything).items():
        program = jax.export.export(jax.jit(function))(everything.shapes(), *given[name].values())
        read |= set(program.module_kept_var_idx)
    in_order = sorted(everything.arrays)  # as JAX flattens them; the other arguments follow
    return {array for number, array in enumerate(in_order) if number in read}


def _named(state_of_run: PyTree, name_of: Callable[[PyTree, tuple[Any, ...]], str | None]) -> Weights:
    """The leaves of a state that have a name."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(state_of_run)
    names = [name_of(state_of_run, path) for path, _ in leaves]

    def state(arrays: dict[str, Array]) -> PyTree:
        new = [arrays[name] if name else leaf for name, (_, leaf) in zip(names, leaves, strict=True)]
        return jax.tree.unflatten(tree, new)

    named = [(name, path, leaf) for name, (path, leaf) in zip(names, leaves, strict=True) if name]
    return Weights(
        {name: leaf for name, _, leaf in named},
        {name: jax.tree_util.keystr(path) for name, path, _ in named},
        state,
    )


def _plain_name(state: PyTree, path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _name(state: PyTree, path: tuple[Any, ...]) -> str | None:
    """Of a leaf of a GAN's or a VAE's state, as Flax would call it; None for one that is no weight."""
    collection = _COLLECTIONS[type(state)].get(path[0].name)
    if collection is None or getattr(path[-1], "key", None) == ENCODINGS:  # which are of training examples
        return None
    if isinstance(state, models.GANState):
        network, *rest = ("generator", *path[1:])
    elif collection == "codebook":
        network, *rest = ("quantizer", *path[1:])
    else:
        network, *rest = (path[1].key, *path[2:])
    return ".".join((network, collection, _plain_name(state, tuple(rest))))


def functions(model: Trained, weights: Weights) -> dict[str, Callable[..., Any]]:
    """`sample` (but of a model without samples), `decode` and, of a VAE, `encode` or `codes`, as `Trained` has them.

    Each takes the arrays of `weights` first and the labels last: y [b, classes], weights of the classes; of an
    unconditional model [b, 0], which still says how many examples are wanted.
    """
    program = model.program

    def sample(arrays: dict[str, Array], seed: Array, truncation: Array, y: Array) -> Array:
        key = rng.stream(rng.root(seed), rng.PICTURE)
        if model.writes:  # whose samples are draws from p(x|z), and not what its latents are decoded to
            return program.model.sample(weights.state(arrays), key, y.shape[0], y if model.classes else None)
        # `Trained.sample` draws z by one program, for each kind of draw another, and decodes it by a third. What is
        # fused is rounded otherwise in the last bit: so there is a branch where a `where` would do, and the barrier.
        z = jax.lax.cond(jnp.isinf(truncation), whole, within, arrays, key, truncation, y)
        return decode(arrays, jax.lax.optimization_barrier(z), y)

    def whole(arrays: dict[str, Array], key: PRNGKey, truncation: Array, y: Array) -> Array:
        return program.model.latents(weights.state(arrays), key, y.shape[0])

    def within(arrays: dict[str, Array], key: PRNGKey, truncation: Array, y: Array) -> Array:
        if not model.has_normal_prior:  # which `Trained` and the loader refuse; a program cannot
            return jnp.full_like(whole(arrays, key, truncation, y), -1 if model.has_codes else jnp.nan)
        shape = (y.shape[0], model.program.latent_dim)
        return jax.random.truncated_normal(key, -truncation, truncation, shape)

    def decode(arrays: dict[str, Array], z: Array, y: Array) -> Array:
        return examples_of(program, weights.state(arrays), z, y if model.classes else None)

    def encode(arrays: dict[str, Array], x: Array, y: Array) -> tuple[Array, Array]:
        return posterior_of(program, weights.state(arrays), x, y if model.classes else None)

    def codes(arrays: dict[str, Array], x: Array, y: Array) -> Array:
        return codes_of(program, weights.state(arrays), x, y if model.classes else None)

    made: dict[str, Callable[..., Any]] = {"decode": decode}
    if not program.model.unsampled:
        made = {"sample": sample} | made
    if model.has_codes:
        return made | {"codes": codes}
    return made | {"encode": encode} if program.model.encode else made


def arguments(model: Trained, batch: Any) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    """By function and name, what each takes besides the weights; `batch` is how many examples, or a symbol."""
    stored = jnp.dtype(model.program.dataset.modality.dtype)
    y = {"y": jax.ShapeDtypeStruct((batch, model.classes), jnp.float32)}
    scalars = {"seed": jax.ShapeDtypeStruct((), jnp.int32), "truncation": jax.ShapeDtypeStruct((), jnp.float32)}
    z = jax.ShapeDtypeStruct((batch, model.program.latent_dim), jnp.int32 if model.has_codes else jnp.float32)
    x = jax.ShapeDtypeStruct((batch, *model.shape), stored)
    return {"sample": scalars | y, "decode": {"z": z} | y, "encode": {"x": x} | y, "codes": {"x": x} | y}


def lowered(model: Trained, weights: Weights) -> dict[str, jax.export.Exported]:
    """The functions for a batch of any size, for all of `PLATFORMS`.

    Raises:
        UserError: a part of one's own cannot be lowered without a number of examples.
    """
    (batch,) = jax.export.symbolic_shape("b")
    given = arguments(model, batch)
    with _without_places():
        return {
            name: _lowered(model.experiment, name, function, weights.shapes(), *given[name].values())
            for name, function in functions(model, weights).items()
        }


@contextlib.contextmanager
def _without_places() -> Iterator[None]:
    """Programs without the paths of the files that they were traced from, which tell of the machine."""
    limit = "jax_traceback_in_locations_limit"
    before = jax.config.values[limit]
    jax.config.update(limit, 0)
    try:
        yield
    finally:
        jax.config.update(limit, before)


def _lowered(experiment: c.Experiment, name: str, function: Callable[..., Any], *args: Any) -> jax.export.Exported:
    try:
        return jax.export.export(jax.jit(function), platforms=PLATFORMS)(*args)
    except Exception as error:  # whatever the user's own code raises of a symbol
        if not list(own.parts(experiment)):
            raise
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UserError(
            f"{name} of {experiment.name} cannot be exported for batches of any size ({type(error).__name__}: "
            f"{reason}): let its own parts ask for x.shape[0], not len(x), and decide nothing by it."
        ) from error
