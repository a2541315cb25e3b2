"""Translation from pictures to images, as an experiment states it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import MOST_LAYERS, check_not_negative, check_size
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.restoration import Block, Blur, Downsample, Grey, Half, Mask
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from jaxtyping import Array

    from gvlab.restoration.operators import Shape


@dataclass(frozen=True)
class Edges:
    """The length of the slope at each pixel, by differences of its neighbours."""

    def picture(self, shape: Shape) -> Callable[[Array], Array]:
        """(x [n, *shape] in [0, 1]) -> the same shape, in [0, 1]."""
        from gvlab.restoration import edges

        return edges.edges


AnySeen: TypeAlias = Edges | Blur | Downsample | Grey | Half | Block | Mask


@dataclass(frozen=True)
class UNet:
    """The generator: down to a pixel and up again, with the way down beside the way up."""

    width: int = 64
    """Channels of the first layer; the others have up to eight times as many."""
    dropout: float = 0.5
    """Share of the units that the first three layers on the way up lose in training."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("UNet", width=self.width)
        if not 0 <= self.dropout < 1:
            raise UserError(f"UNet.dropout is {self.dropout}, but is a share from 0 to below 1.")


@dataclass(frozen=True)
class Pix2Pix:
    """Images from pictures of what an operator leaves of them, by pairs (Isola et al. 2017): no samples, no density."""

    seen: AnySeen = Edges()
    """What is left of an image."""
    network: UNet = UNet()
    critic_width: int = 64
    """Channels of the critic's first layer."""
    critic_layers: int = 3
    """That halve the image: patches have 16, 34 and 70 pixels a side with 1, 2 and 3."""
    l1_weight: float = 100.0
    """Of the absolute error, a mean over pixels, beside the critic's verdict."""
    generator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    critic_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)

    def __post_init__(self) -> None:
        settle(self)
        check_size("Pix2Pix", critic_width=self.critic_width)
        check_not_negative("Pix2Pix", l1_weight=self.l1_weight)
        if not 1 <= self.critic_layers <= 5:
            raise UserError(f"Pix2Pix.critic_layers is {self.critic_layers}, but must be from 1 to 5.")

    @property
    def data_range(self) -> tuple[float, float]:
        """The values that images take, of tanh."""
        return (-1.0, 1.0)


@dataclass(frozen=True)
class ResidualTranslator:
    """Both generators: two convolutions down, residual blocks, and two up again, with InstanceNorm."""

    width: int = 64
    """Channels of the first layer."""
    blocks: int = 9
    """Residual ones, at a quarter of the image."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("ResidualTranslator", width=self.width, blocks=self.blocks)
        if self.blocks > MOST_LAYERS:
            raise UserError(
                f"ResidualTranslator.blocks is {self.blocks}, but at most {MOST_LAYERS} layers can be compiled."
            )


@dataclass(frozen=True)
class CycleGAN:
    """Images from pictures of what an operator leaves of them, without pairs (Zhu et al. 2017): no samples, no density.

    There and back again, each side should be what it was.
    """

    seen: AnySeen = Edges()
    """What is left of an image."""
    network: ResidualTranslator = ResidualTranslator()
    critic_width: int = 64
    """Channels of the critics' first layer."""
    critic_layers: int = 3
    """That halve the image: patches have 16, 34 and 70 pixels a side with 1, 2 and 3."""
    cycle_weight: float = 10.0
    """Of the absolute error after both ways, beside the critics' verdicts."""
    identity_weight: float = 0.5
    """Of the absolute change of what is on the right side already, in units of `cycle_weight`."""
    pool: int = 50
    """Generated images of each side that the critics may be shown again; 0: none."""
    generator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    critic_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)

    def __post_init__(self) -> None:
        settle(self)
        check_size("CycleGAN", critic_width=self.critic_width)
        check_not_negative("CycleGAN", cycle_weight=self.cycle_weight, identity_weight=self.identity_weight)
        if not 1 <= self.critic_layers <= 5:
            raise UserError(f"CycleGAN.critic_layers is {self.critic_layers}, but must be from 1 to 5.")
        if not 0 <= self.pool <= MOST_IN_POOL:
            raise UserError(f"CycleGAN.pool is {self.pool}, but must be from 0 (none) to {MOST_IN_POOL}.")

    @property
    def data_range(self) -> tuple[float, float]:
        """The values that images take, of tanh."""
        return (-1.0, 1.0)


TRANSLATORS = Pix2Pix | CycleGAN
"""Models whose latents are pictures that they are given."""
MOST_IN_POOL = 10_000
"""Images of `CycleGAN.pool`, which are part of every checkpoint."""
