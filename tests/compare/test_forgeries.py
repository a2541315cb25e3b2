"""A finished comparison is forged and sealed again in every way that a forger of some patience could think of: `verify`
names the file, each time."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from pathlib import Path

import forging
import harness
import pytest
from harness import COMPARED, call, copy_of_compared

from gvlab import compare
from gvlab.compare import units, verify
from gvlab.compare.proof import retraining
from gvlab.compare.proof.files import derived
from gvlab.compare.proof.outcome import Doubted, Redone, Verified
from gvlab.train import engines
from gvlab.types import UserError


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


class Kept:
    """Trains a unit again once, as it was before anybody forged it, for all forgeries."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.made: dict[tuple[str, int], Redone] = {}

    def __call__(self, engine: engines.Engine, members, doubts: Sequence[Doubted], scratch, listen) -> list[Redone]:
        return [self._redone(engine, members, doubted) for doubted in doubts]

    def _redone(self, engine: engines.Engine, members, doubted: Doubted) -> Redone:
        name, steps = units.name(doubted.program.experiment), members[0].steps
        if (name, steps) not in self.made:
            where = self.scratch / str(len(self.made))
            self.made[name, steps] = retraining.again(engine, members, [doubted], where, None)[0]
        return self.made[name, steps]


@pytest.fixture(scope="module")
def redo(tmp_path_factory) -> Kept:
    kept = Kept(tmp_path_factory.mktemp("again"))
    for fraction in (None, 0.5):
        (*_, one) = verify.verify(harness.compared(), ["vae/seed-0"], fraction, lambda title: None, kept)
        assert one.outcome == "identical", one
    assert len(kept.made) == 2
    return kept


@pytest.fixture
def root(tmp_path) -> Path:
    return copy_of_compared(tmp_path)[0]


def verified(root: Path, redo: Kept, fraction: float | None = None) -> Verified:
    """What is said of the unit, whose training takes no time."""
    before = len(redo.made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verify, "derived", lambda plan, root: [])  # the tables, of which the tests below are
        (one,) = verify.verify(root, ["vae/seed-0"], fraction, lambda title: None, redo)
    assert len(redo.made) == before
    return one


def run_of(root: Path) -> Path:
    return root / "units" / "vae" / "seed-0"


def test_a_seal_alone_is_no_forgery(root, redo):
    before = harness.contents(root)
    forging.reseal(run_of(root))
    assert harness.changed(root, before) == {f"units/vae/seed-0/{file}.json" for file in ("unit", "evaluation")}
    assert derived(compare.read_plan(root), root) == []
    one = verified(root, redo)
    assert one.outcome == "identical", one
    assert one.unchecked == ()


LATER = {
    "metrics.jsonl": "what comes after step 10",
    "states.jsonl": "what comes after step 10",
    "evaluation.json": "the measures",
    "unit.json": "the operations of a step",
    "samples": "of what comes later",
    "pictures": "of what comes later",
}
"""What is said to be unchecked of a file if only a half was trained."""


@pytest.mark.parametrize(("forge", "file"), forging.UNITS.values(), ids=forging.UNITS)
def test_a_forged_unit_is_found(forge, file, root, redo):
    forge(run_of(root))
    with contextlib.suppress(UserError):  # what gvlab refuses to read it cannot seal, and verify must say so
        forging.reseal(run_of(root))
    one = verified(root, redo)
    assert one.outcome == "different", one
    assert file in one.sentence
    half = verified(root, redo, fraction=0.5)
    assert file in half.sentence if half.outcome == "different" else LATER[file.split("/")[0]] in str(half.unchecked)


@pytest.mark.parametrize(("forge", "file"), forging.FILES.values(), ids=forging.FILES)
def test_a_forged_file_of_the_comparison_is_found(forge, file, root):
    forge(root)
    found = {one.unit: one for one in derived(compare.read_plan(root), root)}
    assert found[file].outcome == "different", found
    assert file in found[file].sentence


def test_what_another_version_may_have_written_is_not_called_true(root):
    for forge, _ in (
        forging.comparison(lambda made: made.update(gvlab="99.0")),
        forging.text("table.md", "vae", "VAE"),
    ):
        forge(root)
    found = {one.unit: one.outcome for one in derived(compare.read_plan(root), root)}
    assert found["table.md"] == "unverified"


def test_what_gvlab_does_not_know_is_named(root, capsys):
    for file in ("notes.txt", "units/vae/seed-0/samples/best.jpg", "units/vae/seed-0/better.json", "units/old/x.txt"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("All is well.")
    shutil.rmtree(root / "units" / "gan" / "seed-1" / "tensorboard")
    (root / "more").symlink_to(root.parent)
    assert call("verify", root, "--unit", "vae/seed-0", "--fraction", 0.5) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("Not checked: the wall clock (seconds, images and points per second); ")
    parts = said.removeprefix("Not checked: ").removesuffix(".").split("; ")
    assert parts[3:] == [
        "vae/seed-1, gan/seed-0, gan/seed-1, not asked for",
        "what comes after step 10 of vae/seed-0",
        "the measures of vae/seed-0",
        "3 pictures of what comes later of vae/seed-0",
        "the operations of a step of vae/seed-0",
        *("checkpoints/ but for the newest of 4 units", "latents.json of 2 units", "tensorboard/ of 3 units"),
        *("more", "notes.txt", "units/old/x.txt", "units/vae/seed-0/better.json", "units/vae/seed-0/samples/best.jpg"),
    ]


def test_training_that_was_interrupted_is_interrupted_again(tmp_path, capsys):
    files = [harness.experiment_file(tmp_path, COMPARED["vae"])]
    for steps in (15, 20):
        assert call("compare", *files, "--seeds", 1, "--steps", steps, "--out", tmp_path / "c") == 0
    run = run_of(tmp_path / "c")
    assert sorted(file.name for file in (run / "samples").iterdir()) == ["step-00000015.png", "step-00000020.png"]
    capsys.readouterr()
    assert call("verify", tmp_path / "c") == 0
    assert "and the states of the checkpoints and 11 measures and 4 pictures)" in capsys.readouterr().out
    forging.lines("states.jsonl", lambda made: made[1].update(sha256="a" * 64))(run)
    (one,) = verify.verify(tmp_path / "c", ["vae/seed-0"], None, lambda title: None)
    assert "different from step 15 on, where the state has other bits (states.jsonl)" in one.sentence
