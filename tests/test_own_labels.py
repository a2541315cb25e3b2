"""Own networks of a conditional model that don't read the labels are named, and no others."""

from __future__ import annotations

from dataclasses import replace

import flax.linen as nn
import jax.numpy as jnp
import pytest
from programs import IMAGE, program
from test_own_models import wrong
from test_own_parts import GAN, VAE, Leaky, Nets, part, players

from gvlab import build
from gvlab import config as c
from gvlab.types import Model


class Blind(nn.Module):
    """Takes labels, and makes nothing of them but what nobody gets."""

    inner: nn.Module

    @nn.compact
    def __call__(self, x, y=None, *, train):
        jnp.sum(x.reshape(len(x), -1), axis=1) * (1 if y is None else y[:, 0])
        return self.inner(x, None, train=train)


class Late(nn.Module):
    """Of which labels are no part before training: their weights begin at zero."""

    inner: nn.Module

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return self.inner(x, None, train=train) + nn.Dense(1, kernel_init=nn.initializers.zeros)(y)[:, 0]


def blind(model, *which):
    """The model with networks that don't read labels at these places."""
    method = "networks" if isinstance(model, c.GAN) else "coders"

    def make(self, *args):
        return tuple(Blind(m) if i in which else m for i, m in enumerate(getattr(Nets(), method)(*args)))

    return replace(model, network=part(method, make), conditional=True)


UNREAD = {
    "a generator": (
        blind(GAN, 0),
        "The generator of Mine.networks() makes the same of every class, although the model",
    ),
    "a discriminator": (blind(GAN, 1), "The discriminator of Mine.networks() makes the same of every class, although"),
    "both": (blind(GAN, 0, 1), "The generator and the discriminator of Mine.networks() make the same of every class, "),
    "an encoder": (blind(VAE, 0), "The encoder of Mine.coders() makes the same of every class, although the model is"),
    "a whole model": (
        wrong(lambda made: made, conditional=True),
        "The function decode of Mine.model() makes the same of every class, although the model is conditional: ",
    ),
    "a decoder": (blind(VAE, 1), "The decoder of Mine.coders() makes the same of every class, although the model is"),
}


@pytest.mark.parametrize(("model", "words"), UNREAD.values(), ids=UNREAD)
def test_networks_that_do_not_read_the_labels_are_named_once(model, words, capsys):
    build._say.cache_clear()
    for _ in range(2):
        program(model, IMAGE)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(words)
    assert line.endswith(": give the labels y a way in, as by networks.append_label(features, y).")


def test_an_unconditional_model_has_none(capsys):
    program(replace(blind(GAN, 0, 1), conditional=False), IMAGE)
    assert capsys.readouterr().err == ""


def shaded(made: Model) -> Model:
    """Whose examples are as bright as their label is large."""

    def decode(state, z, y=None):
        return made.decode(state, z) * (1 if y is None else y[:, None, None, None])

    return made._replace(decode=decode)


@pytest.mark.parametrize(
    "model", [GAN, VAE, replace(GAN, network=players(None, Late(Leaky(3, 0.1)))), wrong(shaded, conditional=True)]
)
def test_nothing_is_said_of_networks_that_read_the_labels(model, capsys):
    build._say.cache_clear()
    program(model if model.conditional else replace(model, conditional=True), IMAGE)
    assert capsys.readouterr().err == ""
