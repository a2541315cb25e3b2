"""How a gradient comes to an encoder of bits, which have no path of their own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_layers
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.models.binary import Estimator


@dataclass(frozen=True)
class Reinforce:
    """The score of the draws by the bound, less its running mean (Williams 1992)."""

    decay: float = 0.99
    """Of the mean."""

    def __post_init__(self) -> None:
        settle(self)
        _check_decay("Reinforce", self.decay)

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.reinforce(self.decay)


@dataclass(frozen=True)
class NVIL:
    """The score of the draws by the bound, less what a network of x foresees of it (Mnih & Gregor 2014)."""

    hidden: tuple[int, ...] = (100,)
    """Units of that network's hidden layers."""
    decay: float = 0.8
    """Of the signal's running mean and variance."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("NVIL", hidden=self.hidden)
        _check_decay("NVIL", self.decay)

    def estimator(self) -> Estimator:
        from gvlab import networks
        from gvlab.models import binary

        return binary.nvil(networks.MLPDiscriminator(self.hidden), self.decay)


@dataclass(frozen=True)
class ARM:
    """Two draws of one uniform, compared (Yin & Zhou 2019)."""

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.arm()


@dataclass(frozen=True)
class DisARM:
    """ARM with less variance at the same cost, which is U2G, too (Dong et al. 2020; Yin et al. 2020)."""

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.disarm()


@dataclass(frozen=True)
class VIMCO:
    """The importance-weighted bound, each of whose draws is compared with the others (Mnih & Rezende 2016)."""

    draws: int = 5
    """Of z per example and step."""

    def __post_init__(self) -> None:
        settle(self)
        if self.draws < 2:
            raise UserError(f"VIMCO.draws is {self.draws}, but each draw is compared with others: use at least 2.")

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.vimco(self.draws)


@dataclass(frozen=True)
class GumbelSoftmax:
    """Numbers between 0 and 1 in the place of bits, beside the KL of the bits: what it raises bounds nothing (Jang et
    al. 2017; Maddison et al. 2017)."""

    temperature: float = 2 / 3
    """The lower, the nearer to bits, and the more variance."""

    def __post_init__(self) -> None:
        settle(self)
        _check_temperature("GumbelSoftmax", self.temperature)

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.relaxed(self.temperature, hard=False)


@dataclass(frozen=True)
class StraightThrough:
    """Bits forwards, and backwards the gradient of GumbelSoftmax, which is biased (Jang et al. 2017, section 2.2)."""

    temperature: float = 2 / 3
    """Of the gradient."""

    def __post_init__(self) -> None:
        settle(self)
        _check_temperature("StraightThrough", self.temperature)

    def estimator(self) -> Estimator:
        from gvlab.models import binary

        return binary.relaxed(self.temperature, hard=True)


AnyEstimator: TypeAlias = DisARM | ARM | VIMCO | NVIL | Reinforce | GumbelSoftmax | StraightThrough


def _check_decay(name: str, decay: float) -> None:
    if not 0 <= decay < 1:
        raise UserError(f"{name}.decay is {decay}, but must be at least 0 and below 1.")


def _check_temperature(name: str, temperature: float) -> None:
    if not (temperature > 0 and math.isfinite(temperature)):
        raise UserError(f"{name}.temperature is {temperature}, but must be a positive, finite number.")
