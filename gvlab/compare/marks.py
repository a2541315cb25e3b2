"""What is said of units of other code: by what they differ, from each other or from the code at hand.

No unit is refused for it. Between other versions or settings of JAX and other platforms programs can't be compared:
their texts differ anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gvlab.backend import CONVOLUTIONS
from gvlab.onednn import XLA
from gvlab.types import Json

if TYPE_CHECKING:  # units are marked, and mark nothing themselves
    from gvlab.compare.units import Unit

BEFORE = "recorded before programs were, by an earlier gvlab"
OTHER_PROGRAM = "trained by another program"


def of_training(record: Json, other: Json) -> str | None:
    """In what the training of one record is another one than that of another record of the same experiment; None if in
    nothing.

    Args:
        record: unit.json, or `identity.identity`.
        other: the same.
    """
    if not record.get("program") or not other.get("program"):
        return BEFORE if not record.get("program") else None
    for field, what in (("versions", "with other versions"), ("settings", "with other settings of JAX")):
        if changed := _changed(record[field], other[field]):
            if changed == [CONVOLUTIONS]:
                return f"trained with other convolutions ({record[field].get(CONVOLUTIONS, XLA)})"
            known = ", ".join(f"{name} {record[field].get(name)}" for name in changed)
            return f"trained {what} ({known})"
    program, others = record["program"], other["program"]
    if program.get("platform") != others.get("platform"):
        return f"trained on another platform ({program.get('platform')})"
    changed = _changed(program, others)
    return f"{OTHER_PROGRAM} ({', '.join(changed)})" if changed else None


def is_another_program(record: Json, other: Json) -> bool:
    """Whether it is known that two trainings of one experiment compute something else."""
    return (of_training(record, other) or "").startswith(OTHER_PROGRAM)


def of_measuring(record: Json, other: Json) -> str | None:
    """In what the measuring of one record is another one than that of another, maybe of another experiment; None if in
    nothing that can be compared."""
    made, others = record.get("measuring"), other.get("measuring")
    if not made or not others:
        return None
    changed = ["protocol"] if made["protocol"] != others["protocol"] else []
    extractors = made["extractors"].keys() & others["extractors"].keys()
    changed += sorted(name for name in extractors if made["extractors"][name] != others["extractors"][name])
    if made["asked"] == others["asked"] and made["code"] != others["code"]:
        changed.append("code")
    if record["experiment"] == other["experiment"] and made["model"] != others["model"]:
        changed += ["the model's functions"] if made["lowered"] == others["lowered"] else []
    return f"measured by other code ({', '.join(changed)})" if changed else None


def of_unit(record: Json) -> str | None:
    """What a unit alone tells of several codes."""
    if steps := record.get("reprogrammed"):
        return f"{OTHER_PROGRAM} from step {' and '.join(map(str, steps))} on than before"
    return None


def among(units: Sequence[Unit]) -> list[list[str]]:
    """Of each unit, by what it differs from the first of its experiment, and in the measuring from the first of all."""
    measured = next((unit for unit in units if unit.record.get("measuring")), None)
    marks = []
    for unit in units:
        first = next(other for other in units if other.experiment == unit.experiment)
        mine = [of_unit(unit.record), _than(of_training(unit.record, first.record), first)]
        mine += [_than(of_measuring(unit.record, measured.record), measured)] if measured else []
        marks.append([mark for mark in mine if mark])
    return marks


def remarks(units: Sequence[Unit]) -> list[str]:
    """The marks `among` units as sentences, one per kind."""
    return _sentences(
        (unit.experiment, unit.seed, mark) for unit, mine in zip(units, among(units), strict=True) for mark in mine
    )


def against(held: Iterable[tuple[Json, Json]]) -> list[str]:
    """By what records differ from the code at hand, as sentences, one per kind.

    Args:
        held: (record, `identity.identity` of its experiment now).
    """
    return _sentences(
        (record["experiment"], record["seed"], mark if mark == BEFORE else f"{mark} than this gvlab's")
        for record, now in held
        for mark in (of_training(record, now), of_measuring(record, now))
        if mark
    )


def _than(mark: str | None, first: Unit) -> str | None:
    return mark if mark in (None, BEFORE) else f"{mark} than {first.experiment}/seed-{first.seed}"


def _sentences(marked: Iterable[tuple[str, int, str]]) -> list[str]:
    by_mark: dict[str, dict[str, list[int]]] = {}
    for experiment, seed, mark in marked:
        by_mark.setdefault(mark, {}).setdefault(experiment, []).append(seed)
    return [
        f"{' and '.join(f'{name} {_seeds(seeds)}' for name, seeds in of.items())}: {mark}."
        for mark, of in by_mark.items()
    ]


def _seeds(seeds: list[int]) -> str:
    """seed 3; seeds 0-4, 7."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    listed = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"seed{'s'[: len(seeds) > 1]} {listed}"


def _changed(one: Json, other: Json) -> list[str]:
    return [name for name in one | other if one.get(name) != other.get(name)]
