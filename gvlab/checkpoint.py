"""Checkpoints by orbax: asynchronous, atomic, and believed only if every bit is what was saved.

Orbax notices a truncated file; a flipped bit it does not (uncompressible data have no checksum). So each checkpoint
carries the SHA-256 of its state, and one that does not match is set aside.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import orbax.checkpoint as ocp

from gvlab import tree
from gvlab.types import PyTree, UserError

ASIDE = "unreadable-checkpoints"


class Checkpoints:
    """The checkpoints of one run directory: the last two, and for good those of every `keep_every`-th step."""

    def __init__(self, run: Path, keep_every: int = 0) -> None:
        self.directory = run / "checkpoints"
        self.aside = run / ASIDE
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._manager = ocp.CheckpointManager(
            self.directory.absolute(),
            options=ocp.CheckpointManagerOptions(
                max_to_keep=2, keep_period=keep_every or None, enable_async_checkpointing=True
            ),
        )

    def save(self, state: PyTree) -> None:
        """Starts to save the state under its own step; returns when it has been copied, not when it is written."""
        step = int(state.step)
        if step in self._manager.all_steps():
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave({"sha256": tree.digest(state)})
        )
        self._manager.save(step, args=args, force=True)

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, newest first."""
        return sorted(self._manager.all_steps(), reverse=True)

    def restore(self, like: PyTree) -> tuple[PyTree | None, list[str]]:
        """The newest state that is whole, and a sentence for each checkpoint that was not.

        Those are moved to `unreadable-checkpoints/`, out of the way of the steps that will be saved again.

        Args:
            like: the structure, shapes, types and shardings to restore (arrays, or `jax.ShapeDtypeStruct`).

        Returns:
            (state or None if there never was a checkpoint, reports).

        Raises:
            UserError: there are checkpoints, but none can be read; nothing is moved then.
        """
        shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)
        reports: list[str] = []
        broken: list[int] = []
        for step in self.steps():
            state, problem = self._read(step, shapes)
            if problem is None:
                self._set_aside(broken)
                return state, reports
            broken.append(step)
            reports.append(f"The checkpoint of step {step} cannot be used ({problem}); it is now under {self.aside}.")
        if broken:
            raise UserError(
                f"None of the checkpoints in {self.directory} can be read (steps {broken}; the newest: {problem}): "
                "restore them from a copy, or delete the run directory to start anew."
            )
        return None, reports

    def _read(self, step: int, shapes: PyTree) -> tuple[PyTree | None, str | None]:
        args = ocp.args.Composite(state=ocp.args.StandardRestore(shapes), meta=ocp.args.JsonRestore())
        try:
            with _without_unraisable():
                restored = self._manager.restore(step, args=args)
        # Orbax and TensorStore raise many types, plain Exception among them, for what is missing or damaged.
        except Exception as error:
            return None, f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
        if restored.meta.get("sha256") != tree.digest(restored.state):
            return None, "its SHA-256 is not the one that was saved"
        return restored.state, None

    def _set_aside(self, steps: list[int]) -> None:
        for step in steps:
            self.aside.mkdir(exist_ok=True)
            target = self.aside / str(step)
            while target.exists():
                target = target.with_name(target.name + "-again")
            (self.directory / str(step)).rename(target)
        if steps:
            self._manager.reload()

    def wait(self) -> None:
        """Blocks until everything is written; raises what went wrong in the background."""
        self._manager.wait_until_finished()
        self._manager.check_for_errors()

    def close(self) -> None:
        self._manager.close()


@contextlib.contextmanager
def _without_unraisable() -> Iterator[None]:
    """Keeps quiet the complaints of the coroutines that a failed read leaves behind; the failure itself is raised."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        yield
    finally:
        gc.collect()
        sys.unraisablehook = before
