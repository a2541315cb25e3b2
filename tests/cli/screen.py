"""Standard error as a terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import sys
from collections.abc import Callable

import pytest


def shown(act: Callable[[], None]) -> str:
    """What `act` writes to standard error where that is a terminal of 120 columns, without its control sequences."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", screen)
        patch.setenv("COLUMNS", "120")
        patch.setenv("TERM", "xterm-256color")
        act()
    written = b""
    with contextlib.suppress(OSError):  # how Linux says that the other end is closed
        while more := os.read(ours, 1 << 16):
            written += more
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
