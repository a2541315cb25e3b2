"""The source that a function's result depends on: all definitions of gvlab that it leads to, wherever they stand.

Definitions are found by reading, not by running: from a function over the names in it to the functions, classes and
constants that these names are bound to at the top of a module, and on from there. Imports are followed, also through
the packages that gather public names. Where a definition stands, what it and its local variables are called,
docstrings, comments, and what is raised (an error is no number) don't count. Names of parameters do: calls use them.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import pickle
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import gvlab
from gvlab.compare.definitions import Definition, Module, Read

_ROUNDS = 8
"""Definitions are told apart by what they lead to in so many calls; their own text counts in any case."""

_WITH_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)

_NAME = "_"
"""In place of a name that doesn't count."""


def sha256(root: Definition, without: Collection[str] = (), unasked: frozenset[str] = frozenset()) -> str:
    """Of a definition and of all that it leads to, as `closure` has it."""
    read = {definition: _read(definition, unasked) for definition in closure(root, without, unasked)}
    digests = {definition: _sha256(text) for definition, (text, _, _) in read.items()}
    for _ in range(_ROUNDS):
        digests = {
            definition: _sha256(text, *(digests[there] for there in leads if there in read))
            for definition, (text, leads, _) in read.items()
        }
    return _sha256(digests[root], *sorted(digests.values()))


def closure(root: Definition, without: Collection[str] = (), unasked: frozenset[str] = frozenset()) -> set[Definition]:
    """All that a definition leads to, itself included.

    Args:
        root: where to begin.
        without: modules and packages on the top level of gvlab that are not entered.
        unasked: of dict literals, entries under these names are not there.
    """
    reached: set[Definition] = set()
    waiting = [root]
    while waiting:
        here = waiting.pop()
        if here not in reached:
            reached.add(here)
            waiting += [there for there in _read(here, unasked).leads if there.room not in without]
    return reached


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


@functools.cache
def _read(definition: Definition, unasked: frozenset[str]) -> Read:
    if unasked:  # most definitions have no such entries, and are read once for all that may be asked
        whole = _read(definition, frozenset())
        if not whole.keys & unasked:
            return whole
    module = _module(definition.module)
    reader = _Reader(definition.module, module, unasked)
    nodes = [reader.of_top(node) for node in module.definitions[definition.name]]
    return Read(_text(nodes), reader.found, frozenset(reader.keys))


def _text(tree: Any) -> str:
    """A syntax tree as text, by a rule of our own, since that of `ast.dump` changes with Python.

    As a loop: a call for each of its hundred thousand nodes takes as long as the rest.
    """
    parts: list[str] = []
    waiting = [tree]  # what has yet to be written, the next at the end; strings are written as they are
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            parts.append(node)
            continue
        pieces: list[Any]
        if isinstance(node, list):
            pieces = ["["]
            for value in node:
                pieces += [value if isinstance(value, ast.AST | list) else repr(value), ", "]
            if node:
                pieces.pop()
            pieces.append("]")
        else:
            pieces = [f"{type(node).__name__}("]
            comma = ""
            for name in node._fields:
                value = getattr(node, name, None)
                if value is None or value == [] or isinstance(value, ast.expr_context):
                    continue
                pieces += [f"{comma}{name}=", value if isinstance(value, ast.AST | list) else repr(value)]
                comma = ", "
            pieces.append(")")
        waiting += reversed(pieces)
    return "".join(parts)


@functools.cache
def _file(module: str) -> Path | None:
    place = Path(gvlab.__file__).parent.joinpath(*module.split(".")[1:])
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)


