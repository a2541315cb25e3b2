"""The digits zoo's table in the docs is what its values say."""

import re
from pathlib import Path
from runpy import run_path

ROOT = Path(__file__).resolve().parents[1]


def test_the_table_in_the_docs_is_that_of_the_values(capsys):
    pooled = run_path(str(ROOT / "experiments/zoo/analysis/pooled.py"))
    pooled["main"](str(ROOT / "experiments/zoo/values.csv"))
    made = capsys.readouterr().out
    page = (ROOT / "docs/which_gan.md").read_text()
    rows = [line for line in made.splitlines() if line.startswith("| `")]
    assert len(rows) == 12
    for row in rows:
        assert row in page
    for said in (
        "0.85 [0.78, 0.92]",
        "1.12 [0.92, 1.32]",
        "1.19 [1.00, 1.38]",
        "0.98 [0.92, 1.08]",
        "1/1.25 [1.03, 1.47]",
    ):
        assert said in page
        assert re.sub("^1/", "", said) in made
