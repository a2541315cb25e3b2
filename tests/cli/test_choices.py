"""A class chosen by its name on the command line, where a field holds one of several."""

from __future__ import annotations

import pytest
from harness import COMPARED, assert_refused, call, experiment_file

from gvlab import config as c
from gvlab.cli import overrides
from gvlab.types import UserError

GAN, VAE = COMPARED["gan"], COMPARED["vae"]


def override(experiment, *args):
    return overrides.override(experiment, list(args), "gvlab train e.py")


@pytest.mark.parametrize("text", ["LeastSquares", "least_squares", "least-squares", "LEASTSQUARES"])
def test_a_class_is_chosen_by_its_name(text):
    assert override(GAN, "--model.contest", text).model.contest == c.LeastSquares()
    assert override(GAN, f"--model.contest={text}").model.contest == c.LeastSquares()


def test_its_fields_can_be_set_behind_it_and_the_others_stay():
    found = override(GAN, "--model.network", "two-mlps", "--model.network.generator", "8", "9", "--batch-size", "7")
    assert found.model.network == c.TwoMLPs(generator=(8, 9))
    assert (found.batch_size, found.model.latent_dim, found.name) == (7, GAN.model.latent_dim, "gan")


def test_what_fits_only_together_is_checked_together():
    args = ("--model.network", "TwoLayerMLP", "--model.latent-dim", "150")
    assert override(VAE, *args).model == c.VAE(c.TwoLayerMLP(), latent_dim=150)
    with pytest.raises(UserError, match=r"VAE\.latent_dim is 4, but counts the latents of both layers"):
        override(VAE, *args[:2])


def test_the_model_itself_can_be_chosen():
    assert override(GAN, "--model", "VAE", "--model.latent-dim", "3").model == c.VAE(latent_dim=3)


REFUSED = {
    "none": (["--model.contest", "hing"], ["model.contest is 'hing'", "one of NonSaturating, Minimax, Hinge"]),
    "nothing": (["--model.contest"], ["The argument --model.contest needs a value: one of NonSaturating, Minimax"]),
    "nothing before an option": (["--model.contest", "--seed", "1"], ["The argument --model.contest needs a value"]),
    "misspelt": (["--model.contst", "hinge"], ["Unknown field --model.contst (did you mean --model.contest?)"]),
    "a field of another": (["--model.network", "MLP", "--model.network.width", "3"], ["--model.network.width"]),
}


@pytest.mark.parametrize(("args", "words"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_gets_one_sentence(args, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = experiment_file(tmp_path, GAN)
    assert_refused(call("train", file, *args), *capsys.readouterr(), *words)
    assert not (tmp_path / "runs").exists()


def test_help_lists_the_classes(capsys):
    text = overrides.classes(GAN)
    contests = "NonSaturating|Minimax|Hinge|LeastSquares|Wasserstein|Relativistic|RelativisticAverage|TopK"
    assert f"  --model.contest {contests}" in text.splitlines()
    assert "  --model GAN|VAE" in text.splitlines()
