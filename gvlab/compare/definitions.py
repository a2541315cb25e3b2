"""What is read of the source of gvlab: definitions, and the modules that they are in."""

from __future__ import annotations

import ast
from typing import NamedTuple


class Definition(NamedTuple):
    """A name at the top of a module of gvlab."""

    module: str
    name: str

    @property
    def room(self) -> str:
        """The top-level module or package of gvlab that it is in."""
        return self.module.split(".")[1] if "." in self.module else self.module


class Read(NamedTuple):
    text: str
    """Of a definition, without names of others."""
    leads: list[Definition]
    """The others, in the order in which it names them."""
    keys: frozenset[str]
    """Of its dict literals."""


class Module(NamedTuple):
    definitions: dict[str, list[ast.stmt]]
    """Name -> the statements at the top of the module that bind it."""
    imports: dict[str, str]
    """Name -> what it is in gvlab, dotted: a module, or a name in one."""
