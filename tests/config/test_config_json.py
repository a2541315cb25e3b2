"""The JSON of an experiment says exactly the same, and what is no such JSON is refused."""

import dataclasses
import json
from typing import Any

import pytest
from configurations import EXPERIMENTS, SMALL

from gvlab import config as c
from gvlab.types import UserError

# JSON ----------------------------------------------------------------------------------------------------------------


def test_every_experiment_equals_its_json():
    assert len(EXPERIMENTS) > 250
    for experiment in EXPERIMENTS:
        again = c.from_json(c.to_json(experiment))
        assert again == experiment
        assert c.from_json(c.to_json(again)) == again
        assert c.difference(experiment, again) is None


def leaves(value: Any):
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, tuple):
        yield type(value)
        for item in value:
            yield from leaves(item)
    else:
        yield type(value)


def test_types_survive_json():
    """Tuples don't come back as lists, and where a float is declared an integer comes back as one."""
    for experiment in EXPERIMENTS:
        again = c.from_json(c.to_json(experiment))
        assert set(leaves(again)) <= {str, int, float, bool, tuple, type(None)}
        expected = [float if declared is int else declared for declared in leaves(experiment)]
        assert [float if found is int else found for found in leaves(again)] == expected
    whole = c.from_json(c.to_json(dataclasses.replace(SMALL, model=c.VAE(beta=4))))
    assert type(whole.model.beta) is float
    assert c.from_json(c.to_json(SMALL)).model.optimizer.drop_steps == ()


def test_the_json_of_a_union_names_its_class():
    values = json.loads(c.to_json(dataclasses.replace(SMALL, model=c.GAN(network=c.MLP(hidden=(8, 4))))))
    assert values["model"]["type"] == "GAN"
    assert values["model"]["network"] == {"type": "MLP", "hidden": [8, 4]}
    assert "type" not in values
    assert "type" not in values["data"]


def test_two_experiments_have_two_texts():
    texts = {c.to_json(c.from_json(c.to_json(experiment))) for experiment in EXPERIMENTS}
    assert len(texts) == len(EXPERIMENTS)
    assert texts == {c.to_json(c.from_json(text)) for text in texts}


def edited(path: str, value: Any = None, remove: bool = False) -> str:
    """The JSON of a GAN experiment with one field set or removed."""
    values = json.loads(c.to_json(dataclasses.replace(SMALL, model=c.GAN(network=c.MLP()))))
    *owners, last = path.split(".")
    owner = values
    for name in owners:
        owner = owner[name]
    if remove:
        del owner[last]
    else:
        owner[last] = value
    return json.dumps(values)


def refusal(text: str) -> str:
    with pytest.raises(UserError) as caught:
        c.from_json(text)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("stepz", "steps"),
        ("batchsize", "batch_size"),
        ("model.latent", "latent_dim"),
        ("model.generator_optimizer.learning_rat", "learning_rate"),
        ("model.network.hiden", "hidden"),
        ("data.flips", "flip"),
        ("evaluation.sample", "samples"),
        ("evaluation.feature", "features"),
        ("evaluation.mesures", "measures"),
    ],
)
def test_an_unknown_field_is_refused_with_the_nearest_name(path, nearest):
    sentence = refusal(edited(path, 1))
    assert f"The field {path} does not exist (did you mean {nearest}?)." == sentence


def test_a_field_like_no_other_gets_no_guess():
    assert refusal(edited("model.zzz", 1)) == "The field model.zzz does not exist."


def test_only_members_of_a_union_carry_their_class():
    assert "data.type does not exist" in refusal(edited("data.type", "Data"))


@pytest.mark.parametrize("path", ["steps", "name", "model"])
def test_a_missing_field_without_a_default_is_refused(path):
    assert refusal(edited(path, remove=True)) == f"The field {path} is missing."


@pytest.mark.parametrize("path", ["model.latent_dim", "model.network.hidden", "evaluation.k", "data", "seed"])
def test_a_missing_field_with_a_default_has_it(path):
    """Such as one that came after the file was written."""
    assert c.from_json(edited(path, remove=True)) == dataclasses.replace(SMALL, model=c.GAN(network=c.MLP()))


