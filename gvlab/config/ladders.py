"""The networks of hierarchical VAEs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_layers, check_positive, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.networks import VDVAE as Network
    from gvlab.networks import LadderMLP as LadderNetwork
    from gvlab.networks.ladders import Normals


@dataclass(frozen=True)
class Absolute:
    """A layer's posterior has a mean and a deviation of its own (Child 2021)."""

    def normals(self) -> Normals:
        from gvlab.networks import absolute_normals

        return absolute_normals()


@dataclass(frozen=True)
class Residual:
    """A layer's posterior is stated relative to its prior (Vahdat & Kautz 2020)."""

    bound: float = 5.0
    """Means and log-deviations lie softly within it."""
    least: float = 0.01
    """Of a deviation."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Residual", bound=self.bound, least=self.least)

    def normals(self) -> Normals:
        from gvlab.networks import residual_normals

        return residual_normals(self.bound, self.least)


MOST_BLOCKS = 1_000
"""Of an encoder or a decoder; XLA would compile more of them for hours."""

_BLOCK = re.compile(r"(?P<side>[1-9]\d{0,3})(?:(?P<kind>[xdm])(?P<number>[1-9]\d{0,3}))?")


@dataclass(frozen=True)
class VDVAE:
    """A residual encoder and decoder of square images, whose decoder's every block has latents (Child 2021).

    The blocks are written as published: 14x2 are two blocks at 14x14 pixels; 14d2 is one of the encoder after which
    14x14 pixels become 7x7; 14m7 is one of the decoder that begins with what was made at 7x7. Published for CIFAR-10:
    384 channels, 16 latents, encoder 32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3 and decoder
    1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21.
    """

    encoder: str = "28x2,28d2,14x2,14d2,7x2,7d7,1x1"
    decoder: str = "1x1,7m1,7x2,14m7,14x2,28m14"
    width: int = 32
    """Channels of the maps between blocks."""
    latents: int = 8
    """Channels of each block's map of latents."""
    bottleneck: float = 0.25
    """Channels within a block, as a share of `width`."""
    bias_until: int = 64
    """Up to so many pixels a side a resolution begins with learned maps, as published, and with zeros above."""
    centre: float = 0.5
    """What the encoder takes from pixels in [0, 1]; 0.473 in CIFAR-10's published training."""
    deviation: float = 0.25
    """What it divides the rest by; 0.2516 there."""
    posterior: Absolute | Residual = Absolute()

    def __post_init__(self) -> None:
        settle(self)
        check_size("VDVAE", width=self.width, latents=self.latents, bias_until=self.bias_until)
        check_positive("VDVAE", bottleneck=self.bottleneck, deviation=self.deviation)
        if not 1 <= int(self.width * self.bottleneck) <= 100_000:
            raise UserError(
                f"VDVAE.bottleneck is {self.bottleneck}, which leaves {int(self.width * self.bottleneck)} of "
                f"VDVAE.width = {self.width} channels within a block: use another."
            )
        _check_sides("VDVAE", self.encoder, self.decoder)

    def hierarchy(self, shape: tuple[int, ...], parameters: int, axis_name: str | None) -> Network:
        """The network for a likelihood of images of that shape."""
        from gvlab import networks

        encoder, decoder = _of_shape("VDVAE", self.encoder, self.decoder, shape)
        return networks.VDVAE(
            shape,
            parameters,
            encoder,
            decoder,
            features=self.width,
            latents=self.latents,
            bottleneck=self.bottleneck,
            bias_until=self.bias_until,
            centre=self.centre,
            deviation=self.deviation,
            normals=self.posterior.normals(),
        )


@dataclass(frozen=True)
class NVAE:
    """NVAE's residual cells, with swish, squeeze-and-excitation and convolutions by channel, where VDVAE has its blocks
    (Vahdat & Kautz 2020); for square images."""

    encoder: str = "28x2,28d2,14x2,14d2,7x2,7d7,1x1"
    """As of VDVAE."""
    decoder: str = "1x1,7m1,7x2,14m7,14x2,28m14"
    """As of VDVAE."""
    width: int = 32
    """Channels of the maps between cells."""
    latents: int = 8
    """Channels of each cell's map of latents; 20 in the paper."""
    expansion: int = 6
    """By how many times there are more channels within a cell of the decoder."""
    centre: float = 0.5
    """As of VDVAE."""
    deviation: float = 0.25
    """As of VDVAE."""
    posterior: Residual | Absolute = Residual()

    def __post_init__(self) -> None:
        settle(self)
        check_size("NVAE", width=self.width, latents=self.latents, expansion=self.expansion)
        check_positive("NVAE", deviation=self.deviation)
        _check_sides("NVAE", self.encoder, self.decoder)

    def hierarchy(self, shape: tuple[int, ...], parameters: int, axis_name: str | None) -> Network:
        """The network for a likelihood of images of that shape."""
        from gvlab import networks

        encoder, decoder = _of_shape("NVAE", self.encoder, self.decoder, shape)
        return networks.NVAE(
            shape,
            parameters,
            encoder,
            decoder,
            features=self.width,
            latents=self.latents,
            centre=self.centre,
            deviation=self.deviation,
            normals=self.posterior.normals(),
            expansion=self.expansion,
            axis_name=axis_name,
        )


