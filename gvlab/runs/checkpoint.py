"""Checkpoints by orbax: asynchronous, atomic, and believed only if every bit is what was saved.

Orbax notices a truncated file; a flipped bit it does not (uncompressible data have no checksum). So each checkpoint
carries the SHA-256 of its state, which the run's states.jsonl holds, too; one that matches neither is set aside. And
none counts before it has been read back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import glob
import logging
import math
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from gvlab import tree
from gvlab.runs import directory as rundir
from gvlab.types import PyTree, UserError

ASIDE = "unreadable-checkpoints"


class Checkpoints:
    """The checkpoints of a run that this process owns: the last two, and for good every `keep_every`-th step's."""

    def __init__(self, run: Path, keep_every: int = 0) -> None:
        """Raises `UserError` for a path that orbax cannot take, and where `checkpoints` is no directory."""
        self.run, self.directory = run, run / "checkpoints"
        self.aside = run / ASIDE
        check_place(run)
        self._failed = False
        self._unread: tuple[int, str, PyTree] | None = None
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(_without_unraisable())
        self._manager = _manager(
            self.directory, max_to_keep=2, keep_period=keep_every or None, enable_async_checkpointing=True
        )

    def save(self, state: PyTree, sha256: str) -> None:
        """Starts to save the state under its own step; returns when it has been copied, not when it is written.

        Args:
            state: to be saved.
            sha256: its `tree.digest`, which states.jsonl has already: a kill may leave a line without a checkpoint, but
                no checkpoint without its line.

        Raises:
            UserError: there is no room, or the checkpoint before this one cannot be read.
        """
        step = int(state.step)
        if step not in self._manager.all_steps():
            self.wait()
            args = ocp.args.Composite(state=ocp.args.StandardSave(state), meta=ocp.args.JsonSave({"sha256": sha256}))
            with self._told():
                self._manager.save(step, args=args, force=True)
            self._unread = step, sha256, jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), state)

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, newest first."""
        return _steps(self._manager)

    def restore(self, like: PyTree, until: float = math.inf) -> tuple[PyTree | None, list[str]]:
        """The newest state that is whole, of the step `until` at most, and a sentence for each newer one that is not.

        Those are moved to `unreadable-checkpoints/`, out of the way of the steps that will be saved again.

        Args:
            like: the structure, shapes, types and shardings to restore (arrays, or `jax.ShapeDtypeStruct`).

        Returns:
            (state or None if there never was a checkpoint, reports).

        Raises:
            UserError: there are checkpoints, but none can be read, or none is this run's; nothing is moved then.
        """
        state, broken = _newest(self._manager, self.run, _shapes(like), until)
        for step in broken:
            self._set_aside(step)
        if broken:
            self._manager.reload()
        return state, [f"{_complaint(step, why)}; it is now under {self.aside}." for step, why in broken.items()]

    def _set_aside(self, step: int) -> None:
        self.aside.mkdir(exist_ok=True)
        target = self.aside / str(step)
        while target.exists():
            target = target.with_name(target.name + "-again")
        (self.directory / str(step)).rename(target)

    def wait(self) -> None:
        """Blocks until everything is written and has been read back; raises what went wrong in the background."""
        with self._told():
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        if self._unread:
            (step, sha256, like), self._unread = self._unread, None
            _, problem = _read(self._manager, step, like, sha256)
            if problem:
                self._failed = True
                raise UserError(
                    f"The checkpoint of step {step} in {self.directory} cannot be read back ({problem}), so it does "
                    "not count; earlier ones do: see to the disk, then repeat the command to continue from them."
                )

    def close(self) -> None:
        """Ends the work in the background, whose failures are for `wait` to raise."""
        with contextlib.suppress(Exception):  # or it would take the place of what ended the run
            self._manager.close()
        self._quiet.close()
        if self._failed:  # what failed ends, or is collected, at any later time, and there would be complaints of each
            logging.getLogger("asyncio").setLevel(logging.CRITICAL)
            sys.unraisablehook = lambda _: None
            warnings.filterwarnings("ignore", r"coroutine .* was never awaited", RuntimeWarning)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turns what the file system refuses, which TensorStore wraps in a ValueError, into a sentence."""
        try:
            yield
        except (OSError, ValueError) as error:
            found = re.search(r"os_error_code='(\d+)'", str(error))
            number = int(found[1]) if found else getattr(error, "errno", None)
            self._failed = True
            if number is None:
                raise
            raise UserError(
                f"A checkpoint cannot be written to {self.directory} ({os.strerror(number)}), but the earlier ones "
                "are whole: make room, then repeat the command to continue from them."
            ) from error


def read(run: Path, like: PyTree) -> tuple[PyTree | None, list[str]]:
    """As `Checkpoints.restore`, for a run that another process may own: nothing is moved or written."""
    directory = run / "checkpoints"
    if not os.path.lexists(directory):
        return None, []
    check_place(run)
    manager = _manager(directory, read_only=True)
    try:
        state, broken = _newest(manager, run, _shapes(like), math.inf)
    finally:
        manager.close()
    return state, [f"{_complaint(step, why)}; an older one is used." for step, why in broken.items()]


