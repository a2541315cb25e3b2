"""The terms of a discriminator's loss in a configuration: a tuple of members of a union."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

import jaxtyping
import pytest
from configurations import OF_CLASSES, SMALL, TERMS

from gvlab import config as c
from gvlab import losses
from gvlab.config import own
from gvlab.types import UserError


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Without the tests' own check of all types, which comes before gvlab's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@dataclass(frozen=True)
class Mine:
    weight: float = 2.0

    def term(self):
        return losses.centring(self.weight)._replace(name="mine")


def experiment(*terms) -> c.Experiment:
    return dataclasses.replace(SMALL, model=c.GAN(c.MLP(), discriminator_terms=terms))


LAZY = c.Every(8, c.LeCam(start=5))
MADE = {
    c.R1(3.0): "r1",
    c.R2(3.0): "r2",
    c.ZeroCentred(): "zero_centred",
    c.GradientPenalty(target=2.0): "gradient_penalty",
    c.OneSidedGradientPenalty(): "one_sided_gradient_penalty",
    c.Dragan(scale=0.0): "dragan",
    c.R1FiniteDifference(): "r1_finite_difference",
    c.R2FiniteDifference(radius=0.1): "r2_finite_difference",
    c.Centring(0.0): "centring",
    LAZY: "lecam",
    c.RealConsistency(): "real_consistency",
    c.FakeConsistency(transform=c.DiffAugment()): "fake_consistency",
    c.LatentConsistency(deviation=0.0): "latent_consistency",
    c.LatentDiversity(): "latent_diversity",
    c.RealClasses(0.0): "real_classes",
    c.FakeClasses(): "fake_classes",
    c.RealContrast(temperature=0.1): "real_contrast",
    c.FakeContrast(): "fake_contrast",
    c.RealDataToData(margin=0.5): "real_data_to_data",
    c.FakeDataToData(): "fake_data_to_data",
    c.PathLength(): "path_length",
    c.Every(4, c.PathLength(weight=1.0, decay=0.1, shrink=4)): "path_length",
    Mine(): "mine",
    c.Every(inner=Mine()): "mine",
}


def test_a_scheduled_term_shows_its_factor_whether_it_is_lazy_or_not():
    import jax
    import jax.numpy as jnp

    falls, real, fake = c.Linear(4, begin=1.0, end=0.0), jnp.array([1.0, 2.0]), jnp.array([-0.5, 1.0])
    whole, curves = [], []
    for step in range(4):
        this = losses.Round(jnp.int32(step), jax.random.key(0), real, fake, fake, None, None, real, fake)
        made = [c.Scheduled(inner, falls).term() for inner in (c.Centring(1.0), c.Every(2, c.Centring(1.0)))]
        seen = [losses.terms.summed([term], this, losses.terms.memories([term])) for term in made]
        whole.append([float(total) for total, _, _ in seen])
        curves.append([float(shown["centring"]) for _, shown, _ in seen])
    mean = (0.5**2 + 3.0**2) / 2
    assert [plain for plain, _ in curves] == pytest.approx([mean, 0.75 * mean, 0.5 * mean, 0.25 * mean])
    assert [lazy for _, lazy in curves[::2]] == pytest.approx([mean, 0.5 * mean])
    assert [lazy for _, lazy in whole] == pytest.approx([2 * mean, 0, mean, 0])


@pytest.mark.parametrize(("part", "name"), MADE.items(), ids=map(str, MADE))
def test_a_part_makes_its_term(part, name):
    term = part.term()
    assert isinstance(term, losses.Term)
    assert term.name == name


def test_every_class_of_terms_is_in_an_experiment_of_the_tables():
    used = {type(term) for terms in (*TERMS, *(gan.discriminator_terms for gan in OF_CLASSES)) for term in terms}
    used |= {type(term.inner) for gan in OF_CLASSES for term in gan.discriminator_terms if isinstance(term, c.Every)}
    assert used == set(c.choices(experiment())["model.discriminator_terms"])


# --- JSON and dotted names --------------------------------------------------------------------------------------------


def test_the_json_is_a_list_that_names_the_classes():
    both = experiment(c.R1(5), LAZY)
    assert json.loads(c.to_json(both))["model"]["discriminator_terms"] == [
        {"type": "R1", "weight": 5.0},
        {"type": "Every", "steps": 8, "inner": {"type": "LeCam", "weight": 0.3, "decay": 0.99, "start": 5}},
    ]
    assert c.from_json(c.to_json(both)) == both


def test_a_file_of_before_there_were_terms_has_none():
    values = json.loads(c.to_json(experiment()))
    assert values["model"].pop("discriminator_terms") == []
    assert c.from_json(json.dumps(values)) == experiment()


def test_the_generators_terms_are_written_alike():
    model = c.GAN(c.StyleGAN2(), generator_terms=(c.Every(4, c.PathLength()), c.LatentDiversity()))
    styled = dataclasses.replace(SMALL, model=model)
    assert json.loads(c.to_json(styled))["model"]["generator_terms"][0] == {
        "type": "Every", "steps": 4, "inner": {"type": "PathLength", "weight": 2.0, "decay": 0.01, "shrink": 2}
    }  # fmt: skip
    assert c.from_json(c.to_json(styled)) == styled
    assert c.value(styled, "model.generator_terms.0.inner.decay") == 0.01
    assert {cls.__name__ for cls in c.choices(styled)["model.generator_terms"]} == {
        "LatentDiversity", "PathLength", "FakeClasses", "FakeContrast", "FakeDataToData", "Every", "Scheduled"
    }  # fmt: skip


def test_dotted_names_count_the_terms():
    both = experiment(c.R1(), LAZY)
    names = [name for name in c.leaves(both) if "discriminator_terms" in name]
    assert [name.removeprefix("model.discriminator_terms.") for name in names] == [
        "0.weight", "1.steps", "1.inner.weight", "1.inner.decay", "1.inner.start"
    ]  # fmt: skip
    assert [c.value(both, name) for name in names] == [10.0, 8, 0.3, 0.99, 5]
    assert c.value(both, "model.discriminator_terms") == (c.R1(), LAZY)
    assert c.value(both, "model.discriminator_terms.1") == LAZY
    assert c.with_value(both, names[2], 1) == experiment(c.R1(), c.Every(8, c.LeCam(1.0, start=5)))
    for name in names:
        assert c.with_value(both, name, c.value(both, name)) == both
    assert "model.discriminator_terms" in c.leaves(experiment())
    with pytest.raises(UserError, match=r"no field model.discriminator_terms.2.weight \(did you mean .*terms.0.weight"):
        c.value(both, "model.discriminator_terms.2.weight")


def test_traced_values_leave_the_original_and_the_other_terms_alone():
    both, token = experiment(c.R1(), LAZY), object()
    changed = c.with_traced(
        both, {f"model.discriminator_terms.{name}": token for name in ("0.weight", "1.inner.decay")}
    )
    r1, lazy = changed.model.discriminator_terms
    assert r1.weight is token
    assert lazy.inner.decay is token
    assert (lazy.steps, lazy.inner.start) == (8, 5)
    assert both == experiment(c.R1(), LAZY)


@pytest.mark.parametrize(
    ("one", "other", "where", "values"),
    [
        ((c.R1(), LAZY), (c.R1(), c.Every(4, LAZY.inner)), ".1.steps", (8, 4)),
        ((c.R1(),), (c.R2(),), ".0", (c.R1(), c.R2())),
        ((c.R1(),), (), "", ((c.R1(),), ())),
        ((c.R1(),), (c.R1(), LAZY), "", ((c.R1(),), (c.R1(), LAZY))),
    ],
)
def test_the_first_difference_is_named(one, other, where, values):
    found = c.difference(experiment(*one), experiment(*other))
    assert found == (f"model.discriminator_terms{where}", *values)
    assert c.difference(experiment(*one), experiment(*one)) is None


# --- of one's own -----------------------------------------------------------------------------------------------------


def test_parts_of_ones_own_stand_among_ours(monkeypatch):
    monkeypatch.setattr(own, "_OF_PYTHON", {})  # of other tests
    both = experiment(c.R1(), Mine(3), c.Every(2, Mine()))
    assert dict(own.parts(both)) == {
        "model.discriminator_terms.1": Mine(3.0),
        "model.discriminator_terms.2.inner": Mine(),
    }
    text = c.to_json(both)
    assert json.loads(text)["model"]["discriminator_terms"][1] == {"type": "own:Mine", "file_sha256": "", "weight": 3.0}
    read = c.from_json(text)  # where the class is not known
    assert isinstance(read.model.discriminator_terms[1], own.Unopened)
    assert c.to_json(read) == text
    assert c.from_json(text) == read
    assert [name for name, _ in own.parts(read)] == [name for name, _ in own.parts(both)]
    assert "model.discriminator_terms.1" in c.leaves(read)
    with pytest.raises(UserError, match="The class Mine was given from Python"):
        read.model.discriminator_terms[1].term()


# --- what is refused --------------------------------------------------------------------------------------------------

FIELD = "GAN.discriminator_terms"
REFUSED = {
    "a negative weight": (lambda: c.R1(-1.0), "R1.weight is -1.0, but must be a number of at least 0."),
    "no target": (lambda: c.GradientPenalty(target=0), "GradientPenalty.target is 0.0, but must be a positive number."),
    "no radius": (lambda: c.R2FiniteDifference(radius=0), "R2FiniteDifference.radius is 0.0, but must be a positive"),
    "no decay": (lambda: c.LeCam(decay=1.0), "LeCam.decay is 1.0, but must be at least 0 and below 1."),
    "a start before the first": (lambda: c.LeCam(start=-1), "LeCam.start is -1, but must be a number of at least 0."),
    "every 0 steps": (lambda: c.Every(0), "Every.steps is 0, but must be at least 1."),
    "lazily lazy": (
        lambda: c.Every(2, c.Every()),
        "Every.inner is Every(steps=16, inner=R1(weight=10.0)), but must",
    ),
    "the other player's": (
        lambda: c.GAN(discriminator_terms=(c.Every(4, c.PathLength()),)),
        f"{FIELD} has PathLength, but that is a term of the generator's loss: put it into generator_terms.",
    ),
    "the other player's, scheduled": (
        lambda: c.GAN(generator_terms=(c.Scheduled(c.Every()),)),
        "GAN.generator_terms has R1, but that is a term of the discriminator's loss: put it into discriminator_terms.",
    ),
    "paths without styles": (
        lambda: c.GAN(generator_terms=(c.Every(4, c.PathLength()),)),
        "GAN.generator_terms has PathLength, but the generator of DCGAN has no styles: use StyleGAN2.",
    ),
    "no share": (lambda: c.PathLength(shrink=0), "PathLength.shrink is 0, but must be from 1 to 2147483647."),
    "no share of a new length": (lambda: c.PathLength(decay=1.5), "PathLength.decay is 1.5, but must be from 0 to 1."),
    "twice": (
        lambda: c.GAN(discriminator_terms=(c.R1(), c.R1(2.0))),
        "GAN.discriminator_terms has R1 2 times: give it once, with the sum of the weights.",
    ),
    "twice, once lazily": (
        lambda: c.GAN(discriminator_terms=(c.R1(), c.Every())),
        f"{FIELD} has R1 2 times: give it once, with the sum of the weights.",
    ),
    "a class": (
        lambda: c.GAN(discriminator_terms=[c.R1]),
        f"{FIELD}[0] is the class R1, but must be an instance of it: R1().",
    ),
    "no tuple": (
        lambda: c.GAN(discriminator_terms=c.R1()),
        f"{FIELD} is R1(weight=10.0), but must be of type list of R1 or R2",
    ),
    "a text": (lambda: c.GAN(discriminator_terms="R1"), f"{FIELD} is 'R1', but must be of type list of R1 or R2"),
    "a list of texts": (
        lambda: c.GAN(discriminator_terms=[c.R1(), "R2"]),
        f"{FIELD}[1] is 'R2', but must be of type R1 or R2 or",
    ),
    "another part": (lambda: c.GAN(discriminator_terms=[c.Hinge()]), f"{FIELD}[0] is Hinge(), but must be of type R1"),
    "a term itself": (
        lambda: c.GAN(discriminator_terms=[losses.r1(1.0)]),
        "write a frozen dataclass with a method term() that returns it",
    ),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_gets_one_sentence(make, words):
    with pytest.raises(UserError) as caught:
        make()
    sentence = str(caught.value)
    assert words in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert len(sentence) < 500


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"type": "R1"}, "The field model.discriminator_terms is {'type': 'R1'}, but must be of type list of R1 or R2"),
        ([{"type": "R1"}, {"type": "R9"}], "The field model.discriminator_terms.1 is {'type': 'R9'}, but must be of"),
        ([{"type": "R1", "wieght": 1.0}], "The field model.discriminator_terms.0.wieght does not exist (did you mean"),
        ([{"type": "R1", "weight": -1.0}], "R1.weight is -1.0"),
        ([{"type": "R1"}] * 2, "GAN.discriminator_terms has R1 2 times"),
    ],
)
def test_json_that_cannot_be_gets_one_sentence(written, words):
    values = json.loads(c.to_json(experiment()))
    values["model"]["discriminator_terms"] = written
    with pytest.raises(UserError) as caught:
        c.from_json(json.dumps(values))
    assert str(caught.value).startswith(words)


def test_a_class_may_be_given_its_first_field():
    chosen = c.with_choice(experiment(), "model.discriminator_terms", "r1(0.1)+LeCam+every(4)")
    assert chosen.model.discriminator_terms == (c.R1(0.1), c.LeCam(), c.Every(4))
    chosen = c.with_choice(experiment(), "model.contest", "Relativistic(hinge)")
    assert chosen.model.contest == c.Relativistic("hinge")
    for name, text, words in (
        ("model.discriminator_terms", "R1(abc)", "R1.weight is 'abc', but must be of type float"),
        ("model.discriminator_terms", "R1(-1)", "R1.weight is -1.0, but must be a number of at least 0"),
        ("model.discriminator_terms", "R1()", "is 'R1()', but must be none, or one or more"),
        ("model.contest", "hinge(1)", "Hinge has no field to be 1: leave the parentheses out"),
        ("model.contest", "Relativistic(foo)", "Relativistic.margin is 'foo', but must be"),
    ):
        with pytest.raises(UserError) as caught:
            c.with_choice(experiment(), name, text)
        assert words in str(caught.value)


def test_the_same_class_of_ones_own_may_be_given_twice():
    """It may give its terms other names; whether it does is seen when they are built."""
    assert len(experiment(Mine(), Mine(3.0)).model.discriminator_terms) == 2
