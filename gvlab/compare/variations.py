"""The experiments that one is made into by values of its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gvlab import config as c
from gvlab.spelling import nearest_field
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
    names = dict.fromkeys((*c.leaves(experiment), *c.choices(experiment)))  # an empty tuple of members is in both
    fields = [name for name in names if name not in ("name", "seed")]
    fitting = [name for name in fields if name == asked or name.endswith(f".{asked}")]
    if len(fitting) != 1:
        which = f"could be {' or '.join(fitting)}" if fitting else f"is no field{nearest_field(asked, fields)}"
        raise UserError(f"--sweep {field} {which} of {experiment.name}: give the whole name of one field.")
    try:
        changed = _with(experiment, fitting[0], value)
    except UserError as error:
        raise UserError(
            f"--sweep {field}={value} is refused ({str(error).rstrip('.')}): give values that the field can have."
        ) from error
    return replace(changed, name=f"{experiment.name},{label}={value}")


def _with(experiment: c.Experiment, name: str, value: Any) -> c.Experiment:
    if name not in c.choices(experiment):
        return c.with_value(experiment, name, value)
    return c.from_json(c.to_json(c.with_choice(experiment, name, str(value))))  # which checks it