_Pairs: TypeAlias = tuple[tuple[int, int], ...]


def _of_shape(owner: str, encoding: str, decoding: str, shape: tuple[int, ...]) -> tuple[_Pairs, _Pairs]:
    """The blocks as a network takes them, or `UserError` if they are of other images."""
    encoder, decoder = _blocks(f"{owner}.encoder", encoding, "d"), _blocks(f"{owner}.decoder", decoding, "m")
    if len(shape) != 3 or shape[0] != shape[1] or shape[0] != decoder[-1][0]:
        raise UserError(
            f"{owner}.decoder is {decoding!r}, which makes square images of {decoder[-1][0]} pixels a side, but the "
            f"data have the shape {shape}: write blocks for these, or use LadderMLP."
        )
    return (
        tuple((side, number if kind == "d" else 1) for side, kind, number in encoder),
        tuple((side, number if kind == "m" else 0) for side, kind, number in decoder),
    )


def _check_sides(owner: str, encoding: str, decoding: str) -> None:
    """Raises UserError unless the blocks lead from the images to 1x1, and back."""
    encoder, decoder = _blocks(f"{owner}.encoder", encoding, "d"), _blocks(f"{owner}.decoder", decoding, "m")
    side = encoder[0][0]
    seen = {side}
    for stated, kind, number in encoder:
        if stated != side or (kind == "d" and side % number):
            raise UserError(
                f"{owner}.encoder is {encoding!r}, whose maps have {side}x{side} pixels where it says "
                f"{stated}{f'd{number}' if kind == 'd' else ''}: write there what divides them."
            )
        side = side // number if kind == "d" else side
        seen.add(side)
    if side != 1:
        raise UserError(
            f"{owner}.encoder is {encoding!r}, which ends at {side}x{side} pixels, but the top of the latents is "
            f"one pixel: let it end with {side}d{side}."
        )
    made: set[int] = set()
    for stated, kind, number in decoder:
        begins = not made and kind != "m"
        if begins and stated != 1:
            raise UserError(
                f"{owner}.decoder is {decoding!r}, which begins at {stated}x{stated} pixels, but the top of the "
                "latents is one pixel: let it begin with 1x1."
            )
        if kind == "m" and (number not in made or stated % number):
            raise UserError(
                f"{owner}.decoder is {decoding!r}, but {stated}m{number} needs maps of {number}x{number} pixels "
                f"made before, of which {stated} is a multiple: write another resolution."
            )
        if stated not in seen or (kind != "m" and not begins and stated not in made):
            raise UserError(
                f"{owner}.decoder is {decoding!r}, but at {stated}x{stated} pixels the encoder gives nothing, or "
                "no block with m begins there: write both of the same resolutions."
            )
        made.add(stated)
    if decoder[-1][0] != encoder[0][0]:
        raise UserError(
            f"{owner}.decoder is {decoding!r}, which ends at {decoder[-1][0]} pixels a side, but the encoder "
            f"begins at {encoder[0][0]}: write both of the same images."
        )


def _blocks(name: str, text: str, kind: str) -> list[tuple[int, str, int]]:
    """(pixels a side, x, d or m, the number behind it) of each block; a run of x is so many blocks.

    Raises:
        UserError: the text is not of the published form.
    """
    blocks: list[tuple[int, str, int]] = []
    for part in text.replace(" ", "").split(","):
        found = _BLOCK.fullmatch(part)
        if found is None or found["kind"] not in (None, "x", kind):
            raise UserError(
                f"{name} is {text!r}, but {part!r} is no block of it: write 8x2, or 8{kind}4, joined by commas."
            )
        side, number = int(found["side"]), int(found["number"] or 1)
        blocks += [(side, kind, number)] if found["kind"] == kind else [(side, "x", 1)] * number
        if len(blocks) > MOST_BLOCKS:
            raise UserError(f"{name} has more than {MOST_BLOCKS} blocks, which cannot be compiled: use fewer.")
    return blocks


@dataclass(frozen=True)
class LadderMLP:
    """Fully connected networks whose posteriors merge what lies below and above a layer (Sønderby et al. 2016).

    Published with five layers, BatchNorm and a warm-up of the KL over 200 epochs; there BatchNorm and warm-up are what
    makes the upper layers of use.
    """

    latents: tuple[int, ...] = (64, 32, 16, 8, 4)
    """Of each layer, from the data up."""
    hidden: tuple[int, ...] = (512, 256, 128, 64, 32)
    """Units of the two hidden layers beside each of them."""

    def __post_init__(self) -> None:
        settle(self)
        check_layers("LadderMLP", latents=self.latents, hidden=self.hidden)
        if len(self.latents) != len(self.hidden):
            raise UserError(
                f"LadderMLP.hidden is {self.hidden}, but LadderMLP.latents has {len(self.latents)} layers, each with "
                "hidden layers of its own: give as many."
            )

    def hierarchy(self, shape: tuple[int, ...], parameters: int, axis_name: str | None) -> LadderNetwork:
        """The network for a likelihood of examples of that shape."""
        from gvlab import networks

        return networks.LadderMLP(shape, parameters, self.latents, self.hidden, axis_name)