# --- what is refused --------------------------------------------------------------------------------------------------


NETWORKS = (
    "DCGAN or Article or MLP or TwoMLPs or MaxoutMLP or R3GAN or SNGAN or SAGAN or BigGAN or BigGANDeep or "
    "StyleGAN2 "
    "or WaveGAN or SentenceConvolutions or a class of your own"
)


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        ("steps", 10.0, "int"),
        ("steps", "10", "int"),
        ("steps", True, "int"),
        ("steps", None, "int"),
        ("name", 3, "str"),
        ("model.conditional", 1, "bool"),
        ("model.ema_decay", "0.9", "float"),
        ("model.ema_decay", True, "float"),
        ("model.update", "sometimes", "'alternating' or 'simultaneous' or 'separate'"),
        (
            "model.network",
            {"type": "VAE"},
            NETWORKS,
        ),
        (
            "model.network",
            {"hidden": [1]},
            NETWORKS,
        ),
        ("model.network", "MLP", NETWORKS),
        ("model.network.hidden", 200, "list of int"),
        ("model.network.hidden", [200.0], "int"),
        (
            "model",
            [],
            "GAN or VAE or VQVAE or BinaryVAE or CategoricalVAE or RAE or HierarchicalVAE or Density or SecondStage or "
            "Spectrograms or Pix2Pix or CycleGAN or a class of your own",
        ),
        ("data", 3, "Data"),
        ("evaluation", None, "Evaluation"),
        ("evaluation.split", "validation", "'test' or 'train'"),
        ("evaluation.features", "pixels", "list of str"),
        ("evaluation.measures", [3], "str"),
    ],
)
def test_a_field_of_the_wrong_type_is_refused(path, value, wanted):
    sentence = refusal(edited(path, value))
    assert sentence.startswith(f"The field {path} is ")
    assert sentence.endswith(f"must be of type {wanted}.")
    shown = value[0] if isinstance(value, list) and value else value
    assert repr(shown) in sentence


@pytest.mark.parametrize("value", [["none"], {"a": 1}, None, 3])
def test_a_choice_of_another_type_is_refused(value):
    """Also what Python cannot hash."""
    assert repr(value) in refusal(edited("model.update", value))
    assert repr(value) in refusal(edited("model.network.type", value))


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"name": "a"', "{'name': 'a'}"])
def test_what_is_not_json_is_refused(text):
    assert "not valid JSON" in refusal(text)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"text"'])
def test_json_that_is_no_experiment_is_refused(text):
    assert refusal(text).startswith("The field of the experiment is ")


def test_what_the_dataclasses_refuse_is_refused_from_json_too():
    assert refusal(edited("steps", -1)) == "Experiment.steps is -1, but must be a positive number."
    assert "GAN.latent_dim is 0" in refusal(edited("model.latent_dim", 0))


# As earlier versions wrote it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "contest"), [("non_saturating", c.NonSaturating()), ("minimax", c.Minimax())])
def test_the_loss_of_the_generator_alone_is_understood(text, contest):
    values = json.loads(edited("model.generator_loss", text))
    del values["model"]["contest"]
    assert c.from_json(json.dumps(values)).model.contest == contest
    assert json.loads(c.to_json(c.from_json(json.dumps(values))))["model"]["contest"] == {
        "type": type(contest).__name__
    }


def test_a_loss_that_never_was_is_refused_and_so_are_two():
    values = json.loads(edited("model.generator_loss", "wgan"))
    del values["model"]["contest"]
    assert "The field model.generator_loss does not exist" in refusal(json.dumps(values))
    assert "The field model.generator_loss does not exist" in refusal(edited("model.generator_loss", "minimax"))


def test_an_optimizer_of_when_there_was_one_only_is_adam():
    values = json.loads(edited("model.generator_optimizer", {"learning_rate": 0.25, "drop_steps": [3]}))
    assert c.from_json(json.dumps(values)).model.generator_optimizer == c.Adam(learning_rate=0.25, drop_steps=(3,))
    values = json.loads(c.to_json(SMALL))
    values["model"]["optimizer"] = {"b1": 0.5}
    assert c.from_json(json.dumps(values)).model.optimizer == c.Adam(b1=0.5)
