"""Images of other systems are measured by the same ruler."""

from __future__ import annotations

import json

import harness
import numpy as np
import pytest
from harness import call
from made_images import SAMPLES, archived, contents, generated, save

from gvlab import config as c
from gvlab import data, evaluate, rng
from gvlab.data import image_sets
from gvlab.evaluate import measure, of_sets, stamps
from gvlab.extractors import catalogue
from gvlab.train import loop
from gvlab.types import UserError

pytestmark = pytest.mark.usefixtures("one_device")


def test_a_folder_and_an_archive_hold_the_same_images(folder, archive):
    sets = [image_sets.read(folder), image_sets.read(archive)]
    for images in sets:
        assert (images.count, images.shape) == (SAMPLES, (16, 16, 1))
        batches = list(images.batches(24, 60))
        assert [len(batch) for batch in batches] == [24, 24, 12]
        assert all(batch.dtype == np.uint8 for batch in batches)
        (whole,) = images.batches(100, SAMPLES)
        np.testing.assert_array_equal(np.concatenate(batches), whole[:60])
        assert contents(whole) == contents(generated())
    assert sets[0].sha256 == sets[1].sha256
    for first, second in zip(sets[0].batches(24, 60), sets[1].batches(24, 60), strict=True):
        np.testing.assert_array_equal(first, second)


def test_the_order_of_the_images_changes_no_number(tmp_path):
    """Sorted by class or shuffled: the same numbers to the last bit, of all or of a part of them."""
    digits = data.load("digits")
    x, y = digits.train.x[:600], digits.train.y[:600]
    orders = [np.argsort(y, kind="stable"), np.random.RandomState(0).permutation(len(x))]
    extractor = catalogue.extractor("digits")
    for samples in (0, 400):
        asked = c.Evaluation(samples=samples, measures=("inception_score", "prdc", "frechet"))
        first, second = (
            evaluate.of_images(archived(tmp_path, x[order]), digits, asked, [extractor]) for order in orders
        )
        assert first == second
        # As a random sample does: splits and subsets in the order of a folder sorted by class gave a score of 1.2
        # instead of 9.7, and a recall of 0.2 instead of 0.96.
        assert first[extractor.measure("class_score")]["value"] > 8
        assert first[extractor.measure("recall")]["value"] > 0.8
        stamp = first[extractor.measure("recall")]["stamp"]
        assert (stamp["images_seed"], stamp["subset_seed"]) == (image_sets.ORDER_SEED, of_sets.SUBSET_SEED)
        assert first[extractor.measure("class_score")]["stamp"]["shuffle_seed"] == 2020
        frechet = first[extractor.measure("frechet")]["stamp"]
        assert frechet["generated"] == (samples or 600)


def test_a_part_of_the_images_is_a_random_one(tmp_path):
    """Repetitions are drawn one by one: each of three images, in unequal numbers, as often as its share says."""
    x = np.zeros((900, 4, 4, 1), np.uint8)
    x[300:], x[800:] = 1, 2
    (part,) = archived(tmp_path, x).batches(450, 450)
    found = np.bincount(part[:, 0, 0, 0])
    shares = np.array([300, 500, 100]) / 900
    errors = np.sqrt(450 * shares * (1 - shares) / 2)  # half of all, without replacement
    assert (np.abs(found - 450 * shares) < 4 * errors).all()


def test_images_from_files_measure_as_the_run_that_made_them(folder, archive):
    """Folder and archive to the last digit, and the run itself, whose images come in another order, to rounding."""
    program, key = harness.program("vae"), rng.stream(rng.root(0), rng.EVALUATE, 0)
    state = loop.restore(program, harness.trained("vae"))
    asked = c.Evaluation(samples=SAMPLES)
    extractors = evaluate.extractors_of(asked, program.dataset)
    own = measure._distances(program, state, key, extractors, ("frechet", "kernel", "prdc"))
    first, second = (
        evaluate.of_images(image_sets.read(path), program.dataset, asked, extractors) for path in (folder, archive)
    )
    assert first.keys() == second.keys() == own.keys()
    assert len(own) == 12  # six on the pixels, six on the classifier
    for name, one in own.items():
        assert first[name]["value"] == second[name]["value"]
        assert first[name]["value"] == pytest.approx(one["value"], rel=1e-4), name  # features in float32
        assert first[name]["stamp"] | {"images": str(archive)} == second[name]["stamp"]
        assert first[name]["stamp"]["dataset_sha256"] == program.dataset.checksum
        assert evaluate.difference(stamps.stamp(program, state) | one["stamp"], first[name]["stamp"]) is None


