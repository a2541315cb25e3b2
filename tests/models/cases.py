"""What a row of the contract tests' tables is."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax

from gvlab.types import Model

LATENT = 4

# Compiling is most of what these tests cost, and the models are too small to gain from LLVM's passes.
quick_jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


class Case(NamedTuple):
    make: Callable[..., Model]
    """(optimizer, axis_name=None) -> the model; a GAN gives the optimizer to both players."""
    shape: tuple[int, ...]
    classes: int = 0
    size: int = 8
    """Examples per step."""
    levels: tuple[float, float] | None = None
    """The two values that the images have; None for normal vectors."""
    low: float = 0.0
    """The smallest value allowed."""
