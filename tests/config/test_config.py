"""The experiment's dataclasses: what they refuse, and that their JSON says exactly the same."""

import dataclasses
import itertools
import json
from typing import Any

import pytest

from gvlab import config as c
from gvlab.types import UserError

NETWORKS = [c.DCGAN(), c.DCGAN(width=7), c.Article(), c.MLP(), c.MLP(hidden=(3,)), c.MLP(hidden=(5, 4, 3))]
GAN_NETWORKS = [*NETWORKS, c.TwoMLPs(discriminator=(9, 8)), c.MaxoutMLP(generator=(7,), pieces=2)]
VAE_NETWORKS = [*NETWORKS[2:], c.ReluMLP(hidden=(6,)), c.TwoLayerMLP(first=12, top_hidden=(4,))]
LIKELIHOODS = [
    c.Bernoulli(),
    c.Gaussian(),
    c.Gaussian(variance=0.1 + 0.2),  # 0.30000000000000004: every digit counts
    c.LearnedGaussian(),
    c.DiscretizedLogistic(),
    c.Categorical(levels=2),
]
ADAMS = [c.Adam(), c.Adam(learning_rate=1 / 3, eps=1e-300, drop_steps=(10, 20), drop_factor=2.0), c.Adam(b1=0.0, b2=0)]
GANS = [
    c.GAN(network=network, update=update, generator_loss=loss, discriminator_steps=steps, generator_optimizer=adam)
    for network, loss, (update, steps), adam in itertools.product(
        GAN_NETWORKS,
        ("non_saturating", "minimax"),
        (("alternating", 1), ("alternating", 3), ("simultaneous", 1)),
        ADAMS[:2],
    )
]
VAES = [
    c.VAE(network=network, likelihood=likelihood, optimizer=adam, beta=beta, conditional=beta == 0)
    for network, likelihood, adam, beta in itertools.product(VAE_NETWORKS, LIKELIHOODS, ADAMS, (0, 1.0, 4))
] + [c.VAE(network=network, objective="importance_weighted", num_samples=5) for network in VAE_NETWORKS]
DATA = [c.Data(), c.Data(name="mnist", flip=True), c.Data(quantization="binarize"), c.Data(quantization="dequantize")]
GREY, BINARY = c.Data(flip=True), c.Data(quantization="binarize")


def levels_of(model, otherwise):
    """The data that fit a likelihood of discrete levels."""
    return {c.DiscretizedLogistic: GREY, c.Categorical: BINARY}.get(type(model.likelihood), otherwise)


SMALL = c.Experiment(name="small", model=c.VAE(), steps=10)
EXPERIMENTS = [
    *(c.Experiment(name="gan", model=model, steps=1 + i, seed=i) for i, model in enumerate(GANS)),
    *(c.Experiment(name="vae-1.b", model=m, steps=10**6, data=levels_of(m, DATA[i % 4])) for i, m in enumerate(VAES)),
    c.Experiment(
        name="ünï cödé",
        model=c.VAE(),
        steps=2**31,
        batch_size=1,
        seed=2**31 - 1,
        log_every=1,
        sample_every=2,
        checkpoint_every=3,
        keep_every=6,
        evaluation=c.Evaluation(samples=2, k=1, split="train", features=("pixels", "mnist"), measures=("ais", "prd")),
    ),
]


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
        assert set(leaves(again)) <= {str, int, float, bool, tuple}
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


# --- fields by name ---------------------------------------------------------------------------------------------------

RATE = "model.generator_optimizer.learning_rate"


