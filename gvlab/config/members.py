"""Members of unions chosen by name, where an experiment says `hinge` or `MLP` and means one with its defaults."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from gvlab.config.fields import field_types, is_protocol, is_union, with_traced
from gvlab.errors import UserError
from gvlab.spelling import nearest


def choices(config: Any, prefix: str = "") -> dict[str, list[Any]]:
    """The fields that hold one of several classes, by dotted name, with those classes."""
    found: dict[str, list[Any]] = {}
    cls: Any = type(config)
    hints = field_types(cls)
    for field in dataclasses.fields(config):
        value, name = getattr(config, field.name), prefix + field.name
        if is_union(hints[field.name]):
            found[name] = [
                cls
                for cls in typing.get_args(hints[field.name])
                if dataclasses.is_dataclass(cls) and not is_protocol(cls)
            ]
        if dataclasses.is_dataclass(value):
            found |= choices(value, f"{name}.")
    return found


def with_choice(config: Any, name: str, text: str) -> Any:
    """A copy whose field of that dotted name holds another class, with its defaults; nothing else is checked.

    Args:
        config: to be changed.
        name: one of `choices`.
        text: the class, in any case and with `_` or `-` where one likes: LeastSquares, least_squares.

    Raises:
        UserError: there is no such class, or it has a field without a default.
    """
    members = {_plain(cls.__name__): cls for cls in choices(config)[name]}
    cls = members.get(_plain(text))
    if cls is None:
        names = [member.__name__ for member in members.values()]
        raise UserError(f"{name} is {text!r}, but must be one of {', '.join(names)}{nearest(text, names)}.")
    for field in dataclasses.fields(cls):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(
                f"{name} is {text!r}, but {cls.__name__}.{field.name} has no default: write it into an experiment file."
            )
    return with_traced(config, {name: cls()})


def _plain(text: str) -> str:
    return text.lower().replace("_", "").replace("-", "")
