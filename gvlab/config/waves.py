"""Networks of waves, as a GAN names them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn


@dataclass(frozen=True)
class WaveGAN:
    """Convolutions along time, of Donahue, McAuley & Puckette 2019; for waves of 16 to 65,536 samples.

    Published with 100 latents, uniform where ours are normal, under Wasserstein with GradientPenalty(10), 5 updates of
    the discriminator a step, and Adam(1e-4, 0.5, 0.9).
    """

    width: int = 64
    """Channels of the layers nearest the wave; they double with every resampling."""
    shuffle: int = 2
    """By how many samples the discriminator's phase shuffle moves what it sees at most; 0: it has none."""
    filter: int = 0
    """Taps of a last convolution of the generator, trained with the others; 0: none. Published with 512."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("WaveGAN", width=self.width)
        for name in ("shuffle", "filter"):
            if getattr(self, name) < 0:
                raise UserError(f"WaveGAN.{name} is {getattr(self, name)}, but must be at least 0: use 0 for none.")

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        strides = networks.wavegan_strides(shape[0])
        if len(strides) > 1 and self.shuffle >= shape[0] // 4 ** (len(strides) - 1):
            raise UserError(
                f"WaveGAN.shuffle is {self.shuffle}, but the last layer that it moves has only "
                f"{shape[0] // 4 ** (len(strides) - 1)} samples: use a smaller one."
            )
        generator = networks.WaveGANGenerator(shape, self.width, self.filter)
        return generator, networks.WaveGANDiscriminator(self.width, self.shuffle)
