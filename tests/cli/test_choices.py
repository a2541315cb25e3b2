"""A class chosen by its name on the command line, where a field holds one of several."""

from __future__ import annotations

from dataclasses import replace

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


TERMS = replace(GAN, model=replace(GAN.model, discriminator_terms=(c.R1(), c.Every(4, c.LeCam()))))


def test_any_number_of_terms_is_chosen_by_their_sum():
    """It replaces those that were there, and their fields can be set behind it."""
    option = "--model.discriminator-terms"
    for text in ("R1+LeCam", "r1+le_cam"):
        assert override(TERMS, option, text).model.discriminator_terms == (c.R1(), c.LeCam())
        assert override(GAN, f"{option}={text}").model.discriminator_terms == (c.R1(), c.LeCam())
    found = override(GAN, option, "R1+LeCam", f"{option}.1.start", "5", f"{option}.0.weight=0", "--seed", "3")
    assert found.model.discriminator_terms == (c.R1(0.0), c.LeCam(start=5))
    assert found.seed == 3
    assert override(TERMS, option, "none") == GAN
    assert override(TERMS, "--model.contest", "hinge").model.discriminator_terms == TERMS.model.discriminator_terms


def test_one_of_several_terms_is_changed():
    option = "--model.discriminator-terms"
    found = override(TERMS, f"{option}.0.weight", "5", f"{option}.1.steps", "2", f"{option}.1.inner.decay", "0.5")
    assert found.model.discriminator_terms == (c.R1(5.0), c.Every(2, c.LeCam(decay=0.5)))
    found = override(
        TERMS, f"{option}.0", "gradient-penalty", f"{option}.1.inner", "R2", f"{option}.1.inner.weight", "1"
    )
    assert found.model.discriminator_terms == (c.GradientPenalty(), c.Every(4, c.R2(1.0)))


SUM = "model.discriminator_terms is"
NEED = "but must be none, or one or more, joined by +, of R1, R2, "
REFUSED_TERMS = {
    "misspelt": (["=R1+LeCan"], [f"{SUM} 'R1+LeCan', {NEED}", "(did you mean LeCam?)"]),
    "with commas": (["=R1,LeCam"], [f"{SUM} 'R1,LeCam', {NEED}", "(did you mean R1+LeCam?)"]),
    "with blanks": (["", "R1", "LeCam"], [f"{SUM} 'R1 LeCam', {NEED}", "(did you mean R1+LeCam?)"]),
    "of nothing": (["="], [f"{SUM} '', {NEED}"]),
    "of half": (["=R1+"], [f"{SUM} 'R1+', {NEED}"]),
    "no value": ([""], ["The argument --model.discriminator-terms needs a value", "R1, R2"]),
    "twice": (["=R1+R1"], ["GAN.discriminator_terms has R1 2 times: give it once, with the sum of the weights."]),
    "beyond the last": ([".2.weight", "3"], ["--model.discriminator-terms.2.weight (did you mean --model.discr"]),
    "no number": ([".one.weight", "3"], ["Unknown field --model.discriminator-terms.one.weight (did you mean"]),
    "one of none such": ([".0", "R7"], ["model.discriminator_terms.0 is 'R7', but must be one of R1, R2"]),
    "a negative weight": ([".0.weight", "-3"], ["R1.weight is -3.0, but must be a number of at least 0."]),
    "every 0 steps": ([".1.steps", "0"], ["Every.steps is 0, but must be at least 1."]),
    "half a step": ([".1.steps", "2.5"], ["--model.discriminator-terms.1.steps: '2.5' is no whole number"]),
}


@pytest.mark.parametrize(("args", "words"), REFUSED_TERMS.values(), ids=REFUSED_TERMS)
def test_a_mistake_in_terms_gets_one_sentence(args, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    file = experiment_file(tmp_path, TERMS)
    code = call("train", file, f"--model.discriminator-terms{args[0]}", *args[1:])
    assert_refused(code, *capsys.readouterr(), *words)
    assert not (tmp_path / "runs").exists()


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
    contests = "NonSaturating|Minimax|Hinge|LeastSquares|Wasserstein|Relativistic|RelativisticAverage|TopK|Smoothed"
    contests += "|MultiHinge"
    assert f"  --model.contest {contests}" in text.splitlines()
    assert any(line.startswith("  --model GAN|VAE") for line in text.splitlines())
    terms = (
        "R1|R2|ZeroCentred|GradientPenalty|OneSidedGradientPenalty|Dragan|ClippedDragan|R1FiniteDifference|"
        "R2FiniteDifference|Centring|LeCam|RealConsistency|FakeConsistency|LatentConsistency|RealClasses|FakeClasses|RealContrast|"
        "RealDataToData"
    )
    text = overrides.classes(TERMS)
    several = ", or several joined by +, or none"
    of_generator = "LatentDiversity|PathLength|FakeClasses|FakeContrast|FakeDataToData"
    assert f"  --model.discriminator-terms {terms}|Every|Scheduled{several}" in text.splitlines()
    assert f"  --model.discriminator-terms.0 {terms}|Every|Scheduled" in text.splitlines()
    inner = [line for line in text.splitlines() if line.startswith("  --model.discriminator-terms.1.inner ")]
    assert set(inner[0].split(" ")[-1].split("|")) == {*terms.split("|"), *of_generator.split("|")}
    assert f"  --model.generator-terms {of_generator}|Every|Scheduled{several}" in text.splitlines()
