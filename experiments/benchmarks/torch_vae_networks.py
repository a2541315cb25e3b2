"""The networks of `gvlab_vaes` in PyTorch, layer for layer as gvlab has them, where no package has them."""

import math

import torch.nn.functional as F
from torch import nn


def as_flax(network: nn.Module) -> nn.Module:
    """The network with Flax's first weights: LeCun's, normal and cut off at two deviations, and biases of 0."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[:, 0] if isinstance(module, nn.ConvTranspose2d) else module.weight[0]
            deviation = 1 / math.sqrt(inputs.numel()) / 0.87962566
            nn.init.trunc_normal_(module.weight, std=deviation, a=-2 * deviation, b=2 * deviation)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


# --- VQ-VAE ---------------------------------------------------------------------------------------------------------


class ResidualBlocks(nn.Module):
    """h + 1x1(ReLU(3x3(ReLU(h)))), twice, and a last ReLU."""

    def __init__(self, width: int = 128, inner: int = 32):
        super().__init__()
        self.inside = nn.ModuleList(nn.Conv2d(width, inner, 3, padding=1) for _ in range(2))
        self.outside = nn.ModuleList(nn.Conv2d(inner, width, 1) for _ in range(2))

    def forward(self, h):
        for inside, outside in zip(self.inside, self.outside, strict=True):
            h = h + outside(F.relu(inside(F.relu(h))))
        return F.relu(h)


def codes() -> tuple[nn.Module, nn.Module]:
    """Those of Sonnet's example."""
    encoder = nn.Sequential(
        nn.Conv2d(3, 64, 4, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 4, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(128, 128, 3, padding=1),
        ResidualBlocks(),
        nn.Conv2d(128, 64, 1),
    )
    decoder = nn.Sequential(
        nn.Conv2d(64, 128, 3, padding=1),
        ResidualBlocks(),
        nn.ConvTranspose2d(128, 64, 4, 2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 3, 4, 2, padding=1),
    )
    return as_flax(encoder), as_flax(decoder)
