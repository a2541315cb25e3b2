"""What makes real and generated images harder to tell apart by what they are labelled, or by noise on both."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gvlab import rng
from gvlab.augment.base import Number, Shape, Transform
from gvlab.types import PRNGKey, PyTree


def instance_noise(deviation: Number) -> Transform:
    """x + p * deviation * n, n ~ N(0, 1) for each number of an image.

    Here p is no probability but a share: a `ramp` from 1 to 0 lets the noise fall to nothing.

    Args:
        deviation: of the noise at p = 1, in units of the data.

    Reference: Sønderby et al., "Amortised MAP Inference for Image Super-resolution", 2017; Arjovsky & Bottou,
    "Towards Principled Methods for Training Generative Adversarial Networks", 2017.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return rng.normal(key, (n, *shape), axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        return x + p * deviation * draws

    return Transform("instance_noise", draw, apply, check=lambda shape: None)


def apa() -> Transform:
    """With probability p a generated image stands in for a real one (adaptive pseudo augmentation).

    The images themselves are left alone: the discriminator is deceived about what some of them are. It is the generated
    image of the same place in the batch, so a contest of pairs would compare it with itself, and learn nothing there.

    Reference: Jiang et al., "Deceive D: Adaptive Pseudo Augmentation for GAN Training with Limited Data", 2021.
    """

    def draw(key: PRNGKey, n: int, shape: Shape, axis_name: str | None) -> PyTree:
        return rng.uniform(key, (n,), axis_name)

    def apply(draws: PyTree, x: Array, p: Number) -> Array:
        return x

    def deceive(draws: PyTree, real: Array, fake: Array, p: Number) -> Array:
        return jnp.where(draws.reshape(-1, *[1] * (real.ndim - 1)) < p, jax.lax.stop_gradient(fake), real)

    return Transform("apa", draw, apply, deceive, check=lambda shape: None)
