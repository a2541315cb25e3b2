"""Members of unions chosen by name, where an experiment says `hinge` or `MLP` and means one with its defaults."""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from typing import Any

from gvlab.config.fields import field_types, is_protocol, is_union, value, with_traced
from gvlab.config.inside import has_inside, inside
from gvlab.errors import UserError
from gvlab.spelling import nearest

NONE = "none"
"""What stands for no member, where a field holds any number of them."""


def choices(config: Any) -> dict[str, list[Any]]:
    """The fields that hold one of several classes, or any number of them, by dotted name, with those classes."""
    return _choices("", type(config), config)


def _choices(name: str, hint: Any, held: Any) -> dict[str, list[Any]]:
    """Those of a field and of what it holds."""
    of = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
    found: dict[str, list[Any]] = {}
    if is_union(of):
        found[name] = [cls for cls in typing.get_args(of) if dataclasses.is_dataclass(cls) and not is_protocol(cls)]
    if has_inside(held):
        cls: Any = type(held)
        hints = dict.fromkeys(inside(held), of) if cls is tuple else field_types(cls)
        for field, item in inside(held).items():
            found |= _choices(f"{name}.{field}".lstrip("."), hints[field], item)
    return found


def holds_several(config: Any, name: str) -> bool:
    """Whether one of `choices` holds any number of members."""
    return isinstance(value(config, name), tuple)


def with_choice(config: Any, name: str, text: str) -> Any:
    """A copy whose field of that dotted name holds another class, with its defaults; nothing else is checked.

    A class may be given its first field in parentheses: R1(0.1), Relativistic(hinge).

    Args:
        config: to be changed.
        name: one of `choices`.
        text: the class, in any case and with `_` or `-` where one likes: LeastSquares, least_squares. Where a field
            holds any number of them their sum, R1+LeCam, or `none`.

    Raises:
        UserError: there is no such class, or it has a field without a default.
    """
    classes = choices(config)[name]
    if not holds_several(config, name):
        names = ", ".join(cls.__name__ for cls in classes)
        return with_traced(config, {name: _member(classes, text, f"{name} is {text!r}", f"one of {names}")})
    allowed = f"{NONE}, or one or more, joined by +, of {', '.join(cls.__name__ for cls in classes)}"
    joined = "+".join(re.split(r"[,\s]+", text))
    if joined != text:
        raise UserError(f"{name} is {text!r}, but must be {allowed} (did you mean {joined}?).")
    texts = [] if _plain(text) == NONE else text.split("+")
    return with_traced(config, {name: tuple(_member(classes, one, f"{name} is {text!r}", allowed) for one in texts)})


def member(classes: list[Any], text: str, option: str) -> Any:
    """The class of that name, with its defaults but for a first field in parentheses: block(8).

    Args:
        classes: to choose from.
        text: the class, as for `with_choice`.
        option: that says it.

    Raises:
        UserError: there is no such class, or it has a field without a default.
    """
    names = ", ".join(cls.__name__.lower() for cls in classes)
    return _member(classes, text, f"{option} is {text!r}", f"one of {names}")


def _member(classes: list[Any], text: str, given: str, allowed: str) -> Any:
    """The class of that name, with its defaults; `given` and `allowed` are said of another one."""
    members = {_plain(cls.__name__): cls for cls in classes}
    named = _WITH_FIRST.fullmatch(text)
    cls = members.get(_plain(named["name"] if named else text))
    if cls is None:
        raise UserError(f"{given}, but must be {allowed}{nearest(text, [one.__name__ for one in classes])}.")
    for field in dataclasses.fields(cls):
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise UserError(
                f"{given}, but {cls.__name__}.{field.name} has no default: write it into an experiment file."
            )
    if named is None:
        return cls()
    if not dataclasses.fields(cls):
        raise UserError(f"{given}, but {cls.__name__} has no field to be {named['first']}: leave the parentheses out.")
    return cls(_read(named["first"]))


_WITH_FIRST = re.compile(r"(?P<name>[\w-]+)\((?P<first>[^()]+)\)")


def _read(text: str) -> bool | float | str:
    """A number or a truth value as JSON writes it, else the text itself; whether it fits is for the class to say."""
    try:
        found = json.loads(text)
    except ValueError:
        # Of JSON's own only in capitals: nan is a number all the same, of which the class says that it is none for it.
        return float(text) if text.lower() in ("nan", "inf", "-inf") else text
    return found if isinstance(found, bool | int | float) else text


def _plain(text: str) -> str:
    return text.lower().replace("_", "").replace("-", "")
