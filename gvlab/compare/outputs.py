"""What is written of a comparison besides its report: comparison.csv, table.md, table.tex and comparison.json."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from gvlab.compare import paper, tables
from gvlab.files import write_atomically
from gvlab.types import Json


def texts(comparison: Json) -> dict[str, str]:
    """comparison.csv, table.md, table.tex and comparison.json, by name."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["experiment", "seed", "measure", "value", "stamp"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(tables.tidy(comparison))
    return {
        "comparison.csv": text.getvalue(),
        "table.md": tables.markdown(comparison),
        "table.tex": paper.latex(comparison, paper.chosen(comparison)),
        "comparison.json": json.dumps(comparison, indent=1, allow_nan=False) + "\n",
    }


def write(comparison: Json, root: Path) -> None:
    """Writes the `texts` into the comparison's directory, comparison.json last."""
    for name, text in texts(comparison).items():
        write_atomically(root / name, text)
