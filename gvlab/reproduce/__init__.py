"""The ledger of published results: an experiment per published number, run over seeds and judged.

A reproduction is an experiment file that defines, besides `config()`, `published() -> Published`. What was found is
recorded as results/NAME.json beside it, and README.md there is made from the files and these records; misses stay in
the table.
"""

from gvlab.reproduce.ledger import HEADER, is_current, row, write_ledger
from gvlab.reproduce.published import WIDEST, Judgement, Published, expected, judge
from gvlab.reproduce.run import SCHEMA, reproduce

__all__ = [
    "HEADER",
    "SCHEMA",
    "WIDEST",
    "Judgement",
    "Published",
    "expected",
    "is_current",
    "judge",
    "reproduce",
    "row",
    "write_ledger",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
