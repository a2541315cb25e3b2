"""Whether an augmentation of one's own gives what a discriminator can be shown."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from gvlab.augment import Verdict
from gvlab.own_parts import called, made, require, where
from gvlab.types import PRNGKey, PyTree, UserError

Shape = tuple[int, ...]


def check(part: Any, shape: Shape) -> None:
    """Raises `UserError` if it fails, or gives arrays of other shapes than it must; computes nothing.

    Args:
        part: of the configuration.
        shape: of one example.
    """
    augmentation, whose = made(part, "augmentation"), where(part, "augmentation")
    transform = augmentation.transform
    called(f"check of {whose}", transform.check, shape)
    x = jnp.zeros((3, *shape))

    def drawn(key: PRNGKey) -> PyTree:
        return transform.draw(key, 3, shape, None)

    key = jax.random.key(0)
    for draws in jax.tree.leaves(called(f"draw of {whose}", jax.eval_shape, drawn, key)):
        if draws.shape[:1] != (3,):
            raise UserError(
                f"draw of {whose} gives numbers of shape {draws.shape} for 3 examples, but must give arrays [3, ...], "
                "so that a batch can be spread over devices."
            )
    memory = called(f"init of {whose}", jax.eval_shape, augmentation.init)
    require(f"p of {whose}", "a probability", called(f"p of {whose}", jax.eval_shape, augmentation.p, memory), ())
    for name, given in (("apply", (x,)), ("deceive", (x, x))):

        def shown(key: PRNGKey, memory: PyTree, name: str = name, given: tuple[jax.Array, ...] = given) -> Any:
            return getattr(transform, name)(drawn(key), *given, augmentation.p(memory))

        seen = called(f"{name} of {whose}", jax.eval_shape, shown, key, memory)
        require(f"{name} of {whose}", "examples", seen, (3, *shape))
    verdict = Verdict(jnp.zeros(()), jnp.zeros(3))
    after = called(f"update of {whose}", jax.eval_shape, augmentation.update, memory, verdict)
    before, found = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (memory, after))
    if before != found:
        raise UserError(f"update of {whose} gives another memory than init does: keep its structure, shapes and types.")
