"""Feature extractors: frozen functions of examples, on whose outputs the distances of `gvlab.metrics` are measured.

An extractor takes examples *as they are stored* (images as uint8), so that generated images are measured with 8 bits
too, as they would be from a folder of files. It brings the names of its measures: only Inception's published weights
make a FID.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.audio import log_bands
from gvlab.extractors import weights
from gvlab.extractors.classifiers import LeNet5, ResNet20, SpectrumConv, SpectrumMLP
from gvlab.extractors.inception import (
    INCEPTION_SHA256,
    InceptionV3,
    load_inception,
    preprocess_clean_fid,
    preprocess_fid,
    preprocess_pytorch_fid,
)
from gvlab.types import UserError

SHIPPED = Path(__file__).with_name("shipped")

SMALL: dict[str, Callable[[], nn.Module]] = {
    "digits": LeNet5,
    "mnist": LeNet5,
    "fashion_mnist": LeNet5,
    "cifar10": ResNet20,
    "vowels": SpectrumMLP,
    "spoken_digit": SpectrumConv,
}
"""The classifiers that gvlab trained itself, by the data set they were trained on."""

INCEPTION = {
    "inception": (preprocess_fid, ""),
    "inception-pytorch": (preprocess_pytorch_fid, "_pytorch"),
    "inception-clean": (preprocess_clean_fid, "_clean"),
}
"""The published network with the preprocessing of the FID's authors, of pytorch-fid and of clean-fid."""


class Extracted(NamedTuple):
    """What an extractor sees in a batch."""

    features: Float[Array, "n d"]
    logits: Float[Array, "n classes"] | None = None
    """Of a classifier, as its Inception score wants them; None where the extractor is none."""


@dataclass(frozen=True, eq=False)
class Extractor:
    """A frozen function of examples."""

    name: str
    """Names the features in a stamp and, for all but Inception, in the measure: `mnist-1914800a`."""
    apply: Callable[[Array], Extracted]
    """uint8 images [n, height, width, channel], or float32 points [n, d] -> `Extracted`."""
    sha256: str | None = None
    """Of the network's parameters; None for a function without any."""
    preprocessing: str = "none"
    names: Mapping[str, str] = field(default_factory=dict)
    """Names of measures that are not `MEASURE_NAME`: {"frechet": "fid"}."""

    def measure(self, kind: str) -> str:
        """The name of a measure of this kind on these features."""
        return self.names.get(kind, f"{kind}_{self.name}")


@functools.cache
def pixels() -> Extractor:
    """The images themselves, in [0, 1] and flattened.

    Raises:
        UserError: `apply` refuses anything but images.
    """

    @jax.jit
    def apply(x: Array) -> Extracted:
        if x.ndim != 4 or x.dtype != jnp.uint8:
            raise UserError(f"The features pixels are of images, not of {_described(x)}: choose another --features.")
        return Extracted(x.reshape(len(x), -1).astype(jnp.float32) / 255)

    return Extractor("pixels", apply, preprocessing="x / 255")


@functools.cache
def coordinates() -> Extractor:
    """Points as they are.

    Raises:
        UserError: `apply` refuses anything but points.
    """

    @jax.jit
    def apply(x: Array) -> Extracted:
        if x.ndim != 2:
            raise UserError(
                f"The features coordinates are of points, not of {_described(x)}: choose another --features."
            )
        return Extracted(x)

    return Extractor("coordinates", apply)


@functools.cache
def spectrum() -> Extractor:
    """Sounds as the logarithms of their power in 32 equal bands of frequencies, frame by frame.

    Frames have 256 samples and begin every 128. The rate of the samples plays no part.

    Raises:
        UserError: `apply` refuses anything but sounds of at least 128 samples.
    """

    @jax.jit
    def apply(x: Array) -> Extracted:
        if x.ndim != 3 or x.dtype != jnp.int16 or x.shape[1] < 128:
            raise UserError(f"The features spectrum are of sounds, not of {_described(x)}: choose another --features.")
        return Extracted(log_bands(x.mean(-1, dtype=jnp.float32) / 32768).reshape(len(x), -1))

    about = "ln max(power, 1e-6) of 32 bands, Hann frames of 256 samples every 128, channels averaged, x / 32768"
    return Extractor("spectrum", apply, preprocessing=about)


def from_function(name: str, function: Callable[[Array], Float[Array, "n d"]], version: str) -> Extractor:
    """Any function of uint8 images [n, height, width, channel] to features [n, d].

    Args:
        name: stands in every number.
        function: of a whole batch.
        version: what tells it from other functions of that name: numbers of two versions are never compared.
    """
    return Extractor(name, lambda x: Extracted(function(x)), preprocessing=f"the function's own, version {version}")


