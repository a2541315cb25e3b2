"""Fields hold the plain Python values that they are annotated with, so that a configuration equals its JSON."""

from __future__ import annotations

import dataclasses
import math
import numbers
import typing
from typing import Any, Literal

from gvlab.config import own
from gvlab.config.fields import described, field_types, is_protocol, is_union, to_float, type_name
from gvlab.config.own_classes import check
from gvlab.errors import UserError

LARGEST = 2**63 - 1
"""Of a whole number: what 64 bits hold."""


def settle(config: Any) -> None:
    """Makes plain what a frozen dataclass was given, in place: for `__post_init__`, before anything is compared.

    A number or an array of NumPy's becomes the number or the tuple that it equals exactly, a list a tuple.

    Raises:
        UserError: a value is of another type than its field.
    """
    cls: Any = type(config)
    for name, hint in field_types(cls).items():
        object.__setattr__(config, name, plain(hint, getattr(config, name), f"{cls.__name__}.{name}"))


def plain(hint: Any, value: Any, where: str) -> Any:
    """The value as an instance of the type `hint`; `where` names the field in errors."""
    origin = typing.get_origin(hint)
    if origin is tuple:
        items = _items(value)
        if items is None:
            raise _wrong(hint, value, where)
        return tuple(plain(typing.get_args(hint)[0], item, f"{where}[{i}]") for i, item in enumerate(items))
    if is_union(hint) or dataclasses.is_dataclass(hint):
        members = typing.get_args(hint) or (hint,)
        if isinstance(value, type) and value in members:
            raise UserError(
                f"{where} is the class {value.__name__}, but must be an instance of it: {value.__name__}()."
            )
        if type(value) in members or isinstance(value, own.Unopened):
            return value
        protocol = next(filter(is_protocol, members), None)
        if protocol and _may_be_own(value):
            check(value, protocol, where)
            settle(value)
            return value
        if not isinstance(value, tuple(member for member in members if not is_protocol(member))):
            raise _wrong(hint, value, where)
        return value
    value = _scalar(value)
    if origin is Literal:
        choices = [choice for choice in typing.get_args(hint) if type(value) is type(choice) and value == choice]
        if not choices:
            raise _wrong(hint, value, where)
        return choices[0]
    if hint is float and type(value) is int:
        value = to_float(value)
    if type(value) is not hint:
        raise _wrong(hint, value, where)
    _check_range(value, where)
    return value


def _may_be_own(value: Any) -> bool:
    """Whether somebody meant it as a part of their own: it is no value of JSON's, and no class of gvlab's."""
    return (
        not isinstance(value, bool | int | float | complex | str | bytes | list | dict | set | None)
        and not (type(value) is tuple and all(isinstance(item, bool | int | float | str) for item in value))
        and own.is_own(value if isinstance(value, type) else type(value))
    )


def _check_range(value: Any, where: str) -> None:
    """Raises `UserError` for a value of a right type that no JSON, or no computation, could hold."""
    if isinstance(value, int) and abs(value) > LARGEST:
        raise UserError(f"{where} is {described(value)}, but must be from -{LARGEST} to {LARGEST}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{where} is {value}, but must be a finite number.")
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UserError(f"{where} is {value!a}, but half of a letter is no text: leave it out.") from error


def _scalar(value: Any) -> Any:
    """A number, a truth value or a text of Python's own, if the value is one of another library's; else itself."""
    if getattr(value, "shape", None) == () and callable(getattr(value, "item", None)):  # NumPy's and JAX's
        value = value.item()
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, numbers.Integral):  # IntEnum, too
        return int(value)
    if isinstance(value, float):
        return float(value)
    return str(value) if isinstance(value, str) and type(value) is not str else value


def _items(value: Any) -> list[Any] | None:
    """The items of a list, a tuple, a range or an array of one axis; None of anything else: a set has no order."""
    if isinstance(value, list | tuple | range):
        return list(value)
    if len(getattr(value, "shape", ())) == 1 and callable(getattr(value, "tolist", None)):
        return value.tolist()
    return None


def _wrong(hint: Any, value: Any, where: str) -> UserError:
    return UserError(f"{where} is {described(value)}, but must be of type {type_name(hint)}.")
