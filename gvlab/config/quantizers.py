"""What a VQ-VAE's features are put at: the codes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, TypeAlias

from gvlab.config.checks import check_fraction, check_not_negative, check_positive, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn

    from gvlab.models.codes import Penalty, Start
    from gvlab.networks.quantizers import Passing

Gradient: TypeAlias = Literal["straight_through", "rotation"]


class _Quantizer:
    """Without a start of its own, and with nothing added to the loss, unless it says otherwise."""

    def start(self, quantizer: nn.Module) -> Start | None:
        return None

    def penalty(self) -> Penalty | None:
        return None


@dataclass(frozen=True)
class VQ(_Quantizer):
    """The nearest of codes that a gradient trains (van den Oord et al. 2017, eq. 3)."""

    codes: int = 512
    features: int = 64
    """Length of a code."""
    gradient: Gradient = "straight_through"
    """rotation: by the rotation that takes the features to their code (Fifty et al. 2025)."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("VQ", codes=self.codes, features=self.features)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        return networks.VectorQuantizer(self.codes, _passing(self.gradient))


@dataclass(frozen=True)
class EMAVQ(_Quantizer):
    """The nearest of codes that are averages of what chose them (van den Oord et al. 2017, appendix A.1)."""

    codes: int = 512
    features: int = 64
    """Length of a code."""
    decay: float = 0.99
    """Of the averages."""
    start_at: Literal["random", "kmeans"] = "random"
    """kmeans: the means of the first batch's features, which needs as many positions as codes (SoundStream, 2021)."""
    revive_below: float = 0.0
    """Average count in a batch under which a code is replaced by features of the batch (Jukebox, 2020); 0: never."""
    gradient: Gradient = "straight_through"
    """rotation: by the rotation that takes the features to their code (Fifty et al. 2025)."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("EMAVQ", codes=self.codes, features=self.features)
        check_fraction("EMAVQ", decay=self.decay)
        check_not_negative("EMAVQ", revive_below=self.revive_below)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        return _averaged(self, axis_name)

    def start(self, quantizer: nn.Module) -> Start | None:
        return _started(self, quantizer)


@dataclass(frozen=True)
class ResidualVQ(_Quantizer):
    """Codes as of EMAVQ, level after level, of what those before left over; they add up (SoundStream, 2021)."""

    levels: int = 4
    codes: int = 256
    """Of each level."""
    features: int = 64
    """Length of a code."""
    decay: float = 0.99
    """Of the averages."""
    start_at: Literal["random", "kmeans"] = "random"
    """As of EMAVQ."""
    revive_below: float = 0.0
    """As of EMAVQ."""
    gradient: Gradient = "straight_through"
    """As of EMAVQ; through all levels at once."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("ResidualVQ", levels=self.levels, codes=self.codes, features=self.features)
        check_fraction("ResidualVQ", decay=self.decay)
        check_not_negative("ResidualVQ", revive_below=self.revive_below)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        each = tuple(_averaged(self, axis_name) for _ in range(self.levels))
        return networks.ResidualQuantizer(each, _passing(self.gradient))

    def start(self, quantizer: nn.Module) -> Start | None:
        return _started(self, quantizer)


@dataclass(frozen=True)
class SimVQ(_Quantizer):
    """The nearest of fixed random vectors under a linear map that is trained (Zhu et al. 2024)."""

    codes: int = 512
    features: int = 64
    """Length of a code."""
    gradient: Gradient = "straight_through"
    """rotation: by the rotation that takes the features to their code (Fifty et al. 2025)."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("SimVQ", codes=self.codes, features=self.features)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        return networks.SimVQ(self.codes, _passing(self.gradient))


@dataclass(frozen=True)
class FSQ(_Quantizer):
    """Each feature rounded to one of its levels; nothing is learned (Mentzer et al. 2023)."""

    levels: tuple[int, ...] = (8, 6, 5)
    """Of each feature, at least 3; their product is the number of codes."""

    def __post_init__(self) -> None:
        settle(self)
        if not self.levels:
            raise UserError("FSQ.levels is empty, but needs a number for each feature: use (8, 6, 5), or others.")
        if min(self.levels) < 3:
            raise UserError(f"FSQ.levels is {self.levels}, but each must be at least 3: use LFQ for 2.")
        if self.codes >= 2**31:
            raise UserError(f"FSQ.levels is {self.levels}, which makes {self.codes} codes: use fewer than {2**31}.")

    @property
    def features(self) -> int:
        """What is quantised at each position."""
        return len(self.levels)

    @property
    def codes(self) -> int:
        """How many there are."""
        return math.prod(self.levels)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        return networks.FiniteScalarQuantizer(self.levels)


@dataclass(frozen=True)
class LFQ(_Quantizer):
    """Each feature at its sign: 2**features codes without a codebook (Yu et al. 2024)."""

    features: int = 8
    entropy: float = 0.1
    """Weight of the entropy of a position's code less that of the batch's; its eq. 5."""
    inverse_temperature: float = 100.0
    """How sharply codes choose where these entropies are computed."""

    def __post_init__(self) -> None:
        settle(self)
        _check_bits("LFQ", self.features)
        check_not_negative("LFQ", entropy=self.entropy)
        check_positive("LFQ", inverse_temperature=self.inverse_temperature)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        return networks.LookupFreeQuantizer()

    def penalty(self) -> Penalty | None:
        from gvlab.models import codes

        return codes.entropy_penalty(self.entropy, 1.0, self.inverse_temperature)


@dataclass(frozen=True)
class BSQ(_Quantizer):
    """Features on the unit sphere, each at its sign: 2**features codes without a codebook (Zhao et al. 2024)."""

    features: int = 8
    entropy: float = 0.1
    """Weight of the entropy of a position's code less that of the batch's; its eq. 7."""
    inverse_temperature: float = 100.0
    """How sharply codes choose where these entropies are computed."""

    def __post_init__(self) -> None:
        settle(self)
        _check_bits("BSQ", self.features)
        check_not_negative("BSQ", entropy=self.entropy)
        check_positive("BSQ", inverse_temperature=self.inverse_temperature)

    def quantizer(self, axis_name: str | None) -> nn.Module:
        from gvlab import networks

        return networks.BinarySphericalQuantizer()

    def penalty(self) -> Penalty | None:
        from gvlab import networks
        from gvlab.models import codes

        size = 1 / math.sqrt(self.features)
        return codes.entropy_penalty(self.entropy, size, self.inverse_temperature, networks.on_sphere)


AnyQuantizer: TypeAlias = VQ | EMAVQ | ResidualVQ | SimVQ | FSQ | LFQ | BSQ


def _check_bits(owner: str, features: int) -> None:
    if not 0 < features < 31:
        raise UserError(
            f"{owner}.features is {features}, but must be from 1 to 30: int32 counts the 2**features codes."
        )


def _passing(gradient: Gradient) -> Passing:
    from gvlab import networks

    return networks.rotated if gradient == "rotation" else networks.straight_through


def _averaged(config: EMAVQ | ResidualVQ, axis_name: str | None) -> nn.Module:
    from gvlab import networks

    passing = _passing(config.gradient)
    return networks.EMAVectorQuantizer(
        config.codes, config.decay, config.revive_below, passing=passing, axis_name=axis_name
    )


def _started(config: EMAVQ | ResidualVQ, quantizer: nn.Module) -> Start | None:
    from gvlab import networks

    return partial(networks.kmeans_start, quantizer) if config.start_at == "kmeans" else None
