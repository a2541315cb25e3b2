"""The images that a run makes for its own evaluation, as files."""

from __future__ import annotations

import functools

import harness
import numpy as np
from PIL import Image

from gvlab import rng
from gvlab.data import image_sets
from gvlab.evaluate import sampling
from gvlab.train import loop

SAMPLES = 64


@functools.cache
def generated() -> np.ndarray:
    """What a run makes for its own evaluation, uint8 [64, 16, 16, 1]."""
    program = harness.program("vae")
    state = loop.restore(program, harness.trained("vae"))
    key = rng.stream(rng.root(0), rng.EVALUATE, 0)
    return np.concatenate([np.asarray(x) for x in sampling.generate(program, state, key)])


def save(directory, images, suffix=".png", **options):
    directory.mkdir(exist_ok=True)
    for number, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        picture.save(directory / f"{number:05}{suffix}", **options)
    return directory


def contents(images: np.ndarray) -> list[bytes]:
    return sorted(image.tobytes() for image in images)


def archived(directory, images):
    np.savez(directory / "set.npz", images)
    return image_sets.read(directory / "set.npz")
