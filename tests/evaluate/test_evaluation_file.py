"""evaluation.json: what was measured is kept and read again only under the same protocol."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import harness
import jax
import jax.numpy as jnp
import pytest
from measured import measures, state, with_evaluation, with_seed

from gvlab import evaluate, numbers, rng
from gvlab.evaluate import bounds as held_out_bounds
from gvlab.evaluate import stamps
from gvlab.evaluate.measure import _distances
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.types import UserError


@pytest.fixture(autouse=True, scope="module")
def cache():
    """Reference features go where those of the command line go in tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        yield


def test_what_was_measured_is_read_again_only_under_the_same_protocol(tmp_path, monkeypatch):
    program, trained = harness.program("vae"), state("vae")
    assert evaluate.read(tmp_path, program, trained) is None
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    assert file == tmp_path / "evaluation.json"
    assert evaluate.read(tmp_path, program, trained) == measures("vae")
    assert evaluate.read(tmp_path, program, trained.replace(step=trained.step + 1)) is None
    assert evaluate.read(tmp_path, with_evaluation(program, k=8), trained) is None
    for changed in ({"samples": 65}, {"split": "train"}, {"features": ("pixels",)}, {"measures": ("frechet",)}):
        assert evaluate.read(tmp_path, with_evaluation(program, **changed), trained) is None
    assert evaluate.read(tmp_path, with_seed(program, 1), trained) is None
    assert evaluate.read(tmp_path, replace(program, dataset=replace(program.dataset, checksum="0")), trained) is None
    other = jax.tree.map(lambda leaf: leaf + 1 if leaf.dtype == jnp.float32 else leaf, trained)
    assert evaluate.read(tmp_path, program, other) is None
    with monkeypatch.context() as patch:
        patch.setattr(stamps, "PROTOCOL", stamps.PROTOCOL + 1)
        assert evaluate.read(tmp_path, program, trained) is None
        assert evaluate.earlier(tmp_path, program, trained) == {}
    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "sha256", lambda name: "0" * 64)  # an extractor was trained anew
        assert evaluate.read(tmp_path, program, trained) is None
    assert evaluate.read(tmp_path, program, trained) == measures("vae")
    monkeypatch.setattr(stamps, "__version__", "0.0.0")
    assert evaluate.read(tmp_path, program, trained) is None


def test_what_was_measured_of_the_same_state_can_be_kept(tmp_path):
    program, trained = harness.program("vae"), state("vae")
    assert evaluate.earlier(tmp_path, program, trained) == {}
    evaluate.write(tmp_path, program, trained, measures("vae"))
    asked = with_evaluation(program, k=8, measures=("vendi",))
    kept = evaluate.earlier(tmp_path, asked, trained)
    assert kept == measures("vae")
    new = {"vendi_pixels": {"value": 1.0, "stamp": {}}, "iw_bound_nats": {"value": -1.0, "stamp": {"k": 8}}}
    evaluate.write(tmp_path, asked, trained, new, kept)
    assert evaluate.earlier(tmp_path, program, trained) == measures("vae") | new
    assert evaluate.read(tmp_path, asked, trained) == new  # and no number that this evaluation does not ask for
    assert evaluate.earlier(tmp_path, program, trained.replace(step=trained.step + 1)) == {}
    # Who keeps nothing writes what was measured and nothing else: the unit of a comparison.
    evaluate.write(tmp_path, asked, trained, new)
    assert json.loads((tmp_path / "evaluation.json").read_text())["measures"] == new


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda made: made["measures"]["kl_nats"].update(value=0.0), "its digest is another one"),
        (lambda made: made["measures"].update(fid={"value": 1.0, "stamp": {}}), "its digest is another one"),
        (lambda made: made["measures"]["kl_nats"]["stamp"].update(step=1), "kl_nats is of another state or other data"),
        (lambda made: made.update(measures_sha256="a" * 64), "its digest is another one"),
    ],
    ids=["a value", "a measure", "a stamp", "the digest"],
)
def test_a_forged_measure_is_not_kept(edit, said, tmp_path):
    program, trained = harness.program("vae"), state("vae")
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    harness.edit_json(file, edit)
    with pytest.raises(UserError, match=said):
        evaluate.earlier(tmp_path, program, trained)


def test_measures_without_a_digest_are_not_kept(tmp_path):
    program, trained = harness.program("vae"), state("vae")
    file = evaluate.write(tmp_path, program, trained, measures("vae"))
    harness.edit_json(file, lambda made: made.pop("measures_sha256"))
    assert evaluate.earlier(tmp_path, program, trained) == {}


