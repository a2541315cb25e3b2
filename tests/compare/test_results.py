"""What a finished comparison leaves: its directory, comparison.json, the CSV and the frame."""

from __future__ import annotations

import dataclasses
import json
import re

import harness
import numpy as np
import pandas as pd
import pytest
from harness import COMPARED
from looks import TABLES, found_in

import gvlab
from gvlab import compare, data, statistics
from gvlab import config as c
from gvlab.compare import results
from gvlab.runs import directory as rundir
from gvlab.types import UserError

MEASURES = {
    "vae": {
        *("elbo_nats", "kl_nats", "reconstruction_nats", "bits_per_dim", "iw_bound_nats", "active_units"),
        *("collapsed_units", "mutual_information_nats", "marginal_kl_nats"),
        *("frechet_pixels", "sliced_wasserstein2_pixels"),
    },
    "gan": {"d_loss", "fake_logit", "real_logit", "frechet_pixels", "sliced_wasserstein2_pixels"},
}


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


def test_everything_is_in_the_directory():
    root = harness.compared()
    assert {path.name for path in root.iterdir()} == TABLES | {"units", "plan.json", "lock"}
    units_made = {path.relative_to(root / "units").as_posix() for path in (root / "units").glob("*/*")}
    assert units_made == {f"{name}/seed-{seed}" for name in COMPARED for seed in range(2)}
    pictures = {"vae": {"reconstructions.png", "traversals.png"}, "gan": {"neighbours.png"}}
    for name, of_family in pictures.items():
        for seed in range(2):
            run = root / "units" / name / f"seed-{seed}"
            assert {path.name for path in (run / "pictures").iterdir()} == of_family
            assert (run / "samples" / "step-00000020.png").is_file()
            assert rundir.status(run) == {"status": "complete", "step": 20}


def test_comparison_json_follows_its_schema():
    root = harness.compared()
    found = found_in(root)
    documented = re.findall(r"^    (\w[\w, ]*?)  ", results.__doc__, re.MULTILINE)
    assert set(found) == {name for names in documented for name in names.split(", ")}

    def fields(name: str) -> set[str]:
        """The fields that the documentation gives the entries of a list or an object."""
        (text,) = re.findall(rf"^ +{name} +\[?\{{(.*?)\}}", results.__doc__, re.MULTILINE | re.DOTALL)
        return set(re.findall(r"\w+", text.partition(", and")[0]))

    assert all(set(one) == fields("experiments") for one in found["experiments"])
    assert all(set(one["dataset"]) == fields("dataset") for one in found["experiments"])
    assert all(set(one) == fields("units") for one in found["units"])
    for part in ("cost", "timing"):
        assert all(set(one[part]) == fields(part) for one in found["units"])
    for part, statistic in (("summaries", statistics.Summary), ("pairs", statistics.Paired)):
        of_it = {field.name for field in dataclasses.fields(statistic)}
        assert all(set(one) == fields(part) | of_it for one in found[part])
    for unit in found["units"]:
        kinds = {"value", "stamp", "standard_error", "spread", "points_per_second"}
        assert all({"value", "stamp"} <= set(one) <= kinds for one in unit["measures"].values())
    assert (found["schema"], found["gvlab"], found["match"]) == (1, gvlab.__version__, None)
    assert found["seeds"] == [0, 1]
    assert found["commands"] == {
        "rerun": f"gvlab compare {root}/plan.json --out NEW --together 1",
        "report": f"gvlab report {root}",
        "verify": f"gvlab verify {root}",
    }

    first, second = found["experiments"]
    assert (first["name"], first["family"], first["steps"], first["images"]) == ("vae", "VAE", 20, 320)
    assert (second["name"], second["family"], second["steps"], second["images"]) == ("gan", "GAN", 20, 320)
    assert c.from_json(json.dumps(second["config"])) == COMPARED["gan"]
    assert first["dataset"] == {"name": "digits", "sha256": data.load("digits").checksum}

    assert [(unit["experiment"], unit["seed"]) for unit in found["units"]] == [
        ("vae", 0),
        ("vae", 1),
        ("gan", 0),
        ("gan", 1),
    ]
    for unit in found["units"]:
        run = root / unit["directory"]
        assert unit["directory"] == f"units/{unit['experiment']}/seed-{unit['seed']}"
        assert (unit["status"], unit["failure"], len(unit["group"])) == ("complete", None, 1)
        assert unit["measures"] == json.loads((run / "evaluation.json").read_text())["measures"]
        assert set(unit["measures"]) == MEASURES[unit["experiment"]]
        assert unit["state_sha256"] == harness.digest(run, 20)
        assert unit["cost"]["parameters"] > 100
        assert unit["cost"]["flops_per_step"] > 1000
        assert unit["cost"]["memory_bytes"] > 1000
        assert unit["timing"]["seconds"] > 0
        assert unit["timing"]["images_per_second"] > 0
        assert unit["environment"] == json.loads((run / "environment.json").read_text())

    assert {(row["experiment"], row["measure"]) for row in found["summaries"]} == {
        (name, measure) for name, measures in MEASURES.items() for measure in measures
    }
    for row in found["summaries"]:
        values = [
            u["measures"][row["measure"]]["value"] for u in found["units"] if u["experiment"] == row["experiment"]
        ]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["sd"] == pytest.approx(np.std(values, ddof=1))
        assert (row["n"], row["total"], row["failures"]) == (2, 2, 0)
        assert row["low"] is row["high"] is None  # of two seeds there is no interval
        assert "seed" not in row["stamp"]
        assert row["stamp"]["dataset"] == "digits"
    assert [pair["measure"] for pair in found["pairs"]] == ["frechet_pixels", "sliced_wasserstein2_pixels"]
    for pair in found["pairs"]:
        assert (pair["first"], pair["second"], pair["verdict"]) == ("vae", "gan", "undecided")
    assert found["primary"] == "frechet_pixels"
    assert "2 seeds give no interval" in found["verdict"]


