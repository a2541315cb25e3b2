"""A VQ-VAE, as an experiment states it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import MOST_LAYERS, check_layers, check_not_negative, check_size
from gvlab.config.likelihoods import (
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Gaussian,
    LearnedGaussian,
    MixtureOfLogistics,
    SharedGaussian,
    check_slope,
)
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnObservation
from gvlab.config.quantizers import EMAVQ, AnyQuantizer
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn
    import optax

    from gvlab.models.image_critics import PatchCritic


@dataclass(frozen=True)
class CodeMaps:
    """Convolutional encoder and decoder with residual blocks (van den Oord et al. 2017, section 4.1), with the sizes of
    Sonnet's example; for images."""

    width: int = 128
    """Channels, of which the layer nearest the image has half."""
    residual_width: int = 32
    """Channels within a residual block."""
    blocks: int = 2
    """Residual blocks."""
    downsamplings: int = 2
    """Layers that halve height and width: there is a code for every 4x4 pixels with 2."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("CodeMaps", width=self.width, residual_width=self.residual_width)
        for name, least in (("blocks", 0), ("downsamplings", 1)):
            value = getattr(self, name)
            if not least <= value <= MOST_LAYERS:
                raise UserError(f"CodeMaps.{name} is {value}, but must be from {least} to {MOST_LAYERS}.")
        if self.width < 2:
            raise UserError(
                f"CodeMaps.width is {self.width}, but its half must be a number of channels: use at least 2."
            )

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Rows and columns of codes of an image, or `UserError` if it cannot be halved so often."""
        side = 2**self.downsamplings
        if len(shape) != 3:
            kind, instead = ("waves", "CodeWaves") if len(shape) == 2 else ("vectors", "CodeMLP")
            raise UserError(f"The network CodeMaps is of images, but the data are {kind} {shape}: use {instead}.")
        if shape[0] % side or shape[1] % side:
            raise UserError(
                f"CodeMaps.downsamplings is {self.downsamplings}, but images of {shape[0]}x{shape[1]} pixels are no "
                f"multiple of {side}: use fewer."
            )
        return shape[0] // side, shape[1] // side

    def maps(self, shape: tuple[int, ...], features: int, parameters: int) -> tuple[nn.Module, nn.Module]:
        """(encoder, decoder)."""
        from gvlab import networks

        sizes = (self.width, self.residual_width, self.blocks, self.downsamplings)
        return networks.CodeEncoder(features, *sizes), networks.CodeDecoder(shape, parameters, *sizes)


@dataclass(frozen=True)
class CodeWaves:
    """Strided convolutions along time with residual units (van den Oord et al. 2017, section 4.2; Zeghidour et al.
    2021); for waves."""

    width: int = 16
    """Channels of the layers nearest the wave; every stride doubles them."""
    strides: tuple[int, ...] = (4, 4, 4)
    """By how much each layer shortens the wave: there is a code for every 64 samples with these."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("CodeWaves", width=self.width)
        check_layers("CodeWaves", strides=self.strides)

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The positions of a wave's codes, or `UserError` if it cannot be shortened so."""
        if len(shape) != 2:
            kind, instead = ("images", "CodeMaps") if len(shape) == 3 else ("vectors", "CodeMLP")
            raise UserError(f"The network CodeWaves is of waves, but the data are {kind} {shape}: use {instead}.")
        total = math.prod(self.strides)
        if shape[0] % total:
            raise UserError(
                f"CodeWaves.strides is {self.strides}, which shorten a wave {total} times, but its {shape[0]} samples "
                "are no multiple of that: use others."
            )
        return (shape[0] // total,)

    def maps(self, shape: tuple[int, ...], features: int, parameters: int) -> tuple[nn.Module, nn.Module]:
        """(encoder, decoder)."""
        from gvlab import networks

        encoder = networks.CodeWaveEncoder(features, self.width, self.strides)
        return encoder, networks.CodeWaveDecoder(shape, parameters, self.width, self.strides)


@dataclass(frozen=True)
class CodeMLP:
    """Fully connected networks with ReLU, mirrored in the decoder; for vectors, images and waves."""

    positions: int = 8
    """Codes of an example."""
    hidden: tuple[int, ...] = (200, 200)
    """Units of the hidden layers, from the data to the codes."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("CodeMLP", positions=self.positions)
        check_layers("CodeMLP", hidden=self.hidden)

    def grid(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The positions of an example's codes."""
        return (self.positions,)

    def maps(self, shape: tuple[int, ...], features: int, parameters: int) -> tuple[nn.Module, nn.Module]:
        """(encoder, decoder)."""
        from gvlab import networks

        return (
            networks.CodeMLPEncoder(self.positions, features, self.hidden),
            networks.CodeMLPDecoder(shape, parameters, self.hidden[::-1]),
        )


@dataclass(frozen=True)
class Patches:
    """A critic that judges patches of images, whose verdict the decoder hears: VQGAN (Esser et al. 2021)."""

    weight: float = 0.8
    """Of the verdict, beside the weight that balances its slope at the decoder's last kernel with the likelihood's."""
    start: int = 0
    """The first step in which the decoder hears it; published 250,001 for ImageNet. It is trained from the start."""
    width: int = 64
    """Channels of its first layer."""
    layers: int = 3
    """That halve the image: patches have 16, 34 and 70 pixels a side with 1, 2 and 3."""
    optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5, b2=0.9)

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Patches", weight=self.weight, start=self.start)
        check_size("Patches", width=self.width)
        if not 1 <= self.layers <= MOST_LAYERS:
            raise UserError(f"Patches.layers is {self.layers}, but must be from 1 to {MOST_LAYERS}.")

    def critic(self, optimizer: optax.GradientTransformation, axis_name: str | None) -> PatchCritic:
        from gvlab import networks
        from gvlab.models.image_critics import PatchCritic

        network = networks.PatchDiscriminator(self.width, self.layers, axis_name)
        return PatchCritic(network, optimizer, self.weight, self.start)


@dataclass(frozen=True)
class VQVAE:
    """An autoencoder whose latents are codes (van den Oord et al. 2017), with a uniform prior over them."""

    network: CodeMaps | CodeMLP | CodeWaves = CodeMaps()
    quantizer: AnyQuantizer = EMAVQ()
    likelihood: (
        Bernoulli
        | Gaussian
        | LearnedGaussian
        | DiscretizedLogistic
        | Categorical
        | MixtureOfLogistics
        | SharedGaussian
        | OwnObservation
    ) = Bernoulli()
    commitment: float = 0.25
    """Weight of the squared distance of the features from their codes (beta in its eq. 3), a mean over positions and
    features, beside -log p(x|z) / D of D values: 0.125 with Gaussian is Sonnet's 0.25."""
    conditional: bool = False
    """Give the class label to both networks."""
    optimizer: AnyOptimizer = Adam()
    critic: Patches | None = None
    """Of images, beside the likelihood."""

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("VQVAE", commitment=self.commitment)
        if self.critic is not None:
            check_slope("VQVAE.critic is Patches", self.likelihood)
