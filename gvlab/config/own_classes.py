"""What a class of one's own must be to stand in a configuration: frozen, of plain fields, with the part's method."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import typing
from typing import Any, Literal

from gvlab.config import own
from gvlab.config.fields import described, field_types, is_protocol, is_union, type_name
from gvlab.errors import UserError

_PLAIN = (bool, int, float, str)
_MANUAL = "docs/own_parts.md shows how"


def check(value: Any, protocol: Any, where: str) -> None:
    """Raises `UserError` unless the value is a part of one's own that a field of this protocol can hold.

    Args:
        value: given for the field, of none of gvlab's classes for it.
        protocol: of `gvlab.config.protocols`.
        where: names the field.
    """
    method, call = method_of(protocol)
    if isinstance(value, type) and callable(getattr(value, method, None)):
        raise UserError(f"{where} is the class {value.__name__}, but must be an instance of it: {value.__name__}(...).")
    cls = type(value)
    if not dataclasses.is_dataclass(value) or (not own.is_own(cls) or not callable(getattr(cls, method, None))):
        if dataclasses.is_dataclass(value) and own.is_own(cls) and not _is_module(value):
            raise UserError(
                f"{where} is of the class {cls.__name__}, which has no method {call}: write one ({_MANUAL})."
            )
        raise UserError(
            f"{where} is {described(value)}, which config.json cannot hold: write a frozen dataclass with a method "
            f"{call} that returns it ({_MANUAL})."
        )
    if not callable(getattr(cls, method, None)):
        raise UserError(f"{where} is of the class {cls.__name__}, which has no method {call}: write one ({_MANUAL}).")
    _check_arguments(cls, protocol, where)
    check_class(cls, where)


def _check_arguments(cls: Any, protocol: Any, where: str) -> None:
    """Raises `UserError` unless the method can be called as gvlab calls it: with so many arguments, of any names."""
    method, _ = method_of(protocol)
    wanted = list(inspect.signature(getattr(protocol, method)).parameters)
    try:
        signature = inspect.signature(getattr(cls, method))
    except ValueError:  # not written in Python
        return
    try:
        signature.bind(*wanted)
    except TypeError as error:
        found = ", ".join(str(one.replace(annotation=one.empty)) for one in signature.parameters.values())
        raise UserError(
            f"{where} is of the class {cls.__name__}, whose method is {method}({found}), but must be "
            f"{method}({', '.join(wanted)}) ({_MANUAL})."
        ) from error


@functools.cache
def method_of(protocol: Any) -> tuple[str, str]:
    """The name of a protocol's method, and how it is called: networks(shape, classes, axis_name)."""
    ((name, function),) = ((n, f) for n, f in vars(protocol).items() if inspect.isfunction(f) and not n.startswith("_"))
    return name, f"{name}({', '.join(list(inspect.signature(function).parameters)[1:])})"


def check_class(cls: Any, where: str) -> None:
    """Raises `UserError` unless instances can be recorded: they never change, and JSON holds their fields."""
    if not cls.__dataclass_params__.frozen:
        raise UserError(
            f"{where} is of the class {cls.__name__}, which is not frozen, so that it could be another one than was "
            "recorded: write @dataclass(frozen=True) above it."
        )
    if own.FILE in {field.name for field in dataclasses.fields(cls)}:
        raise UserError(f"{cls.__name__}.{own.FILE} is a name that config.json needs itself: choose another one.")
    if not cls.__dataclass_params__.eq or any(not field.init for field in dataclasses.fields(cls)):
        raise UserError(
            f"{where} is of the class {cls.__name__}, which the fields in config.json do not make again: "
            "leave eq=False and init=False out."
        )
    try:
        hints = field_types(cls)
    except Exception as error:  # whatever the annotations of a user's class evaluate to
        raise UserError(
            f"The fields of {cls.__name__} have annotations that cannot be read ({type(error).__name__}: {error}): "
            "annotate them with int, float, bool, str, or tuple[..., ...] of them."
        ) from error
    for name, hint in hints.items():
        _check_hint(hint, f"{cls.__name__}.{name}", where)


def _check_hint(hint: Any, field: str, where: str) -> None:
    arguments = typing.get_args(hint)
    if hint in _PLAIN:
        return
    if typing.get_origin(hint) is Literal and all(type(item) in _PLAIN for item in arguments):
        return
    if typing.get_origin(hint) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _check_hint(arguments[0], field, where)
    if is_union(hint) and all(is_protocol(a) or (dataclasses.is_dataclass(a) and not own.is_own(a)) for a in arguments):
        return  # as a field of gvlab's, such as another optimizer
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and not _is_module(hint):
        return check_class(hint, f"{field} of {where}")
    raise UserError(
        f"{field} is of type {type_name(hint)}, which config.json cannot hold: use int, float, bool, str, "
        "tuple[..., ...] of one of them, or another frozen dataclass, and make the rest in the method."
    )


def _is_module(value: Any) -> bool:
    """Whether this is one of Flax's modules, which are dataclasses, too."""
    cls = value if isinstance(value, type) else type(value)
    return any(base.__module__.startswith("flax.") for base in cls.__mro__)
