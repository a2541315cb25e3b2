"""The README's promises that a machine can check."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import build, rng
from gvlab.config import experiment_file
from gvlab.types import Batch

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


@pytest.mark.parametrize("study", ["zoo", "little_data", "stacked", "mnist_minutes"])
def test_the_experiments_of_a_study_can_be_built_and_share_all_but_what_they_compare(study):
    shared, *files = sorted((ROOT / "experiments" / study).glob("*.py"), key=lambda file: not file.stem.startswith("_"))
    docstring = shared.read_text().split('"""')[1]
    assert f"gvlab compare experiments/{study}/" in docstring
    assert "Cost: not run" in docstring or "Reached" in docstring
    assert f"experiments/{study}/" in TABLE
    experiments = [experiment_file.load(file) for file in files]
    assert len({e.name for e in experiments}) == len({repr(e.model) for e in experiments}) == len(files) >= 3
    assert len({(repr(e.data), e.steps, e.batch_size, repr(e.evaluation)) for e in experiments}) == 1
    shape = {"zoo": (16, 16, 1), "little_data": (28, 28, 1), "stacked": (28, 28, 3), "mnist_minutes": (28, 28, 1)}[
        study
    ]
    for e in experiments:
        built = build.model(e.model, shape, 10)
        state = jax.eval_shape(built.init, rng.root(0), Batch(jnp.zeros((2, *shape)), jnp.zeros(2, jnp.int32)))
        assert state.generator.params


def test_the_remedies_share_all_but_what_they_compare():
    shared, *files = sorted((ROOT / "experiments/remedies").glob("*.py"))
    docstring = shared.read_text().split('"""')[1]
    assert "gvlab compare experiments/remedies/" in docstring
    assert "Cost" in docstring
    assert "experiments/remedies/" in TABLE
    experiments = [experiment_file.load(file) for file in files]
    assert {e.name for e in experiments} == {file.stem for file in files}
    assert len({repr(e.model) for e in experiments}) == len(files) >= 6
    assert len({(repr(e.data), e.steps, e.batch_size, repr(e.evaluation)) for e in experiments}) == 1


@pytest.mark.parametrize(
    ("name", "counts"),
    [("cifar10_sngan", (4_276_739, 1_053_825)), ("cifar10_r3gan", (20_781_952, 21_280_512))],
)
def test_published_recipes_have_the_published_networks(name, counts):
    """And say that they were not run here, what is published, and what they cost."""
    file = ROOT / "experiments" / "published" / f"{name}.py"
    docstring = file.read_text().split('"""')[1]
    assert re.search(r"Cost: not run here\..*Published:", docstring, re.DOTALL)
    model = experiment_file.load(file).model
    built = build.model(model, (32, 32, 3), 10)
    batch = Batch(jnp.zeros((2, 32, 32, 3)), jnp.zeros(2, jnp.int32))
    state = jax.eval_shape(built.init, rng.root(0), batch)
    players = (state.generator, state.discriminator)
    assert tuple(sum(leaf.size for leaf in jax.tree.leaves(player.params)) for player in players) == counts
