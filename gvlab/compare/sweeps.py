"""Sweeps, by the names of their experiments, which say of what values they are."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple


class Axis(NamedTuple):
    """One field of a sweep."""

    field: str
    """As the experiments' names have it."""
    values: tuple[str, ...]
    """In their order."""

    @property
    def numbers(self) -> list[float] | None:
        """The values as numbers; None if one of them is none."""
        try:
            numbers = [float(value) for value in self.values]
        except ValueError:
            return None
        return numbers if all(map(math.isfinite, numbers)) else None

    @property
    def places(self) -> list[float]:
        """Where the values stand: at the numbers that they are, else one after the other."""
        return self.numbers or [float(i) for i in range(len(self.values))]

    @property
    def is_logarithmic(self) -> bool:
        """Whether the values lie more evenly by their ratios than by their differences; two do if tenfold apart."""
        numbers = self.numbers
        if numbers is None or len(numbers) < 2 or min(numbers) <= 0:
            return False
        if len(numbers) == 2:
            return numbers[1] / numbers[0] >= 10
        return _unevenness([math.log(number) for number in numbers]) < _unevenness(numbers)


def _unevenness(places: Sequence[float]) -> float:
    """The largest gap over the smallest one."""
    gaps = [after - before for before, after in itertools.pairwise(places)]
    return max(gaps) / min(gaps) if min(gaps) > 0 else math.inf


class Sweep(NamedTuple):
    """Experiments that differ in the values of the same fields."""

    axes: tuple[Axis, ...]
    """The fields that have several values."""
    bases: tuple[str, ...]
    """The names of what was varied."""
    experiments: dict[tuple[str, ...], str]
    """The experiment's name by its base and its values, one per axis."""


_TAIL = re.compile(r"(?:,[\w.]+=[^,=]+)+$")


def of_names(names: Sequence[str]) -> Sweep | None:
    """The sweep that experiments are of, by their names; None if one of them is not of it."""
    points: dict[str, tuple[str, dict[str, str]]] = {}
    for name in names:
        tail = _TAIL.search(name)
        if tail is None:
            return None
        values = dict(part.split("=") for part in tail[0][1:].split(","))
        points[name] = (name[: tail.start()], values)
    fields = list(next(iter(points.values()))[1])
    if any(list(values) != fields for _, values in points.values()):
        return None
    axes = [_axis(field, [values[field] for _, values in points.values()]) for field in fields]
    several = tuple(axis for axis in axes if len(axis.values) > 1)
    one = "".join(f",{axis.field}={axis.values[0]}" for axis in axes if len(axis.values) == 1)
    experiments = {
        (base + one, *(values[axis.field] for axis in several)): name for name, (base, values) in points.items()
    }
    return Sweep(several, tuple(dict.fromkeys(place[0] for place in experiments)), experiments) if several else None


def shares(means: Sequence[float | None], better: str | None) -> list[float | None]:
    """Of each mean that there is, how far it is from the worst (0) to the best (1); from the lowest to the highest
    without a direction; 0 where all are equal."""
    known = [mean for mean in means if mean is not None]
    worst, best = (max(known, default=0.0), min(known, default=0.0))[:: 1 if better == "lower" else -1]
    return [None if mean is None else abs(mean - worst) / (abs(best - worst) or 1.0) for mean in means]


def _axis(field: str, values: Sequence[str]) -> Axis:
    """Numbers in their order, anything else in the order in which it was named."""
    axis = Axis(field, tuple(dict.fromkeys(values)))
    numbers = axis.numbers
    if numbers is None:
        return axis
    return Axis(field, tuple(value for _, value in sorted(zip(numbers, axis.values, strict=True))))
