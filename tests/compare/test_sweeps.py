"""Sweeps over one field and grids over several: the experiments, their names, and what the names say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from harness import COMPARED

from gvlab import compare
from gvlab import config as c
from gvlab.compare import groups, sweeps, variations
from gvlab.types import UserError


def test_a_sweep_makes_an_experiment_of_each_value(planned, files):
    plan = planned(files[0], "--sweep", "optimizer.b1=0.5,0.9", "--seeds", 2)
    assert [e.name for e in plan.experiments] == ["vae,optimizer.b1=0.5", "vae,optimizer.b1=0.9"]
    assert [e.model.optimizer.b1 for e in plan.experiments] == [0.5, 0.9]
    assert compare.swept(COMPARED["vae"], "latent-dim", [2, 3])[1].model.latent_dim == 3
    assert compare.swept(COMPARED["vae"], "quantization", ["none"])[0].data.quantization == "none"
    assert compare.swept(COMPARED["vae"], "model.optimizer.learning_rate", [1])[0].model.optimizer.learning_rate == 1.0


def test_a_sweep_over_classes(planned, files):
    plan = planned(files[1], "--sweep", "contest=hinge,least_squares")
    assert [e.name for e in plan.experiments] == ["gan,contest=hinge", "gan,contest=least_squares"]
    assert [e.model.contest for e in plan.experiments] == [c.Hinge(), c.LeastSquares()]
    plan = planned(*files, "gan.model.contest=Wasserstein")
    assert [e.model for e in plan.experiments] == [
        COMPARED["vae"].model, replace(COMPARED["gan"].model, contest=c.Wasserstein())
    ]  # fmt: skip


TERMS = replace(COMPARED["gan"], model=replace(COMPARED["gan"].model, discriminator_terms=(c.R1(), c.LeCam())))


def test_a_sweep_over_sums_of_terms(planned, files):
    plan = planned(files[1], "--sweep", "discriminator_terms=none,R1,r1+le_cam")
    assert [e.name for e in plan.experiments] == [
        f"gan,discriminator_terms={text}" for text in ("none", "R1", "r1+le_cam")
    ]
    assert [e.model.discriminator_terms for e in plan.experiments] == [(), (c.R1(),), (c.R1(), c.LeCam())]
    sweep = sweeps.of_names([e.name for e in plan.experiments])
    assert sweep is not None
    assert sweep.axes == (sweeps.Axis("discriminator_terms", ("none", "R1", "r1+le_cam")),)
    plan = planned(*files, "gan.model.discriminator-terms=R1+LeCam", "gan.model.ema-decay=0.5")
    assert plan.experiments[1].model.discriminator_terms == (c.R1(), c.LeCam())


def test_a_sweep_over_the_numbers_of_terms():
    made = compare.swept(TERMS, "discriminator_terms.0.weight", [1, 10])
    assert [one.model.discriminator_terms for one in made] == [(c.R1(w), c.LeCam()) for w in (1.0, 10.0)]
    assert made[0].name == "gan,discriminator_terms.0.weight=1"
    assert sweeps.of_names([one.name for one in made]) is not None
    kinds = ("discriminator_terms", ["R1", "R1+LeCam"])
    made = compare.grid(COMPARED["gan"], [kinds, ("discriminator_terms.0.weight", [0, 1.5])])
    assert [one.name for one in made[1:3]] == [
        "gan,discriminator_terms=R1,weight=1.5", "gan,discriminator_terms=R1+LeCam,weight=0"
    ]  # fmt: skip
    assert made[3].model.discriminator_terms == (c.R1(1.5), c.LeCam())


def test_weights_of_terms_share_a_program_and_kinds_of_terms_do_not():
    light, heavy = compare.swept(TERMS, "discriminator_terms.0.weight", [1, 10])
    assert groups.shape_of(light) == groups.shape_of(heavy)
    assert groups.differing([light, heavy]) == ["model.discriminator_terms.0.weight"]
    kinds = compare.swept(TERMS, "discriminator_terms", ["none", "R1", "R2", "R1+LeCam", "LeCam+R1"])
    later = compare.swept(TERMS, "discriminator_terms.1.start", [5])
    assert len({groups.shape_of(one) for one in [*kinds, *later]}) == 6


SWEEPS = {
    "ambiguous": ("gan", "learning_rate", [0.1], "generator_optimizer.learning_rate or model.discriminator_optimizer"),
    "misspelt": ("vae", "optimizer.learnign_rate", [0.1], "did you mean model.optimizer.learning_rate?"),
    "misspelt at the end": ("vae", "hiden", [8], "did you mean model.network.hidden?"),
    "wrong type": ("vae", "optimizer.learning_rate", ["fast"], "'fast', but must be of type float): give values that"),
    "half a number": ("vae", "batch_size", [2.5], "2.5, but must be of type int"),
    "out of range": ("vae", "optimizer.b1", [1.5], "Adam.b1 is 1.5"),
    "the seed": ("vae", "seed", [1], "is no field"),
    "no such class": ("gan", "contest", ["hing"], "model.contest is 'hing', but must be one of NonSaturating, Min"),
    "no such sum": ("gan", "discriminator_terms", ["R1+Rr"], "model.discriminator_terms is 'R1+Rr', but must be none"),
    "a term twice": ("gan", "discriminator_terms", ["R1+R1"], "GAN.discriminator_terms has R1 2 times"),
    "a term that is not there": ("gan", "discriminator_terms.0.weight", [1], "is no field"),
    "a class that does not fit": ("vae", "network", ["TwoLayerMLP"], "VAE.latent_dim is 4"),
}


@pytest.mark.parametrize(("name", "field", "values", "words"), SWEEPS.values(), ids=SWEEPS)
def test_a_sweep_that_cannot_be(name, field, values, words):
    with pytest.raises(UserError) as refused:
        compare.swept(COMPARED[name], field, values)
    assert words in str(refused.value)


# --- grids ------------------------------------------------------------------------------------------------------------


def test_repeated_sweeps_make_every_combination_with_short_names(planned, files):
    sweep = ("--sweep", "model.optimizer.b1=0.5,0.9", "--sweep", "latent-dim=2,3")
    plan = planned(files[0], *sweep, "--seeds", 2)
    assert [e.name for e in plan.experiments] == [
        "vae,b1=0.5,latent_dim=2",
        "vae,b1=0.5,latent_dim=3",
        "vae,b1=0.9,latent_dim=2",
        "vae,b1=0.9,latent_dim=3",
    ]
    assert [(e.model.optimizer.b1, e.model.latent_dim) for e in plan.experiments] == [
        (b1, latents) for b1 in (0.5, 0.9) for latents in (2, 3)
    ]


def test_names_of_a_grid_tell_fields_of_one_ending_apart():
    rates = [(f"{player}_optimizer.learning-rate", [0.1, 0.2]) for player in ("generator", "discriminator")]
    assert compare.grid(COMPARED["gan"], rates)[0].name == (
        "gan,generator_optimizer.learning_rate=0.1,discriminator_optimizer.learning_rate=0.1"
    )
    assert variations._labels(["a.b.c", "x.c", "c"]) == ["b.c", "x.c", "c"]


def test_a_field_that_a_class_brings_can_be_swept_after_it():
    made = compare.grid(COMPARED["gan"], [("generator_optimizer", ["Adam", "RMSprop"]), ("discriminator_steps", [1])])
    assert [type(one.model.generator_optimizer) for one in made] == [c.Adam, c.RMSprop]
    assert made[1].name == "gan,generator_optimizer=RMSprop,discriminator_steps=1"


# --- by their names ---------------------------------------------------------------------------------------------------


def test_names_say_what_was_swept():
    names = [one.name for one in compare.grid(COMPARED["vae"], [("b1", [0.9, 0.5]), ("latent_dim", [2, 3])])]
    sweep = sweeps.of_names(names)
    assert sweep is not None
    assert sweep.axes == (sweeps.Axis("b1", ("0.5", "0.9")), sweeps.Axis("latent_dim", ("2", "3")))
    assert sweep.bases == ("vae",)
    assert sweep.experiments["vae", "0.5", "3"] == "vae,b1=0.5,latent_dim=3"


def test_two_experiments_may_be_swept_together_and_a_field_of_one_value_is_part_of_the_name():
    sweep = sweeps.of_names([f"{name},k=1,lr={rate}" for name in ("a=c d", "b") for rate in ("hinge", "0.1")])
    assert sweep is not None
    assert sweep.axes == (sweeps.Axis("lr", ("hinge", "0.1")),)
    assert sweep.bases == ("a=c d,k=1", "b,k=1")


@pytest.mark.parametrize(
    "names", [["a", "b"], ["a,lr=1", "b"], ["a,lr=1", "a,beta=1"], ["a,lr=1", "b,lr=1"], ["a,lr=1"]]
)
def test_other_names_are_no_sweep(names):
    assert sweeps.of_names(names) is None


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        (("0.0001", "0.0003", "0.001"), True),
        (("1", "2", "4", "8"), True),
        (("1", "2", "3"), False),
        (("0.5", "0.9"), False),
        (("1", "10"), True),
        (("0", "1", "10"), False),
        (("hinge", "10"), False),
        (("inf", "10"), False),
    ],
)
def test_values_that_grow_by_ratios_have_a_logarithmic_axis(values, logarithmic):
    assert sweeps.Axis("lr", values).is_logarithmic is logarithmic


def test_shares_go_from_the_worst_to_the_best():
    assert sweeps.shares([3.0, None, 1.0], "lower") == [0.0, None, 1.0]
    assert sweeps.shares([3.0, 2.0, 1.0], None) == [1.0, 0.5, 0.0]
    assert sweeps.shares([3.0, 3.0], "higher") == [0.0, 0.0]
    assert sweeps.shares([None], "higher") == [None]
