"""A comparison as a pandas DataFrame that shows its table and samples in a notebook."""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from typing import Any

import pandas as pd

from gvlab import evaluate
from gvlab.compare import tables, written
from gvlab.pictures.lines import visible
from gvlab.types import Json


def load(root: str | Path) -> Any:
    """The values of a comparison as a pandas DataFrame, which shows the table and samples in a notebook.

    Columns: experiment, seed, measure, value, protocol, of which the last is short; comparison.csv has the whole stamp
    of every number. A diverged unit has one row without a measure.

    Raises:
        UserError: there is no comparison in the directory.

    Examples:
        >>> from gvlab import compare
        >>> frame = compare.load("experiments/reproductions/vae_against_iwae")  # in a clone of gvlab
        >>> bounds = frame[frame.measure == "iw_bound_nats"]
        >>> for name, mean in bounds.groupby("experiment").value.mean().items():
        ...     print(name, round(mean, 2))
        iwae_mnist_1layer_iwae_k5 -99.51
        iwae_mnist_1layer_vae_k5 -98.74
    """
    return ComparisonFrame.of(written.read(Path(root)), Path(root))


class ComparisonFrame(pd.DataFrame):
    """The values of a comparison, tidy; what is derived from it is an ordinary DataFrame."""

    _metadata = ("found", "root")

    @classmethod
    def of(cls, found: Json, root: Path) -> ComparisonFrame:
        """Of comparison.json's object and its directory."""
        rows = [
            row | {"protocol": row["stamp"] and evaluate.described(json.loads(row["stamp"]))}
            for row in tables.tidy(found)
        ]
        frame = cls(rows, columns=["experiment", "seed", "measure", "value", "protocol"])
        frame.found, frame.root = found, root
        return frame

    @property
    def _constructor(self) -> Any:
        return pd.DataFrame

    def _repr_html_(self) -> str:
        """The verdict, the table, and the last samples of the first seed of each experiment that came to its end."""
        head = "".join(f"<th>{html.escape(name)}</th>" for name in tables.HEADER)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
            for cells in tables.table(self.found)
        )
        shown: dict[str, Json] = {}
        for unit in self.found["units"]:
            if unit["status"] == "complete":
                shown.setdefault(unit["experiment"], unit)
        pictures = "".join(_picture(self.root, unit) for unit in shown.values())
        verdict = html.escape(self.found["verdict"])
        remarks = "".join(f"<p>{html.escape(remark)}</p>" for remark in self.found["remarks"])
        return f"<p>{verdict}</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{remarks}{pictures}"


SENTENCES = 16
"""Of a text that is shown."""


def _picture(root: Path, unit: Json) -> str:
    sheets = sorted((root / unit["directory"] / "samples").glob("step-*.png"))
    texts = sorted((root / unit["directory"] / "samples").glob("step-*.txt"))
    if texts:
        sentences = texts[-1].read_text("utf-8", errors="replace").splitlines()[:SENTENCES]
        said = html.escape(f"{unit['experiment']}, seed {unit['seed']}, {texts[-1].stem.replace('-', ' ')}")
        shown = html.escape("\n".join(map(visible, sentences)))
        return f"<figure><pre>{shown}</pre><figcaption>{said}</figcaption></figure>"
    if not sheets:
        return ""
    name = html.escape(f"{unit['experiment']}, seed {unit['seed']}, {sheets[-1].stem.replace('-', ' ')}")
    source = base64.b64encode(sheets[-1].read_bytes()).decode()
    image = f'<img alt="{name}" width="300" src="data:image/png;base64,{source}">'
    return f"<figure>{image}<figcaption>{name}</figcaption></figure>"
