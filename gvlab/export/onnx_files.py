"""Decoders and encoders as ONNX, by jax2onnx, for programs without JAX. The weights are in them."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from gvlab.export.agreement import EXAMPLES, largest_difference
from gvlab.export.card import OUTPUTS, Program, values
from gvlab.networks import convolution
from gvlab.trained import Trained, examples_of
from gvlab.types import Batch, UserError

OPSET = 20
"""Of ONNX: what its programs must know."""


def check() -> None:
    """Raises `UserError` where what writes and runs ONNX is not installed."""
    for name in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            raise UserError(f"--onnx needs {name}, which is not installed: pip install 'gvlab[onnx]', or leave it out.")


def write(model: Trained, folder: Path) -> dict[str, Program]:
    """Writes decode.onnx and, of a VAE, encode.onnx; gives what card.json has of them.

    There is no sampler, since ONNX lacks JAX's generator: draw standard normal z yourself. And `encode` takes images as
    the model sees them, in [0, 1], which gvlab binarises or dequantizes at random before where the experiment says so.

    Raises:
        UserError: jax2onnx cannot convert a program, or the latents are codes.
    """
    if model.has_codes:
        raise UserError(f"--onnx writes no codes, which the latents of {model.experiment.name} are: leave it out.")
    return {name: _write(model, name, function, folder) for name, function in _functions(model).items()}


def _functions(model: Trained) -> dict[str, Callable[..., Any]]:
    program, state = model.program, model.state

    def decode(z: Any, y: Any = None) -> Any:
        return examples_of(program, state, z, y)

    def encode(x: Any, y: Any = None) -> Any:
        assert program.model.encode is not None
        return program.model.encode(state, Batch(x, y))

    return {"decode": decode} | ({"encode": encode} if program.model.encode else {})


def _write(model: Trained, name: str, function: Callable[..., Any], folder: Path) -> Program:
    first = ("z", (model.program.latent_dim,)) if name == "decode" else ("x", model.shape)
    shapes = dict([first] + ([("y", (model.classes,))] if model.classes else []))
    file = folder / f"{name}.onnx"
    with _quietly(), _as_plain_convolutions():
        import jax2onnx

        try:
            jax2onnx.to_onnx(
                function,
                [("b", *shape) for shape in shapes.values()],
                model_name=f"{model.experiment.name}_{name}",
                opset=OPSET,
                return_mode="file",
                output_path=str(file),
                input_names=list(shapes),
                output_names=list(OUTPUTS[name]),
            )
        except Exception as error:  # of many kinds: what it cannot convert, it meets in different places
            reason = " ".join(str(error).split())[:200].rstrip(".")
            raise UserError(
                f"{name} of {model.experiment.name} cannot be written as ONNX ({type(error).__name__}: {reason}): "
                "leave --onnx out."
            ) from error
    draw = np.random.default_rng(0)
    given = {key: draw.uniform(size=(EXAMPLES, *shape)).astype(np.float32) for key, shape in shapes.items()}
    known = jax.tree.leaves(jax.jit(function)(*given.values()))
    found = _run(file, given)
    return {
        "inputs": [values(model, key, ("b", *shape), "float32") for key, shape in shapes.items()],
        "outputs": [
            values(model, key, ("b", *array.shape[1:]), "float32")
            for key, array in zip(OUTPUTS[name], known, strict=True)
        ],
        "largest_difference": max(map(largest_difference, found, known)),
    }


def _run(file: Path, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What the file's program gives, on the processor."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of what it could not fold into a constant
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    return session.run(None, given)


@contextlib.contextmanager
def _as_plain_convolutions() -> Iterator[None]:
    """Convolutions in the one of their equal forms that jax2onnx can convert.

    ONNX has no platforms to choose by, so the form for CPU is taken; that for accelerators, with a dilated input, is
    refused by jax2onnx 0.13 and 0.17, and so is the padding of a batch of any size, which sums of products need.
    """

    def chosen(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
        return cpu(*args)

    with (
        mock.patch.object(jax.lax, "platform_dependent", chosen),
        mock.patch.object(convolution, "_phase_by_products", convolution._phase_by_convolution),
    ):
        yield


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without jax2onnx's log, which has a traceback of each of its parts that the installed JAX is too new for."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
