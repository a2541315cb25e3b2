"""Several experiments, several seeds: one table, one picture, and nothing is done twice."""

from __future__ import annotations

import functools
import json
import math
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import call, experiment_file, run, start, wait_until
from PIL import Image

from gvlab import build, cli, compare, evaluate, loop, rundir
from gvlab import config as c
from gvlab.types import UserError

STEPS = 20
EXPERIMENTS = harness.EXPERIMENTS | {  # convolutions would be compiled for half a minute
    "gan": replace(harness.EXPERIMENTS["gan"], model=c.GAN(c.MLP(hidden=(16,)), latent_dim=8))
}


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    """The commands of this file share their programs and engines: most of what they would do is compile them anew."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_program", functools.cache(cli._program))
        patch.setattr(loop, "engine", functools.cache(loop.engine))
        yield


def evaluations(root: Path, name: str, seeds: int) -> list[dict]:
    files = [root / name / f"seed-{seed}" / "evaluation.json" for seed in range(seeds)]
    return [json.loads(file.read_text())["measures"] for file in files]


def table_of(text: str) -> dict[tuple[str, str], list[str]]:
    """The rows of table.md by experiment and measure."""
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert set("".join(lines[1])) == set("-:")
    return {(line[0], line[1]): line[2:] for line in [lines[0], *lines[2:]]}


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    """(root of runs, the two experiment files) of a VAE and a GAN with two seeds each, made by the command line."""
    root = tmp_path_factory.mktemp("comparison")
    files = [experiment_file(root, experiment) for experiment in EXPERIMENTS.values()]
    assert call("compare", *files, "--seeds", 2, "--steps", STEPS, "--out", root / "runs") == 0
    return root / "runs", files


@pytest.fixture
def copied(comparison, tmp_path):
    root, files = comparison
    shutil.copytree(root, tmp_path / "runs")
    return tmp_path / "runs", files


def test_the_table_the_picture_and_the_numbers(comparison):
    root, _ = comparison
    directory = root / "comparisons" / "vae-vs-gan"
    assert {path.name for path in directory.iterdir()} == {"table.md", "samples.png", "comparison.json"}

    table = table_of((directory / "table.md").read_text())
    assert table["experiment", "measure"] == ["mean", "sd", "seed 0", "seed 1"]
    for name in EXPERIMENTS:
        first, second = evaluations(root, name, 2)
        assert {row[1] for row in table if row[0] == name} == first.keys()
        for measure in first:
            a, b = first[measure]["value"], second[measure]["value"]
            # Shares of 64 examples and numbers of units may agree.
            assert a != b or measure.startswith(("precision", "recall", "density", "coverage")) or "_units" in measure
            expected = [(a + b) / 2, abs(a - b) / math.sqrt(2), a, b]
            assert [float(cell) for cell in table[name, measure]] == pytest.approx(expected, rel=1e-3)

    # One row per run, 12 samples each, with a grey line between.
    sheet = np.asarray(Image.open(directory / "samples.png"))
    assert sheet.shape == ((4 * 17 + 1) * 4, (12 * 17 + 1) * 4, 3)
    rows = sheet[::4, ::4][1:].reshape(4, 17, -1, 3)[:, :16]
    assert all(len(np.unique(row[:, 1:-1])) > 2 for row in rows)  # more than the grey between
    assert all((rows[i] != rows[j]).any() for i in range(4) for j in range(i))

    units = json.loads((directory / "comparison.json").read_text())
    assert [(unit["experiment"], unit["seed"]) for unit in units] == [("vae", 0), ("vae", 1), ("gan", 0), ("gan", 1)]
    for unit in units:
        assert unit["failure"] is None
        assert unit["measures"] == evaluations(root, unit["experiment"], 2)[unit["seed"]]
        assert rundir.status(Path(unit["run"])) == {"status": "complete", "step": STEPS}


def test_it_prints_the_table_and_both_paths_and_does_nothing_twice(copied, capsys):
    root, files = copied
    before = harness.contents(root)
    assert call("compare", *files, "--seeds", 2, "--steps", STEPS, "--out", root) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["experiment", "measure", "mean", "sd", "seed", "0", "seed", "1"]
    for (experiment, measure), cells in table_of(
        (root / "comparisons" / "vae-vs-gan" / "table.md").read_text()
    ).items():
        assert any(line.split() == [experiment, measure, *" ".join(cells).split()] for line in out.splitlines())
    for name in ("table.md", "samples.png"):
        assert str(root / "comparisons" / "vae-vs-gan" / name) in out
    changed = {name for name, what in harness.contents(root).items() if before.get(name) != what}
    assert {Path(name).parts[0] for name in changed if not name.endswith("/lock")} <= {"comparisons"}


def test_one_more_seed_trains_only_that_one(copied):
    root, files = copied
    before = harness.contents(root)
    assert call("compare", files[0], "--seeds", 3, "--steps", STEPS, "--out", root) == 0
    changed = {name for name, what in harness.contents(root).items() if before.get(name) != what}
    tops = {Path(name).parts[:2] for name in changed if not name.endswith("/lock")}
    assert tops == {("vae", "seed-2"), ("comparisons", "vae")}
    table = table_of((root / "comparisons" / "vae" / "table.md").read_text())
    assert len(table["vae", "elbo_nats"]) == 5


def test_a_measurement_is_used_again_only_if_it_is_of_this_state(copied):
    root, files = copied
    args = ("compare", files[0], "--seeds", 2, "--steps", STEPS, "--out", root)
    file = root / "vae" / "seed-1" / "evaluation.json"
    original = json.loads(file.read_text())
    touched = json.loads(file.read_text())
    touched["measures"]["kl_nats"]["value"] = 1234.0
    file.write_text(json.dumps(touched))
    assert call(*args) == 0
    assert table_of((root / "comparisons" / "vae" / "table.md").read_text())["vae", "kl_nats"][3] == "1234"

    touched["protocol"]["step"] = STEPS - 1  # as if measured before the run went on
    file.write_text(json.dumps(touched))
    assert call(*args) == 0
    again = json.loads(file.read_text())
    for made in (again, original):  # all but the clock's
        assert made["measures"]["iw_bound_nats"].pop("points_per_second") > 0
    assert again == original


def test_a_diverged_run_is_a_failure_and_enters_no_average(copied, capsys):
    root, files = copied
    # One seed that diverged before, and an experiment all of whose seeds diverge now.
    rundir.write_status(root / "vae" / "seed-1", "diverged", 7, reason="At step 7 the term loss is nan.")
    vae = EXPERIMENTS["vae"]
    boom = replace(vae, name="boom", model=replace(vae.model, optimizer=c.Adam(learning_rate=1e30)))
    args = ("compare", files[0], experiment_file(root, boom), "--seeds", 2, "--steps", STEPS, "--out", root)
    assert call(*args) == 0
    out = capsys.readouterr().out
    directory = root / "comparisons" / "vae-vs-boom"
    text = (directory / "table.md").read_text()
    table = table_of(text)
    (sound,) = evaluations(root, "vae", 1)
    for measure, found in sound.items():
        mean, deviation, first, second = table["vae", measure]
        assert float(mean) == float(first) == pytest.approx(found["value"], rel=1e-3)
        assert (deviation, second) == ("-", "diverged")
    assert table["boom", "(none)"] == ["-", "-", "diverged", "diverged"]
    for printed in (text, out):
        assert "vae, seed 1, diverged: At step 7 the term loss is nan." in printed
        assert "boom, seed 0, diverged: At step " in printed
        assert "boom, seed 1, diverged: At step " in printed
    assert np.asarray(Image.open(directory / "samples.png")).shape[0] == 17 * 4 + 4  # one row
    units = json.loads((directory / "comparison.json").read_text())
    assert [unit["failure"] is None for unit in units] == [True, False, False, False]
    assert units[1]["measures"] is None

    # When every run fails there is a table still, and no picture of an earlier time.
    rundir.write_status(root / "vae" / "seed-0", "diverged", 3, reason="At step 3 the term loss is inf.")
    assert call(*args) == 1
    assert "samples.png" not in capsys.readouterr().out
    assert {path.name for path in directory.iterdir()} == {"table.md", "comparison.json"}


def test_killed_in_between_it_continues(tmp_path):
    file, runs = experiment_file(tmp_path, EXPERIMENTS["vae"]), tmp_path / "runs" / "vae"
    args = ("compare", file, "--seeds", 2)
    process = start(*args, cwd=tmp_path)
    wait_until(lambda: (runs / "seed-1" / "checkpoints" / "20").is_dir(), process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "runs" / "comparisons").exists()
    before = harness.contents(runs / "seed-0")
    assert "evaluation.json" in before

    done = run(*args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = harness.contents(runs / "seed-0")
    assert {name for name in after if before.get(name) != after[name]} <= {"lock"}
    assert harness.digest(runs / "seed-0", 100) == harness.digest(harness.reference("vae"), 100)
    assert rundir.status(runs / "seed-1") == {"status": "complete", "step": 100}
    text = (tmp_path / "runs" / "comparisons" / "vae" / "table.md").read_text()
    assert len(table_of(text)["vae", "elbo_nats"]) == 4
    assert "diverged" not in text


def test_a_signal_ends_the_comparison_with_its_code(tmp_path, monkeypatch, capsys):
    def stopped(*args):
        raise loop.Interrupted(tmp_path / "vae" / "seed-0", 7, signal.SIGTERM)

    monkeypatch.setattr(compare, "run", stopped)
    with pytest.raises(SystemExit) as stop:
        call("compare", experiment_file(tmp_path, EXPERIMENTS["vae"]), "--out", tmp_path)
    assert stop.value.code == 143
    err = capsys.readouterr().err
    assert "Stopped at step 7" in err
    assert "To continue: " in err


# --- the parts --------------------------------------------------------------------------------------------------------


def unit(experiment: str, seed: int, **values: float) -> compare.Unit:
    measures: evaluate.Measures = {name: {"value": value, "stamp": {}} for name, value in values.items()}
    if values:
        return compare.Unit(experiment, seed, Path("run"), measures, None, np.full((3, 2, 2, 1), 0.5, np.float32))
    return compare.Unit(experiment, seed, Path("run"), None, "it diverged", None)


def test_rows_keep_the_order_and_the_gaps():
    units = [
        unit("b", 0, x=1.0, y=5.0),
        unit("b", 1),
        unit("b", 2, x=4.0, y=5.0),
        unit("a", 0),
        unit("a", 1),
        unit("a", 2),
    ]
    x, y, none = compare.table(units)
    assert (x.experiment, x.measure, x.values) == ("b", "x", (1.0, None, 4.0))
    assert x.mean == 2.5
    assert x.deviation == pytest.approx(math.sqrt(4.5))
    assert y.deviation == 0
    assert (none.experiment, none.measure, none.mean, none.deviation) == ("a", "(none)", None, None)
    assert compare.cells(x) == ["b", "x", "2.5", "2.121", "1", "diverged", "4"]
    assert compare.cells(none) == ["a", "(none)", "-", "-", "diverged", "diverged", "diverged"]
    assert compare.markdown([x]) == (
        "| experiment | measure | mean | sd | seed 0 | seed 1 | seed 2 |\n"
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |\n"
        "| b | x | 2.5 | 2.121 | 1 | diverged | 4 |\n"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.0, "0"), (-88.2651, "-88.27"), (0.00012345, "0.0001234"), (123456.7, "123457"), (9999.4, "9999")],
)
def test_numbers_have_four_digits(value, text):
    assert compare.number(value) == text


def measured(experiment: str, seed: int, measure: str, value: float, **stamp) -> compare.Unit:
    return replace(unit(experiment, seed, x=1.0), measures={measure: {"value": value, "stamp": stamp}})


OTHER = {
    "k": ("iw_bound_nats", {"k": 50}, {"k": 5000}, "k = 5000", "k = 50"),
    "likelihood": (
        "elbo_nats",
        {"likelihood": {"type": "Bernoulli"}},
        {"likelihood": {"type": "Gaussian", "variance": 0.01}},
        "likelihood = {'type': 'Gaussian', 'variance': 0.01}",
        "likelihood = {'type': 'Bernoulli'}",
    ),
    "quantization": (
        "bits_per_dim",
        {"quantization": "binarize"},
        {"quantization": "dequantize"},
        "quantization = dequantize",
        "quantization = binarize",
    ),
    "samples": ("frechet_pixels", {"generated": 64}, {"generated": 65}, "generated = 65", "generated = 64"),
    "split": ("fld_x", {"split": "test"}, {"split": "train"}, "split = train", "split = test"),
    "data": ("fld_x", {"dataset_sha256": "a"}, {"dataset_sha256": "b"}, "dataset_sha256 = b", "dataset_sha256 = a"),
    "a field that only one has": ("fld_x", {}, {"subset_seed": 0}, "subset_seed = 0", "subset_seed = None"),
}


@pytest.mark.parametrize(("measure", "first", "second", "here", "there"), OTHER.values(), ids=OTHER)
def test_numbers_of_other_protocols_are_dashes_with_a_reason(
    measure, first, second, here, there, tmp_path, monkeypatch, capsys
):
    """In the terminal and in table.md; the first experiment's stand, and so do those of its protocol."""
    shared = {"dataset": "digits", "backend": "cpu"}
    units = [
        *(measured("a", seed, measure, 1.5 + seed, **shared, **first) for seed in range(2)),
        *(measured("b", seed, measure, 7.5 + seed, **shared, **second) for seed in range(2)),
        *(measured("c", seed, measure, 3.5 + seed, **(shared | first | {"backend": "gpu"})) for seed in range(2)),
    ]
    monkeypatch.setattr(compare, "run", lambda *args: units)
    files = [experiment_file(tmp_path, experiment) for experiment in EXPERIMENTS.values()]
    assert call("compare", *files, "--seeds", 2, "--out", tmp_path) == 0
    out = capsys.readouterr().out
    text = (tmp_path / "comparisons" / "a-vs-b-vs-c" / "table.md").read_text()
    table = table_of(text)
    assert table["a", measure] == ["2", "0.7071", "1.5", "2.5"]
    assert table["b", measure] == ["-", "-", "-", "-"]
    assert table["c", measure] == ["4", "0.7071", "3.5", "4.5"]
    reason = f"{measure} of b has {here}, that of a {there}: they cannot be compared."
    for printed in (text, out):
        assert printed.count(reason) == 1
        assert printed.count("cannot be compared") == 1
    for (experiment, name), cells in table.items():
        assert any(line.split() == [experiment, name, *" ".join(cells).split()] for line in out.splitlines())
    # What was measured is kept, with its stamp.
    kept = json.loads((tmp_path / "comparisons" / "a-vs-b-vs-c" / "comparison.json").read_text())
    assert kept[2]["measures"][measure]["value"] == 7.5


