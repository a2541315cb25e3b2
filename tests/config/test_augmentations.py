"""Augmentations in a configuration."""

import dataclasses
import json

import jaxtyping
import pytest

from gvlab import augment
from gvlab import config as c
from gvlab.config.augmentations import AnyAugmentation
from gvlab.config.fields import decode, member_to_dict
from gvlab.types import UserError


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    """Without the tests' own check of all types, which comes before gvlab's."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


MADE = {
    c.DiffAugment(): ("diffaugment", 1.0, False),
    c.DiffAugment(policy=("translation", "cutout")): ("diffaugment", 1.0, False),
    c.ADA(): ("ada", 0.0, True),
    c.ADA("bg", c.Fixed(0.25)): ("ada", 0.25, False),
    c.ADA(preset="r3gan", probability=c.Ramp(begin=0.125)): ("ada", 0.125, False),
    c.APA(c.Adaptive(target=0.5, images=1000)): ("apa", 0.0, True),
    c.InstanceNoise(0.5): ("instance_noise", 1.0, False),
    c.InstanceNoise(share=c.Ramp(1.0, 0.0, 1000)): ("instance_noise", 1.0, False),
}


@pytest.mark.parametrize(("part", "expected"), MADE.items(), ids=map(str, MADE))
def test_a_part_makes_its_augmentation_and_equals_its_json(part, expected):
    made = part.augmentation()
    assert isinstance(made, augment.Augmentation)
    assert (made.transform.name, float(made.p(made.init())), made.by_sign) == expected
    assert decode(AnyAugmentation, json.loads(json.dumps(member_to_dict(part))), "model.augmentation") == part


def test_every_preset_can_be_chosen():
    for name in augment.ADA_PRESETS:
        c.ADA(preset=name).transform().check((32, 32, 3))
    with pytest.raises(UserError, match=r"ADA.preset is 'colour', but must be of type 'blit' or"):
        c.ADA(preset="colour")


REFUSED = {
    "no policy": (lambda: c.DiffAugment(()), "DiffAugment.policy is (), but must be one or more of color, translation"),
    "one twice": (lambda: c.DiffAugment(["cutout", "cutout"]), "DiffAugment.policy is ('cutout', 'cutout'), but must"),
    "an unknown one": (lambda: c.DiffAugment(("colour",)), "DiffAugment.policy[0] is 'colour', but must be of type"),
    "a probability above 1": (lambda: c.Fixed(1.5), "Fixed.p is 1.5, but must be from 0 to 1."),
    "a ramp below 0": (lambda: c.Ramp(end=-0.5), "Ramp.end is -0.5, but must be from 0 to 1."),
    "a target of 1": (lambda: c.Adaptive(target=1.0), "Adaptive.target is 1.0, but must be at least 0 and below 1."),
    "no interval": (lambda: c.Adaptive(interval=0), "Adaptive.interval is 0, but must be from 1 to"),
    "no images": (lambda: c.Ramp(images=0), "Ramp.images is 0, but must be from 1 to"),
    "a number for a probability": (
        lambda: c.ADA(probability=0.5),
        "ADA.probability is 0.5, but must be of type Fixed or Adaptive or Ramp.",
    ),
    "adaptive noise": (
        lambda: c.InstanceNoise(share=c.Adaptive()),
        "InstanceNoise.share is Adaptive(target=0.6, images=500000, interval=4), but must be of type Fixed or Ramp.",
    ),
    "no deviation": (
        lambda: c.InstanceNoise(-1.0),
        "InstanceNoise.deviation is -1.0, but must be a number of at least",
    ),
    "consistency of noise": (
        lambda: c.RealConsistency(transform=c.InstanceNoise()),
        "but must be of type FlipAndTranslate or DiffAugment.",
    ),
    "signs of least squares": (
        lambda: c.GAN(contest=c.Smoothed(c.LeastSquares()), augmentation=c.ADA()),
        "GAN.augmentation is ADA with the probability Adaptive, which follows the sign of the logits, but in the "
        "contest LeastSquares it does not tell real examples from generated ones: use Ramp or Fixed.",
    ),
    "an image against itself": (
        lambda: c.GAN(contest=c.TopK(c.Relativistic()), augmentation=c.APA(c.Fixed(0.1))),
        "GAN.augmentation is APA, but in the contest Relativistic a generated image that stands in for a real one "
        "would be compared with itself: use RelativisticAverage, or another augmentation.",
    ),
    "a negative weight": (lambda: c.LatentDiversity(-1.0), "LatentDiversity.weight is -1.0, but must be a number of"),
    "consistency twice": (
        lambda: c.GAN(discriminator_terms=(c.RealConsistency(), c.Every(2, c.RealConsistency(2.0)))),
        "GAN.discriminator_terms has RealConsistency 2 times: give it once, with the sum of the weights.",
    ),
    "diversity for the discriminator": (
        lambda: c.GAN(discriminator_terms=(c.LatentDiversity(),)),
        "GAN.discriminator_terms[0] is LatentDiversity(weight=0.5, deviation=0.05), but must be of type R1 or",
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


@pytest.mark.parametrize("part", MADE, ids=str)
def test_floats_may_be_traced(part):
    """So that runs of several probabilities share a program."""
    import jax

    names = [name for name in c.leaves(part) if isinstance(c.value(part, name), float)]

    def made(number):
        augmentation = c.with_traced(part, dict.fromkeys(names, number)).augmentation()
        return augmentation.p(augmentation.init())

    assert jax.eval_shape(jax.vmap(made), jax.ShapeDtypeStruct((2,), "float32")).shape == (2,)


def test_parts_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.ADA().preset = "bg"
