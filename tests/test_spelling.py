"""What is proposed for a name or a path that is not there."""

from pathlib import Path

import pytest

from gvlab.spelling import nearest, nearest_field, nearest_path

FIELDS = (
    "steps",
    "batch_size",
    "model.update",
    "model.beta",
    "model.network.width",
    "model.generator_optimizer.learning_rate",
    "model.discriminator_optimizer.learning_rate",
)


def test_a_guess_is_only_of_what_is_near():
    assert nearest("latent_dims", ["latent_dim", "beta"]) == " (did you mean latent_dim?)"
    assert nearest("xyz", ["latent_dim", "beta"]) == ""
    assert nearest("beta", []) == ""


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("model.widht", "model.network.width"),
        ("--model.widht", "model.network.width"),
        ("widht", "model.network.width"),
        ("batchsize", "batch_size"),
        ("model.batch_size", "batch_size"),
        ("model.discriminator.learning_rat", "model.discriminator_optimizer.learning_rate"),
        ("model.generator.learning_rat", "model.generator_optimizer.learning_rate"),
        ("model.qqqq", None),
    ],
)
def test_the_last_part_of_a_field_says_what_is_meant(asked, meant):
    assert nearest_field(asked, FIELDS) == (f" (did you mean {meant}?)" if meant else "")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("runs/cond/seed0", "runs/cond/seed-0"),
        ("run/cnod/seed0", "runs/cond/seed-0"),
        ("runs/vea.py", "runs/vae.py"),
        ("runs/vae.py/seed-0", None),
        ("runs/cond/seed-0", None),  # it is there
        ("runs/other/seed-0", None),
        ("runs/.hiden", None),
        ("a" * 300, None),
    ],
)
def test_each_part_of_a_path_may_be_misspelt(asked, meant, tmp_path, monkeypatch):
    (tmp_path / "runs" / "cond" / "seed-0").mkdir(parents=True)
    (tmp_path / "runs" / "cond" / "seed-12").mkdir()
    (tmp_path / "runs" / "vae.py").touch()
    (tmp_path / "runs" / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    assert nearest_path(Path(asked)) == (f" (did you mean {meant}?)" if meant else "")
    whole = nearest_path(tmp_path / asked)
    assert whole == (f" (did you mean {tmp_path / meant}?)" if meant else "")
