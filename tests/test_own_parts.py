"""Parts of the user's own build as gvlab's do, and what they give is looked at before anything is trained."""

from __future__ import annotations

import random
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

from gvlab import build, losses, memory, models, networks, own_parts
from gvlab import config as c
from gvlab.config import own
from gvlab.train import engines, loop, origin
from gvlab.types import Batch, Judged, UserError


@dataclass(frozen=True)
class Nets:
    """Both kinds of networks, of gvlab's modules."""

    width: int = 5
    leak: float = 0.2

    def networks(self, shape, classes, axis_name):
        return networks.MLPGenerator(shape=shape, hidden=(self.width,)), Leaky(self.width, self.leak)

    def coders(self, shape, latent_dim, parameters, classes, axis_name):
        return c.MLP(hidden=(self.width,)).coders(shape, latent_dim, parameters, classes, axis_name)


class Leaky(nn.Module):
    width: int
    leak: Any

    @nn.compact
    def __call__(self, x, y=None, *, train):
        x = networks.append_label(x.reshape(len(x), -1), y)
        return nn.Dense(1)(nn.leaky_relu(nn.Dense(self.width)(x), self.leak))[:, 0]


@dataclass(frozen=True)
class Margin:
    margin: float = 1.0

    def contest(self):
        return losses.Contest(
            lambda real, fake: nn.relu(self.margin - real) + nn.relu(self.margin + fake), losses.hinge.generator
        )


@dataclass(frozen=True)
class Laplace:
    scale: float = 0.5
    rank: int = 3

    def observation(self):
        def log_prob(raw, x):
            errors = jnp.abs(jnp.broadcast_to(x, raw.shape) - raw)
            return jnp.sum(-errors / self.scale - jnp.log(2 * self.scale), axis=tuple(range(-self.rank, 0)))

        return models.Observation(1, log_prob, lambda raw: raw)


@dataclass(frozen=True)
class Sign:
    learning_rate: float = 0.01

    def transformation(self, updates_per_step):
        return optax.chain(optax.scale_by_sign(), optax.scale_by_learning_rate(self.learning_rate))


@dataclass(frozen=True)
class Root:
    steps: int = 100

    def schedule(self):
        return lambda step: 1 / jnp.sqrt(1 + step / self.steps)


GAN = c.GAN(
    Nets(), 3, Margin(), generator_optimizer=Sign(), discriminator_optimizer=c.Clipped(1.0, c.AdamW(schedule=Root()))
)
VAE = c.VAE(Nets(), 3, likelihood=Laplace(), optimizer=c.SGD(1e-4, schedule=Root()))


@pytest.mark.parametrize("conditional", [False, True], ids=["unconditional", "conditional"])
@pytest.mark.parametrize(
    "model", [GAN, replace(GAN, update="simultaneous"), VAE, replace(VAE, objective="importance_weighted")]
)
def test_models_of_own_parts_build(model, conditional):
    made = program(replace(model, conditional=conditional), IMAGE)
    shapes_of_a_run(made)
    assert made.own_model  # of classes that no experiment file has


def test_own_parts_make_models_of_vectors():
    shapes_of_a_run(program(replace(VAE, likelihood=Laplace(rank=1)), (2,)))
    shapes_of_a_run(program(GAN, (2,)))


