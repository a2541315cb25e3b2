"""An experiment's fields by their dotted names."""

import dataclasses

import pytest
from configurations import EXPERIMENTS, SMALL

from gvlab import config as c
from gvlab.types import UserError

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
    tried = set()  # a value of a field is tried in one experiment that has it
    for experiment in EXPERIMENTS:
        for name in c.leaves(experiment):
            value = c.value(experiment, name)
            if (name, repr(value)) not in tried:
                tried.add((name, repr(value)))
                assert c.with_value(experiment, name, value) == experiment
    assert len(tried) > 200


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
