"""Encoder and decoder of waves with codes between them: strided convolutions along time and residual units.

Reference: van den Oord et al., "Neural Discrete Representation Learning", 2017, section 4.2, whose encoder has six
convolutions of stride 2; residual units with ELU between the strides are those of Zeghidour et al., "SoundStream: An
End-to-End Neural Audio Codec", 2021, figure 3, without dilation.
"""

import flax.linen as nn
from jaxtyping import Array, Float

from gvlab.networks.layers import append_label
from gvlab.networks.waves import Conv1D, Conv1DTranspose


class CodeWaveEncoder(nn.Module):
    """A convolution of 7 taps; before each stride s a residual unit, and a convolution of 2 s taps; and one of 3 taps.

    Attributes:
        features: of each code.
        width: channels of the layers nearest the wave; every stride doubles them.
        strides: by how much each layer shortens the wave, from the wave on.
    """

    features: int
    width: int = 16
    strides: tuple[int, ...] = (4, 4, 4)

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch samples channel"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch positions features"]:
        """The network is the same in training and out of it."""
        h = Conv1D(self.width, taps=7)(append_label(x, y))
        for layer, stride in enumerate(self.strides, start=1):
            h = nn.elu(ResidualUnit()(h))
            h = Conv1D(self.width * 2**layer, stride, taps=2 * stride)(h)
        return Conv1D(self.features, taps=3)(nn.elu(h))


class CodeWaveDecoder(nn.Module):
    """The mirror image of `CodeWaveEncoder`.

    Attributes:
        shape: of one example, (samples, channels).
        parameters: of each sample, as the likelihood wants them.
        width, strides: as of `CodeWaveEncoder`.
    """

    shape: tuple[int, ...]
    parameters: int = 1
    width: int = 16
    strides: tuple[int, ...] = (4, 4, 4)

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "batch positions features"],
        y: Float[Array, "batch classes"] | None = None,
        *,
        train: bool,
    ) -> Float[Array, "batch samples raw"]:
        """[batch, samples, channels * parameters]. The network is the same in training and out of it."""
        layers = len(self.strides)
        h = Conv1D(self.width * 2**layers, taps=7)(append_label(z, y))
        for layer, stride in zip(range(layers - 1, -1, -1), self.strides[::-1], strict=True):
            h = ResidualUnit()(Conv1DTranspose(self.width * 2**layer, stride, taps=2 * stride)(nn.elu(h)))
        return Conv1D(self.shape[-1] * self.parameters, taps=7)(nn.elu(h))


class ResidualUnit(nn.Module):
    """h + 1(ELU(3(ELU(h)))), the numbers being taps; half the channels in between."""

    @nn.compact
    def __call__(self, h: Float[Array, "batch samples channel"]) -> Float[Array, "batch samples channel"]:
        channels = h.shape[-1]
        inner = Conv1D(max(1, channels // 2), taps=3)(nn.elu(h))
        return h + Conv1D(channels, taps=1)(nn.elu(inner))
