"""The small VDVAE of `experiments/mnist_vdvae.py` in PyTorch, after the structure of the published code (Child 2021).

Reference: openai/vdvae ea35b490, whose names of layers are kept.
"""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

ENCODER = ((28, 1), (28, 1), (28, 2), (14, 1), (14, 1), (14, 2), (7, 1), (7, 1), (7, 7), (1, 1))
"""(pixels a side, by how much the maps shrink behind the block): 28x2,28d2,14x2,14d2,7x2,7d7,1x1."""
DECODER = ((1, 0), (7, 1), (7, 0), (7, 0), (14, 7), (14, 0), (14, 0), (28, 14))
"""(pixels a side, of which side the maps are that are enlarged into it): 1x1,7m1,7x2,14m7,14x2,28m14."""
WIDTH, HIDDEN, LATENTS = 32, 8, 8


class Block(nn.Module):
    def __init__(self, channels: int, features: int, spatial: bool, residual: bool = False, gain: float = 1.0):
        super().__init__()
        size = 3 if spatial else 1
        self.c1 = nn.Conv2d(channels, HIDDEN, 1)
        self.c2 = nn.Conv2d(HIDDEN, HIDDEN, size, padding=size // 2)
        self.c3 = nn.Conv2d(HIDDEN, HIDDEN, size, padding=size // 2)
        self.c4, self.residual = nn.Conv2d(HIDDEN, features, 1), residual
        with torch.no_grad():
            self.c4.weight *= gain

    def forward(self, x):
        h = self.c1(F.gelu(x))
        h = self.c2(F.gelu(h))
        h = self.c3(F.gelu(h))
        h = self.c4(F.gelu(h))
        return x + h if self.residual else h


class DecBlock(nn.Module):
    def __init__(self, spatial: bool, gain: float):
        super().__init__()
        self.enc = Block(2 * WIDTH, 2 * LATENTS, spatial)
        self.prior = Block(WIDTH, 2 * LATENTS + WIDTH, spatial, gain=0.0)
        self.z_proj = nn.Conv2d(LATENTS, WIDTH, 1)
        self.resnet = Block(WIDTH, WIDTH, spatial, residual=True, gain=gain)
        with torch.no_grad():
            self.z_proj.weight *= gain

    def forward(self, x, seen):
        """(x, the KL of each example)."""
        mean, log_deviation = self.enc(torch.cat([x, seen], 1)).chunk(2, 1)
        p_mean, p_log_deviation, added = self.prior(x).split((LATENTS, LATENTS, WIDTH), 1)
        z = mean + torch.exp(log_deviation) * torch.randn_like(mean)
        kl = p_log_deviation - log_deviation - 0.5
        kl = kl + 0.5 * (torch.exp(2 * log_deviation) + (mean - p_mean) ** 2) * torch.exp(-2 * p_log_deviation)
        return self.resnet(x + added + self.z_proj(z)), kl.sum((1, 2, 3))


class VDVAE(nn.Module):
    """For a Bernoulli likelihood of 28x28 pixels."""

    def __init__(self):
        super().__init__()
        self.in_conv = nn.Conv2d(1, WIDTH, 3, padding=1)
        gain = math.sqrt(1 / len(ENCODER))
        self.enc_blocks = nn.ModuleList(Block(WIDTH, WIDTH, side > 2, True, gain) for side, _ in ENCODER)
        self.dec_blocks = nn.ModuleList(DecBlock(side > 2, math.sqrt(1 / len(DECODER))) for side, _ in DECODER)
        sides = sorted({side for side, _ in DECODER})
        self.bias_xs = nn.ParameterDict({str(side): torch.zeros(1, WIDTH, side, side) for side in sides})
        self.gain, self.bias = nn.Parameter(torch.ones(1, WIDTH, 1, 1)), nn.Parameter(torch.zeros(1, WIDTH, 1, 1))
        self.out_conv = nn.Conv2d(WIDTH, 1, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)

    def forward(self, x):
        """(logits, the KL of each example)."""
        h = self.in_conv((x - 0.5) / 0.25)
        seen = {}
        for (side, rate), block in zip(ENCODER, self.enc_blocks, strict=True):
            h = block(h)
            h = F.avg_pool2d(h, rate) if rate > 1 else h
            seen[side // rate] = h
        maps = {int(side): bias.expand(len(x), -1, -1, -1) for side, bias in self.bias_xs.items()}
        kl = 0.0
        for (side, source), block in zip(DECODER, self.dec_blocks, strict=True):
            h = maps[side]
            if source:
                h = h + F.interpolate(maps[source], scale_factor=side // source)
            maps[side], of_layer = block(h, seen[side])
            kl = kl + of_layer
        return self.out_conv(maps[DECODER[-1][0]] * self.gain + self.bias), kl


class Training:
    """AdamW with a warm-up, gradients clipped at 200 nats and left out from 1e4 on, and the average of the weights."""

    def __init__(self, network: VDVAE):
        self.network, self.params = network, list(network.parameters())
        self.average = [param.detach().clone() for param in self.params]
        self.adam = torch.optim.AdamW(self.params, 1e-3, betas=(0.9, 0.9), weight_decay=0.01, fused=True)
        self.done = itertools.count()

    def step(self, x: torch.Tensor) -> torch.Tensor:
        t = next(self.done)
        logits, kl = self.network(x)
        loss = (F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3)) + kl).mean()
        self.adam.zero_grad()
        loss.backward()
        self.adam.param_groups[0]["lr"] = 1e-3 * min(1.0, t / 100)
        if nn.utils.clip_grad_norm_(self.params, 200.0) < 1e4:
            self.adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.params, 1 - min(0.999, (1 + t) / (10 + t)))
        return -loss.detach()[None]  # the ELBO
