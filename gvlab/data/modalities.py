"""Kinds of data, and what follows from the kind alone: asked by type and rank in this one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Int, Num

from gvlab.types import UserError


@dataclass(frozen=True)
class Modality:
    """What follows from the kind of examples, whatever the data set."""

    name: str
    """Of several of them, in a sentence."""
    shown: str
    """What a reader calls them."""
    dtype: str
    """As they are stored."""
    rank: int
    """Of one of them."""
    layout: str
    """Of a batch, in a sentence."""
    seen: Literal["float32", "int32"]
    """The type in which a model sees and makes them."""
    bounded: bool
    """Whether they take values between two bounds, which are the model's choice."""
    features: tuple[str, ...]
    """The raw values, as what distances are measured on; empty where numbers are mere names."""
    exhibit: Literal["sheet", "scatter", "lines", "sounds"]
    """How examples are shown: pictures side by side, points over the data, one line of text each, or waves over their
    spectra, with what is heard beside them."""

    def data_range(self, of_images: tuple[float, float]) -> tuple[float, float]:
        """The least and the greatest value that a model sees, of one whose images take those of `of_images`."""
        if self.dtype == "int16":
            return (-1.0, 1.0)
        return of_images if self.bounded else (-float("inf"), float("inf"))

    def as_stored(
        self, x: Num[Array, "n *shape"], data_range: tuple[float, float]
    ) -> tuple[Num[Array, "n *shape"], Int[Array, ""]]:
        """What a model made, as a data set stores it (images in 8 bits, waves in 16), and how many of its values lie
        outside the range of the data by more than rounding does."""
        if not self.bounded:
            return x, jnp.int32(0)
        if self.dtype == "int16":
            whole = jnp.round(x * 32768)
            return jnp.clip(whole, -32768, 32767).astype(jnp.int16), ((whole < -32768) | (whole > 32768)).sum()
        levels = (x - data_range[0]) / (data_range[1] - data_range[0]) * 255
        outside = ((levels < -0.5) | (levels > 255.5)).sum()
        return jnp.round(jnp.clip(levels, 0.0, 255.0)).astype(jnp.uint8), outside


IMAGES = Modality(
    "images", "images", "uint8", 3, "images uint8 [n, height, width, channel]", "float32", True, ("pixels",), "sheet"
)
"""Pictures in 8 bits, [height, width, channel]."""
VECTORS = Modality(
    "vectors", "points", "float32", 1, "vectors float32 [n, d]", "float32", False, ("coordinates",), "scatter"
)
"""Points [d]."""
TOKENS = Modality("sentences", "sentences", "int32", 1, "sentences int32 [n, length]", "int32", False, (), "lines")
"""Rows [length] of integers, each of which stands for a symbol of an alphabet."""
WAVES = Modality(
    "waves", "sounds", "int16", 2, "waves int16 [n, samples, channel]", "float32", True, ("spectrum",), "sounds"
)
"""Sounds in 16 bits, [samples, channel]."""
MODALITIES = (IMAGES, VECTORS, TOKENS, WAVES)


def modality_of_shape(shape: tuple[int, ...]) -> Modality:
    """The kind of examples of that shape, which are no sentences: of these alone the rank is that of another kind.

    Raises:
        UserError: there is none.
    """
    for modality in (IMAGES, VECTORS, WAVES):
        if modality.rank == len(shape):
            return modality
    raise UserError(f"Examples of shape {shape} are of no kind that is known here: give images, vectors or waves.")


def modality_of(dtype: object, rank: int) -> Modality:
    """The kind of examples of that type and rank (of one example).

    Raises:
        UserError: there is none.
    """
    for modality in MODALITIES:
        if (modality.dtype, modality.rank) == (str(dtype), rank):
            return modality
    *others, last = (modality.layout for modality in MODALITIES)
    raise UserError(
        f"Examples of type {dtype} and rank {rank} are of no kind that is known here: give {', '.join(others)} or "
        f"{last}."
    )
