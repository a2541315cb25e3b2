"""What of a comparison's directory nobody has checked."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gvlab import compare
from gvlab.compare import units
from gvlab.compare.proof.outcome import Verified
from gvlab.evaluate import ranking

MOST = 6
"""Files that are named; of more than that their number is said."""
_ALWAYS = (
    "the wall clock (seconds, images and points per second)",
    "what environment.json says of the machine",
    "the memory of a step",
)
_OF_COMPARISONS = r"(plan|comparison)\.json|comparison\.csv|table\.(md|tex)|report\.html|lock"
_OF_UNITS = (
    r"(config|origin|environment|status|evaluation|unit)\.json|(metrics|states|groups|programs)\.jsonl"
    r"|(samples|pictures)/[^/]+\.png|samples/[^/]+\.(txt|wav)"
    r"|experiment\.py|lock|unit\.lock"
)
_NAMED_AS_ONE = {
    "tensorboard/": "tensorboard/",
    "checkpoints/": "checkpoints/ but for the newest",
    "unreadable-checkpoints/": "unreadable-checkpoints/",
}


def unchecked(root: Path, plan: compare.Plan, verified: Sequence[Verified]) -> list[str]:
    """In words, one item for each kind of thing that `verify` says nothing about.

    Args:
        root: of the comparison.
        plan: its own.
        verified: what was said.
    """
    found = list(_ALWAYS)
    if plan.match:
        found.append("how plan.json made the budgets equal")
    said = {one.unit: one for one in verified}
    planned = [units.name(experiment) for experiment in plan.units()]
    left_out = [name for name in planned if name not in said]
    if left_out:
        found.append(f"{', '.join(_shortened(left_out))}, not asked for")
    of: dict[str, list[str]] = {}
    for name, one in said.items():
        for what in one.unchecked:
            of.setdefault(what, []).append(name)
    found += [f"{what} of {', '.join(_shortened(names))}" for what, names in of.items()]
    counts, others = _files(root, planned)
    found += [f"{what} of {count} unit{'s'[: count > 1]}" for what, count in counts.items()]
    return found + _shortened(others)


def _files(root: Path, planned: Iterable[str]) -> tuple[dict[str, int], list[str]]:
    """(directories that many units have, and how many; the other files of which nothing is known)."""
    counts: collections.Counter[str] = collections.Counter()
    others = []
    known = {f"units/{name}/" for name in planned}
    for directory, names in _walk(root):
        home = next((start for start in known if f"{directory}/".startswith(start)), None)
        inside = f"{directory}/"[len(home) :] if home else ""
        whole = next((start for start in _NAMED_AS_ONE if inside.startswith(start)), None)
        if whole:
            counts[_NAMED_AS_ONE[whole]] += inside == whole
            continue
        for name in names:
            path = f"{directory}/{name}" if directory else name
            pattern = _OF_UNITS if home else _OF_COMPARISONS
            if home and path[len(home) :] == ranking.FILE:
                counts[ranking.FILE] += 1
            elif not re.fullmatch(pattern, path[len(home or "") :]):
                others.append(path)
    return dict(sorted(counts.items())), sorted(others)


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Every directory by its path within the root, "" first, and what lies in it besides directories; a link to another
    directory is not one."""
    for directory, below, names in os.walk(root):
        path = Path(directory).relative_to(root).as_posix()
        yield "" if path == "." else path, [*names, *(name for name in below if Path(directory, name).is_symlink())]


def _shortened(names: Sequence[str]) -> list[str]:
    more = [f"{len(names) - MOST} more"] if len(names) > MOST else []
    return [*names[:MOST], *more]
