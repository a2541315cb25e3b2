"""The networks that an experiment can name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gvlab.config.checks import check_layers, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn


@dataclass(frozen=True)
class DCGAN:
    """Generator and discriminator of Radford, Metz & Chintala 2016."""

    width: int = 64
    """Channels of the layers nearest the image; they double with every resampling."""
    discriminator: Literal["batch_norm", "spectral_norm", "plain"] = "batch_norm"
    """What normalises it: the published BatchNorm, spectral norm (Miyato et al. 2018), or nothing, for R1 and R2."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("DCGAN", width=self.width)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        generator = networks.DCGANGenerator(shape=shape, width=self.width, axis_name=axis_name)
        match self.discriminator:
            case "batch_norm":
                return generator, networks.DCGANDiscriminator(width=self.width, axis_name=axis_name)
            case "spectral_norm":
                return generator, networks.SpectralDCGANDiscriminator(width=self.width)
            case "plain":
                return generator, networks.PlainDCGANDiscriminator(width=self.width)


@dataclass(frozen=True)
class Article:
    """The four networks of the article that the project grew out of."""

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return (
            networks.ArticleGenerator(shape=shape, axis_name=axis_name),
            networks.ArticleDiscriminator(axis_name=axis_name),
        )

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from gvlab import networks

        return (
            networks.ArticleEncoder(latent_dim=latent_dim),
            networks.ArticleDecoder(shape=shape, parameters=parameters),
        )


