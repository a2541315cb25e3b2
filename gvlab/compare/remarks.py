"""What the tables don't show, and why: one sentence for each reason, not for each number."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from gvlab.compare import marks
from gvlab.compare.units import Unit
from gvlab.runs.environment import DECISIVE, decisive, read_environment
from gvlab.types import Json

NAMED = 2
"""So many measures are named; of more their number is said."""


_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?!\w|\.\d)|(?<![\w.])-?(?:inf|nan)\b")


def remarks(units: Sequence[Unit], summaries: Sequence[Json]) -> list[str]:
    """The sentences that stand below the tables, each of one line."""
    sentences = [*_diverged(units), *_protocols(summaries), *_warnings(summaries), *marks.remarks(units)]
    sentences += _environments(units)
    return [folded(sentence) for sentence in sentences]


def folded(text: str) -> str:
    """In one line: what comes from a file may have others, and would leave a comment of LaTeX or a row of a table."""
    return " ".join(text.split())


def escaped_markdown(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    return re.sub(r"[\\`*|]|<(?=[A-Za-z/!?])", lambda match: "\\" + match[0], folded(text))


def _diverged(units: Sequence[Unit]) -> list[str]:
    lost: dict[tuple[str, str], list[Unit]] = {}
    for unit in units:
        if unit.failure:
            lost.setdefault((unit.experiment, _shape(unit.failure)), []).append(unit)
    return [
        f"{name}, seed{'s'[: len(own) > 1]} {listed([str(unit.seed) for unit in own])}, diverged: "
        f"{merged([unit.failure or '' for unit in own])}"
        for (name, _), own in lost.items()
    ]


def _protocols(summaries: Sequence[Json]) -> list[str]:
    alike: dict[str, list[Json]] = {}
    for row in summaries:
        if row["other_protocol"]:
            alike.setdefault(row["other_protocol"].removeprefix(row["measure"]), []).append(row)
    return [
        rows[0]["other_protocol"]
        if len(rows) == 1
        else f"{rows[0]['other_protocol'].rstrip('.')} ({len(rows)} measures)."
        for rows in alike.values()
    ]


def _warnings(summaries: Sequence[Json]) -> list[str]:
    every = {row["experiment"] for row in summaries}
    said: dict[tuple[str, str], list[tuple[str, Json]]] = {}
    for row in summaries:
        for text in row["warnings"]:
            said.setdefault((_shape(text), row["measure"]), []).append((text, row))
    # Measures of one scale are warned of in the same words; numbers of two scales make no range.
    warned: dict[tuple[str, frozenset[str]], list[tuple[str, Json]]] = {}
    for (shape, _), texts in said.items():
        warned.setdefault((shape, frozenset(text for text, _ in texts)), []).extend(texts)
    sentences = []
    for texts in warned.values():
        measures = list(dict.fromkeys(row["measure"] for _, row in texts))
        names = list(dict.fromkeys(row["experiment"] for _, row in texts))
        which = listed(measures) if len(measures) <= NAMED else f"{len(measures)} measures"
        sentence = merged([text for text, _ in texts])
        whose = "" if set(names) == every else f" of {listed(names)}"
        sentences.append(f"{sentence[:1].upper()}{sentence[1:].rstrip('.')} ({which}{whose}).")
    return sentences


def _environments(units: Sequence[Unit]) -> Iterable[str]:
    environments = [decisive(read_environment(unit.run)) for unit in units]
    for field in DECISIVE:
        found = list(dict.fromkeys(str(environment[field]) for environment in environments if field in environment))
        if len(found) > 1:
            yield f"The units were made in different environments: {field} was {' or '.join(found)}."


def listed(names: Sequence[str], last: str = "and") -> str:
    """a, b and c."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _shape(text: str) -> str:
    """A sentence without its numbers: sentences of one shape are one reason."""
    return _NUMBER.sub("#", folded(text))


def merged(texts: Sequence[str]) -> str:
    """Sentences of one shape as one: where their numbers differ, `least to greatest`, or `nan or inf`."""
    columns = zip(*(_NUMBER.findall(folded(text)) for text in texts), strict=True)
    said = iter([_range(list(dict.fromkeys(column))) for column in columns])
    return _NUMBER.sub(lambda _: next(said), folded(texts[0]))


def _range(numbers: list[str]) -> str:
    if len(numbers) == 1 or not all(math.isfinite(float(number)) for number in numbers):
        return " or ".join(numbers)
    return f"{min(numbers, key=float)} to {max(numbers, key=float)}"
