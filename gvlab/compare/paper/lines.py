"""Names and titles in lines of a width."""

from __future__ import annotations

import re
import textwrap


def broken(text: str, letters: int) -> list[str]:
    """Lines of so many letters at most, broken behind spaces and what divides the parts of a name; within a part only
    where it is longer than a line."""
    lines = [""]
    for part in re.split(r"(?<=[ ,_./-])", text):
        if lines[-1] and len(lines[-1]) + len(part.rstrip()) > letters:
            lines.append("")
        lines[-1] += part
    return [piece for line in lines for piece in textwrap.wrap(line.strip(), letters) or [""]]
