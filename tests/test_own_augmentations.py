"""An augmentation of one's own is what the discriminator sees, and is looked at before anything is trained."""

from dataclasses import dataclass, replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import IMAGE, dataset

from gvlab import augment, build, rng
from gvlab import config as c
from gvlab.types import Batch, UserError


@dataclass(frozen=True)
class Dimmed:
    """Images times a number of each, between `least` and 1."""

    least: float = 0.5
    wrong: str = ""

    def augmentation(self):
        def draw(key, n, shape, axis_name):
            numbers = () if self.wrong == "draw" else (n,)
            return self.least + (1 - self.least) * rng.uniform(key, numbers, axis_name)

        def apply(draws, x, p):
            shown = draws.reshape(-1, 1, 1, 1) * x
            return shown[:, :2] if self.wrong == "apply" else shown.astype(x.dtype)

        if self.wrong == "kind":
            return apply
        made = augment.constant(augment.Transform("dimmed", draw, apply))
        return made._replace(update=lambda memory, verdict: {"a": 1.0}) if self.wrong == "update" else made


def gan(augmentation, **options):
    return c.GAN(c.MLP((4,)), 2, augmentation=augmentation, ema_decay=0, **options)


def program(model, shape=IMAGE):
    return build.program(c.Experiment("e", model, steps=1, batch_size=4), dataset(shape))


def test_it_is_what_the_discriminator_sees():
    """Black images are as they were, and all others are not; with `least` 1 nothing changes."""
    models = [program(gan(augmentation)).model for augmentation in (None, Dimmed(0.1), Dimmed(1.0))]
    split = dataset(IMAGE).train
    batch = Batch(jnp.asarray(split.x[:4]).astype(jnp.float32) / 127.5 - 1)

    @partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def losses(batch):
        return [model.train_step(model.init(rng.root(0), batch), batch, rng.root(1))[1]["d_loss"] for model in models]

    plain, dimmed, same = losses(batch)
    assert abs(dimmed - plain) > 1e-4
    np.testing.assert_allclose(same, plain, rtol=1e-5)


def test_its_configuration_is_kept():
    experiment = c.Experiment("e", gan(Dimmed(0.25)), steps=1)
    written = c.to_dict(experiment)["model"]["augmentation"]
    assert (written["type"], written["least"]) == ("own:Dimmed", 0.25)
    program(gan(Dimmed(0.25)))  # after which this process knows the class
    assert c.from_json(c.to_json(experiment)) == experiment
    assert replace(experiment.model, augmentation=None).augmentation is None


@pytest.mark.parametrize(
    ("augmentation", "words"),
    [
        (
            Dimmed(wrong="kind"),
            r"Dimmed.augmentation\(\) returns function, but must return a gvlab.augment.Augmentation",
        ),
        (Dimmed(wrong="draw"), r"draw of Dimmed.augmentation\(\) gives numbers of shape \(\) for 3 examples"),
        (Dimmed(wrong="apply"), r"apply of Dimmed.augmentation\(\) gives examples of shape \(3, 2, 4, 1\), but must"),
        (Dimmed(wrong="update"), r"update of Dimmed.augmentation\(\) gives another memory than init does"),
    ],
    ids=lambda of: getattr(of, "wrong", ""),
)
def test_what_is_no_augmentation_is_refused(augmentation, words):
    with pytest.raises(UserError, match=words):
        program(gan(augmentation))


def test_images_alone_are_augmented():
    with pytest.raises(UserError, match=r"Images can be augmented, but not examples of shape \(3,\)"):
        jax.eval_shape(lambda: program(gan(Dimmed()), (3,)).latent_dim)
