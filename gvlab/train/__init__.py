"""Training: compiled engines, and the loop that drives them and loses nothing."""

from gvlab.train.loop import Interrupted, restore, train, train_together
from gvlab.train.record import Listener, Progress

__all__ = [
    "Interrupted",
    "Listener",
    "Progress",
    "restore",
    "train",
    "train_together",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