@functools.cache
def _module(name: str) -> Module:
    file = _file(name)
    assert file is not None, name
    tree = ast.parse(file.read_text(encoding="utf-8"))
    definitions: dict[str, list[ast.stmt]] = {}
    for node in _at_the_top(tree.body):
        for bound in _bound(node):
            definitions.setdefault(bound, []).append(node)
    imports: dict[str, str] = {}
    waiting: deque[ast.AST] = deque([tree])
    while waiting:  # as `ast.walk`, but not into expressions, where there are no imports
        statement = waiting.popleft()
        waiting += [inner for inner in ast.iter_child_nodes(statement) if isinstance(inner, _WITH_STATEMENTS)]
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").split(".")[0] == "gvlab":
            imports |= {alias.asname or alias.name: f"{statement.module}.{alias.name}" for alias in statement.names}
    return Module(definitions, imports)


def _at_the_top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _at_the_top([inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)])
        else:
            yield node


def _bound(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {
        name.id for target in targets if target is not None for name in ast.walk(target) if isinstance(name, ast.Name)
    }


def _resolved(dotted: str) -> Definition | None:
    """gvlab.losses.x -> where x is defined, through the packages that hand it on; None for a module, or no name."""
    if _file(dotted):
        return None
    module, _, name = dotted.rpartition(".")
    if not _file(module):
        return None
    within = _module(module)
    if name in within.definitions:
        return Definition(module, name)
    return _resolved(within.imports[name]) if name in within.imports else None


def _variables(function: ast.FunctionDef) -> list[str]:
    """What a function and those within it bind besides their parameters, in the order in which they are first named."""
    nodes = list(ast.walk(function))
    names = sorted(
        (node for node in nodes if isinstance(node, ast.Name)),
        key=lambda node: (node.lineno, node.col_offset),
    )
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    bound -= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            bound -= set(node.names)
    return list(dict.fromkeys(node.id for node in names if node.id in bound))


class _Reader(ast.NodeTransformer):
    """Takes out of definitions what doesn't count, and notes what they lead to."""

    def __init__(self, name: str, module: Module, unasked: frozenset[str]) -> None:
        self.name, self.module, self.unasked = name, module, unasked
        self.found: list[Definition] = []
        self.keys: set[str] = set()
        """Of the dict literals that were read."""
        self.locals: dict[str, str] = {}
        """The local variables of the function that is being read, numbered."""

    def of_top(self, node: ast.stmt) -> ast.AST:
        """A definition without its own name."""
        read = self.visit(pickle.loads(pickle.dumps(node)))  # a copy, in two fifths of copy.deepcopy's time
        if isinstance(read, ast.FunctionDef | ast.ClassDef):
            read.name = _NAME
        elif isinstance(read, ast.Assign):
            read.targets = []
        return read

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in self.locals:
            return ast.Name(self.locals[node.id], node.ctx)
        return self._named(node, node.id)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        names = [node.attr]
        inner = node.value
        while isinstance(inner, ast.Attribute):
            names.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):  # of what is computed, and no definition
            return self.generic_visit(node)
        return self._named(node, ".".join([inner.id, *reversed(names)]))

    def _named(self, node: ast.Name | ast.Attribute, dotted: str) -> ast.AST:
        first, dot, rest = dotted.partition(".")
        if first in self.locals:
            return self.generic_visit(node)
        if dotted in self.module.definitions:
            definition: Definition | None = Definition(self.name, dotted)
        else:
            definition = _resolved(self.module.imports[first] + dot + rest) if first in self.module.imports else None
        if definition is None or isinstance(node.ctx, ast.Store):
            return self.generic_visit(node)
        self.found.append(definition)
        return ast.Name(_NAME, ast.Load())

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.keys |= {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
        kept = [
            (key, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if not (isinstance(key, ast.Constant) and key.value in self.unasked)
        ]
        return self.generic_visit(ast.Dict([key for key, _ in kept], [value for _, value in kept]))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        if self.locals:  # within another function, whose variables it may use
            return self.generic_visit(node)
        self.locals = {name: f"{_NAME}{number}" for number, name in enumerate(_variables(node))}
        read = self.generic_visit(node)
        self.locals = {}
        return read

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Name(_NAME, ast.Load())
        return self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Raise()

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if (node.module or "").split(".")[0] == "gvlab" else node