def test_the_csv_is_tidy():
    root = harness.compared()
    frame = pd.read_csv(root / "comparison.csv")
    assert list(frame.columns) == ["experiment", "seed", "measure", "value", "stamp"]
    assert len(frame) == 2 * sum(map(len, MEASURES.values()))
    for unit in found_in(root)["units"]:
        mine = frame[(frame.experiment == unit["experiment"]) & (frame.seed == unit["seed"])].set_index("measure")
        for measure, one in unit["measures"].items():
            assert mine.value[measure] == one["value"]  # with all digits
            assert json.loads(mine.stamp[measure]) == one["stamp"]


def test_load_gives_a_frame_that_shows_itself():
    frame = gvlab.compare.load(harness.compared())
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == ["experiment", "seed", "measure", "value", "protocol"]
    assert max(map(len, frame.protocol)) < 120
    assert "split test, examples 300, quantization binarize, k 7" in set(frame.protocol)
    plain = pd.read_csv(harness.compared() / "comparison.csv")
    assert frame.value.tolist() == plain.value.tolist()
    means = frame.groupby(["experiment", "measure"]).value.mean()
    assert means["gan", "frechet_pixels"] == pytest.approx(plain[plain.measure == "frechet_pixels"].value[-2:].mean())

    page = frame._repr_html_()
    assert "2 seeds give no interval" in page
    assert page.count("<tr>") == 1 + sum(map(len, MEASURES.values()))
    assert page.count('<img alt="') == 2
    for alt in ("vae, seed 0, step 00000020", "gan, seed 0, step 00000020"):
        assert f'<img alt="{alt}" width="300" src="data:image/png;base64,iVBOR' in page
    for derived in (frame[frame.seed == 0], frame.head(), frame.copy(), frame[["value"]], frame.sort_values("value")):
        assert type(derived) is pd.DataFrame
        assert "<p>" not in derived._repr_html_()


def test_load_wants_a_comparison(tmp_path):
    (tmp_path / "comparison.json").write_text('{"schema": 99}')
    with pytest.raises(UserError, match=r"has schema 99, but this gvlab reads 1: run gvlab report .*\.$"):
        compare.load(tmp_path)
    (tmp_path / "comparison.json").unlink()
    with pytest.raises(UserError, match=r"no comparison\.json: run gvlab compare or gvlab report first"):
        compare.load(tmp_path)
