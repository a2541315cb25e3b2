"""What fails only when it is called as training, sampling and evaluating call it is refused before, with a remedy."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import IMAGE, program
from test_build import shapes_of_a_run
from test_own_models import wrong
from test_own_parts import GAN, VAE, by, coders, contest, observed, part, players

from gvlab import build, networks
from gvlab import config as c
from gvlab.cli import overrides
from gvlab.types import UserError


class Altered(nn.Module):
    """A layer whose outputs, of such a shape, become what the function makes of (the outputs, the inputs, train)."""

    change: Any
    shape: tuple[int, ...] = ()

    @nn.compact
    def __call__(self, x, y=None, *, train):
        out = nn.Dense(math.prod(self.shape))(networks.append_label(x.reshape(x.shape[0], -1), y))
        return self.change(out.reshape(x.shape[0], *self.shape), x, train)


class Layers(nn.Module):
    """A function of (inputs, train) that may make layers."""

    function: Any

    @nn.compact
    def __call__(self, x, y=None, *, train):
        return self.function(self, x.reshape(x.shape[0], -1), train)


def critic(change):
    return players(None, Altered(change))


def layers(function):
    return players(None, Layers(function))


def refuses(found):
    raise ValueError(found)


def unnamed():
    raise ValueError


def counts(module, x, train):
    module.variable("mine", "count", lambda: jnp.zeros(())).value += 1
    return nn.Dense(1)(x)[:, 0]


def by_hand(module, x, train):
    return nn.Dense(1)(x if train else nn.Dense(3)(x))[:, 0]


DROPOUT = 'with InvalidRngError (Dropout_0 needs PRNG for "dropout"): modules are given no random numbers, so leave '
NO_VALUES = "while JAX traces a function its arrays have no values, so "
NETWORKS = {
    "dropout": (
        layers(lambda module, x, train: nn.Dense(1)(nn.Dropout(0.5, deterministic=not train)(x))[:, 0]),
        f"The discriminator of Mine.networks() fails {DROPOUT}dropout and the like out.",
    ),
    "one size of batches": (
        layers(lambda module, x, train: nn.Dense(1)(x.reshape(2, -1))[:, 0]),
        "The discriminator of Mine.networks() on a batch of 3 fails with ScopeParamShapeError (For parameter ",
        "): a batch has any number of examples, so reshape by x.shape[0].",
    ),
    "two logits always": (
        layers(lambda module, x, train: nn.Dense(1)(x)[:2, 0]),
        "The discriminator of Mine.networks() on a batch of 3 gives logits of shape (2,), but must give (3,).",
    ),
    "a variable of its own": (
        layers(counts),
        'The discriminator of Mine.networks() fails with ScopeCollectionNotFound (Tried to access "count" from ',
        "): of a module's variables only params and batch_stats are kept from step to step, so leave others out.",
    ),
    "statistics in use": (
        layers(lambda module, x, train: nn.Dense(1)(nn.BatchNorm(use_running_average=False)(x))[:, 0]),
        "The discriminator of Mine.networks() with train=False fails with ModifyScopeVariableError (",
        "so give BatchNorm use_running_average=not train.",
    ),
    "a layer in use": (
        layers(by_hand),
        "with train=False fails with ScopeParam",
        "): parameters are made by a call with train=True, in one shape, so use the same layers with train=False.",
    ),
    "no layer": (
        layers(lambda module, x, train: x.sum(axis=1)),
        "The discriminator of Mine.networks() has no parameters, so that there is nothing to train: give it a layer, ",
    ),
    "no use": (
        critic(lambda out, x, train: out if train else refuses("no use")),
        "The discriminator of Mine.networks() with train=False fails with ValueError: no use.",
    ),
    "no words": (critic(lambda out, x, train: unnamed()), "Mine.networks() fails with ValueError."),
    "a stop": (critic(lambda out, x, train: refuses("It ends.")), "Mine.networks() fails with ValueError: It ends."),
    "lines": (critic(lambda out, x, train: refuses("It\n\tgoes on")), "fails with ValueError: It goes on."),
    "many words": (critic(lambda out, x, train: refuses("y" * 301)), f"fails with ValueError: {'y' * 300}..."),
    "a choice": (
        critic(lambda out, x, train: out if out.sum() > 0 else -out),
        "fails with TracerBoolConversionError (Attempted boolean conversion of traced array with shape bool[]): "
        f"{NO_VALUES}choose by jnp.where or jax.lax.cond instead of if.",
    ),
    "numbers of Python": (
        critic(lambda out, x, train: out * float(out.sum())),
        "fails with ConcretizationTypeError (",
        f"): {NO_VALUES}compute with jax.numpy, and use only their shapes in Python.",
    ),
    "NumPy": (
        critic(lambda out, x, train: out * np.asarray(out)),
        "fails with TracerArrayConversionError (",
        f"): {NO_VALUES}compute with jax.numpy, and use only their shapes in Python.",
    ),
    "a method that needs values": (
        by("networks", lambda: jax.jit(lambda one: 1 if one else 2)(3)),
        "Mine.networks() fails with TracerBoolConversionError (",
        "choose by jnp.where or jax.lax.cond instead of if.",
    ),
    "half of an image in use": (
        players(Altered(lambda out, x, train: out if train else out[:, :2], IMAGE)),
        "The generator of Mine.networks() with train=False gives examples of shape (2, 2, 4, 1), but must give (2, 4, ",
    ),
    "whole numbers": (
        players(Altered(lambda out, x, train: out.astype(int), IMAGE)),
        "The generator of Mine.networks() gives examples of type int32, but must give float32.",
    ),
    "whole numbers in use": (
        players(Altered(lambda out, x, train: out if train else out.astype(int), IMAGE)),
        "The generator of Mine.networks() with train=False gives examples of type int32, but must give float32.",
    ),
    "whole logits": (
        critic(lambda out, x, train: out.astype(int)),
        "The discriminator of Mine.networks() gives logits of type int32, but must give float32.",
    ),
    "half as many bits": (critic(lambda out, x, train: out.astype(jnp.bfloat16)), "of type bfloat16, but must give"),
    "logits and more": (
        critic(lambda out, x, train: (out, x)),
        "The discriminator of Mine.networks() gives tuple for logits, but must give one array.",
    ),
    "no return": (critic(lambda out, x, train: None), "gives NoneType for logits, but must give one array."),
}
CODERS = {
    "whole means": (
        coders(Altered(lambda out, x, train: (out.astype(int), out), (3,))),
        "The encoder of Mine.coders() gives means of type int32, but must give float32.",
    ),
    "whole log-variances in use": (
        coders(Altered(lambda out, x, train: (out, out if train else out.astype(int)), (3,))),
        "The encoder of Mine.coders() with train=False gives log-variances of type int32, but must give float32.",
    ),
    "no pair in use": (
        coders(Altered(lambda out, x, train: (out, out) if train else out, (3,))),
        "The encoder of Mine.coders() with train=False gives ShapeDtypeStruct, but must give a pair (mean, logvar).",
    ),
    "whole pixels": (
        coders(None, Altered(lambda out, x, train: out.astype(int), IMAGE)),
        "The decoder of Mine.coders() gives parameters of pixels of type int32, but must give float32.",
    ),
    "half of an image in use": (
        coders(None, Altered(lambda out, x, train: out if train else out[:, :2], IMAGE)),
        "The decoder of Mine.coders() with train=False gives parameters of pixels of shape (2, 2, 4, 1), but must give",
    ),
}
CONTESTS = {
    "whole losses": (
        contest(g=lambda real, fake: (fake > 0).astype(int)),
        "The generator's loss of Mine.contest() gives losses of 3 pairs of type int32, but must give float32.",
    ),
    "a choice": (
        contest(d=lambda real, fake: fake if fake[0] > 0 else real),
        "The discriminator's loss of Mine.contest() fails with TracerBoolConversionError (",
        "choose by jnp.where or jax.lax.cond instead of if.",
    ),
    "no gradient": (
        contest(d=lambda real, fake: jax.pure_callback(np.abs, fake, fake)),
        "A train step with Nets and Mine and Sign and Root fails with ValueError: Pure callbacks do not support ",
    ),
}
LIKELIHOODS = {
    "whole nats": (
        observed(log_prob=lambda raw, x: jnp.zeros(raw.shape[:2], int)),
        "log_prob of Mine.observation() gives nats of 2 draws for 3 examples of type int32, but must give float32.",
    ),
    "a whole mean": (observed(mean=lambda raw: raw > 0), "for 3 of type bool, but must give float32."),
}
OPTIMIZERS = {
    "a choice by the count": (
        by("transformation", lambda: optax.adam(lambda count: 0.1 if count < 2 else 0.01)),
        "The update of Mine.transformation() fails with TracerBoolConversionError (Attempted boolean conversion of ",
        "choose by jnp.where or jax.lax.cond instead of if.",
    ),
    "a start that fails": (
        by("transformation", lambda: optax.GradientTransformation(refuses, refuses)),
        "The init of Mine.transformation() fails with ValueError: {'b': ",
    ),
    "a schedule that fails": (
        c.SGD(schedule=by("schedule", lambda: lambda step: refuses("oops"))),
        "What Mine.schedule() returns fails with ValueError: oops.",
    ),
    "a choice by the step": (
        c.SGD(schedule=by("schedule", lambda: lambda step: 1.0 if step < 3 else 0.5)),
        "What Mine.schedule() returns fails with TracerBoolConversionError (",
        "choose by jnp.where or jax.lax.cond instead of if.",
    ),
    "no factor": (c.SGD(schedule=by("schedule", lambda: lambda step: None)), "gives NoneType for a factor, but must"),
}
REFUSED = [
    pytest.param(replace(model, **{field: case[0]}), case[1:], id=f"{field}: {name}")
    for model, field, cases in (
        (GAN, "network", NETWORKS),
        (VAE, "network", CODERS),
        (GAN, "contest", CONTESTS),
        (VAE, "likelihood", LIKELIHOODS),
        (VAE, "optimizer", OPTIMIZERS),
    )
    for name, case in cases.items()
]


def term(name, value):
    def change(made):
        return made._replace(evaluate=lambda state, batch, key: {name: value(batch.x)})

    return change


def only_two(made):
    def train_step(state, batch, key):
        return made.train_step(state, batch._replace(x=batch.x.reshape(2, 4, 4, 1)), key)

    return made._replace(train_step=train_step)


MODELS = {
    "whole examples": (
        lambda made: made._replace(sample=lambda *args: made.sample(*args).astype(int)),
        "sample of Mine.model() gives 3 examples of type int32, but must give float32.",
    ),
    "whole decoded": (
        lambda made: made._replace(decode=lambda *args: made.decode(*args).astype(int)),
        "decode of Mine.model() gives 3 examples of type int32, but must give float32.",
    ),
    "whole terms": (
        term("hits", lambda x: jnp.zeros(len(x), int)),
        "evaluate of Mine.model() gives the term hits of type int32, but must give float32.",
    ),
    "terms of two": (
        term("loss", lambda x: jnp.zeros(2)),
        "evaluate of Mine.model() gives the term loss of shape (2,), but must give (3,).",
    ),
    "no terms": (
        lambda made: made._replace(evaluate=lambda state, batch, key: batch.x[:, 0, 0, 0]),
        "evaluate of Mine.model() gives ShapeDtypeStruct for its terms, but must give a dict of them by name.",
    ),
    "a state alone": (
        lambda made: made._replace(train_step=lambda *args: made.train_step(*args)[0]),
        "train_step of Mine.model() gives State, but must give a pair (state, terms).",
    ),
    "steps of two": (only_two, "train_step of Mine.model() fails with TypeError: "),
    "a choice": (
        lambda made: made._replace(sample=lambda state, *args: made.sample(state, *args) if state.step else 0),
        "sample of Mine.model() fails with TracerBoolConversionError (",
    ),
    "no latents": (
        lambda made: made._replace(prior=lambda key, n: None),
        "prior of Mine.model() gives latents of shape None, but must give [3, latent].",
    ),
}
REFUSED += [pytest.param(wrong(change), words, id=f"model: {name}") for name, (change, *words) in MODELS.items()]


@pytest.mark.parametrize(("model", "words"), REFUSED)
def test_what_fails_when_it_is_called_gets_one_sentence(model, words):
    with pytest.raises(UserError) as caught:
        program(model, IMAGE)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "https://" not in sentence
    for part_of_it in words:
        assert part_of_it in sentence


def test_what_differs_between_training_and_use_and_fits_is_built():
    def normalised(module, x, train):
        return nn.Dense(1)(nn.BatchNorm(use_running_average=not train)(x))[:, 0]

    for conditional in (False, True):
        shapes_of_a_run(program(replace(GAN, network=layers(normalised), conditional=conditional), IMAGE))


@pytest.mark.parametrize(
    "make",
    [
        lambda self, size, number, axis: GAN.network.networks(size, number, axis),
        lambda self, size, *rest: GAN.network.networks(size, *rest),
    ],
    ids=["names", "rest"],
)
def test_a_method_may_name_its_arguments_otherwise(make):
    """On the command line, too, where tyro compares it with the protocol's."""
    network = part("networks", make)
    made = program(replace(GAN, network=network), IMAGE)
    assert overrides.override(made.experiment, ["--seed", "3"], "gvlab train").model.network == network


@dataclass(frozen=True)
class Inner:
    slope: float = 1.0


@dataclass(frozen=True)
class Outer:
    inner: Inner = Inner()

    def contest(self):
        return (c.Hinge() if self.inner.slope > 0.5 else c.Wasserstein()).contest()


def test_a_traced_number_that_decides_is_for_the_caller_to_say():
    """Of a part within a part, too."""

    made = program(replace(GAN, contest=Outer()), IMAGE)

    def built(slope):
        build.with_values(made, {"model.contest.inner.slope": slope})
        return slope

    with pytest.raises(jax.errors.ConcretizationTypeError):
        jax.eval_shape(built, jnp.float32(1))


@pytest.mark.parametrize("likelihood", [c.MixtureOfLogistics(components=2), c.SharedGaussian()], ids=str)
def test_ones_own_networks_make_pixels_whose_channels_share_parameters(likelihood):
    model = c.VAE(network=coders(), likelihood=likelihood, latent_dim=3, conditional=True)
    shapes_of_a_run(program(model, (4, 4, 3)))
