"""Measuring a trained model, or a set of images: numbers that carry their protocol."""

from gvlab.evaluate.kinds import GROUPS, Measure, kind_of, rank, title_of
from gvlab.evaluate.measure import (
    BOUND,
    OF_LIKELIHOODS,
    OF_MODELS,
    check,
    check_ahead,
    evaluate,
    extractors_of,
    is_of_model,
    of_images,
    of_sounds,
)
from gvlab.evaluate.results import Measures, earlier, read, read_file, write, write_file
from gvlab.evaluate.sounds import OF_SOUND
from gvlab.evaluate.stamps import CLIPPED, PER_RUN, Difference, described, difference, stated
from gvlab.evaluate.texts import OF_TEXT
from gvlab.evaluate.texts import of_file as of_text_file

__all__ = [
    "BOUND",
    "CLIPPED",
    "GROUPS",
    "OF_LIKELIHOODS",
    "OF_MODELS",
    "OF_SOUND",
    "OF_TEXT",
    "PER_RUN",
    "Difference",
    "Measure",
    "Measures",
    "check",
    "check_ahead",
    "described",
    "difference",
    "earlier",
    "evaluate",
    "extractors_of",
    "is_of_model",
    "kind_of",
    "of_images",
    "of_sounds",
    "of_text_file",
    "rank",
    "read",
    "read_file",
    "stated",
    "title_of",
    "write",
    "write_file",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