@dataclass(frozen=True)
class MLP:
    """Fully connected networks; for a VAE with tanh and mirrored in the decoder, as in Burda et al. 2016."""

    hidden: tuple[int, ...] = (200, 200)
    """Units of the hidden layers, from the data to the latents."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("MLP", hidden=self.hidden)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return (
            networks.MLPGenerator(shape=shape, hidden=self.hidden[::-1]),
            networks.MLPDiscriminator(hidden=self.hidden),
        )

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from gvlab import networks

        return (
            networks.MLPEncoder(latent_dim=latent_dim, hidden=self.hidden),
            networks.MLPDecoder(shape=shape, hidden=self.hidden[::-1], parameters=parameters),
        )


@dataclass(frozen=True)
class TwoMLPs:
    """Fully connected generator and discriminator of a GAN, with ReLU and each with its own hidden layers."""

    generator: tuple[int, ...] = (128, 128)
    """Units of the generator's hidden layers, from the latents to the data."""
    discriminator: tuple[int, ...] = (128,)
    """Units of the discriminator's, from the data on."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("TwoMLPs", generator=self.generator, discriminator=self.discriminator)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        return (
            networks.MLPGenerator(shape=shape, hidden=self.generator),
            networks.MLPDiscriminator(hidden=self.discriminator),
        )


@dataclass(frozen=True)
class MaxoutMLP:
    """A fully connected generator with BatchNorm against a maxout discriminator, as in Lin et al. 2018 (PacGAN)."""

    generator: tuple[int, ...] = (400, 400, 400, 400)
    """Units of the generator's hidden layers, from the latents to the data."""
    discriminator: tuple[int, ...] = (200, 200, 200)
    """Units of the discriminator's, from the data on."""
    pieces: int = 5
    """Linear units of which each of the discriminator's is the largest."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("MaxoutMLP", generator=self.generator, discriminator=self.discriminator)
        check_size("MaxoutMLP", pieces=self.pieces)

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab.networks import MaxoutDiscriminator, NormalizedMLPGenerator

        return (
            NormalizedMLPGenerator(shape=shape, hidden=self.generator, axis_name=axis_name),
            MaxoutDiscriminator(hidden=self.discriminator, pieces=self.pieces),
        )


@dataclass(frozen=True)
class R3GAN:
    """Residual networks of grouped convolutions without normalisation, of Huang et al. 2024.

    Published with 768 channels (CIFAR-10), 768, 768, 768, 768, 384 (FFHQ at 64x64, at 256x256 then 192, 96), and 1536
    with groups of 32 (ImageNet), under Relativistic games with R1 and R2.
    """

    widths: tuple[int, ...] = (768,)
    """Channels of the stages, from 4 pixels a side on; the last number is that of all finer ones."""
    group: int = 16
    """Channels of a group, of twice as many as a stage has."""
    blocks: int = 2
    """Residual blocks in each stage."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("R3GAN", widths=self.widths)
        check_size("R3GAN", group=self.group, blocks=self.blocks)
        for width in self.widths:
            if 2 * width % self.group:
                raise UserError(
                    f"R3GAN.group is {self.group}, but must divide twice the {width} channels of a stage: use another "
                    "group, or other widths."
                )

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        from gvlab import networks

        count = networks.r3gan_stages(shape)
        if len(self.widths) > count:
            raise UserError(
                f"R3GAN.widths are of {len(self.widths)} stages, but images of {shape[0]}x{shape[1]} pixels have "
                f"{count}: leave some out."
            )
        widths = self.widths + self.widths[-1:] * (count - len(self.widths))
        groups, blocks = tuple(2 * width // self.group for width in widths), (self.blocks,) * len(widths)
        return (
            networks.R3GANGenerator(shape, widths, groups, blocks),
            networks.R3GANDiscriminator(widths[::-1], groups[::-1], blocks),
        )


@dataclass(frozen=True)
class ReluMLP:
    """Fully connected networks of a VAE with ReLU, mirrored in the decoder, and Flax's initial weights (LeCun's)."""

    hidden: tuple[int, ...] = (500,)
    """Units of the hidden layers, from the data to the latents."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("ReluMLP", hidden=self.hidden)

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from flax.linen import initializers, relu

        from gvlab import networks

        kernel_init = initializers.lecun_normal()
        return (
            networks.MLPEncoder(latent_dim=latent_dim, hidden=self.hidden, activation=relu, kernel_init=kernel_init),
            networks.MLPDecoder(
                shape=shape,
                hidden=self.hidden[::-1],
                activation=relu,
                kernel_init=kernel_init,
                parameters=parameters,
            ),
        )


@dataclass(frozen=True)
class Convolutions:
    """Strided convolutions and a dense layer, mirrored in the decoder, of a VAE of images; these sizes are those of
    disentanglement_lib for 64x64 pixels (Locatello et al. 2019)."""

    channels: tuple[int, ...] = (32, 32, 64, 64)
    """Of the convolutions, each of which halves both sides, from the image on."""
    kernels: tuple[int, ...] = (4, 4, 2, 2)
    """Their sides in the encoder; 4 throughout in the decoder."""
    hidden: int = 256
    """Units of the dense layer."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("Convolutions", channels=self.channels, kernels=self.kernels)
        check_size("Convolutions", hidden=self.hidden)
        if len(self.kernels) != len(self.channels):
            raise UserError(
                f"Convolutions.kernels is {self.kernels}, but there are {len(self.channels)} layers: give one for each."
            )

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from gvlab import networks

        side = 2 ** len(self.channels)
        if len(shape) != 3:
            raise UserError(f"The network Convolutions is of images, but the data are {shape}: use MLP.")
        if shape[0] % side or shape[1] % side:
            raise UserError(
                f"Convolutions.channels has {len(self.channels)} layers, but images of {shape[0]}x{shape[1]} pixels "
                f"are no multiple of {side}: use fewer."
            )
        return (
            networks.ConvolutionalEncoder(latent_dim, self.channels, self.kernels, self.hidden),
            networks.ConvolutionalDecoder(shape, parameters, self.channels, self.hidden),
        )


@dataclass(frozen=True)
class TwoLayerMLP:
    """Fully connected networks of a VAE with two layers of latents and tanh, as in Burda et al. 2016.

    `VAE.latent_dim` counts the latents of both layers.
    """

    hidden: tuple[int, ...] = (200, 200)
    """Units of the hidden layers between the data and the first latents, and mirrored."""
    first: int = 100
    """Latents of the layer next to the data."""
    top_hidden: tuple[int, ...] = (100, 100)
    """Units of the hidden layers between the first latents and the top ones, and mirrored."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("TwoLayerMLP", hidden=self.hidden, top_hidden=self.top_hidden)
        check_size("TwoLayerMLP", first=self.first)

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        """Four: both encoders, from the data up, and both decoders, down again."""
        from gvlab import networks

        return (
            networks.MLPEncoder(latent_dim=self.first, hidden=self.hidden),
            networks.MLPEncoder(latent_dim=latent_dim - self.first, hidden=self.top_hidden),
            networks.MLPEncoder(latent_dim=self.first, hidden=self.top_hidden[::-1]),
            networks.MLPDecoder(shape=shape, hidden=self.hidden[::-1], parameters=parameters),
        )
