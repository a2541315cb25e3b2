"""Restoring images by the command line."""

import json

import harness
import numpy as np
import pytest
from harness import assert_refused, call
from PIL import Image

from gvlab import data

SHORT = ("--steps", 5, "--restarts", 2, "--n", 3)


def restored(directory):
    return json.loads((directory / "restore.json").read_text())


@pytest.mark.parametrize("name", ["vae", "gan"])
def test_degraded_test_images_are_restored_and_measured(name, tmp_path, capsys):
    out = tmp_path / "restored"
    args = (harness.trained(name), "--operator", "block(6)", "--noise", 0.1, *SHORT)
    assert call("restore", *args, "--out", out) == 0
    found = restored(out)
    assert found["operator"] == {"type": "Block", "size": 6}
    assert found["method"] == {"type": "Optimise", "restarts": 2, "steps": 5, "rate": 0.01, "weight": 0.1}
    assert (found["images"], found["measurements"], found["noise"]) == (3, 16 * 16 - 36, 0.1)
    measures = {"psnr_db", "ssim", "error_per_pixel", "class_agreement", "consistency", "objective"}
    assert measures == set(found["measures"])
    assert set(found["per_image"]["class_agreement"]) <= {0.0, 1.0}
    assert 0 <= found["measures"]["class_agreement"]["low"] < found["measures"]["class_agreement"]["high"] <= 1
    for measure in ("psnr_db", "error_per_pixel"):
        each = found["per_image"][measure]
        assert found["measures"][measure]["images"] == len(each) == 3
        np.testing.assert_allclose(found["measures"][measure]["mean"], np.mean(each))
        assert found["measures"][measure]["low"] < np.mean(each) < found["measures"][measure]["high"]
    np.testing.assert_allclose(
        found["per_image"]["psnr_db"], -10 * np.log10(found["per_image"]["error_per_pixel"]), rtol=1e-5
    )
    assert "psnr_db" in found["baseline"]["measures"]
    sheet = np.asarray(Image.open(out / "sheet.png"))
    height, width = 3 * 17 + 1, 4 * 17 + 1
    assert sheet.shape[0] * width == sheet.shape[1] * height
    assert "Baseline: the mean training image where nothing is seen." in capsys.readouterr().out
    # The same seed gives the same images.
    assert call("restore", *args, "--out", tmp_path / "again") == 0
    again = restored(tmp_path / "again")
    assert again["per_image"] == found["per_image"]


def test_baselines_that_need_no_model_stand_beside(tmp_path, capsys):
    out = tmp_path / "restored"
    args = ("--operator", "projection(20)", "--method", "encoder", "--n", 2, "--baselines", "lasso_dct", "mean")
    assert call("restore", harness.trained("vae"), *args, "--out", out) == 0
    baselines = restored(out)["baselines"]
    assert baselines["lasso_dct"]["strength"] in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
    assert baselines["mean"]["strength"] is None
    train, test = data.load("digits").train.x / 255, data.load("digits").test.x[:2] / 255
    error = ((train.mean(0) - test) ** 2).mean()
    np.testing.assert_allclose(baselines["mean"]["measures"]["error_per_pixel"]["mean"], error, rtol=1e-4)
    assert capsys.readouterr().out.splitlines()[0].split() == [
        *("measure", "mean", "interval", "baseline", "lasso_dct", "mean")
    ]
    sheet = np.asarray(Image.open(out / "sheet.png"))
    assert sheet.shape[0] * (6 * 17 + 1) == sheet.shape[1] * (2 * 17 + 1)


def test_draws_of_the_posterior_come_with_their_spread_and_diagnostics(tmp_path, capsys):
    out = tmp_path / "restored"
    args = ("--operator", "downsample(4)", "--method", "posterior", "--chains", 2, "--warmup", 6, "--draws", 4)
    assert call("restore", harness.trained("vae"), *args, "--thinning", 1, "--n", 3, "--out", out) == 0
    measures = restored(out)["measures"]
    assert {"r_hat", "effective_draws", "acceptance", "coverage_90"} < set(measures)
    assert 0 <= measures["coverage_90"]["mean"] <= 1
    sheet = np.asarray(Image.open(out / "sheet.png"))
    height, width = 3 * 17 + 1, 9 * 17 + 1  # with the deviation and four draws
    assert sheet.shape[0] * width == sheet.shape[1] * height


def test_weights_are_tuned_to_each_image(tmp_path):
    args = ("--operator", "half", "--method", "finetune", "--tuning-steps", 3, *SHORT[:4], "--n", 2)
    assert call("restore", harness.trained("vae"), *args, "--out", tmp_path / "restored") == 0
    found = restored(tmp_path / "restored")
    assert found["method"] == {"type": "FineTune", "restarts": 2, "steps": 5, "rate": 0.01, "weight": 0.1,
                               "tuning_steps": 3, "tuning_rate": 1e-4}  # fmt: skip
    each = found["per_image"]
    assert all(np.less(each["objective"], each["objective_before_tuning"]))


def test_an_encoder_restores_in_one_pass(tmp_path):
    out = tmp_path / "restored"
    assert call("restore", harness.trained("vae"), "--operator", "noise", "--method", "encoder", "--out", out) == 0
    assert restored(out)["images"] == 16


