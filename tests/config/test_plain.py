"""Fields hold plain Python values, whatever equal value they were given."""

from __future__ import annotations

import enum

import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

from gvlab import config as c
from gvlab.config import fields
from gvlab.errors import UserError


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Without the tests' own check of all types, which comes before gvlab's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


class Width(enum.IntEnum):
    SMALL = 8


@pytest.mark.parametrize(
    ("make", "same"),
    [
        (lambda: c.Experiment("a", c.VAE(), np.int64(5)), lambda: c.Experiment("a", c.VAE(), 5)),
        (lambda: c.Experiment(np.str_("a"), c.VAE(), 5), lambda: c.Experiment("a", c.VAE(), 5)),
        (lambda: c.VAE(latent_dim=np.array(3)), lambda: c.VAE(latent_dim=3)),
        (lambda: c.VAE(latent_dim=jnp.int32(3)), lambda: c.VAE(latent_dim=3)),
        (lambda: c.VAE(beta=np.float16(0.5)), lambda: c.VAE(beta=0.5)),
        (lambda: c.VAE(beta=2), lambda: c.VAE(beta=2.0)),
        (lambda: c.Adam(np.float32(0.1)), lambda: c.Adam(0.10000000149011612)),
        (lambda: c.Adam(np.float64(0.1)), lambda: c.Adam(0.1)),
        (lambda: c.Adam(jnp.float32(0.25)), lambda: c.Adam(0.25)),
        (lambda: c.MLP([8, 4]), lambda: c.MLP((8, 4))),
        (lambda: c.MLP(np.array([8, 4])), lambda: c.MLP((8, 4))),
        (lambda: c.MLP((np.uint8(8), Width.SMALL)), lambda: c.MLP((8, 8))),
        (lambda: c.Adam(drop_steps=range(1, 4)), lambda: c.Adam(drop_steps=(1, 2, 3))),
        (lambda: c.Data(flip=np.bool_(True)), lambda: c.Data(flip=True)),
        (lambda: c.Evaluation(features=["pixels"]), lambda: c.Evaluation(features=("pixels",))),
    ],
)
def test_what_equals_a_plain_value_becomes_it(make, same):
    made, plain = make(), same()
    assert made == plain
    assert repr(made) == repr(plain)  # of the same types
    assert hash(made) == hash(plain)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: c.VAE(optimizer=optax.adam(1e-3)),
            "VAE.optimizer is an object of the class optax.Grad.*a frozen dataclass with a method transformation",
        ),
        (lambda: c.VAE(optimizer=c.Adam), r"VAE.optimizer is the class Adam, but must be an instance of it: Adam\(\)"),
        (lambda: c.Experiment("a", c.GAN, 1), r"Experiment.model is the class GAN, but must be an instance.*: GAN\(\)"),
        (lambda: c.VAE(network=lambda x: x), "VAE.network is the function .*<lambda>, which config.json cannot hold"),
        (lambda: c.VAE(network=c.DCGAN()), r"VAE.network is DCGAN\(width=64, discriminator='batch_norm'\)"),
        (lambda: c.VAE(likelihood="Bernoulli"), "VAE.likelihood is 'Bernoulli'"),
        (lambda: c.VAE(latent_dim=3.0), "VAE.latent_dim is 3.0, but must be of type int"),
        (lambda: c.VAE(latent_dim=True), "VAE.latent_dim is True, but must be of type int"),
        (lambda: c.VAE(latent_dim=np.array([3])), r"VAE.latent_dim is array\(\[3\]\)"),
        (lambda: c.VAE(latent_dim=None), "VAE.latent_dim is None"),
        (lambda: c.VAE(latent_dim=10**10), "VAE.latent_dim is 10000000000, but must be from 1 to 2147483647"),
        (lambda: c.MLP(8), "MLP.hidden is 8, but must be of type list of int"),
        (lambda: c.MLP({8, 4}), "MLP.hidden is {8, 4}"),
        (lambda: c.MLP((8, np.float64(4))), r"MLP.hidden\[1\] is 4.0, but must be of type int"),
        (lambda: c.MLP(np.ones((2, 2), int)), "MLP.hidden is array"),
        (lambda: c.MLP((8,) * 1001), "MLP.hidden has 1001 layers, but at most 1000"),
        (lambda: c.Evaluation(features="pixels"), "Evaluation.features is 'pixels', but must be of type list of str"),
        (lambda: c.Adam(drop_steps=(step for step in (1, 2))), "Adam.drop_steps is an object of the class.*generator"),
        (lambda: c.Adam("0.1"), "Adam.learning_rate is '0.1', but must be of type float"),
        (lambda: c.Adam(b"0.1"), "Adam.learning_rate is b'0.1'"),
        (lambda: c.Adam(1j), "Adam.learning_rate is 1j"),
        (lambda: c.Adam(np.zeros(1000)), "Adam.learning_rate is array.*[.][.][.], but must be"),
        (lambda: c.Adam(float("nan")), "Adam.learning_rate is nan, but must be a finite number"),
        (lambda: c.VAE(beta=np.float32("inf")), "VAE.beta is inf, but must be a finite number"),
        (lambda: c.Adam(10**400), "Adam.learning_rate is inf"),
        (
            lambda: c.Experiment("a", c.VAE(), 10**5000),
            "Experiment.steps is a value of int with too many digits to print",
        ),
        (lambda: c.Experiment("a", c.VAE(), (10**5000,)), "Experiment.steps is a value of tuple with too many digits"),
        (lambda: c.Experiment("a", c.VAE(), 1, data="mnist"), "Experiment.data is 'mnist', but must be of type Data"),
        (lambda: c.Data(flip=1), "Data.flip is 1, but must be of type bool"),
        (lambda: c.Data(quantization=["none"]), r"Data.quantization is \['none'\], but must be of type 'none' or"),
        (lambda: c.Data(name="a\ud800"), r"Data.name is 'a\\ud800', but half of a letter is no text"),
        (lambda: c.Experiment("a\0b", c.VAE(), 1), r"Experiment.name is 'a\\x00b', but must be a plain directory name"),
        (lambda: c.Experiment("ä" * 128, c.VAE(), 1), "Experiment.name is .* of 128 letters.*at most 255 bytes"),
        (lambda: c.Experiment("..", c.VAE(), 1), "Experiment.name is '..'"),
    ],
)
def test_what_equals_none_is_refused_in_one_sentence(make, message):
    with pytest.raises(UserError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_numbers_of_json_that_are_too_large():
    for value, words in (
        ("1" + "0" * 400, "a whole number of more than 64 bits"),
        ("1e999", "a number beyond the largest of 64 bits"),
    ):
        text = c.to_json(c.Experiment("a", c.VAE(), 1)).replace("0.001", value)
        with pytest.raises(UserError, match=words):
            c.from_json(text)


def test_a_value_is_described_in_one_short_line():
    assert fields.described("a\nb" * 100).endswith("...")
    assert len(fields.described("a\nb" * 100)) == 80
    assert fields.described(np.ones(3)) == "array([1., 1., 1.])"
    assert fields.described(int) == "the class int"
