"""JSON that may be anybody's: parsed strictly, bounded in depth, and checked against a type.

A schema is a type as Python writes it: `str`, `int`, `float` (which takes whole numbers, too), `bool`, `None`, `Any`,
`Literal[...]`, unions, `list[...]`, `dict[str, ...]`, a `TypedDict`, whose further keys are allowed (a later version
may write them), and `Annotated[int, Least(0)]`.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, NotRequired, Union

from gvlab.limits import Least

DEEPEST = 64
"""Levels of objects and lists within each other."""

Count = Annotated[int, Least(0)]
"""A step, or how many of something."""


def parse(raw: bytes, schema: Any) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: the text is not UTF-8 or not JSON, has a key twice, a number that is not finite or no 64-bit one,
            half of a surrogate pair, or more than `DEEPEST` levels; or the value is not of the schema. The message is
            a reason, of one line.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError(f"more than {DEEPEST} levels of nesting") from error
    _check_leaves(value)
    check(value, schema)
    return value


def check(value: Any, schema: Any, where: str = "") -> None:
    """Raises `ValueError` unless a JSON value is of the schema; `where` names it: 'units[3].seed'."""
    problem = _problem(value, schema, where)
    if problem:
        raise ValueError(problem)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"the key {_shown(name)} twice in one object")
        made[name] = value
    return made


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text}, which is no JSON")


def _check_leaves(value: Any) -> None:
    """Without recursion, since the depth is what is asked."""
    waiting = [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        if depth > DEEPEST + 1:
            raise ValueError(f"more than {DEEPEST} levels of nesting")
        if isinstance(one, dict):
            waiting += [(item, depth + 1) for pair in one.items() for item in pair]
        elif isinstance(one, list):
            waiting += [(item, depth + 1) for item in one]
        elif isinstance(one, str):
            if any("\ud800" <= letter <= "\udfff" for letter in one if letter > "\u07ff"):
                raise ValueError(f"half of a surrogate pair in {_shown(one)}")
        elif isinstance(one, float):
            if not math.isfinite(one):
                raise ValueError("a number beyond the largest of 64 bits")
        elif isinstance(one, int) and abs(one) >= 2**63:
            raise ValueError("a whole number of more than 64 bits")


_PLAIN = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    types.NoneType: "null",
    dict: "an object",
    list: "a list",
}


def _problem(value: Any, schema: Any, where: str) -> str | None:
    """What is wrong with it, in words; None if it is of the schema."""
    origin, arguments = typing.get_origin(schema), typing.get_args(schema)
    if schema is Any:
        return None
    if schema is None:
        schema = types.NoneType
    if origin is Annotated:
        least = arguments[1].value
        if (problem := _problem(value, arguments[0], where)) or value >= least:
            return problem
        return f"{_named(where)} is {_shown(value)}, but must be at least {least}"
    if origin in (Union, types.UnionType):
        problems = [_problem(value, argument, where) for argument in arguments]
        # Of several kinds the one that it nearly is says most: {"type": ...} with a wrong field, say.
        return None if None in problems else max(filter(None, problems), key=len)
    if origin is Literal:
        if any(type(value) is type(argument) and value == argument for argument in arguments):
            return None
        wanted = " or ".join(json.dumps(argument) for argument in arguments)
        return f"{_named(where)} is {_shown(value)}, but must be {wanted}"
    if origin is list:
        if not isinstance(value, list):
            return _wrong(value, list, where)
        return _first(_problem(item, arguments[0], f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            return _wrong(value, dict, where)
        return _first(_problem(item, arguments[1], _below(where, name)) for name, item in value.items())
    if typing.is_typeddict(schema):
        return _problem_of_fields(value, schema, where)
    fits = type(value) is schema or (schema is float and type(value) is int)
    return None if fits else _wrong(value, schema, where)


def _problem_of_fields(value: Any, schema: Any, where: str) -> str | None:
    if not isinstance(value, dict):
        return _wrong(value, dict, where)
    for name, hint in _fields(schema).items():
        optional = typing.get_origin(hint) is NotRequired  # `__required_keys__` sees no annotation that is a text
        if name in value:
            inner = typing.get_args(hint)[0] if optional else hint
            if problem := _problem(value[name], inner, _below(where, name)):
                return problem
        elif not optional:
            return f"{_below(where, name)} is missing"
    return None


@functools.cache
def _fields(schema: Any) -> dict[str, Any]:
    return typing.get_type_hints(schema, include_extras=True)


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)


def _wrong(value: Any, schema: type, where: str) -> str:
    return f"{_named(where)} is {_shown(value)}, but must be {_PLAIN[schema]}"


def _named(where: str) -> str:
    return where or "the whole"


def _below(where: str, name: str) -> str:
    return f"{where}.{_cut(name)}" if where else _cut(name)


def _shown(value: Any) -> str:
    """A value as JSON, cut short; of what may be large, only what it is."""
    return _PLAIN[type(value)] if isinstance(value, dict | list) else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
