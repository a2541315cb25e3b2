"""The standard streams, as a shell, a scheduler or a pipe leaves them: closed, full, broken, or poor in letters."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any

OUTPUT, ERRORS = 1, 2


class Unwritable(Exception):
    """The standard output takes nothing more, or a pipe that the standard error leads into; the cause says why."""


class _Stream(io.FileIO):
    """A standard stream's descriptor, which remembers why it could not be written.

    The first refusal is raised, and what is written afterwards is dropped, so that the process can end in order. It is
    raised as `Unwritable`, since argparse and rich have their own ideas of an OSError. What the standard error refuses
    is dropped in silence, for there is nobody to hear of it, unless it is a pipe whose reader has seen enough.
    """

    def __init__(self, descriptor: int, closed: bool) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._refusal = OSError(errno.EBADF, os.strerror(errno.EBADF)) if closed else None
        self._raised = False

    def write(self, data: Any, /) -> int:
        if not self._refusal:
            try:
                while (written := super().write(data)) is None:  # a descriptor that doesn't wait, and has no room yet
                    select.select([], [self], [])
                return written
            except OSError as error:
                self._refusal = error
        if not self._raised:
            self._raised = True
            self.check()
        return len(data)

    def check(self) -> None:
        """Raises `Unwritable` if something was refused that matters."""
        if self._refusal and ((self._raised and self.fileno() == OUTPUT) or isinstance(self._refusal, BrokenPipeError)):
            raise Unwritable from self._refusal


def prepare() -> None:
    """Makes the interpreter's own streams such that no letter and no refusal ends in a traceback.

    Letters that the terminal's encoding lacks are replaced. Descriptors that are closed are opened on /dev/null: the
    next file to be opened would get their numbers, and what a library writes there.
    """
    closed = {number: stream is None for number, stream in ((OUTPUT, sys.stdout), (ERRORS, sys.stderr))}
    while (number := os.open(os.devnull, os.O_RDWR)) <= ERRORS:
        pass
    os.close(number)
    if sys.stdout is sys.__stdout__:  # who replaced it knows why
        sys.stdout = _opened(sys.stdout, OUTPUT, closed[OUTPUT], "replace")
    if sys.stderr is sys.__stderr__:
        sys.stderr = _opened(sys.stderr, ERRORS, closed[ERRORS], "backslashreplace")


def _opened(before: Any, descriptor: int, closed: bool, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        io.BufferedWriter(_Stream(descriptor, closed)),
        encoding=getattr(before, "encoding", "utf-8"),
        errors=errors,
        line_buffering=descriptor == ERRORS or getattr(before, "line_buffering", False),
        write_through=getattr(before, "write_through", False),
    )


def finish() -> None:
    """Writes what waits in the streams.

    Raises:
        Unwritable: something did not arrive, now or earlier.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        raw = getattr(getattr(stream, "buffer", None), "raw", None)
        if isinstance(raw, _Stream):
            raw.check()
