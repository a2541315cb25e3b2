"""How stable a training is, looked at from outside of its steps: verdicts, overfitting, spread, modes.

Nothing of it has an influence: the program of a step, and so every number of a run, is the same without.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from gvlab import data, rng
from gvlab.build import Program
from gvlab.types import Batch, Info, PyTree

EXAMPLES = 256
"""That a look takes of each split, evenly from all of it, and of generated ones, whose latents are always the same."""


def watch_of(program: Program) -> Callable[[PyTree], Info] | None:
    """state of one run -> curves named `watch/...`; None where the experiment wants none.

    Those of the model (`Model.watch`), and:

    - `watch/spread`: the variance of generated examples over that of training examples, summed over all their numbers
      (of sentences over the symbols at all places, as one-hot rows); 0 where all are alike, which is mode collapse at
      its worst;
    - `watch/modes`: of mixtures in the plane, the modes of which one of the generated examples is within 3 standard
      deviations.
    """
    model = program.model
    if not program.experiment.watched or model.watch is None:
        return None
    look = model.watch
    train, held_out = (some(program, split, EXAMPLES) for split in (program.dataset.train, program.dataset.test))
    mixture = data.MIXTURES.get(program.dataset.name)

    def watch(state: PyTree) -> Info:
        keys = jax.random.split(rng.stream(rng.root(0), rng.EVALUATE), 2)
        made = model.sample(state, keys[0], EXAMPLES)
        curves = {f"watch/{name}": value for name, value in look(state, train, held_out, keys[1]).items()}
        of_made, of_train = (spread(numbers(program, x)) for x in (made, train.x))
        curves["watch/spread"] = of_made / jnp.maximum(of_train, 1e-12)
        if mixture is not None:
            curves["watch/modes"] = modes(made, jnp.asarray(mixture().means), mixture().scale).astype(jnp.float32)
        return curves

    return watch


def numbers(program: Program, x: Num[Array, "n *shape"]) -> Float[Array, "n *numbers"]:
    """Examples as numbers that can be averaged: of sentences one-hot rows, whose symbols are mere names."""
    alphabet = program.dataset.alphabet
    return x if alphabet is None else jax.nn.one_hot(x, alphabet.levels)


def spread(x: Float[Array, "n *shape"]) -> Float[Array, ""]:
    """The variance of each number over the examples, summed over all numbers."""
    return jnp.var(x, axis=0).sum()


def modes(x: Float[Array, "n 2"], means: Float[Array, "modes 2"], scale: float) -> Int[Array, ""]:
    """How many means have one of x within 3 standard deviations; see `metrics.mixture_coverage`."""
    distances = jnp.linalg.norm(x[:, None] - means[None], axis=-1)
    return (distances.min(axis=0) < 3 * scale).sum()


def some(program: Program, split: data.Split, count: int) -> Batch:
    """So many examples of a split, or all, as the model sees them: in equal distances, as a split may be in the order
    of its classes."""
    chosen = np.linspace(0, len(split.x) - 1, min(count, len(split.x))).round().astype(int)
    x = jnp.asarray(np.asarray(split.x[chosen]))
    y = None if split.y is None else jnp.asarray(np.asarray(split.y[chosen]))
    return Batch(program.preprocess(x, rng.stream(rng.root(0), rng.EVALUATE)), y)