@functools.cache
def small(name: str) -> Extractor:
    """The classifier that gvlab trained on a data set, from the file it comes with.

    Raises:
        UserError: there is none of that name, or its file is damaged; `apply` refuses another number of channels.
    """
    file = SHIPPED / f"{name}.safetensors"
    if not has_small(name):
        shipped = ", ".join(known for known in SMALL if has_small(known))
        raise UserError(f"There is no extractor of the data set {name!r}: choose one of {shipped}.")
    variables, about = weights.read_safetensors(file)
    network = SMALL[name]()
    channels = 3 if name == "cifar10" else 1
    samples = getattr(network, "samples", 0)  # of sounds; 0: they are images
    full, checked = (32768, _of_samples) if samples else (255, _of_channels)
    fingerprint = weights.fingerprint(variables)
    label = f"{name}-{fingerprint[:8]}"
    resized = ", resized to 32x32 by bilinear interpolation between pixel centres" if SMALL[name] is LeNet5 else ""
    apply = jax.jit(
        lambda variables, x: Extracted(*network.apply(variables, x.astype(jnp.float32) / full, train=False))
    )
    return Extractor(
        label,
        checked(label, samples or channels, functools.partial(apply, variables)),
        sha256=fingerprint,
        preprocessing=f"x / {full}{resized}; classifier of test accuracy {about['test_accuracy']}",
        names={"frechet": f"fld_{label}", "kernel": f"kld_{label}"},
    )


def has_small(name: str, shape: tuple[int, ...] | None = None) -> bool:
    """Whether gvlab comes with a classifier of that data set; one of sounds is of sounds as long as its own."""
    if name not in SMALL or not (SHIPPED / f"{name}.safetensors").is_file():
        return False
    samples = getattr(SMALL[name](), "samples", 0)
    return shape is None or not samples or shape[0] == samples


@functools.cache
def inception(name: str = "inception", path: Path | None = None) -> Extractor:
    """The published Inception network; of its features, and of no others, gvlab says FID, KID and Inception score.

    Args:
        name: a key of `INCEPTION`, which differ in the preprocessing.
        path: of the weights; see `load_inception`.

    Raises:
        UserError: as `load_inception`; `apply` refuses images that are neither grey nor RGB.
    """
    preprocess, suffix = INCEPTION[name]
    return inception_of(name, load_inception(path), INCEPTION_SHA256, preprocess, suffix)


def inception_of(
    name: str, params: weights.Params, sha256: str, preprocess: Callable[[Array], Array], suffix: str
) -> Extractor:
    """`inception` with given parameters."""
    network = InceptionV3()

    @jax.jit
    def apply(params: Any, x: Array) -> Extracted:
        found: Any = network.apply({"params": params}, preprocess(jnp.repeat(x, 3 // x.shape[-1], axis=-1)))
        return Extracted(found.pool3, found.logits_unbiased)

    kinds = {
        "frechet": "fid",
        "frechet_infinity": "fid_infinity",
        "kernel": "kid",
        "class_score": "inception_score",
    }
    return Extractor(
        name,
        _of_channels(name, (1, 3), functools.partial(apply, params)),
        sha256=sha256,
        preprocessing=preprocess.__name__,
        names={kind: known + suffix for kind, known in kinds.items()},
    )


def _of_samples(name: str, samples: int, apply: Callable[[Array], Extracted]) -> Callable:
    def checked(x: Array) -> Extracted:
        if x.ndim != 3 or x.shape[1:] != (samples, 1) or x.dtype != jnp.int16:
            raise UserError(
                f"The extractor {name} takes int16 sounds of {samples} samples and one channel, not {_described(x)}: "
                "choose another --features."
            )
        return apply(x)

    return checked


def _of_channels(name: str, channels: int | tuple[int, ...], apply: Callable[[Array], Extracted]) -> Callable:
    allowed = (channels,) if isinstance(channels, int) else channels

    def checked(x: Array) -> Extracted:
        if x.ndim != 4 or x.shape[-1] not in allowed or x.dtype != jnp.uint8:
            wanted = " or ".join(map(str, allowed))
            raise UserError(
                f"The extractor {name} takes uint8 images of {wanted} channel(s), not {_described(x)}: choose another "
                "--features."
            )
        return apply(x)

    return checked


def _described(x: Array) -> str:
    return f"{x.dtype}{list(x.shape)}"