def check_place(run: Path) -> None:
    """Refuses (`UserError`) what orbax would choke on later, when its threads run, or after training."""
    directory = run / "checkpoints"
    if os.path.lexists(directory) and not directory.is_dir():
        raise UserError(f"{directory} is no directory, but checkpoints are to lie there: move it away, then repeat.")
    if "**" in str(directory.absolute()):
        raise UserError(
            f"The path {directory.absolute()} has '**', which orbax takes for a pattern: choose another path or name."
        )


def _manager(directory: Path, **options: Any) -> ocp.CheckpointManager:
    logging.getLogger("absl").setLevel(logging.CRITICAL)  # orbax logs what it raises, too
    directory = directory.absolute()
    state = ocp.StandardCheckpointHandler(use_ocdbt=not glob.has_magic(str(directory)))
    if glob.has_magic(str(directory)):
        # Orbax writes the arrays into files of its own choice, and looks for them by a glob to index them at the end:
        # in runs[1]/ it finds none. So each array is a directory, and there is no index. Both kinds are read alike.
        state.finalize = lambda directory: None
    return ocp.CheckpointManager(
        directory,
        options=ocp.CheckpointManagerOptions(**options),
        item_handlers={"state": state, "meta": ocp.JsonCheckpointHandler()},
    )


def _steps(manager: ocp.CheckpointManager) -> list[int]:
    return sorted(manager.all_steps(), reverse=True)


def _complaint(step: int, why: str) -> str:
    return f"The checkpoint of step {step} cannot be used ({why})"


def _shapes(like: PyTree) -> PyTree:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like)


def _newest(
    manager: ocp.CheckpointManager, run: Path, shapes: PyTree, until: float
) -> tuple[PyTree | None, dict[int, str]]:
    """The newest whole state of at most a step, and why each newer one is not."""
    recorded = rundir.read_states(run) if (run / "states.jsonl").exists() else None
    broken: dict[int, str] = {}
    for step in (one for one in _steps(manager) if one <= until):
        state, problem = _read(manager, step, shapes, None if recorded is None else recorded.get(step, "none"))
        if problem is None:
            return state, broken
        broken[step] = problem
    if broken:
        raise UserError(
            f"None of the checkpoints in {run / 'checkpoints'} can be used (steps {list(broken)}; the oldest: "
            f"{problem}): restore them from a copy, or train under another --out."
        )
    return None, broken


def _read(
    manager: ocp.CheckpointManager, step: int, shapes: PyTree, recorded: str | None
) -> tuple[PyTree | None, str | None]:
    """(state, None), or (None, what is wrong with it).

    Args:
        manager: of the directory.
        step: of the checkpoint.
        shapes: what to restore.
        recorded: what else knows the state's SHA-256, if anything does.
    """
    problem = None
    with _without_unraisable():
        try:
            state, meta = _restored(manager, step, shapes)
        # Orbax and TensorStore raise many types, plain Exception among them, for what is missing or damaged.
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"
        if problem:
            gc.collect()  # what is left of it, while nobody listens; not for nothing, since it can take half a second
            return None, problem
    sha256 = tree.digest(state)
    if meta.get("sha256") != sha256:
        return None, "its SHA-256 is not the one that was saved"
    if recorded not in (None, sha256):
        return None, "its state is not the one that states.jsonl records, so it is of another run"
    if int(state.step) != step:
        return None, f"its state is of step {int(state.step)}"
    return state, None


def _restored(manager: ocp.CheckpointManager, step: int, shapes: PyTree) -> tuple[PyTree, dict[str, Any]]:
    """(state, what was saved beside it); raises whatever orbax raises."""

    def found(fields: PyTree) -> Any:
        args = ocp.args.Composite(state=ocp.args.StandardRestore(fields), meta=ocp.args.JsonRestore())
        return manager.restore(step, args=args)

    try:
        restored = found(shapes)
    except Exception:
        later = _later_fields(manager, step, shapes)  # looked for only here, since it takes longer than the arrays
        if not later:
            raise
        restored = found({name: getattr(shapes, name) for name in _names(shapes) if name not in later})
        return type(shapes)(**restored.state, **later), restored.meta
    return restored.state, restored.meta


def _names(state: PyTree) -> list[str]:
    return [field.name for field in dataclasses.fields(state)] if dataclasses.is_dataclass(state) else []


def _later_fields(manager: ocp.CheckpointManager, step: int, shapes: PyTree) -> dict[str, PyTree]:
    """Fields of the state that hold nothing, and of which the checkpoint does not know: they came after it was saved.

    Orbax takes an empty field for a part of the structure, which must be the one on the disk.
    """
    empty = [name for name in _names(shapes) if not jax.tree.leaves(getattr(shapes, name))]
    saved = manager.item_metadata(step).state if empty else None
    return {name: getattr(shapes, name) for name in empty if saved is not None and name not in saved}


@contextlib.contextmanager
def _without_unraisable() -> Iterator[None]:
    """Keeps quiet the complaints of what a failed read or write leaves behind; the failure itself is raised."""
    asyncio = logging.getLogger("asyncio")
    before, level = sys.unraisablehook, asyncio.level
    sys.unraisablehook = lambda _: None
    asyncio.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        sys.unraisablehook = before
        asyncio.setLevel(level)