def test_a_picture_of_ones_own_has_no_truth_to_be_measured_by(tmp_path):
    picture = tmp_path / "degraded.png"
    Image.fromarray(data.load("digits").test.x[0][::2, ::2, 0]).save(picture)
    out, args = tmp_path / "restored", ("--operator", "downsample", *SHORT[:4], "--image", picture)
    assert call("restore", harness.trained("vae"), *args, "--out", out) == 0
    found = restored(out)
    assert set(found["measures"]) == {"consistency", "objective"}
    assert found["baseline"]["measures"] == {}
    assert found["images"] == 1


@pytest.mark.parametrize(
    ("name", "args", "words"),
    [
        ("vae", ("--operator", "blck"), "--operator is 'blck', but must be one of mask, block"),
        ("vae", ("--operator", "mask(0)"), "Mask.share is 0.0"),
        ("vae", ("--operator", "mask(nan)"), "Mask.share is nan, but must be a finite number"),
        ("vae", ("--operator", "block(16)"), "Block.size is 16, which hides images of 16x16 pixels whole"),
        ("vae", ("--operator", "downsample(3)"), "The factor 3 does not divide"),
        ("vae", ("--operator", "projection(0)"), "The number of measurements is 0"),
        ("vae", ("--operator", "projection(257)"), "must be from 1 to 256"),
        ("vae", ("--operator", "grey"), "the images have 1 channel"),
        ("vae", ("--operator", "noise", "--noise", "-0.1"), "--noise is -0.1, but must be 0, or from"),
        ("vae", ("--operator", "noise", "--noise", "nan"), "--noise is nan"),
        ("vae", ("--operator", "noise", "--noise", "1e-30"), "--noise is 1e-30"),
        ("vae", ("--operator", "blur(17)"), "sigma is 17.0, but must be above 0 and at most 16 pixels"),
        ("vae", ("--noise", 0.1), "--operator says what is seen, or --mask does"),
        ("vae", ("--operator", "mask(0.5)", "--image", "mine.png"), "which draws a mask, but --image mine.png has one"),
        ("vae", ("--operator", "noise", "--restarts", 10**8), "Optimise of 16 images"),
        ("vae", ("--operator", "noise", "--noise", 0, "--method", "map"), "The noise is 0, but MAP weighs"),
        ("vae", ("--operator", "noise", "--chains", 3), "--chains is 3, but the method Optimise has none"),
        ("vae", ("--operator", "noise", "--tuning-rate", 1), "--tuning-rate is 1.0, but the method Optimise has none"),
        ("vae", ("--operator", "noise", "--restarts", 0), "Optimise.restarts is 0"),
        ("vae", ("--operator", "noise", "--n", 10_000), "--n is 10000, but digits has only 300 test images"),
        ("vae", ("--operator", "noise", "--class", 1), "--class 1 is of --image"),
        ("vae", ("--operator", "noise", "--baselines", "laso"), "no baseline 'laso': choose from mean, adjoint, tv"),
        ("vae", ("--operator", "noise", "--baselines", "tv", "tv"), "--baselines names tv twice"),
        ("vae", ("--operator", "noise", "--baselines", "mean", "biharmonic"), "The baseline biharmonic"),
        ("gan", ("--operator", "noise", "--method", "encoder"), "has none: use another method, or a VAE"),
    ],
)
def test_what_cannot_be_restored_is_refused(name, args, words, tmp_path, capsys):
    code = call("restore", harness.trained(name), *args, "--out", tmp_path / "new")
    assert_refused(code, *capsys.readouterr(), words)
    assert not (tmp_path / "new").exists()


def test_a_mask_of_ones_own_says_which_pixels_are_seen(tmp_path, capsys):
    shown = np.zeros((16, 16), np.uint8)
    shown[:10] = 255
    for name, pixels in (("mask", shown), ("mine", data.load("digits").test.x[0][..., 0]), ("nothing", 0 * shown)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    made, mask = harness.trained("vae"), ("--mask", tmp_path / "mask.png")
    assert call("restore", made, *mask, *SHORT[:4], "--image", tmp_path / "mine.png", "--out", tmp_path / "out") == 0
    assert restored(tmp_path / "out")["operator"] == {"type": "Mask", "file": str(tmp_path / "mask.png")}
    assert restored(tmp_path / "out")["measurements"] == 160
    capsys.readouterr()
    code = call("restore", made, "--mask", tmp_path / "nothing.png", "--out", tmp_path / "new")
    assert_refused(code, *capsys.readouterr(), "The mask hides every pixel")


def test_a_search_that_leads_upwards_is_said(tmp_path, capsys):
    args = ("--operator", "half", "--rate", 1e3, "--steps", 1, "--restarts", 1, "--n", 3)
    assert call("restore", harness.trained("vae"), *args, "--out", tmp_path / "out") == 0
    assert "The search did not get below where it began" in capsys.readouterr().out


def test_a_picture_of_another_size_is_refused(tmp_path, capsys):
    picture = tmp_path / "degraded.png"
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(picture)
    for operator, words in (("downsample", "has the shape (5, 5, 1), but this operator makes (8, 8, 1)"),
                            ("projection(5)", "projections are no picture")):  # fmt: skip
        args = ("--operator", operator, "--image", picture, "--out", tmp_path / "new")
        assert_refused(call("restore", harness.trained("vae"), *args), *capsys.readouterr(), words)
