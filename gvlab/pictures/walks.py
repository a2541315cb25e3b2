"""What a model of sentences makes of test sentences, and of latents between two, as lines of text."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import rng
from gvlab.build import Program
from gvlab.pictures import draw, lines, paths
from gvlab.types import PyTree, UserError


def reconstructed(program: Program, state: PyTree, n: int) -> list[str]:
    """The first n test sentences, each with the most likely sentence of its posterior's mean behind a tab.

    Raises:
        UserError: the model has no encoder.
    """
    if program.model.encode is None:
        family = type(program.experiment.model).__name__
        raise UserError(f"{program.experiment.name} is a {family}, which has no encoder: reconstructing needs a VAE.")
    encode, batch = program.model.encode, draw.test_batch(program, n)
    made = jax.jit(lambda state, batch: program.model.decode(state, encode(state, batch)[0], batch.y))(state, batch)
    both = (lines.of(program.dataset, np.asarray(rows)) for rows in (batch.x, made))
    return [f"{sentence}\t{again}" for sentence, again in zip(*both, strict=True)]


def walked(program: Program, state: PyTree, seed: int, rows: int, columns: int) -> list[str]:
    """Walks between two latents on the sphere, one below the other with an empty line between.

    Raises:
        UserError: the latents are noise, between which nothing lies.
    """
    if isinstance(program.experiment.model, c.Density):
        raise UserError(
            f"{program.experiment.name} is a language model, whose latents are the noise of its draws, and between two "
            "nothing lies: walk with a VAE."
        )
    ends = program.model.latents(state, rng.stream(rng.root(seed), rng.PICTURE), 2 * rows).reshape(2, rows, -1)
    walk = paths.spherical(ends[0], ends[1], columns)  # [rows, columns, latent]
    labels = jnp.repeat(jnp.arange(rows) % max(program.dataset.num_classes, 1), columns)
    made = jax.jit(program.model.decode)(state, walk.reshape(-1, walk.shape[-1]), labels)
    sentences = lines.of(program.dataset, np.asarray(made))
    pieces = [sentences[row * columns : (row + 1) * columns] for row in range(rows)]
    return [line for piece in pieces for line in [*piece, ""]][:-1]
