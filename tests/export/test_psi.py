"""An exported model whose styles are truncated: the run's numbers, the card's stamp, and what is refused."""

import json
import runpy
from dataclasses import replace

import flax.linen as nn
import harness
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from harness import assert_refused, call
from programs import program

from gvlab import build, export, models, networks, rng, trained
from gvlab import config as c
from gvlab.types import UserError


class Styled(nn.Module):
    """The smallest generator in two halves."""

    styled = True

    def setup(self):
        self.mapping, self.last = nn.Dense(3), nn.Dense(2)

    def styles(self, z, y=None, *, train):
        return jnp.tanh(self.mapping(z))[:, None]

    def images(self, ws, *, train):
        return self.last(ws[:, 0])

    def __call__(self, z, y=None, *, train):
        return self.images(self.styles(z, train=train), train=train)


@pytest.fixture(scope="module")
def model():
    """A trained one, as far as an export can tell."""
    made = program(c.GAN(c.MLP((4,)), latent_dim=2), (2,))
    gan = models.alternating_gan(
        Styled(), networks.MLPDiscriminator((4,)), optax.sgd(0.1), optax.sgd(0.1), latent_dim=2,
        data_range=build.UNBOUNDED,
    )  # fmt: skip
    return trained.Trained(replace(made, model=gan), gan.init(rng.root(0), made.first_batch()))


def test_the_programs_truncate_and_the_card_says_so(model, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "load", lambda run, experiment=None: model)
    folder = export.write_model(tmp_path, tmp_path / "exported", psi=0.5)
    card = json.loads((folder / "card.json").read_text())
    assert card["psi"] == 0.5
    assert max(of["largest_difference"] for of in card["programs"].values()) < 1e-5
    load = runpy.run_path(str(folder / "load.py"))
    z = np.asarray(model.latents(rng.root(1), 5))
    near, whole = model.truncated(0.5), model.decode(z)
    np.testing.assert_allclose(load["decode"](z), near.decode(z), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(load["sample"](5, seed=3), near.sample(5, seed=3), rtol=1e-4, atol=1e-5)
    assert np.abs(load["decode"](z) - whole).max() > 0.01


def test_a_number_beyond_and_onnx_are_refused(model, tmp_path, monkeypatch):
    monkeypatch.setattr(trained, "load", lambda run, experiment=None: model)
    with pytest.raises(UserError, match=r"psi is 1\.5, but must be from 0"):
        export.write_model(tmp_path, tmp_path / "exported", psi=1.5)
    with pytest.raises(UserError, match=r"psi is 0\.5, but the mean style .* leave out ONNX or psi\."):
        export.write_model(tmp_path, tmp_path / "exported", onnx=True, psi=0.5)
    assert list(tmp_path.iterdir()) == []


def test_the_command_refuses_a_model_without_styles(tmp_path, capsys):
    done = call("export", harness.trained("gan"), "--out", tmp_path / "exported", "--psi", "0.7")
    assert_refused(
        done, *capsys.readouterr(), "psi is 0.7, but the model has no styles to be truncated: use a run of StyleGAN2."
    )
    assert not (tmp_path / "exported").exists()
