"""Whether files are what they were: by their sizes and times, and by their bytes where these have changed."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gvlab.files import sha256


@dataclass(frozen=True)
class Stamp:
    """Files by the names that count, which are relative."""

    files: Mapping[str, Path]

    def of_stats(self) -> str:
        """A SHA-256 over names, sizes and times of change: as long as it is the same, so are the files."""
        lines = []
        for name, file in sorted(self.files.items()):
            stat = file.stat()
            lines.append(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n")
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()

    def of_contents(self) -> str:
        """A SHA-256 over names and bytes: copied to another machine, the files have the same."""
        lines = [f"{name}\0{sha256(file)}\n" for name, file in sorted(self.files.items())]
        return hashlib.sha256("".join(lines).encode(errors="surrogateescape")).hexdigest()