def test_a_diverged_seed_of_another_protocol_is_still_one_that_diverged():
    units = [measured("a", 0, "x", 1.0, k=1), measured("a", 1, "x", 2.0, k=1), measured("b", 0, "x", 1.0, k=2)]
    first, second = compare.table([*units, unit("b", 1)])
    assert compare.cells(first) == ["a", "x", "1.5", "0.7071", "1", "2"]
    assert compare.cells(second) == ["b", "x", "-", "-", "-", "diverged"]
    assert compare.remarks([*units, unit("b", 1)], [first, second]) == [
        "b, seed 1, diverged: it diverged",
        "x of b has k = 2, that of a k = 1: they cannot be compared.",
    ]


def test_pictures_of_different_sizes_share_a_sheet():
    small = replace(unit("a", 0, x=1.0), samples=np.zeros((12, 4, 4, 1), np.float32))
    large = replace(unit("b", 0, x=1.0), samples=np.ones((20, 8, 8, 3), np.float32))
    times = -(-720 // (12 * 9 + 1))
    sheet = compare.picture([small, unit("c", 0), large])[::times, ::times]
    assert sheet.shape == (2 * 9 + 1, 12 * 9 + 1, 3)
    assert (sheet[1:9, 1:9][2:6, 2:6] == 0).all()  # in the middle
    assert (sheet[1:3, 1:-1] == 128).all()
    assert (sheet[10:18].reshape(8, -1, 3)[:, 1:-1].max(axis=(0, 2))[:8] == 255).all()


def test_pictures_of_points_stand_one_below_the_other():
    points = np.random.RandomState(0).randn(2, 50, 2).astype(np.float32)
    units = [replace(unit("a", seed, x=1.0), samples=points[seed]) for seed in range(2)]
    assert compare.picture(units).shape == (1024, 512, 3)


def test_there_is_no_picture_of_nothing():
    with pytest.raises(UserError, match="diverged"):
        compare.picture([unit("a", 0)])


@pytest.mark.parametrize(
    ("evaluation", "word"),
    [
        (c.Evaluation(measures=("frechett",)), "'frechett'"),
        (c.Evaluation(features=("inceptoin",)), "'inceptoin'"),
    ],
)
def test_a_measure_that_does_not_exist_is_refused_before_training(evaluation, word, tmp_path):
    experiment = replace(EXPERIMENTS["vae"], name="other", evaluation=evaluation)
    programs = [harness.program("vae"), build.program(experiment, harness.program("vae").dataset)]
    with pytest.raises(UserError, match=word):
        compare.run(programs, 1, tmp_path, lambda name, seed: None)
    assert list(tmp_path.iterdir()) == []


def test_two_experiments_of_one_name_are_refused(tmp_path):
    programs = [harness.program("vae")] * 2
    with pytest.raises(UserError, match="'vae'"):
        compare.run(programs, 1, tmp_path, lambda name, seed: None)
    assert list(tmp_path.iterdir()) == []
