"""Sweeps: the experiments that one is made into by values of its fields, and what their names say of them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gvlab import config as c
from gvlab.types import UserError

Values = tuple[str, Sequence[Any]]
"""(the end of a dotted name that only one field has, such as `optimizer.learning_rate`; values of the field's type, or
names of classes where it holds one of several)."""


def swept(experiment: c.Experiment, field: str, values: Sequence[Any]) -> list[c.Experiment]:
    """One experiment for each value of a field, named after it, as `grid` makes them."""
    return grid(experiment, [(field, values)])


def grid(experiment: c.Experiment, sweeps: Sequence[Values]) -> list[c.Experiment]:
    """One experiment for each combination of values of fields, the values of the last field next to each other.

    Each is named after its values: `vae,optimizer.b1=0.5`, the field as it was asked for. Of several fields no more is
    said than tells them apart, as in `vae,b1=0.5,beta=4`, since the name is a directory's.

    Args:
        experiment: to be varied.
        sweeps: which fields, and their values.

    Raises:
        UserError: there is no such field or there are several, it refuses a value, or two of the experiments are one.
    """
    made = [experiment]
    for (field, values), label in zip(sweeps, _labels([field for field, _ in sweeps]), strict=True):
        made = [_varied(one, field, value, label) for one in made for value in values]
    alike: dict[str, str] = {}
    for one in made:
        other = alike.setdefault(c.to_json(replace(one, name=experiment.name)), one.name)
        if other is not one.name:
            raise UserError(
                f"--sweep makes {other} and {one.name} of one configuration, which would be one experiment twice: give "
                "each field and each of its values once."
            )
    return made


def _labels(asked: Sequence[str]) -> list[str]:
    """What a field is called in names: as it was asked for or, beside others, by the shortest end that it alone has."""
    names = [name.replace("-", "_") for name in asked]
    if len(names) == 1:
        return names  # units of earlier comparisons are called so
    labels = []
    for i, name in enumerate(names):
        ends = [name.split(".", cut)[-1] for cut in range(name.count("."), -1, -1)]
        others = [f".{other}" for j, other in enumerate(names) if j != i]
        labels.append(next((end for end in ends if not any(o.endswith(f".{end}") for o in others)), name))
    return labels


def _varied(experiment: c.Experiment, field: str, value: Any, label: str) -> c.Experiment:
    asked = field.replace("-", "_")
    fields = [name for name in (*c.leaves(experiment), *c.choices(experiment)) if name not in ("name", "seed")]
    fitting = [name for name in fields if name == asked or name.endswith(f".{asked}")]
    if len(fitting) != 1:
        which = f"could be {' or '.join(fitting)}" if fitting else f"is no field{c.nearest(asked, fields)}"
        raise UserError(f"--sweep {field} {which} of {experiment.name}: give the whole name of one field.")
    return replace(_with(experiment, fitting[0], value), name=f"{experiment.name},{label}={value}")


def _with(experiment: c.Experiment, name: str, value: Any) -> c.Experiment:
    if name not in c.choices(experiment):
        return c.with_value(experiment, name, value)
    return c.from_json(c.to_json(c.with_choice(experiment, name, str(value))))  # which checks it


# --- by their names -------------------------------------------------------------------------------------------------


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
