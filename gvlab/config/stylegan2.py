"""StyleGAN2's networks, as a GAN names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gvlab.config.checks import check_probability, check_size
from gvlab.config.plain import settle

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn


@dataclass(frozen=True)
class StyleGAN2:
    """A generator of styles and a discriminator that sees how the images of a batch differ, of Karras et al. 2020.

    For images of 9 to 16, 25 to 32, 57 to 64, 121 to 128 and 249 to 256 pixels a side. Published with 512 latents,
    under NonSaturating with R1 in every 16th step, PathLength in every fourth, and LazyAdam. For CIFAR-10 their later
    code has 2 mapping layers, the architecture orig, groups of 32, and neither mixing nor path lengths.
    """

    width: int = 512
    """Channels of the coarse stages, and units of a style."""
    full_until: int = 64
    """Pixels a side of the finest stage with all of these channels, each finer one has half of the last one's: 64 as
    published, 32 in the configurations of StyleGAN2-ADA for up to 256 pixels."""
    mapping_layers: int = 8
    """Dense layers from the latents to the styles; the discriminator has 8 from the classes on."""
    architecture: Literal["orig", "resnet", "skip"] = "resnet"
    """Of the discriminator: plain, residual, or with the image in each stage."""
    mixing: float = 0.9
    """Probability that a batch has other latents' styles from a random layer on."""
    group: int = 4
    """Images of whose standard deviation the discriminator is told."""

    def __post_init__(self) -> None:
        settle(self)
        numbers = ("width", "full_until", "mapping_layers", "group")
        check_size("StyleGAN2", **{name: getattr(self, name) for name in numbers})
        check_probability("StyleGAN2", mixing=self.mixing)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return networks.stylegan2_networks(
            shape,
            self.width,
            full_until=self.full_until,
            mapping_layers=self.mapping_layers,
            architecture=self.architecture,
            mixing=self.mixing,
            group=self.group,
            axis_name=axis_name,
        )
