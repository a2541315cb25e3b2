"""The experiments of the ledger say what was published: architectures, schedules and protocols, and that they build."""

from functools import cache
from pathlib import Path
from runpy import run_path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import build, compare, data, evaluate
from gvlab import config as c
from gvlab.compare import units
from gvlab.compare.proof.files import derived
from gvlab.config import experiment_file
from gvlab.data.dataset import Split
from gvlab.types import Batch

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "reproductions"
FILES = sorted(file for file in FOLDER.glob("*.py") if not file.name.startswith("_"))
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
BURDA = [file.stem for file in FILES if file.stem.startswith("iwae_mnist_")]


@cache
def experiment(stem: str) -> c.Experiment:
    return experiment_file.load(FOLDER / f"{stem}.py")


@cache
def digits():
    """Stands in for MNIST: 200 images of its shape."""
    x = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), dtype=np.uint8)
    return data.from_arrays("mnist", x, x[:20], np.arange(200) % 10, np.arange(20) % 10)


def dataset(name: str):
    if name == "mnist":
        return digits()
    if name == "binarized_mnist":
        return data.from_arrays(name, *(split.x // 128 * 255 for split in (digits().train, digits().test)))
    whole = data.load(name)
    small = [Split(split.x[:600], split.y[:600]) for split in (whole.train, whole.test)]
    return data.from_arrays(name, small[0].x, small[1].x, small[0].y, small[1].y)


@every_file
def test_every_file_says_its_source_its_differences_and_its_command(file):
    text = file.read_text().split('"""')[1]
    assert experiment(file.stem).name == file.stem.removesuffix("_quality")  # of the same runs as the number of modes
    assert f"gvlab train experiments/reproductions/{file.name}" in text
    assert f"gvlab evaluate runs/{experiment(file.stem).name}/seed-0" in text
    assert "ours differs" in text.replace("\n", " ")
    assert any(character.isdigit() for character in text.splitlines()[0])  # the published number


@every_file
def test_every_experiment_builds_and_takes_a_step(file):
    made = build.program(experiment(file.stem), dataset(experiment(file.stem).data.name))
    state = jax.eval_shape(made.model.init, jax.random.key(0), made.first_batch())
    labels = made.dataset.train.y
    arrays = Batch(jnp.asarray(made.dataset.train.x), None if labels is None else jnp.asarray(labels))
    batch = jax.eval_shape(lambda key: made.draw(arrays, key, jnp.int32(0)), jax.random.key(0))
    _, info = jax.eval_shape(made.model.train_step, state, batch, jax.random.key(0))
    assert {leaf.shape for leaf in info.values()} == {()}


def published(file: Path):
    return run_path(str(file))["published"]()


@every_file
def test_every_published_number_has_the_sign_of_our_measure_and_stands_in_the_docstring(file):
    found = published(file)
    unit = {"iw_bound_nats": -1, "elbo_nats": -1, "modes_covered": 1, "high_quality": 100}[found.measure]
    assert unit * found.value > 0
    printed = f"{unit * found.value:.2f}".rstrip("0").rstrip(".")
    assert printed in found.text
    assert printed in file.read_text().split('"""')[1].splitlines()[0]
    assert evaluate.kind_of(found.measure).better == "higher"


@pytest.mark.parametrize("stem", ["grid_veegan", "ring_veegan", "grid_pacgan"])
def test_modes_and_quality_are_two_numbers_of_the_same_runs(stem):
    assert experiment(stem) == experiment(f"{stem}_quality")
    modes, quality = (published(FOLDER / f"{name}.py") for name in (stem, f"{stem}_quality"))
    assert (modes.where, modes.protocol) == (quality.where, quality.protocol)
    assert (modes.measure, quality.measure) == ("modes_covered", "high_quality")


@pytest.mark.parametrize(
    ("root", "count"),
    [
        (FOLDER / "vae_against_iwae", 16),
        (FOLDER.parent / "own_parts_against_dcgan", 12),
        (FOLDER.parent / "grid_penalties", 48),
        (FOLDER.parent / "ring_penalties", 12),
        (FOLDER.parent / "estimators", 21),
        (FOLDER.parent / "grammar_compared", 9),
        (FOLDER.parent / "binary_latents", 18),
        (FOLDER.parent / "priors_compared", 15),
    ],
)
def test_a_comparison_kept_here_is_what_its_units_give(root, count):
    plan = compare.read_plan(root)
    assert [units.read(root, experiment).failure for experiment in plan.units()] == [None] * count
    assert derived(plan, root) == []
    assert (root / "report.html").stat().st_size < 5_000_000
    assert not [*root.rglob("checkpoints"), *root.rglob("*lock")]


# Burda et al. 2016 ---------------------------------------------------------------------------------------------------


def test_the_table_of_burda_et_al_is_whole():
    models = {(type(e.model.network), e.model.objective, e.model.num_samples) for e in map(experiment, BURDA)}
    expected = {
        (network, objective, k)
        for network in (c.MLP, c.TwoLayerMLP)
        for objective, k in (
            (c.ImportanceWeighted(), 1),  # with one sample the two are one
            *((objective, k) for objective in (c.ELBO(), c.ImportanceWeighted()) for k in (5, 50)),
        )
    }
    assert models == expected
    assert len(BURDA) == len(expected)
    for stem in BURDA:
        model = experiment(stem).model
        assert ("2layer" in stem) == isinstance(model.network, c.TwoLayerMLP)
        assert stem.endswith(f"k{model.num_samples}")
        assert ("_vae_" in stem) == (model.objective == c.ELBO())


@pytest.mark.parametrize("stem", BURDA)
def test_the_schedule_is_eight_stages_of_threefold_length(stem):
    of = experiment(stem)
    adam = of.model.optimizer
    lengths = np.diff([0, *adam.drop_steps, of.steps]) / 3000
    np.testing.assert_array_equal(lengths, 3.0 ** np.arange(8))
    np.testing.assert_allclose(adam.learning_rate * adam.drop_factor**7, 1e-4)
    assert (of.batch_size, adam.b1, adam.b2) == (20, 0.99, 0.999)
    assert of.batch_size * adam.eps == pytest.approx(1e-4)
    assert (of.model.output_bias, of.data.quantization, of.evaluation.k) == ("data_mean", "binarize", 5000)
    assert f"--steps {3000 * (1 + 3 + 9 + 27 + 81)} " in (FOLDER / f"{stem}.py").read_text()


# The grid and the ring -----------------------------------------------------------------------------------------------


def kernels(stem: str) -> dict[str, list[tuple[int, ...]]]:
    made = build.program(experiment(stem), dataset(experiment(stem).data.name))
    state = jax.eval_shape(made.model.init, jax.random.key(0), made.first_batch())
    return {
        player: [leaf.shape for leaf in jax.tree.leaves(getattr(state, player).params) if leaf.ndim == 2]
        for player in ("generator", "discriminator")
    }


@pytest.mark.parametrize("stem", ["grid_veegan", "ring_veegan"])
def test_the_networks_of_veegan(stem):
    assert kernels(stem) == {
        "generator": [(254, 128), (128, 128), (128, 2)],
        "discriminator": [(2, 128), (128, 1)],
    }


def test_the_networks_of_pacgan():
    assert kernels("grid_pacgan") == {
        "generator": [(2, 400), (400, 400), (400, 400), (400, 400), (400, 2)],
        "discriminator": [(2, 1000), (200, 1000), (200, 1000), (200, 1)],
    }


@pytest.mark.parametrize("stem", ["grid_veegan", "ring_veegan", "grid_pacgan"])
def test_modes_are_counted_by_the_published_number_of_samples_of_the_generator_itself(stem):
    of = experiment(stem)
    assert of.evaluation.samples == 2500
    assert of.model.ema_decay == 0
    assert of.model.update == "simultaneous"
