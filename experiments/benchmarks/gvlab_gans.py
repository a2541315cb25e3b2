"""The published GANs of 32x32 images in gvlab, batch 16 for each update; the forms are those of `gvlab_tasks`.

An iteration is one update of the discriminator and one of the generator, on fresh latents.
"""

import jax.numpy as jnp
import numpy as np
from gvlab_tasks import Task, gan_parameters, in_turn, versions
from worker import coloured

from gvlab import build, config, data

__all__ = ["CONFIGS", "TASKS", "make", "versions"]

BATCH = 16

CONFIGS = {
    "sngan": config.GAN(
        config.SNGAN(),
        latent_dim=128,
        contest=config.Hinge(),
        generator_optimizer=config.Adam(2e-4, b1=0.0, b2=0.9),
        discriminator_optimizer=config.Adam(2e-4, b1=0.0, b2=0.9),
    ),
    "r3gan": config.GAN(
        config.R3GAN(widths=(192,), group=16, blocks=2),
        latent_dim=64,
        contest=config.Relativistic(),
        update="separate",
        discriminator_terms=(config.R1(0.05), config.R2(0.05)),
        generator_optimizer=config.Adam(2e-4, b1=0.0, b2=0.99),
        discriminator_optimizer=config.Adam(2e-4, b1=0.0, b2=0.99),
    ),
    "stylegan2": config.GAN(
        config.StyleGAN2(width=128, full_until=32, mapping_layers=2, architecture="orig", mixing=0.0, group=32),
        latent_dim=512,
        discriminator_terms=(config.Every(16, config.R1(0.01)),),
        generator_optimizer=config.Adam(2.5e-3, b1=0.0, b2=0.99),
        discriminator_optimizer=config.LazyAdam(2.5e-3, b1=0.0, b2=0.99, every=16),
    ),
}
"""Those of CIFAR-10 as published, two of them at a quarter of the width, without classes and without augmentation."""


def _task(name: str, form: str, pixels: np.ndarray) -> Task:
    gan = CONFIGS[name]
    images = data.to_symmetric(jnp.asarray(coloured(pixels[:6400])))
    model = build.model(gan, images.shape[1:], 0)
    return in_turn(form, model, images, BATCH * gan.batches, ("d_loss", "g_loss"), gan_parameters)


TASKS = tuple(CONFIGS)


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    return _task(benchmark, form, pixels)
