"""A training by what is computed: digests of the lowered program, in which names, places and comments have no part.

`init`, `batch`, `step` and `sample` are lowered to StableHLO for one run on one device, with the key as an argument and
the data as a shape: the seed, the number of devices and the units that are trained together are not in it, but every
constant is. What the text owes to Python (names of functions, of results, of the module; locations) is left out.

Of an experiment it takes one to two seconds, most of them for tracing the step, and is done once for all of its seeds.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gvlab import backend, onednn, rng
from gvlab.build import Program
from gvlab.train import engines
from gvlab.types import Batch, Json, PyTree

_FUNCTION = re.compile(r"^  func\.func \w+ @([\w.$-]+)(\(.*?^  \}$)", re.MULTILINE | re.DOTALL)
_SYMBOL = re.compile(r"@([\w.$-]+)")
_RESULT_NAME = re.compile(r" \{jax\.result_info = \"[^\"]*\"\}|jax\.result_info = \"[^\"]*\"(, )?")
_KNOWN: dict[tuple[Any, ...], dict[str, Any]] = {}


def identity(program: Program, platform: str | None = None) -> Json:
    """What a training is, as unit.json has it: `program` (a digest of each part, and the platform), `versions` (of JAX
    and jaxlib) and `settings` (of JAX, those that decide bits).

    Args:
        program: the experiment on its data.
        platform: that it is lowered for, as `jax.export` calls it; the one at hand by default. It need not be here.
    """
    return {"program": digests(program, platform or platform_here()), **surroundings()}


def platform_here() -> str:
    return jax.export.default_export_platform()


def surroundings() -> Json:
    """What the text of a program depends on besides the program and the platform: `versions` and `settings`."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "jaxlib")},
        "settings": backend.decisive_settings(),
    }


def digests(program: Program, platform: str) -> dict[str, str]:
    """{"platform", "init", "batch", "step", "sample"}: lowered once for all seeds of an experiment."""

    def made() -> dict[str, str]:
        parts, shapes = engines.parts(program), shapes_of(program)
        arguments = {
            "init": (shapes.key,),
            "batch": (shapes.data, shapes.key, shapes.step),
            "step": (shapes.state, shapes.batch, shapes.key),
            "sample": (shapes.state,),
        }
        lowered = {name: sha256(getattr(parts, name), platform, *of) for name, of in arguments.items()}
        return {"platform": platform, **lowered}

    return once("training", program, platform, made)


def flops_per_step(program: Program) -> float:
    """Of training, as XLA counts the operations of what is lowered; where it doesn't, the examples of a step.

    Counted once for all seeds of an experiment, as `digests` are.
    """

    def made() -> dict[str, float]:
        shapes = shapes_of(program)
        with onednn.unused():  # XLA counts nothing in what is foreign to it
            step = jax.jit(engines.parts(program).step).trace(shapes.state, shapes.batch, shapes.key).lower()
        return {"flops": float((step.cost_analysis() or {}).get("flops", 0.0))}

    flops = once("cost", program, platform_here(), made)["flops"]
    return flops if flops > 0 else float(program.experiment.examples_per_step)


def once(what: str, program: Program, platform: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What was made before for the same program, whatever its seed, or is made now."""
    experiment, settings = program.experiment, tuple(backend.decisive_settings().values())
    # The model is what was built of all the rest of the configuration.
    drawn = (experiment.examples_per_step, experiment.data, program.dataset.checksum)
    key = (what, program.model, drawn, platform, settings)
    if key not in _KNOWN:
        _KNOWN[key] = make()
    return dict(_KNOWN[key])


class Shapes(NamedTuple):
    """Of what a program's functions take; nothing is computed."""

    key: PyTree
    data: Batch
    step: PyTree
    state: PyTree
    batch: Batch


def shapes_of(program: Program) -> Shapes:
    parts, split = engines.parts(program), program.dataset.train
    key = jax.eval_shape(lambda: rng.root(0))
    data = Batch(jax.tree.map(_shape, split.x), None if split.y is None else _shape(split.y))
    step = jax.ShapeDtypeStruct((), jnp.int32)
    return Shapes(key, data, step, jax.eval_shape(parts.init, key), jax.eval_shape(parts.batch, data, key, step))


def _shape(array: Any) -> Any:
    return jax.ShapeDtypeStruct(array.shape, jax.dtypes.canonicalize_dtype(array.dtype))


def sha256(function: Callable[..., Any], platform: str, *shapes: PyTree) -> str:
    """Of the StableHLO text that a function of arrays of these shapes is lowered to."""
    text = jax.jit(function).trace(*shapes).lower(lowering_platforms=(platform,)).as_text()
    return text_sha256(text)


def text_sha256(text: str) -> str:
    """Of a module's text: of `main`, in which every call has the digest of what is called in place of its name.

    So names count for nothing, nor does in which order functions stand, nor whether two that are equal are one.
    """
    functions = {name: _RESULT_NAME.sub("", body) for name, body in _FUNCTION.findall(text)}
    known: dict[str, str] = {}

    def digest(name: str) -> str:
        if name not in known:
            body = _SYMBOL.sub(lambda call: digest(call[1]) if call[1] in functions else call[0], functions[name])
            known[name] = hashlib.sha256(body.encode()).hexdigest()
        return known[name]

    return digest("main")
