"""Measuring is known by the source that it leads to: what it doesn't, where it stands and how it is called decide
nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from harness import COMPARED

import gvlab
from gvlab import build, data
from gvlab import config as c
from gvlab.compare import measuring, source
from gvlab.compare.source import Definition
from gvlab.models import vae as vae_models

PACKAGE = Path(gvlab.__file__).parent
ASKED = frozenset({"frechet", "pixels"})


@pytest.fixture(scope="module")
def before() -> str:
    """The digest of gvlab's source as it is, which is that of a copy: where it lies decides nothing."""
    return digest()


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Iterator[Path]:
    """A copy of gvlab's source, which is what is read: it may be edited."""
    shutil.copytree(PACKAGE, tmp_path / "gvlab", ignore=shutil.ignore_patterns("__pycache__", "shipped", "templates"))
    monkeypatch.setattr(gvlab, "__file__", str(tmp_path / "gvlab" / "__init__.py"))
    forget()
    yield tmp_path / "gvlab"
    forget()


def forget() -> None:
    for cached in (source._file, source._module, source._read, measuring.code_sha256):
        cached.cache_clear()


def edit(file: Path, *pairs: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in pairs:
        assert old in text, (file, old)
        text = text.replace(old, new)
    file.write_text(text)


def digest(*asked: str) -> str:
    """Of the source as it is now."""
    forget()
    return measuring.code_sha256(frozenset(asked) or ASKED)


def edited(file: Path, *pairs: tuple[str, str]) -> str:
    """The digest after an edit."""
    edit(file, *pairs)
    return digest()


# --- what it leads to -------------------------------------------------------------------------------------------------


def test_the_closure_is_what_measuring_needs():
    closure = source.closure(measuring._ROOT, measuring._KNOWN_OTHERWISE)
    modules = {one.module for one in closure}
    assert {
        "gvlab.evaluate.held_out",
        "gvlab.metrics.frechet",
        "gvlab.metrics.ais",
        "gvlab.extractors.resize",
    } <= modules
    rooms = {module.split(".")[1] for module in modules}
    assert not rooms & {"cli", "compare", "train", "runs", "pictures", "reproduce", "models", "networks", "build"}
    assert {module for module in modules if module.startswith("gvlab.losses")} == {
        *("gvlab.losses._shapes", "gvlab.losses.bounds", "gvlab.losses.likelihoods", "gvlab.losses.sentences")
    }
    operators = ("mask", "random_mask", "block", "half", "downsample", "blur", "grey", "identity", "projection")
    assert {Definition("gvlab.restoration.operators", name) for name in operators} <= closure
    assert {Definition("gvlab.evaluate.restorations", name) for name in ("COMPARED", "USUAL_NOISE")} <= closure


def test_names_are_followed_through_packages_aliases_and_functions():
    closure = source.closure(Definition("gvlab.evaluate.of_sets", "MEASURES"))
    for module, name in (
        ("gvlab.metrics.frechet", "frechet_distance"),  # metrics.frechet_distance, by the package
        ("gvlab.metrics._pairs", "nearest"),  # _pairs.nearest, of a module
        ("gvlab.evaluate.of_sets", "NEIGHBOURS"),  # of an assignment to two names
        ("gvlab.data.synthetic", "ring"),  # of a table of functions
    ):
        assert Definition(module, name) in closure


# --- what decides nothing ---------------------------------------------------------------------------------------------


def test_what_measuring_does_not_lead_to_decides_nothing(before, copy):
    for file, old, new in (
        ("losses/adversarial.py", "jax.nn.softplus", "2 * jax.nn.softplus"),
        (
            "losses/__init__.py",
            "from gvlab.losses.bounds",
            "from gvlab.losses.new import another\nfrom gvlab.losses.bounds",
        ),
        ("train/loop.py", "self.signum = signum", "self.signum = signum + 1"),
        ("models/vae.py", "gaussian_kl(", "2 * gaussian_kl("),
        ("compare/tables.py", "import dataclasses", "import dataclasses, sys"),
        ("__init__.py", "__version__ = ", "__version__ = 'x' + "),
    ):
        edit(copy / file, (old, new))
    (copy / "models" / "another.py").write_text("def another():\n    return 1\n")
    assert digest() == before


def test_comments_docstrings_annotations_and_errors_decide_nothing(before, copy):
    pairs = (
        ("    asked = experiment", "    # why\n    asked = experiment"),
        ("Every model sees", "All models see"),
        ("listen: held_out.Listener =", "listen: object ="),
        ("give its labels, too.", "give them."),
    )
    assert edited(copy / "evaluate" / "measure.py", *pairs) == before


def test_where_things_are_and_how_they_are_called_decides_nothing(before, copy):
    shutil.move(copy / "evaluate" / "bounds.py", copy / "evaluate" / "by_importance.py")
    measure = copy / "evaluate" / "measure.py"
    pairs = (
        ("annealing, bounds, codes, disentanglement", "annealing, by_importance, codes, disentanglement"),
        ("bounds.bound(", "by_importance.bound("),
        ("_require_finite", "_refuse_what_is_not_finite"),
    )
    edit(measure, *pairs)
    edit(copy / "metrics" / "frechet.py", ("_nuclear_norm", "_sum_of_singular_values"))
    assert edited(copy / "evaluate" / "held_out.py", ("pieces", "parts")) == before  # a variable


def test_another_variable_counts(before, copy):
    held_out = copy / "evaluate" / "held_out.py"
    assert (
        edited(held_out, ("mean(values, **samples) for name, values", "mean(bits, **samples) for name, values"))
        != before
    )


def test_a_measure_and_features_that_were_not_asked_for_decide_nothing(before, copy):
    all_of_them = digest("vendi", "pixels")
    assert edited(copy / "metrics" / "vendi.py", ("as_features(", "2 * as_features(")) == before
    assert edited(copy / "evaluate" / "disentanglement.py", ("BINS = 20", "BINS = 30")) == before
    assert digest("vendi", "pixels") != all_of_them
    line = 'MEASURES: dict[str, Callable[[Sets], dict[str, Measure]]] = {\n    "vendi": _kernel,'
    assert edited(copy / "evaluate" / "of_sets.py", (line.partition("\n")[0], line)) == before


# --- what decides -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("metrics/frechet.py", "_ROOT_ERROR = 1e-8", "_ROOT_ERROR = 1e-7"),
        ("evaluate/held_out.py", "BATCH = 500", "BATCH = 400"),
        ("extractors/sets.py", "BATCH =", "BATCH = 1 +"),
        ("evaluate/bounds.py", "ROWS = 1_000", "ROWS = 2_000"),
        ("evaluate/measure.py", "jax.random.fold_in(key, 2)", "jax.random.fold_in(key, 7)"),
        ("evaluate/features.py", "PROTOCOL = ", "PROTOCOL = 1 + "),
    ],
)
def test_an_edit_of_what_measures(file, old, new, before, copy):
    assert edited(copy / file, (old, new)) != before


def test_calling_another_function_counts_though_both_are_there_anyway(before, copy):
    measure = copy / "evaluate" / "measure.py"
    assert edited(measure, ("measures |= bounds.bound(", "measures |= latents.latents(")) != before


def test_the_models_own_functions_count_as_they_are_lowered(monkeypatch):
    def found(**changes: object) -> dict:
        made = build.program(replace(COMPARED["vae"], **changes), data.load("digits"))
        return measuring.identity(made, "cpu")

    before = found()
    assert found(seed=3, steps=7) == before
    assert before["asked"] == ["frechet", "pixels", "sliced_wasserstein"]
    assert before["extractors"] == {"pixels": None}
    assert found(evaluation=c.Evaluation(features=("digits",)))["extractors"]["digits"] is not None
    divergence = vae_models.gaussian_kl
    monkeypatch.setattr(vae_models, "gaussian_kl", lambda *args: divergence(*args) * 2)
    other = found()
    assert {name for name in before if before[name] != other[name]} == {"model"}
