"""Dataclasses as JSON, and fields by their dotted names; of experiments nothing is known here."""

from __future__ import annotations

import copy
import dataclasses
import functools
import math
import operator
import types
import typing
from typing import Any, Literal

from gvlab.config import own
from gvlab.config.earlier import as_now
from gvlab.config.inside import has_inside, inside
from gvlab.errors import UserError
from gvlab.spelling import nearest, nearest_field


def is_union(hint: Any) -> bool:
    """Whether a field of that type holds one of several classes, so that its JSON must say which."""
    return isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union


def is_protocol(hint: Any) -> bool:
    """Whether a member of a union stands for the user's own classes."""
    return getattr(hint, "_is_protocol", False)


@functools.cache
def field_types(cls: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, by name: what is annotated is a text, and to evaluate it takes long."""
    hints = typing.get_type_hints(cls)
    return {f.name: _without_texts(hints[f.name]) for f in dataclasses.fields(cls)}


def _without_texts(hint: Any) -> Any:
    """A union without the texts that its class takes in the place of members."""
    members = typing.get_args(hint)
    kept = [member for member in members if typing.get_origin(member) is not Literal]
    return functools.reduce(operator.or_, kept) if is_union(hint) and len(kept) < len(members) else hint


def to_dict(config: Any) -> dict[str, Any]:
    """The dataclass as a dict of plain values; what a union annotates carries its class under `type`."""
    cls: Any = type(config)
    hints = field_types(cls)
    return {f.name: _as_json(hints[f.name], getattr(config, f.name)) for f in dataclasses.fields(config)}


def _as_json(hint: Any, value: Any) -> Any:
    if has_inside(value) and isinstance(value, tuple):
        return tuple(_as_json(typing.get_args(hint)[0], item) for item in value)
    if isinstance(value, own.Unopened) or (dataclasses.is_dataclass(value) and is_union(hint)):
        return member_to_dict(value)
    return to_dict(value) if dataclasses.is_dataclass(value) else value


def member_to_dict(member: Any) -> dict[str, Any]:
    """As `to_dict`, of a member of a union that stands alone: with its class under `type`."""
    if isinstance(member, own.Unopened):
        return member.to_dict()
    cls = type(member)
    if own.is_own(cls):
        return {"type": f"{own.PREFIX}{cls.__name__}", own.FILE: own.file_sha256(cls)} | to_dict(member)
    return {"type": cls.__name__} | to_dict(member)


def completed(hint: Any, value: Any) -> dict[str, Any]:
    """JSON of a configuration with the fields that came after it was written, at their defaults.

    Args:
        hint: the class, or the union of classes whose JSON carries a `type`.
        value: as read from a file.

    Raises:
        UserError: a field is unknown, missing or of the wrong type.
    """
    config = decode(hint, value, "")
    return member_to_dict(config) if is_union(hint) else to_dict(config)


def decode(hint: Any, value: Any, where: str) -> Any:
    """`value`, as read from JSON, as an instance of the type `hint`; `where` names the field in errors."""
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise _wrong(hint, value, where)
        return value
    if is_union(hint):
        if value is None and types.NoneType in typing.get_args(hint):
            return None
        if own.is_json(value) and any(map(is_protocol, typing.get_args(hint))):
            return _own_part(value, where)
        members = {
            cls.__name__: cls for cls in typing.get_args(hint) if cls is not types.NoneType and not is_protocol(cls)
        }
        if not isinstance(value, dict) or value.get("type") not in list(members):  # a list, since it may be unhashable
            raise _wrong(hint, value, where)
        untagged = {name: item for name, item in value.items() if name != "type"}
        return decode(members[value["type"]], untagged, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(hint, value, where)
        of = typing.get_args(hint)[0]
        if not is_union(of) and not dataclasses.is_dataclass(of):
            return tuple(decode(of, item, where) for item in value)
        return tuple(decode(of, item, f"{where}.{i}") for i, item in enumerate(value))
    if dataclasses.is_dataclass(hint):
        return _decode_fields(hint, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return to_float(value)
    if type(value) is not hint:
        raise _wrong(hint, value, where)
    return value


def _own_part(value: dict[str, Any], where: str) -> Any:
    """The part, or what stands for it where its class is not here."""
    fields = {name: item for name, item in value.items() if name not in ("type", own.FILE)}
    cls = own.class_of(value)
    if cls is None:
        sha256 = value.get(own.FILE, "")
        return own.Unopened(value["type"].removeprefix(own.PREFIX), sha256 if isinstance(sha256, str) else "", fields)
    try:
        return decode(cls, fields, where)
    except UserError:
        raise
    except Exception as error:  # of its own __post_init__
        raise UserError(f"{where} is refused by {cls.__name__} ({' '.join(str(error).split())}).") from error


def _wrong(hint: Any, value: Any, where: str) -> UserError:
    return UserError(
        f"The field {where or 'of the experiment'} is {described(value)}, but must be of type {type_name(hint)}."
    )


def _decode_fields(cls: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(cls, value, where)
    value = as_now(cls.__name__, value)
    hints = field_types(cls)
    prefix = f"{where}." if where else ""
    for name in value:
        if name not in hints:
            raise UserError(f"The field {prefix}{name} does not exist{nearest(name, hints)}.")
    for f in dataclasses.fields(cls):
        # A field that came after the file was written has a default under which nothing changes.
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in value:
            raise UserError(f"The field {prefix}{f.name} is missing.")
    return cls(**{name: decode(hints[name], item, prefix + name) for name, item in value.items()})


def to_float(value: int) -> float:
    """The number as a float, infinite where it is beyond the largest one."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def type_name(hint: Any) -> str:
    """A type in words: 'Adam', 'MLP or DCGAN', 'list of int'."""
    members = typing.get_args(hint)
    if hint is types.NoneType:
        return "None"
    if is_protocol(hint):
        return "a class of your own"
    if typing.get_origin(hint) is Literal:
        return " or ".join(repr(m) for m in members)
    if typing.get_origin(hint) is tuple:
        return f"list of {type_name(members[0])}"
    return " or ".join(type_name(m) for m in members) if members else getattr(hint, "__name__", str(hint))


def described(value: Any, most: int = 80) -> str:
    """A value as a sentence can hold it: short, in one line, and not by the address of an object."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__qualname__}"
    own = type(value).__module__ in ("builtins", "numpy") or dataclasses.is_dataclass(value)
    if not own or isinstance(value, types.GeneratorType):
        return f"an object of the class {type(value).__module__.partition('.')[0]}.{type(value).__name__}"
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # a whole number of more digits than Python prints
        return f"a value of {type(value).__name__} with too many digits to print"
    return text if len(text) <= most else f"{text[: most - 3]}..."


def difference(a: Any, b: Any, ignore: tuple[str, ...] = (), where: str = "") -> tuple[str, Any, Any] | None:
    """The first field in which two configurations differ, as (dotted name, value in a, value in b); None if equal.

    Fields that `==` leaves out (`field(compare=False)`) are left out.
    """
    if type(a) is not type(b) or not has_inside(a) or (isinstance(a, tuple) and len(a) != len(b)):
        return None if a == b else (where, a, b)
    unseen = {f.name for f in dataclasses.fields(a) if not f.compare} if dataclasses.is_dataclass(a) else set()
    for (name, first), second in zip(inside(a).items(), inside(b).values(), strict=True):
        if name not in ignore and name not in unseen:
            found = difference(first, second, (), f"{where}.{name}".lstrip("."))
            if found:
                return found
    return None


def value(config: Any, name: str) -> Any:
    """The value of a field by its dotted name, such as `model.optimizer.learning_rate`.

    Raises:
        UserError: there is no such field.
    """
    found = config
    for part in name.split("."):
        if not has_inside(found) or part not in inside(found):
            raise UserError(f"There is no field {name}{nearest_field(name, leaves(config))}.")
        found = inside(found)[part]
    return found


def leaves(config: Any, prefix: str = "") -> list[str]:
    """The dotted names of all fields that hold plain values."""
    names = []
    for name, item in inside(config).items():
        if item is not None:
            names += leaves(item, f"{prefix}{name}.") if has_inside(item) else [prefix + name]
    return names


def with_traced(config: Any, values: dict[str, Any]) -> Any:
    """A copy with numbers that JAX is tracing, by dotted name: nothing is checked, since they have no values yet."""
    for name, value in values.items():
        first, _, rest = name.partition(".")
        new = with_traced(inside(config)[first], {rest: value}) if rest else value
        if isinstance(config, tuple):
            config = (*config[: int(first)], new, *config[int(first) + 1 :])
        else:
            changed = copy.copy(config)
            object.__setattr__(changed, first, new)
            config = changed
    return config
