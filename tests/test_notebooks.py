"""The notebooks run, and are committed clean."""

import ast
from pathlib import Path

import harness
import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
QUICKSTART = Path(__file__).parents[1] / "notebooks" / "quickstart.ipynb"
PICTURES = {"load": 1, "curves": 1, "sample": 2, "reconstruct": 1, "interpolate": 2}
"""Pictures that each cell of the quickstart shows; every other cell shows none."""


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_there_is_a_quickstart():
    assert QUICKSTART in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec == {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata.language_info == {"name": "python"}
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code_cells(notebook))
    # As nbformat writes it, so that running and clearing it leaves no difference to commit.
    assert path.read_text() == nbformat.writes(notebook) + "\n"


def test_the_quickstart_writes_its_own_pmap():
    sources = {cell.id: cell.source for cell in code_cells(nbformat.read(QUICKSTART, as_version=4))}
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(sources["train"])) if isinstance(node, ast.Call)]
    assert "jax.pmap" in calls
    assert not any("over_pmap" in source for source in sources.values())


def test_the_quickstart_runs_on_four_devices(tmp_path):
    notebook = nbformat.read(QUICKSTART, as_version=4)
    environment = harness.environment(
        devices=4,
        GVLAB_NOTEBOOK_STEPS="4",
        IPYTHONDIR=str(tmp_path),  # neither the user's start-up files nor their history
    )
    environment.pop("PYTHONWARNINGS", None)  # what a library says to the reader of a notebook is no failure of ours
    environment.pop("MPLBACKEND", None)  # the kernel sets the one that shows pictures inline
    # A cell that raises, the last one's assertions on the losses included, ends here as CellExecutionError.
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path), env=environment)

    shown = {
        cell.id: sum("image/png" in output.get("data", {}) for output in cell.outputs) for cell in code_cells(notebook)
    }
    assert {name: count for name, count in shown.items() if count} == PICTURES
    printed = {
        cell.id: "".join(output.text for output in cell.outputs if output.get("name") == "stdout")
        for cell in code_cells(notebook)
    }
    assert "4 x cpu, 64 images per step" in printed["imports"]
    assert "elbo_nats" in printed["evaluate"]
    assert "iw_bound_nats" in printed["evaluate"]
    assert printed["jit"].count("by pmap over 4") == 6