def test_a_value_by_its_dotted_name():
    experiment = dataclasses.replace(SMALL, model=c.GAN(network=c.MLP(hidden=(8, 4))))
    assert c.value(experiment, "steps") == experiment.steps
    assert c.value(experiment, RATE) == 2e-4
    assert c.value(experiment, "model.network.hidden") == (8, 4)
    assert c.value(experiment, "model.network") == c.MLP(hidden=(8, 4))
    for name in c.leaves(experiment):
        assert not dataclasses.is_dataclass(c.value(experiment, name))
    assert {RATE, "data.flip", "evaluation.k", "model.network.hidden", "seed"} <= set(c.leaves(experiment))
    misspelt = "model.generator_optimizer.learnign_rate"
    with pytest.raises(UserError, match=rf"There is no field {misspelt} \(did you mean {RATE}"):
        c.value(experiment, misspelt)
    with pytest.raises(UserError, match=r"There is no field steps\.more"):
        c.value(experiment, "steps.more")


def test_every_value_can_be_put_back():
    for experiment in EXPERIMENTS[::7]:
        for name in c.leaves(experiment):
            assert c.with_value(experiment, name, c.value(experiment, name)) == experiment


def test_another_value_by_its_dotted_name():
    experiment = dataclasses.replace(SMALL, model=c.GAN(network=c.MLP()))
    changed = c.with_value(experiment, RATE, 1)
    assert changed.model.generator_optimizer == c.Adam(learning_rate=1.0, b1=0.5)
    assert c.difference(experiment, changed) == (RATE, 2e-4, 1.0)
    for value, words in ((-1.0, "Adam.learning_rate is -1"), ("fast", f"The field {RATE} is 'fast'"), (True, "float")):
        with pytest.raises(UserError, match=words):
            c.with_value(experiment, RATE, value)


def test_traced_values_are_not_checked_and_leave_the_original_alone():
    experiment = dataclasses.replace(SMALL, model=c.GAN(network=c.MLP()))
    token = object()  # stands for a number without a value
    changed = c.with_traced(experiment, {RATE: token, "model.generator_optimizer.b1": 7.0, "batch_size": token})
    assert changed.model.generator_optimizer.learning_rate is token
    assert changed.model.generator_optimizer.b1 == 7.0
    assert changed.batch_size is token
    assert changed.model.discriminator_optimizer is experiment.model.discriminator_optimizer
    assert experiment == dataclasses.replace(SMALL, model=c.GAN(network=c.MLP()))


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
        ("model.update", "sometimes", "'alternating' or 'simultaneous'"),
        ("model.network", {"type": "VAE"}, "DCGAN or Article or MLP or TwoMLPs or MaxoutMLP"),
        ("model.network", {"hidden": [1]}, "DCGAN or Article or MLP or TwoMLPs or MaxoutMLP"),
        ("model.network", "MLP", "DCGAN or Article or MLP or TwoMLPs or MaxoutMLP"),
        ("model.network.hidden", 200, "list of int"),
        ("model.network.hidden", [200.0], "int"),
        ("model", [], "GAN or VAE"),
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


# What the dataclasses refuse -----------------------------------------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")


def experiment(**fields):
    return c.Experiment(**({"name": "e", "model": c.VAE(), "steps": 10} | fields))


