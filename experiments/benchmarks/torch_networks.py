"""The networks of SNGAN, R3GAN and StyleGAN2 for 32x32 images in PyTorch, layer for layer as gvlab has them.

SNGAN is mimicry's with pixels repeated; R3GAN that of its own code; StyleGAN2 that of the code of StyleGAN2-ADA, but
for its CUDA kernels: its filter is one depthwise convolution, strided where the published reference would throw away
or multiply zeros.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

LEAK = 0.2
FILTER = torch.outer(torch.tensor([1.0, 3.0, 3.0, 1.0]), torch.tensor([1.0, 3.0, 3.0, 1.0])) / 64


def depthwise(x: torch.Tensor) -> torch.Tensor:
    """The filter for each channel of x, [channels, 1, 4, 4]."""
    return FILTER.to(x).expand(x.shape[1], 1, 4, 4)


def upsample(x: torch.Tensor) -> torch.Tensor:
    return F.conv_transpose2d(x, 4 * depthwise(x), stride=2, padding=1, groups=x.shape[1])


def downsample(x: torch.Tensor) -> torch.Tensor:
    return F.conv2d(x, depthwise(x), stride=2, padding=1, groups=x.shape[1])


def filtered(x: torch.Tensor, padding: int, gain: float = 1.0) -> torch.Tensor:
    return F.conv2d(x, gain * depthwise(x), padding=padding, groups=x.shape[1])


# --- SNGAN ----------------------------------------------------------------------------------------------------------


class UpBlock(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.n1, self.n2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        self.c1, self.c2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.skip = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        h = self.c1(F.interpolate(F.relu(self.n1(x)), scale_factor=2))
        # The skip commutes with the doubling, and costs a quarter before it.
        return self.c2(F.relu(self.n2(h))) + F.interpolate(self.skip(x), scale_factor=2)


class SNGANGenerator(nn.Module):
    def __init__(self, channels: int = 256, latent: int = 128):
        super().__init__()
        self.first = nn.Linear(latent, 16 * channels)
        self.blocks = nn.Sequential(*(UpBlock(channels) for _ in range(3)))
        self.norm, self.image = nn.BatchNorm2d(channels), nn.Conv2d(channels, 3, 3, padding=1)

    def forward(self, z):
        x = self.blocks(self.first(z).unflatten(1, (-1, 4, 4)))
        return torch.tanh(self.image(F.relu(self.norm(x))))


class DownBlock(nn.Module):
    """A block of the discriminator; the first one has no ReLU before the image."""

    def __init__(self, channels: int, features: int, halves: bool, first: bool = False):
        super().__init__()
        self.halves, self.first = halves, first
        hidden = features if first else channels
        self.c1, self.c2 = nn.Conv2d(channels, hidden, 3, padding=1), nn.Conv2d(hidden, features, 3, padding=1)
        self.skip = nn.Conv2d(channels, features, 1) if halves else nn.Identity()

    def forward(self, x):
        h = self.c2(F.relu(self.c1(x if self.first else F.relu(x))))
        if self.halves:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + self.skip(x)


class SNGANDiscriminator(nn.Module):
    def __init__(self, channels: int = 128):
        super().__init__()
        self.blocks = nn.Sequential(
            DownBlock(3, channels, True, first=True),
            DownBlock(channels, channels, True),
            *(DownBlock(channels, channels, False) for _ in range(2)),
        )
        self.logit = nn.Linear(channels, 1)

    def forward(self, x):
        return self.logit(F.relu(self.blocks(x)).sum((2, 3)))[:, 0]


def sngan() -> tuple[nn.Module, nn.Module]:
    generator, discriminator = SNGANGenerator(), SNGANDiscriminator()
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                inside = isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.out_channels > 3
                nn.init.xavier_uniform_(module.weight, math.sqrt(2) if inside else 1.0)
                nn.init.zeros_(module.bias)
                if network is discriminator:
                    nn.utils.spectral_norm(module)
    return generator, discriminator


# --- R3GAN ----------------------------------------------------------------------------------------------------------


class BiasedActivation(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        return F.leaky_relu(x + self.bias[None, :, None, None], LEAK)


def convolution(channels: int, features: int, size: int, groups: int = 1, gain: float = 1.0) -> nn.Conv2d:
    layer = nn.Conv2d(channels, features, size, padding=size // 2, groups=groups, bias=False)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(size**2 * channels / groups))
    return layer


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, groups: int, blocks: int):
        super().__init__()
        inner, gain = 2 * channels, math.sqrt(2 / (1 + LEAK**2)) * blocks**-0.25
        self.layers = nn.Sequential(
            convolution(channels, inner, 1, gain=gain),
            BiasedActivation(inner),
            convolution(inner, inner, 3, groups, gain),
            BiasedActivation(inner),
            convolution(inner, channels, 1, gain=0.0),
        )

    def forward(self, x):
        return x + self.layers(x)


def r3gan_stages(channels: int, groups: int, blocks: int) -> nn.ModuleList:
    count = 4 * blocks
    stage = [[ResidualBlock(channels, groups, count) for _ in range(blocks)] for _ in range(4)]
    return nn.ModuleList(nn.Sequential(*of_stage) for of_stage in stage)


class R3GANGenerator(nn.Module):
    def __init__(self, channels: int, groups: int, blocks: int, latent: int):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(channels, 4, 4))
        self.weights = nn.Linear(latent, channels, bias=False)
        nn.init.normal_(self.weights.weight, 0, 1 / math.sqrt(latent))
        self.stages, self.image = r3gan_stages(channels, groups, blocks), convolution(channels, 3, 1)

    def forward(self, z):
        x = self.basis * self.weights(z)[:, :, None, None]
        for number, stage in enumerate(self.stages):
            x = stage(upsample(x) if number else x)
        return self.image(x)


class R3GANDiscriminator(nn.Module):
    def __init__(self, channels: int, groups: int, blocks: int):
        super().__init__()
        self.extraction, self.stages = convolution(3, channels, 1), r3gan_stages(channels, groups, blocks)
        self.basis = nn.Conv2d(channels, channels, 4, groups=channels, bias=False)
        nn.init.normal_(self.basis.weight, 0, 1 / 4)
        self.logit = nn.Linear(channels, 1, bias=False)
        nn.init.normal_(self.logit.weight, 0, 1 / math.sqrt(channels))

    def forward(self, x):
        x = self.extraction(x)
        for number, stage in enumerate(self.stages):
            x = stage(downsample(x) if number else x)
        return self.logit(self.basis(x).flatten(1))[:, 0]


def r3gan() -> tuple[nn.Module, nn.Module]:
    return R3GANGenerator(192, 24, 2, 64), R3GANDiscriminator(192, 24, 2)


# --- StyleGAN2 ------------------------------------------------------------------------------------------------------


def leaky(x: torch.Tensor) -> torch.Tensor:
    return F.leaky_relu(x, LEAK) * math.sqrt(2)


class EqualizedLinear(nn.Module):
    def __init__(self, units: int, features: int, multiplier: float = 1.0, bias: float = 0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, units) / multiplier)
        self.bias, self.multiplier = nn.Parameter(torch.full((features,), bias)), multiplier
        self.gain = multiplier / math.sqrt(units)

    def forward(self, x):
        return F.linear(x, self.weight * self.gain, self.bias * self.multiplier)


class EqualizedConv(nn.Module):
    """A convolution and its activation, behind the filter and with a stride of 2 if it halves."""

    def __init__(self, channels: int, features: int, size: int = 3, halves: bool = False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, channels, size, size))
        self.bias, self.halves = nn.Parameter(torch.zeros(features)), halves
        self.gain = 1 / math.sqrt(channels * size**2)

    def forward(self, x):
        weight = self.weight * self.gain
        if self.halves:
            return leaky(F.conv2d(filtered(x, 2), weight, self.bias, stride=2))
        return leaky(F.conv2d(x, weight, self.bias, padding=self.weight.shape[-1] // 2))


class SynthesisLayer(nn.Module):
    """Channels scaled by styles, features demodulated behind the convolution: the published form in training."""

    def __init__(self, channels: int, features: int, side: int, units: int, doubles: bool):
        super().__init__()
        self.affine = EqualizedLinear(units, channels, bias=1.0)
        self.weight, self.bias = (
            nn.Parameter(torch.randn(features, channels, 3, 3)),
            nn.Parameter(torch.zeros(features)),
        )
        self.strength, self.side, self.doubles = nn.Parameter(torch.zeros([])), side, doubles

    def forward(self, x, w):
        styles = self.affine(w)
        demodulation = (styles.square() @ self.weight.square().sum((2, 3)).T + 1e-8).rsqrt()
        x = x * styles[:, :, None, None]
        if self.doubles:
            x = filtered(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2), 1, gain=4.0)
        else:
            x = F.conv2d(x, self.weight, padding=1)
        noise = torch.randn(len(x), 1, self.side, self.side, device=x.device) * self.strength
        x = torch.addcmul(noise, x, demodulation[:, :, None, None])
        return leaky(x + self.bias[None, :, None, None])


class ToRGB(nn.Module):
    def __init__(self, channels: int, units: int):
        super().__init__()
        self.affine, self.gain = EqualizedLinear(units, channels, bias=1.0), 1 / math.sqrt(channels)
        self.weight, self.bias = nn.Parameter(torch.randn(3, channels, 1, 1)), nn.Parameter(torch.zeros(3))

    def forward(self, x, w):
        return F.conv2d(x * (self.affine(w) * self.gain)[:, :, None, None], self.weight, self.bias)


class StyleGAN2Generator(nn.Module):
    def __init__(self, channels: int, latent: int, layers: int = 2):
        super().__init__()
        widths = [latent] + layers * [channels]
        self.mapping = nn.ModuleList(EqualizedLinear(a, b, 0.01) for a, b in itertools.pairwise(widths))
        self.constant = nn.Parameter(torch.randn(channels, 4, 4))
        sides = (4, 8, 8, 16, 16, 32, 32)
        self.layers = nn.ModuleList(
            SynthesisLayer(channels, channels, side, channels, number % 2 == 1) for number, side in enumerate(sides)
        )
        self.to_rgb = nn.ModuleList(ToRGB(channels, channels) for _ in range(4))

    def forward(self, z):
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = leaky(layer(w))
        x, image = self.constant.expand(len(z), -1, -1, -1), None
        for number, layer in enumerate(self.layers):
            x = layer(x, w)
            if number % 2 == 0:
                own = self.to_rgb[number // 2](x, w)
                image = own if image is None else upsample(image) + own
        return image


class StyleGAN2Discriminator(nn.Module):
    """Of the architecture `orig`, with the deviation of the whole batch, which is smaller than the published group."""

    def __init__(self, channels: int):
        super().__init__()
        pairs = [[EqualizedConv(channels, channels), EqualizedConv(channels, channels, halves=True)] for _ in range(3)]
        self.stages = nn.Sequential(EqualizedConv(3, channels, 1), *(layer for pair in pairs for layer in pair))
        self.conv, self.dense = EqualizedConv(channels + 1, channels), EqualizedLinear(16 * channels, channels)
        self.out = EqualizedLinear(channels, 1)

    def forward(self, x):
        x = self.stages(x)
        deviation = (x.var(0, correction=0) + 1e-8).sqrt().mean().expand(len(x), 1, *x.shape[2:])
        x = self.conv(torch.cat([x, deviation], 1))
        return self.out(leaky(self.dense(x.flatten(1))))[:, 0]


def stylegan2() -> tuple[nn.Module, nn.Module]:
    return StyleGAN2Generator(128, 512), StyleGAN2Discriminator(128)
