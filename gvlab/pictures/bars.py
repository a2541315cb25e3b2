"""Bars: what each layer of latents of a hierarchical VAE says."""

from __future__ import annotations

import re
from collections.abc import Iterable

import jax
import numpy as np
from jaxtyping import UInt8

from gvlab import rng
from gvlab.build import Program
from gvlab.pictures.draw import test_batch
from gvlab.types import PyTree

EXAMPLES = 500
"""Test examples that the bars are of."""
HEIGHT, LENGTH, GAP, MARGIN = 16, 480, 4, 16
"""Of a bar and of what is left around it, in pixels."""
BLACK, WHITE = 64, 255


def layers(program: Program, state: PyTree) -> UInt8[np.ndarray, "height width 1"]:
    """A bar for each KL term of a hierarchical VAE, from the top layer down; that of the greatest KL is the longest."""
    batch = test_batch(program, min(len(program.dataset.test.x), EXAMPLES))
    terms = jax.device_get(jax.jit(program.model.evaluate)(state, batch, rng.stream(rng.root(0), rng.EVALUATE)))
    kl = np.array([terms[name].mean() for name in from_the_top(terms)])
    lengths = np.round(kl / kl.max() * LENGTH).astype(int).clip(1)
    filled = np.where(np.arange(LENGTH)[None] < lengths[:, None], BLACK, WHITE).astype(np.uint8)
    bars = np.pad(filled[:, None].repeat(HEIGHT, axis=1), ((0, 0), (GAP, GAP), (MARGIN, MARGIN)), constant_values=WHITE)
    return bars.reshape(-1, LENGTH + 2 * MARGIN, 1)


def from_the_top(terms: Iterable[str]) -> list[str]:
    """The names of the KL terms of layers, `kl_nats/layer_2`, or of resolutions, `kl_nats/7x7`, by their numbers."""
    numbers = {name: re.findall(r"\d+", name) for name in terms if name.startswith("kl_nats/")}
    return sorted(numbers, key=lambda name: [int(number) for number in numbers[name]])
