"""The heads of discriminators in a configuration: what reads them, and what is refused."""

import json

import pytest

from gvlab import config as c
from gvlab import losses
from gvlab.types import UserError


def gan(network, *discriminator_terms, **options):
    return c.GAN(network, discriminator_terms=discriminator_terms, **({"conditional": True} | options))


def test_a_contest_of_classes_is_the_one_of_the_losses():
    assert c.MultiHinge().contest() is losses.multi_hinge


def test_a_lazy_term_reads_a_head_too():
    lazy = c.Scheduled(c.Every(4, c.RealContrast()))
    assert gan(c.SNGAN(head=c.Embedding()), lazy).discriminator_terms == (lazy,)


def test_the_projection_is_what_no_head_stands_for():
    """Also in files of when it was the default, whether the model had classes or not."""
    assert gan(c.BigGAN(head=c.Projection())) == gan(c.BigGAN())
    for conditional in (False, True):
        experiment = c.Experiment("a", gan(c.SAGAN(4), conditional=conditional), steps=1)
        values = json.loads(c.to_json(experiment))
        assert values["model"]["network"].pop("head") is None
        for head in ({}, {"head": {"type": "Projection"}}):
            before = values | {"model": values["model"] | {"network": values["model"]["network"] | head}}
            assert c.from_json(json.dumps(before)) == experiment


REFUSED = {
    "a term without any head": (
        lambda: gan(c.DCGAN(), c.RealClasses()),
        "RealClasses reads the head Classifier of a discriminator, but that of DCGAN has none: use SNGAN, SAGAN, "
        "BigGAN or BigGANDeep with that head.",
    ),
    "a lazy term with the projection": (
        lambda: gan(c.SNGAN(), c.Every(2, c.RealContrast())),
        "RealContrast reads the head Embedding of a discriminator, but that of SNGAN has none: use SNGAN, SAGAN,",
    ),
    "a generator's term with another head": (
        lambda: gan(c.SNGAN(head=c.Classifier()), c.RealClasses(), generator_terms=(c.FakeDataToData(),)),
        "FakeDataToData reads the head Embedding of a discriminator, but that of SNGAN has the head Classifier: use",
    ),
    "a contest with another head": (
        lambda: gan(c.BigGAN(), contest=c.MultiHinge()),
        "MultiHinge reads the head ExtraClass of a discriminator, but that of BigGAN has none: use",
    ),
    "a head without classes": (
        lambda: gan(c.SNGAN(head=c.Classifier()), c.RealClasses(), conditional=False),
        "GAN.network has the head Classifier, which is about classes: use conditional=True.",
    ),
    "the projection without classes": (
        lambda: gan(c.SNGAN(head=c.Projection()), conditional=False),
        "GAN.network has the head Projection, which is about classes: use conditional=True.",
    ),
    "a head that nothing reads": (
        lambda: gan(c.SNGAN(head=c.Embedding()), c.R1()),
        "GAN.network has the head Embedding, which nothing in the discriminator's loss reads: use RealContrast or "
        "RealDataToData.",
    ),
    "a class more in a contest of logits": (
        lambda: gan(c.SAGAN(head=c.ExtraClass()), contest=c.Hinge()),
        "GAN.network has the head ExtraClass, which nothing in the discriminator's loss reads: use MultiHinge.",
    ),
    "a term twice": (
        lambda: gan(c.SNGAN(head=c.Classifier()), c.RealClasses(), c.Every(2, c.RealClasses())),
        "GAN.discriminator_terms has RealClasses 2 times: give it once, with the sum of the weights.",
    ),
    "generated examples in the contrast of the discriminator": (
        lambda: gan(c.SNGAN(head=c.Embedding()), c.FakeContrast()),
        "GAN.discriminator_terms[0] is FakeContrast(weight=1.0, temperature=1.0), but must be of type R1 or",
    ),
    "the most real of a class more": (
        lambda: c.TopK(c.MultiHinge()),
        "TopK.game is MultiHinge(), but must be of type NonSaturating or",
    ),
    "no vectors": (lambda: c.Embedding(0), "Embedding.features is 0, but must be from 1 to"),
    "a negative weight": (
        lambda: c.FakeClasses(-1.0),
        "FakeClasses.weight is -1.0, but must be a number of at least 0.",
    ),
    "no temperature": (
        lambda: c.RealContrast(temperature=0),
        "RealContrast.temperature is 0.0, but must be a positive",
    ),
    "no cosine": (lambda: c.RealDataToData(margin=1.5), "RealDataToData.margin is 1.5, but must be from 0 to 1."),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_gets_one_sentence(make, words):
    with pytest.raises(UserError) as caught:
        make()
    sentence = str(caught.value)
    assert sentence.startswith(words)
    assert sentence.endswith(".")
    assert "\n" not in sentence