REFUSED = [
    *((c.Adam, name, bad) for name in ("learning_rate", "eps", "drop_factor") for bad in (0.0, -1e-3, NAN, INFINITY)),
    *((c.Adam, name, bad) for name in ("b1", "b2") for bad in (-0.1, 1.0, 2.0, NAN)),
    (c.Adam, "drop_steps", (0,)),
    (c.Adam, "drop_steps", (5, -3)),
    (c.DCGAN, "width", 0),
    (c.DCGAN, "width", -4),
    (c.MLP, "hidden", (0,)),
    (c.MLP, "hidden", (20, -1)),
    (c.TwoMLPs, "generator", (20, 0)),
    (c.TwoMLPs, "discriminator", (-3,)),
    (c.MaxoutMLP, "generator", (0,)),
    (c.MaxoutMLP, "discriminator", (5, -1)),
    (c.MaxoutMLP, "pieces", 0),
    (c.ReluMLP, "hidden", (-2,)),
    (c.TwoLayerMLP, "hidden", (0,)),
    (c.TwoLayerMLP, "top_hidden", (4, -1)),
    (c.TwoLayerMLP, "first", 0),
    *((c.GAN, name, bad) for name in ("latent_dim", "discriminator_steps") for bad in (0, -1)),
    *((c.GAN, "ema_decay", bad) for bad in (-0.1, 1.0, NAN)),
    *((c.Gaussian, "variance", bad) for bad in (0.0, -1.0, NAN, INFINITY)),
    *((c.Categorical, "levels", bad) for bad in (1, 0, -2)),
    *((c.VAE, name, bad) for name in ("latent_dim", "num_samples") for bad in (0, -1)),
    *((c.VAE, "beta", bad) for bad in (-0.1, NAN, INFINITY)),
    (c.VAE, "kl_warmup_steps", -1),
    *((c.Evaluation, "k", bad) for bad in (0, -1)),
    *((c.Evaluation, "samples", bad) for bad in (1, -1)),
    *((c.Evaluation, "ais_variance", bad) for bad in (0.0, -1.0, NAN, INFINITY)),
    *(
        (experiment, name, bad)
        for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every")
        for bad in (0, -1)
    ),
    *((experiment, "name", bad) for bad in ("", "a/b", ".", "..", ".hidden")),
    *((experiment, "seed", bad) for bad in (-1, 2**31)),
    *((experiment, "keep_every", bad) for bad in (-500, 1, 750)),
]


@pytest.mark.parametrize(("make", "name", "value"), REFUSED)
def test_a_value_out_of_range_is_refused(make, name, value):
    with pytest.raises(UserError) as caught:
        make(**{name: value})
    sentence = str(caught.value)
    owner = "Experiment" if make is experiment else make.__name__
    bad = next(item for item in value if item <= 0) if isinstance(value, tuple) else value
    assert sentence.startswith(f"{owner}.{name} is {bad!r}, but ")
    assert sentence.endswith(".")


def test_the_edges_are_allowed():
    c.Adam(b1=0.0, b2=0.0, drop_steps=(1,))
    c.GAN(ema_decay=0.0, latent_dim=1)
    c.VAE(beta=0.0, kl_warmup_steps=0)
    c.Categorical(levels=2)
    c.Evaluation(samples=2, k=1)
    c.Evaluation(samples=0)
    experiment(seed=0)
    experiment(seed=2**31 - 1, keep_every=0)
    experiment(keep_every=1000, checkpoint_every=500)


def test_combinations_that_contradict_themselves_are_refused():
    with pytest.raises(UserError, match=r"discriminator_steps is 2, but simultaneous .* use update='alternating'"):
        c.GAN(update="simultaneous", discriminator_steps=2)
    for make in (c.MLP, c.ReluMLP, c.TwoLayerMLP):
        with pytest.raises(UserError, match=rf"{make.__name__}\.hidden is empty"):
            make(hidden=())
    for make in (c.TwoMLPs, c.MaxoutMLP):
        with pytest.raises(UserError, match=rf"{make.__name__}\.discriminator is empty"):
            make(discriminator=())
    for weights in ({"beta": 2.0}, {"kl_warmup_steps": 5}):
        with pytest.raises(UserError, match=r"bound has no KL term to weigh: use 1 and 0, or objective='elbo'\.$"):
            c.VAE(objective="importance_weighted", **weights)
    with pytest.raises(
        UserError, match=r"latent_dim is 100, but counts the latents of both layers.* has 100: use more"
    ):
        c.VAE(network=c.TwoLayerMLP(), latent_dim=100)
    for network, likelihood in ((c.Article(), c.Bernoulli()), (c.MLP(), c.Gaussian())):
        with pytest.raises(UserError, match=r"output_bias is 'data_mean', which is for MLP with .*'zeros'"):
            c.VAE(network=network, likelihood=likelihood, output_bias="data_mean")
    for quantization in ("binarize", "dequantize"):
        with pytest.raises(UserError, match=f"quantization is '{quantization}', but a GAN"):
            experiment(model=c.GAN(), data=c.Data(quantization=quantization))
    with pytest.raises(UserError, match=r"4294967296 examples.*fewer steps"):
        experiment(steps=2**26, batch_size=64)
    assert experiment(steps=2**26 - 1, batch_size=64).steps == 2**26 - 1
    with pytest.raises(UserError, match="4294967296 examples"):  # what an update of the discriminator takes counts
        experiment(model=c.GAN(discriminator_steps=4), steps=2**24, batch_size=64)