def test_the_command_measures_a_folder(folder, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    args = ("evaluate", "--images", folder, "--against", "digits", "--metrics", "frechet", "prdc", "--out", out)
    assert call(*args, "--features", "pixels", "--samples", 60) == 0
    printed = capsys.readouterr().out
    written = json.loads(out.read_text())
    digest = image_sets.read(folder).sha256
    assert written["protocol"]["images_sha256"] == digest
    assert written["protocol"]["against"] == "digits"
    assert written["measures"].keys() == {
        *("frechet_pixels", "precision_pixels", "recall_pixels", "density_pixels", "coverage_pixels")
    }
    for name, one in written["measures"].items():
        assert one["stamp"]["images"] == str(folder)
        assert one["stamp"]["images_sha256"] == digest
        assert one["stamp"]["generated"] == 60
        assert one["stamp"]["examples"] == (300 if name == "frechet_pixels" else 60)  # neighbours: equal numbers
        assert one["stamp"]["split"] == "test"
        assert one["stamp"]["dataset"] == "digits"
        row = next(line for line in printed.splitlines() if line.startswith(name + " "))
        assert f"{one['value']:.4g}" in row
    assert "frechet_pixels: 60 examples for 256 features" in printed
    assert printed.splitlines()[-1] == str(out)


@pytest.mark.parametrize("name", [".", "made"])
def test_without_out_the_numbers_lie_beside_the_images(name, tmp_path, monkeypatch, capsys):
    made = save(tmp_path / "made", generated()[:8])
    monkeypatch.chdir(made if name == "." else tmp_path)
    args = ("evaluate", "--images", name, "--against", "digits", "--metrics", "kernel", "--features", "pixels")
    assert call(*args, "--split", "train") == 0
    measures = json.loads((tmp_path / "made.evaluation.json").read_text())["measures"]
    assert measures["kernel_pixels"]["stamp"]["split"] == "train"
    assert measures["kernel_pixels"]["stamp"]["examples"] == 1497
    assert len(list(made.iterdir())) == 8


def test_all_images_are_used_and_more_are_not_there(archive):
    dataset = data.load("digits")
    extractors = evaluate.extractors_of(c.Evaluation(features=("pixels",)), dataset)
    found = evaluate.of_images(image_sets.read(archive), dataset, c.Evaluation(measures=("kernel",)), extractors)
    assert found["kernel_pixels"]["stamp"]["generated"] == SAMPLES
    more = c.Evaluation(samples=SAMPLES + 1, measures=("kernel",))
    with pytest.raises(UserError, match=f"--samples is {SAMPLES + 1}, but .* has only {SAMPLES} images"):
        evaluate.of_images(image_sets.read(archive), dataset, more, extractors)


def test_measures_take_the_place_of_nothing_but_measures(tmp_path, capsys):
    made = save(tmp_path / "made", generated()[:8])
    args = ("evaluate", "--images", made, "--against", "digits", "--metrics", "kernel", "--features", "pixels", "--out")
    mine = tmp_path / "mine.json"
    mine.write_text('{"important": 1}')
    (tmp_path / "mine.py").write_text("x = 1\n")
    before = harness.contents(tmp_path)
    for out, words in (
        (made / "numbers.json", "lies among what is measured"),
        (made / "0.png", "let its name end in .json"),
        (tmp_path / "mine.py", "let its name end in .json"),
        (mine, "is there already, and holds no measures"),
    ):
        harness.assert_refused(call(*args, out), *capsys.readouterr(), str(out), words)
    assert harness.contents(tmp_path) == before
    for _ in range(2):  # the second time, measures are there
        assert call(*args, tmp_path / "numbers.json") == 0
