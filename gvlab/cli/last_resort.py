"""What is said of an error that nobody foresaw, and of the few that can come from anywhere."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence

from gvlab import __version__


def out_of_memory(error: Exception) -> str | None:
    """The sentence for a lack of memory, of the host (`MemoryError`) or of a device; None for any other error."""
    import jax

    text = " ".join(str(error).split())
    of_device = isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in text
    if not of_device and not isinstance(error, MemoryError):
        return None
    said = f" ({_short(text)})" if text else ""
    return f"The memory does not suffice{said}: use a smaller batch, fewer samples or a smaller network."


def unforeseen(error: Exception, argv: Sequence[str]) -> str:
    """One sentence for any other error; its traceback is written to a file, which the sentence names."""
    what = type(error).__name__
    if text := " ".join(str(error).split()):
        what += f": {_short(text)}"
    if isinstance(error, RecursionError):
        what += ", so something is nested too deeply"
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "flax"))
    about = f"{shlex.join(['gvlab', *argv])}\ngvlab {__version__}, Python {platform.python_version()}, {versions}\n\n"
    try:
        descriptor, file = tempfile.mkstemp(prefix="gvlab-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as report:
            report.write(about + "".join(traceback.format_exception(error)))
    except OSError as refused:
        where = f"its traceback could not be written ({refused.strerror}), so repeat the command with another TMPDIR"
    else:
        where = f"its traceback is in {file}, which belongs into a report of it"
    return f"An error that nobody foresaw ({what.rstrip('.')}): {where}."


def _short(text: str, most: int = 200) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