def test_own_parts_that_say_the_same_compute_the_same():
    """Of ours, wrapped: to the last bit."""

    @dataclass(frozen=True)
    class Same:
        def networks(self, shape, classes, axis_name):
            return c.MLP(hidden=(5,)).networks(shape, classes, axis_name)

        def contest(self):
            return losses.hinge

        def transformation(self, updates_per_step):
            return c.Adam().transformation(updates_per_step)

    ours = c.GAN(c.MLP(hidden=(5,)), 3, c.Hinge(), generator_optimizer=c.Adam(), discriminator_optimizer=c.Adam())
    own_ones = c.GAN(Same(), 3, Same(), generator_optimizer=Same(), discriminator_optimizer=Same())
    states = []
    for model in (ours, own_ones):
        engine = engines.alone(program(model, IMAGE), jax.devices()[:1])
        inputs = engine.inputs([engine.program.experiment])
        states.append(jax.tree.leaves(engine.single(engine.init(inputs), engine.data, inputs)))
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_floats_of_own_parts_can_be_batched_over_runs():
    made = program(GAN, IMAGE)
    names = ["model.contest.margin", "model.generator_optimizer.learning_rate", "model.network.leak"]
    engine = engines.together(made, 2, names, jax.devices()[:1])
    different = replace(GAN, network=Nets(leak=0.4), contest=Margin(0.5), generator_optimizer=Sign(0.02))
    runs = [made.experiment, replace(made.experiment, model=different)]
    inputs = engine.inputs(runs)
    state, _ = engine.single(engine.init(inputs), engine.data, inputs)
    for i, experiment in enumerate(runs):
        alone = engines.alone(replace(program(experiment.model, IMAGE), experiment=experiment), jax.devices()[:1])
        key = alone.inputs([experiment])
        expected, _ = alone.single(alone.init(key), alone.data, key)
        for one, other in zip(*map(jax.tree.leaves, (engine.member(state, i), expected)), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_number_that_decides_what_is_computed_cannot_be_batched():
    @dataclass(frozen=True)
    class Branching:
        margin: float = 1.0

        def contest(self):
            return losses.hinge if self.margin > 0.5 else losses.wasserstein

    made = program(replace(GAN, contest=Branching()), IMAGE)
    with pytest.raises(UserError, match="decides what is computed, so its values cannot share a program"):
        engines.together(made, 2, ["model.contest.margin"], jax.devices()[:1])


def test_memory_is_estimated_of_the_networks_themselves(monkeypatch):
    """Not by their numbers, of which nobody knows what they mean."""

    @dataclass(frozen=True)
    class Odd(Nets):
        year: int = 2**60

    program(replace(GAN, network=Odd()), IMAGE)
    monkeypatch.setattr(memory, "limit", lambda: 10_000)
    with pytest.raises(UserError, match="of memory"):
        program(replace(GAN, network=Nets(width=5000)), IMAGE)


# --- what is refused --------------------------------------------------------------------------------------------------


def part(method, make, **more):
    """A frozen dataclass with one method."""
    return dataclass(frozen=True)(type("Mine", (), {method: make, "__annotations__": {}} | more))()


def players(generator=None, discriminator=None):
    g = generator or networks.MLPGenerator(shape=IMAGE, hidden=(3,))
    return part("networks", lambda self, shape, classes, axis_name: (g, discriminator or Leaky(3, 0.1)))


def coders(encoder=None, decoder=None):
    def make(self, shape, latent_dim, parameters, classes, axis_name):
        e, d = c.MLP(hidden=(3,)).coders(shape, latent_dim, parameters, classes, axis_name)
        return encoder or e, decoder or d

    return part("coders", make)


class Column(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return nn.Dense(1)(x.reshape(len(x), -1))


class Fails(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return x @ jnp.zeros((99, 98))


class Unlucky(nn.Module):
    @nn.compact
    def __call__(self, x, y=None, *, train):
        return Leaky(3, random.random())(x, y, train=train)


def contest(d=None, g=None):
    return part("contest", lambda self: losses.Contest(d or losses.hinge.discriminator, g or losses.hinge.generator))


def observed(**fields):
    return part("observation", lambda self: models.observation.gaussian(1.0)._replace(**fields))


def grows(self, updates_per_step):
    return optax.stateless(lambda updates, params: jax.tree.map(lambda u: jnp.stack([u, u]), updates))


def by(method, function):
    """A part whose method gives what the function does, whatever it is asked for."""
    return part(method, lambda self, *_: function())


LOGITS = Leaky(3, 0.1)
WIDE = networks.MLPGenerator(shape=(9, 4, 1), hidden=(3,))
NETWORKS = {
    "one network": (by("networks", lambda: LOGITS), "networks() returns (Leaky), but must return two Flax modules"),
    "three networks": (by("networks", lambda: (LOGITS,) * 3), "networks() returns (Leaky, Leaky, Leaky), but must"),
    "networks that fail": (by("networks", lambda: 1 / 0), "networks() fails with ZeroDivisionError: division by zero."),
    "too few arguments": (
        part("networks", lambda self: None),
        "GAN.network is of the class Mine, whose method is networks(self), but must be networks(self, shape, classes, ",
    ),
    "no self": (
        part("networks", staticmethod(lambda shape, classes, axis_name: None)),
        "whose method is networks(shape, classes, axis_name), but must be networks(self, shape, classes, axis_name) (",
    ),
    "a keyword": (part("networks", lambda self, *args, width: None), "whose method is networks(self, *args, width), "),
    "images of another size": (
        players(WIDE),
        "networks() gives examples of shape (2, 9, 4, 1), but must give (2, 4, 4",
    ),
    "a column of logits": (
        players(None, Column()),
        "discriminator of Mine.networks() gives logits of shape (2, 1), but",
    ),
    "a module that fails": (players(None, Fails()), "The discriminator of Mine.networks() fails with TypeError: "),
    "a constant by chance": (players(None, Unlucky()), "make another program each time that they are built"),
    "a width by chance": (
        by("networks", lambda: players(None, Leaky(random.randint(1, 10**6), 0.1)).networks(0, 0, 0)),
        "draw nothing at random there",
    ),
}
OTHER_LATENTS = networks.MLPEncoder(latent_dim=9, hidden=(3,))
TWO_PARAMETERS = networks.MLPDecoder(shape=IMAGE, hidden=(3,), parameters=2)
CODERS = {
    "no modules": (by("coders", lambda: (1, 2)), "coders() returns (int, int), but must return two Flax modules, (enc"),
    "an encoder of one output": (coders(encoder=Column()), "must give a pair (mean, logvar)"),
    "an encoder of other latents": (coders(OTHER_LATENTS), "gives means of shape (2, 9), but must give (2, 3)"),
    "a decoder of two": (coders(None, TWO_PARAMETERS), "parameters of pixels of shape (2, 4, 4, 2), but must give (2,"),
}
CONTESTS = {
    "no contest": (by("contest", lambda: None), "contest() returns NoneType, but must return a gvlab.losses.Contest"),
    "a mean of losses": (
        contest(d=lambda r, f: jnp.mean(f - r)),
        "gives losses of 3 pairs of shape (), but must give (3",
    ),
    "one argument": (contest(g=lambda f: -f), "The generator's loss of Mine.contest() fails with TypeError: "),
}


def term(value=lambda this, memory: (this.on_real, memory), init=dict, name="mine"):
    return part("term", lambda self: losses.Term(name, value, init))


def zeros():
    return {"mean": jnp.zeros(())}


TERMS = {
    "no term": (by("term", lambda: None), "Mine.term() returns NoneType, but must return a gvlab.losses.Term."),
    "a term that fails": (by("term", lambda: 1 / 0), "Mine.term() fails with ZeroDivisionError: division by zero."),
    "no text as its name": (term(name=3), "The name of Mine.term() is 3, but must be the text that its curve"),
    "a mean": (term(lambda this, memory: (this.on_real.mean(), memory)), "gives losses of 3 examples of shape (), but"),
    "no memory": (term(lambda this, memory: this.on_real), "value of Mine.term() gives no pair, but must give (loss"),
    "another memory": (
        term(lambda this, memory: (this.on_real, {"mean": this.on_real}), zeros),
        "value of Mine.term() gives another memory than init does: keep its structure, shapes and types.",
    ),
    "a memory of whole numbers": (
        term(lambda this, memory: (this.on_real, {"mean": jnp.int32(1)}), zeros),
        "value of Mine.term() gives another memory than init does",
    ),
    "a value that fails": (
        term(lambda this, memory: (this.nothing, memory)),
        "value of Mine.term() fails with AttributeError: ",
    ),
    "an init that fails": (term(init=lambda: 1 / 0), "init of Mine.term() fails with ZeroDivisionError"),
}
TWICE = "The term mine was given 2 times: give it once, with the sum of weights."
OF_TERMS = {
    **{name: ((one,), words) for name, (one, words) in TERMS.items()},
    **{f"{name}, lazily": ((c.Every(2, one),), words) for name, (one, words) in TERMS.items()},
    "a name twice": ((term(), c.Every(2, term())), TWICE),
    "one of our names": ((c.R1(), term(name="r1")), TWICE.replace("mine", "r1")),
}
LIKELIHOODS = {
    "no likelihood": (
        by("observation", lambda: None),
        "observation() returns NoneType, but must return a gvlab.models",
    ),
    "nats of pixels": (observed(log_prob=lambda raw, x: raw), "of shape (2, 3, 4, 4, 1), but must give (2, 3)."),
    "another mean": (
        observed(mean=lambda raw: raw[..., 0]),
        "mean of Mine.observation() gives the examples of 2 draws",
    ),
}
OPTIMIZERS = {
    "no optimizer": (by("transformation", lambda: None), "transformation() returns NoneType, but must return an optax"),
    "updates that grow": (part("transformation", grows), "transformation() gives updates of other shapes than the"),
    "no schedule": (c.SGD(schedule=by("schedule", lambda: 3)), "schedule() returns int, but must return a function of"),
    "a schedule of two": (
        c.SGD(schedule=by("schedule", lambda: lambda step: jnp.ones(2))),
        "Mine.schedule() gives a factor of shape (2,), but must give ().",
    ),
}
REFUSED = [
    (model, field, one, words, name)
    for model, field, cases in (
        (GAN, "network", NETWORKS),
        (VAE, "network", CODERS),
        (GAN, "contest", CONTESTS),
        (GAN, "discriminator_terms", OF_TERMS),
        (VAE, "likelihood", LIKELIHOODS),
        (VAE, "optimizer", OPTIMIZERS),
    )
    for name, (one, words) in cases.items()
]


@pytest.mark.parametrize(
    ("model", "field", "one", "words"), [case[:4] for case in REFUSED], ids=[r[4] for r in REFUSED]
)
def test_what_does_not_fit_gets_one_sentence(model, field, one, words):
    with pytest.raises(UserError) as caught:
        program(replace(model, **{field: one}), IMAGE)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert words in sentence


@dataclass(frozen=True)
class Remembers:
    """Whatever a term may look at, and an average."""

    weight: float = 1.0
    decay: float = 0.9

    def term(self):
        def value(this, memory):
            _, slopes = jax.vjp(this.critic, this.generate(this.z))
            noise = jax.random.normal(this.key, this.real.shape)
            after = {"mean": self.decay * memory["mean"] + (1 - self.decay) * this.on_fake.mean()}
            loss = jnp.square(slopes(this.on_real)[0] * noise).reshape(len(this.real), -1).sum(1)
            return self.weight * loss * jnp.minimum(this.step, 1) + this.on_fake - memory["mean"], after

        return losses.Term("remembers", value, zeros, by_example=True)


@pytest.mark.parametrize("shape", [IMAGE, (2,)], ids=str)
def test_a_term_of_ones_own_that_fits_passes(shape):
    made = replace(GAN, discriminator_terms=(c.R1(), Remembers(), c.Every(3, c.LeCam())))
    own_parts.check_shapes(c.Experiment("e", made, 1), shape, 0)


class Knows(nn.Module):
    """A discriminator with an auxiliary classifier."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = nn.relu(nn.Dense(3)(x.reshape(len(x), -1)))
        return Judged(nn.Dense(1)(h)[:, 0], classes=nn.Dense(4)(h))


def test_a_discriminator_of_ones_own_may_say_more_than_logits_and_a_term_read_it():
    def value(this, memory):
        return jnp.sum(this.y * this.judged_real.classes, axis=1) + this.judged_fake.logits, memory

    terms = (c.RealClasses(), term(value))
    made = replace(GAN, network=players(None, Knows()), discriminator_terms=terms, conditional=True)
    own_parts.check_shapes(c.Experiment("e", made, 1), IMAGE, 4)
    jax.eval_shape(
        build.model(made, IMAGE, 4).init, jax.random.key(0), Batch(jnp.zeros((2, *IMAGE)), jnp.zeros(2, int))
    )


def test_two_builds_need_not_be_equal_objects():
    """An initializer is another function each time, and the program the same."""

    def made():
        return c.ReluMLP((3,)).coders(IMAGE, 3, 1, 0, None)

    assert made() != made()
    program(replace(VAE, network=by("coders", made)), IMAGE)


def test_an_experiment_without_its_classes_builds_nothing():
    made = program(GAN, IMAGE)
    unopened = c.from_json(c.to_json(made.experiment).replace("own:Nets", "own:Gone"))
    assert isinstance(unopened.model.network, own.Unopened)
    with pytest.raises(UserError, match="The class Gone was given from Python"):
        build.program(unopened, made.dataset)


def test_from_python_a_run_goes_on_and_says_that_no_file_has_its_classes(tmp_path, monkeypatch):
    made = program(GAN, IMAGE)
    engine = engines.alone(made, jax.devices()[:1])
    run = loop.train(engine, tmp_path, seed=0, steps=2)
    assert origin.read(run)["model"] == "own"
    assert not (run / "experiment.py").exists()
    assert loop.train(engine, tmp_path, seed=0, steps=4) == run
    assert int(loop.restore(made, run).step) == 4
    monkeypatch.setattr(own, "_OF_PYTHON", {})
    with pytest.raises(UserError, match="The class Nets was given from Python, by no experiment file"):
        origin.program_of(run)
