"""The README's promises that a machine can check."""

import re
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TABLE = (ROOT / "docs" / "experiments.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_python_example_is_short_and_runs():
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) < 20
    scope: dict = {}
    exec(example.replace("range(1500)", "range(3)"), scope)
    images = np.asarray(scope["images"])
    assert images.shape == (64, 16, 16, 1)
    assert np.isfinite(images).all()
    assert np.abs(images).max() <= 1
    assert int(scope["state"].step) == 3


def test_ci_runs_exactly_the_test_command():
    quickstart, tests = blocks("sh")
    assert tests.strip() in (ROOT / ".ci" / "run").read_text().splitlines()
    for file in re.findall(r"\S+\.py", quickstart):
        assert (ROOT / file).is_file()


def test_every_experiment_is_in_the_table_and_says_what_it_costs():
    for file in sorted((ROOT / "experiments").glob("*.py")):
        assert f"experiments/{file.name}" in TABLE, file
        docstring = file.read_text().split('"""')[1]
        assert f"gvlab train experiments/{file.name}" in docstring, file
        assert re.search(r"Cost", docstring), file
        assert re.search(r"Reached", docstring), file
