"""What is measured where nobody asks for anything else."""

from __future__ import annotations

from gvlab import data
from gvlab.evaluate import texts
from gvlab.evaluate.sounds import OF_SOUND
from gvlab.extractors import extractor as features
from gvlab.extractors.catalogue import STACKED

SAMPLES, STACKED_SAMPLES = 10_000, 26_000
"""Generated examples where nobody asks for another number; the second is that of every published table of StackedMNIST
(Metz et al. 2017, Srivastava et al. 2017, Lin et al. 2018)."""


def usual_measures(dataset: data.Dataset) -> tuple[str, ...]:
    """What is measured where nobody asks for anything else."""
    if dataset.name == STACKED:
        return ("stacked_modes",)
    if dataset.modality == data.TOKENS:
        return texts.usual_texts(dataset)
    if dataset.modality == data.WAVES:
        return ("frechet", "kernel", "prdc", *OF_SOUND)
    if dataset.truth is not None:  # the covariance of as many pixels is singular
        return ("kernel", "prdc")
    return ("frechet", "kernel", "modes") if dataset.name in data.MIXTURES else ("frechet", "kernel", "prdc")


def usual_features(dataset: data.Dataset) -> tuple[str, ...]:
    """The raw values and, where gvlab comes with one, the data set's own classifier."""
    if dataset.name == STACKED:
        return (STACKED,)
    raw = dataset.modality.features
    return (*raw, dataset.name) if features.has_small(dataset.name, dataset.shape) else raw


def usual_samples(dataset: data.Dataset) -> int:
    """How many examples are generated where nobody asks for another number."""
    return STACKED_SAMPLES if dataset.name == STACKED else SAMPLES
