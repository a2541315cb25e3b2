"""Taking a trained model, and what it makes, to other programs."""

from gvlab.export.examples import check, write
from gvlab.export.latents import read_latents, write_latents
from gvlab.export.trained_model import write_model

__all__ = ["check", "read_latents", "write", "write_latents", "write_model"]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
