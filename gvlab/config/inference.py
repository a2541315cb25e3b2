"""How the encoder of a VAE is trained beside its decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gvlab.config.checks import check_size
from gvlab.config.plain import settle


@dataclass(frozen=True)
class Joint:
    """One update of both by one gradient (Kingma & Welling 2014)."""


@dataclass(frozen=True)
class Aggressive:
    """Updates of the encoder alone before each of the decoder, so that q(z|x) does not lag behind it and z is not
    forgotten (He et al. 2019)."""

    most: int = 20
    """Updates of the encoder in a step, each on a batch of its own; in the paper at most 100."""
    window: int = 10
    """The loop ends sooner if the mean loss of so many updates is more than that of those before; from `most` on
    it never does."""
    until: int = 1000
    """Steps of this kind; then both are trained as with Joint. In the paper it is mutual information that no longer
    climbs on validation data which ends them."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Aggressive", most=self.most, window=self.window, until=self.until)


AnyInference: TypeAlias = Joint | Aggressive