def test_the_command_measures_writes_and_prints(tmp_path, capsys):
    made = tmp_path / "vae" / "seed-0"
    shutil.copytree(harness.trained("vae"), made)
    config = (made / "config.json").read_text()
    assert harness.call("evaluate", made) == 0
    out = capsys.readouterr().out
    written = json.loads((made / "evaluation.json").read_text())
    # Measured twice: every number is the same, but for the clock's.
    assert written["measures"]["iw_bound_nats"].pop("points_per_second") > 0
    before = measures("vae") | {"iw_bound_nats": dict(measures("vae")["iw_bound_nats"])}
    assert before["iw_bound_nats"].pop("points_per_second") > 0
    assert written["measures"] == before
    assert " test points per second." in out
    assert out.strip().endswith(str(made / "evaluation.json"))
    for name, measure in measures("vae").items():
        row = next(line for line in out.splitlines() if line.startswith(name + " "))
        assert numbers.number(measure["value"], measure.get("standard_error") or measure.get("spread")) in row
        assert f"split test, examples {measure['stamp']['examples']}" in row

    args = ("--k", 2, "--samples", 50, "--features", "pixels", "--metrics", "frechet", "vendi")
    assert harness.call("evaluate", made, *args) == 0
    fewer = measures("vae")["kernel_pixels"]
    out = capsys.readouterr().out
    assert "frechet_pixels: 50 examples for 256 features" in out
    (kept,) = (line for line in out.splitlines() if line.startswith("Kept as measured earlier of this state: "))
    assert "kernel_pixels" in kept
    assert "frechet_pixels" not in kept
    written = json.loads((made / "evaluation.json").read_text())
    assert written["protocol"]["evaluation"] == {
        "samples": 50,
        "split": "test",
        "features": ["pixels"],
        "measures": ["frechet", "vendi"],
        "k": 2,
        "ais_variance": 0.01,
        "decoded": "mean",
        "standing": 0,
    }
    assert {"frechet_pixels", "vendi_pixels"} < written["measures"].keys()
    assert written["measures"]["kernel_pixels"] == fewer  # as it was measured before
    # A protocol of several names is read again as it was written.
    program = with_evaluation(
        harness.program("vae"), k=2, samples=50, features=("pixels",), measures=("frechet", "vendi")
    )
    assert written["made"] == list(found := evaluate.read(made, program, state("vae")))
    assert found == {name: written["measures"][name] for name in written["made"]}
    assert "kernel_pixels" not in found
    assert written["measures"]["iw_bound_nats"]["stamp"]["k"] == 2
    assert written["measures"]["frechet_pixels"]["stamp"]["generated"] == 50
    assert written["measures"]["kl_nats"] == measures("vae")["kl_nats"]
    assert (made / "config.json").read_text() == config  # the run's own protocol stays

    # The bound of k = 2 is not made again, and not lost, until one of another k is asked for.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out_bounds, "bound", None)
        assert harness.call("evaluate", made, "--metrics", "frechet", "--features", "pixels") == 0
    assert "iw_bound_nats: k = 2, as it was measured earlier; --k makes it anew." in capsys.readouterr().out
    assert json.loads((made / "evaluation.json").read_text())["measures"]["iw_bound_nats"]["stamp"]["k"] == 2
    assert harness.call("evaluate", made, "--metrics", "frechet", "--features", "pixels", "--k", 3) == 0
    assert json.loads((made / "evaluation.json").read_text())["measures"]["iw_bound_nats"]["stamp"]["k"] == 3


def test_measures_of_the_end_are_not_replaced_by_those_of_an_earlier_step(tmp_path, capsys):
    made = shutil.copytree(harness.trained("vae"), tmp_path / "vae" / "seed-0")
    (made / "evaluation.json").write_text("{}")
    newest = max((made / "checkpoints").iterdir(), key=lambda path: int(path.name) if path.name.isdecimal() else -1)
    shutil.rmtree(newest / "state")
    capsys.readouterr()
    code = harness.call("evaluate", made)
    out, err = capsys.readouterr()
    report, _, sentence = err.partition("\n")
    assert "The checkpoint of step 100 cannot be used" in report
    harness.assert_refused(code, out, sentence, "is at step 100", "can be used is of step 90", "repeat gvlab train")
    assert (made / "evaluation.json").read_text() == "{}"


def test_the_noise_of_a_measurement_belongs_to_the_seed():
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    kind = [features.pixels()], ("frechet",)
    again = _distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 2), *kind)
    assert again["frechet_pixels"]["value"] == measures("gan")["frechet_pixels"]["value"]
    assert again["frechet_pixels"]["stamp"].items() <= measures("gan")["frechet_pixels"]["stamp"].items()
    other = _distances(harness.program("gan"), state("gan"), jax.random.fold_in(key, 3), *kind)
    assert other["frechet_pixels"]["value"] != measures("gan")["frechet_pixels"]["value"]
