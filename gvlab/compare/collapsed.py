"""Generators that make one example only: a kind of failure, like terms that are not finite."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gvlab import config as c
from gvlab.build import Program
from gvlab.train import engines
from gvlab.train.watch import numbers, some, spread
from gvlab.types import Diverged, PyTree

LEAST_SPREAD = 0.01
"""Of generated examples, as a share of the variance of held-out ones."""
YOUNG = 1_000
"""Train steps within which nothing is called collapsed: some networks begin with nearly equal examples."""


def check(program: Program, state: PyTree) -> None:
    """Raises Diverged if the examples that a trained GAN's pictures show are all but the same."""
    step = int(state.step)
    if not isinstance(c.pictured(program.experiment.model), c.GAN) or step < YOUNG:
        return
    made = jax.jit(engines.parts(program).sample)(state)
    seen = program.to_unit(some(program, program.dataset.test, engines.PICTURES).x)
    of_made, of_seen = (spread(numbers(program, x)) for x in (made, seen))
    share = float(of_made / jnp.maximum(of_seen, 1e-12))
    if share < LEAST_SPREAD:
        raise Diverged(
            f"After step {step} the generated examples are all but the same: they vary by {100 * share:.2g} % as much "
            "as held-out ones (mode collapse)."
        )
