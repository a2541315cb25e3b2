"""The training steps of `gvlab_gans` in PyTorch; the forms are those of `torch_tasks`.

What an update needs no gradient of is computed without one, and Adam is the fused one: the fastest that eager PyTorch
has. The generator's update reads the spectral norms of the discriminator and moves no singular vector on, as ours does.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
import torch_networks
from torch import nn
from torch_tasks import DEVICE, as_placed, callables, count, in_turn, over, placed, versions
from worker import Task, coloured, threads

__all__ = ["TASKS", "make", "versions"]

BATCH = 16


class Gan(NamedTuple):
    """One of the games, by what it is made of."""

    networks: Callable[[], tuple[nn.Module, nn.Module]]
    latent_dim: int
    d_loss: Callable
    """(real logits, fake logits) -> the loss of each pair"""
    g_loss: Callable
    adams: tuple[dict, dict]
    """The generator's numbers and the discriminator's."""
    penalties: Callable = lambda t: (0.0, 0.0)
    """Number of the step -> the factors of ||grad D||^2 at real examples and at generated ones."""
    paired: bool = False
    """Whether the generator's loss looks at real examples, which are a batch of its own."""


GANS = {
    "sngan": Gan(
        torch_networks.sngan,
        128,
        lambda r, f: F.relu(1 - r) + F.relu(1 + f),
        lambda r, f: -f,
        ({"lr": 2e-4, "betas": (0.0, 0.9)},) * 2,
    ),
    "r3gan": Gan(
        torch_networks.r3gan,
        64,
        lambda r, f: F.softplus(f - r),
        lambda r, f: F.softplus(r - f),
        ({"lr": 2e-4, "betas": (0.0, 0.99)},) * 2,
        lambda t: (0.05 / 2, 0.05 / 2),
        paired=True,
    ),
    "stylegan2": Gan(
        torch_networks.stylegan2,
        512,
        lambda r, f: F.softplus(-r) + F.softplus(f),
        lambda r, f: F.softplus(-f),
        ({"lr": 2.5e-3, "betas": (0.0, 0.99)}, {"lr": 2.5e-3 * 16 / 17, "betas": (0.0, 0.99 ** (16 / 17))}),
        lambda t: (16 * 0.01 / 2 if t % 16 == 0 else 0.0, 0.0),
    ),
}


class Game:
    """Both players, and their updates."""

    def __init__(self, form: str, gan: Gan):
        self.gan = gan
        self.generator, self.discriminator = placed(form, gan.networks())
        self.g_params, self.d_params = list(self.generator.parameters()), list(self.discriminator.parameters())
        params = (self.g_params, self.d_params)
        self.g_adam, self.d_adam = (
            torch.optim.Adam(of, **numbers, fused=True) for of, numbers in zip(params, gan.adams, strict=True)
        )
        buffers = [buffer for buffer in self.generator.buffers() if buffer.is_floating_point()]
        self.averaged = self.g_params + buffers
        self.average = [tensor.detach().clone() for tensor in self.averaged]
        self.generate, self.judge = callables(form, self.generator, self.discriminator)

    def latents(self) -> torch.Tensor:
        return torch.randn(BATCH, self.gan.latent_dim, device=DEVICE)

    def update_discriminator(self, real: torch.Tensor, t: int) -> torch.Tensor:
        with torch.no_grad():
            fake = self.generate(self.latents())
        on_real, on_fake = self.gan.penalties(t)
        real, fake = real.detach().requires_grad_(on_real > 0), fake.requires_grad_(on_fake > 0)
        self.discriminator.train()
        r, f = self.judge(real), self.judge(fake)
        loss = self.gan.d_loss(r, f).mean()
        total = loss
        for weight, logits, x in ((on_real, r, real), (on_fake, f, fake)):
            if weight:
                (slopes,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
                total = total + weight * slopes.square().sum((1, 2, 3)).mean()
        self.d_adam.zero_grad()
        total.backward(inputs=self.d_params)
        self.d_adam.step()
        return loss

    def update_generator(self, real: torch.Tensor | None) -> torch.Tensor:
        self.discriminator.eval()
        r = None
        if real is not None:
            with torch.no_grad():
                r = self.judge(real)
        loss = self.gan.g_loss(r, self.judge(self.generate(self.latents()))).mean()
        self.g_adam.zero_grad()
        loss.backward(inputs=self.g_params)
        self.g_adam.step()
        return loss

    def step(self, images: torch.Tensor, t: int) -> torch.Tensor:
        batches = images.split(BATCH)
        d_loss = self.update_discriminator(batches[0], t)
        g_loss = self.update_generator(batches[1] if self.gan.paired else None)
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.averaged, 1 - min(0.999, (1 + t) / (10 + t)))
        return torch.stack([d_loss, g_loss]).detach()


def gan(form: str, gan: Gan, pixels: np.ndarray) -> Task:
    images = torch.from_numpy(coloured(pixels[:6400])).to(DEVICE).movedim(-1, 1)
    images = as_placed(form, images / 127.5 - 1)
    game, steps_done = Game(form, gan), itertools.count()
    counts = {"generator": count(game.generator), "discriminator": count(game.discriminator)}
    batches = in_turn(images, BATCH * (1 + gan.paired))
    return Task(counts, over(lambda x: game.step(x, next(steps_done)), batches))


TASKS = tuple(GANS)


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    return gan(form, GANS[benchmark], pixels)
