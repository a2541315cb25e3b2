"""The residual networks that a GAN can name, beside R3GAN's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gvlab.config.heads import AnyHead
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn

MOST_WIDTH = 100_000
"""No memory holds such networks, and what counts their memory counts no more."""


def _check_width(owner: str, width: int) -> None:
    if not 0 < width <= MOST_WIDTH:
        raise UserError(f"{owner}.width is {width}, but must be from 1 to {MOST_WIDTH}.")


def _with_head(networks: tuple[nn.Module, nn.Module], head: AnyHead | None) -> tuple[nn.Module, nn.Module]:
    generator, discriminator = networks
    if head is None:
        return generator, discriminator
    return generator, discriminator.clone(head=head.head())


@dataclass(frozen=True)
class SNGAN:
    """Residual networks with a spectrally normalised discriminator, of Miyato et al. 2018; conditional as cGAN-PD.

    For images of 25 to 32, 41 to 48 and 57 to 64 pixels a side. Published with 128 latents, under Hinge with five
    discriminator steps and Adam(2e-4, b1=0), with linear decay.
    """

    width: int = 64
    """A quarter of the generator's channels at 32 pixels, else those of its last block."""
    layout: Literal["mimicry", "studiogan"] = "mimicry"
    """Of which library. At 64 pixels StudioGAN's discriminator has twice the parameters; at 48 it has none."""
    head: AnyHead | None = None
    """How the discriminator ends, and what it makes of a class; None: by the projection, where there are classes."""

    def __post_init__(self) -> None:
        settle(self)
        _check_width("SNGAN", self.width)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        by_layout = {"mimicry": networks.sngan_networks, "studiogan": networks.studiogan_sngan_networks}
        return _with_head(by_layout[self.layout](shape, self.width, axis_name), self.head)


@dataclass(frozen=True)
class SAGAN:
    """SNGAN's networks with self-attention, both spectrally normalised, of Zhang et al. 2019.

    For images of 25 to 32 pixels a side. Published with 128 latents, under Hinge with different learning rates of the
    two, 1e-4 and 4e-4.
    """

    width: int = 64
    """A quarter of the generator's channels, half of the discriminator's."""
    head: AnyHead | None = None
    """How the discriminator ends, and what it makes of a class; None: by the projection, where there are classes."""

    def __post_init__(self) -> None:
        settle(self)
        _check_width("SAGAN", self.width)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return _with_head(networks.sagan_networks(shape, self.width, axis_name), self.head)


@dataclass(frozen=True)
class BigGAN:
    """Residual networks with self-attention, latents in every block and orthogonal weights, of Brock et al. 2019.

    For images of 25 to 32 and 57 to 64 pixels a side, with as many latents as 4, or 5, divides: published 80 and 100.
    StudioGAN's widths are 96 and 80, under Hinge, and an average of decay 0.9999.
    """

    width: int = 96
    """A quarter of the generator's channels at 32 pixels, those of its last block at 64."""
    head: AnyHead | None = None
    """How the discriminator ends, and what it makes of a class; None: by the projection, where there are classes."""

    def __post_init__(self) -> None:
        settle(self)
        _check_width("BigGAN", self.width)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return _with_head(networks.biggan_networks(shape, self.width, axis_name), self.head)


@dataclass(frozen=True)
class BigGANDeep:
    """BigGAN of bottleneck blocks, twice as many, of Brock et al. 2019.

    For images of 25 to 32 and 57 to 64 pixels a side. Published with 128 latents, under Hinge, and an average of decay
    0.9999.
    """

    width: int = 128
    """A quarter of the channels at 32 pixels, those of the generator's last stage at 64."""
    layout: Literal["biggan", "studiogan"] = "biggan"
    """Whose blocks: the authors', or those of StudioGAN, whose skips are convolutions."""
    head: AnyHead | None = None
    """How the discriminator ends, and what it makes of a class; None: by the projection, where there are classes."""

    def __post_init__(self) -> None:
        settle(self)
        _check_width("BigGANDeep", self.width)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        by_layout = {"biggan": networks.biggan_deep_networks, "studiogan": networks.studiogan_biggan_deep_networks}
        return _with_head(by_layout[self.layout](shape, self.width, axis_name), self.head)