@pytest.mark.parametrize(
    ("likelihood", "wrong", "right"),
    [
        (c.DiscretizedLogistic(), "binarize", "none"),
        (c.DiscretizedLogistic(), "dequantize", "none"),
        (c.Categorical(), "binarize", "none"),
        (c.Categorical(), "dequantize", "none"),
        (c.Categorical(levels=2), "none", "binarize"),
    ],
)
def test_a_likelihood_of_levels_refuses_data_of_other_levels(likelihood, wrong, right):
    with pytest.raises(UserError, match=rf"quantization is '{wrong}', but .* use '{right}'\.$"):
        experiment(model=c.VAE(likelihood=likelihood), data=c.Data(quantization=wrong))
    assert experiment(model=c.VAE(likelihood=likelihood), data=c.Data(quantization=right)).data.quantization == right


def test_levels_that_no_data_have_are_refused():
    with pytest.raises(UserError, match=r"Categorical.levels is 16, but 8-bit images have 256, .* use those\.$"):
        experiment(model=c.VAE(likelihood=c.Categorical(levels=16)))


def test_examples_per_step_are_a_batch_per_update():
    assert experiment(batch_size=5).examples_per_step == 5
    assert experiment(batch_size=5, model=c.GAN(discriminator_steps=3)).examples_per_step == 15


def test_experiments_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.steps = 20  # type: ignore[misc]


def test_defaults_are_not_shared_by_mistake():
    """Each is frozen and hashable, so that one default may stand in many places."""
    assert hash(experiment()) == hash(experiment())
    assert {experiment(), experiment(), experiment(seed=1)} == {experiment(), experiment(seed=1)}


# Differences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (experiment(), None),
        (experiment(steps=11), ("steps", 10, 11)),
        (experiment(model=c.VAE(beta=2.0)), ("model.beta", 1.0, 2.0)),
        (experiment(model=c.VAE(optimizer=c.Adam(b1=0.5))), ("model.optimizer.b1", 0.9, 0.5)),
        (experiment(model=c.VAE(network=c.MLP())), ("model.network", c.Article(), c.MLP())),
        (experiment(model=c.GAN()), ("model", c.VAE(), c.GAN())),
        (experiment(data=c.Data(name="mnist"), seed=3), ("data.name", "digits", "mnist")),
    ],
)
def test_difference_names_the_first_field(other, expected):
    assert c.difference(experiment(), other) == expected


def test_difference_ignores_what_has_no_influence():
    longer = experiment(steps=99, evaluation=c.Evaluation(k=7, split="train", measures=("prd",), features=("pixels",)))
    assert c.difference(experiment(), longer, c.WITHOUT_INFLUENCE) is None
    assert c.difference(experiment(), dataclasses.replace(longer, seed=1), c.WITHOUT_INFLUENCE) == ("seed", 0, 1)
    assert {"steps", "evaluation"} == set(c.OF_A_UNIT)
    cadence = {"log_every", "sample_every", "checkpoint_every", "keep_every"}
    assert cadence == set(c.WITHOUT_INFLUENCE) - set(c.OF_A_UNIT)


def test_ignored_names_count_on_the_top_floor_only():
    """`steps` of the experiment may differ; a field of that name further in may not."""
    one, other = experiment(data=c.Data(name="a")), experiment(data=c.Data(name="b"))
    assert c.difference(one, other, ("name",)) == ("data.name", "a", "b")


def test_nearest_guesses_only_what_is_near():
    names = ["latent_dim", "beta", "optimizer"]
    assert c.nearest("latent_dims", names) == " (did you mean latent_dim?)"
    assert c.nearest("xyz", names) == ""
    assert c.nearest("beta", []) == ""
