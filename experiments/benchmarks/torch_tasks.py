"""The benchmarks in PyTorch. The forms:

- `torch`: eager;
- `torch channels_last`: eager, images and kernels with the channels last in memory;
- `torch compile`: every network through `torch.compile`.

Adam is the fused one, and the moving average takes one `_foreach` call: the fastest that eager PyTorch has.
"""

import itertools
from collections.abc import Callable

import numpy as np
import torch
import torch._functorch.config
import torch.nn.functional as F
from torch import nn
from worker import Task, threads

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


# --- the networks ---------------------------------------------------------------------------------------------------


class ToImages(nn.Module):
    """Vectors as images [batch, channels, side, side]; with `last`, the channels are the last in memory."""

    def __init__(self, channels: int, side: int, last: bool):
        super().__init__()
        self.channels, self.side, self.last = channels, side, last

    def forward(self, x):
        if self.last:
            return x.unflatten(1, (self.side, self.side, self.channels)).movedim(3, 1)
        return x.unflatten(1, (self.channels, self.side, self.side))


class ToVectors(nn.Module):
    """Images as vectors, in the order in which they lie in memory."""

    def __init__(self, last: bool):
        super().__init__()
        self.last = last

    def forward(self, x):
        return (x.movedim(1, 3) if self.last else x).flatten(1)


def dcgan_networks(last: bool) -> tuple[nn.Module, nn.Module]:
    generator = nn.Sequential(
        nn.Linear(100, 7 * 7 * 128, bias=False),
        ToImages(128, 7, last),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 5, 2, padding=2, output_padding=1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 5, 2, padding=2, output_padding=1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, padding=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(64, 128, 5, 2, padding=2, bias=False),
        nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2),
        ToVectors(last),
        nn.Linear(7 * 7 * 128, 1),
    )
    for network in (generator, discriminator):
        for module in network.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, 0.0, 0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)
    return generator, discriminator


def tutorial_networks(last: bool) -> tuple[nn.Module, nn.Module]:
    norm = {"eps": 1e-3, "momentum": 0.01}
    generator = nn.Sequential(
        nn.Linear(100, 7 * 7 * 256, bias=False),
        nn.BatchNorm1d(7 * 7 * 256, **norm),
        nn.LeakyReLU(0.3),
        ToImages(256, 7, last),
        nn.ConvTranspose2d(256, 128, 5, 1, padding=2, bias=False),
        nn.BatchNorm2d(128, **norm),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(128, 64, 5, 2, padding=2, output_padding=1, bias=False),
        nn.BatchNorm2d(64, **norm),
        nn.LeakyReLU(0.3),
        nn.ConvTranspose2d(64, 1, 5, 2, padding=2, output_padding=1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, 64, 5, 2, padding=2),
        nn.LeakyReLU(0.3),
        nn.Conv2d(64, 128, 5, 2, padding=2),
        nn.LeakyReLU(0.3),
        ToVectors(last),
        nn.Linear(7 * 7 * 128, 1),
    )
    for network in (generator, discriminator):
        glorot(network)
    return generator, discriminator


def mlp_networks() -> tuple[nn.Module, nn.Module]:
    def layers(*widths: int) -> list[nn.Module]:
        return [part for pair in itertools.pairwise(widths) for part in (nn.Linear(*pair), nn.Tanh())]

    encoder = nn.Sequential(*layers(784, 200, 200), Heads(200, 50))
    decoder = nn.Sequential(*layers(50, 200, 200), nn.Linear(200, 784))
    for network in (encoder, decoder):
        glorot(network)
    return encoder, decoder


def guide_networks(last: bool) -> tuple[nn.Module, nn.Module]:
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 3, 2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, 2, padding=1),
        nn.ReLU(),
        ToVectors(last),
        nn.Linear(7 * 7 * 64, 16),
        nn.ReLU(),
        Heads(16, 2),
    )
    decoder = nn.Sequential(
        nn.Linear(2, 7 * 7 * 64),
        nn.ReLU(),
        ToImages(64, 7, last),
        nn.ConvTranspose2d(64, 64, 3, 2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 3, 2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 3, 1, padding=1),
    )
    for network in (encoder, decoder):
        glorot(network)
    return encoder, decoder


class Heads(nn.Module):
    """The mean and the log-variance."""

    def __init__(self, features: int, latent: int):
        super().__init__()
        self.mean, self.logvar = nn.Linear(features, latent), nn.Linear(features, latent)

    def forward(self, x):
        return self.mean(x), self.logvar(x)


def glorot(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


# --- the benchmarks -------------------------------------------------------------------------------------------------


def gan(form: str, images: torch.Tensor, networks: Callable) -> Task:
    """Simultaneous updates sharing one generator pass, and the average of the generator and its statistics."""
    generator, discriminator = placed(form, networks(form == "torch channels_last"))
    g_params, d_params = list(generator.parameters()), list(discriminator.parameters())
    g_adam = torch.optim.Adam(g_params, 2e-4, betas=(0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(d_params, 2e-4, betas=(0.5, 0.999), fused=True)
    averaged = g_params + [buffer for buffer in generator.buffers() if buffer.is_floating_point()]
    average = [tensor.detach().clone() for tensor in averaged]
    images = as_placed(form, images[:6400] / 127.5 - 1)
    generate, discriminate = callables(form, generator, discriminator)
    steps_done = itertools.count()

    def step(x: torch.Tensor) -> torch.Tensor:
        t = next(steps_done)
        fake = generate(torch.randn(len(x), 100, device=DEVICE))
        real_logits, fake_logits = discriminate(x)[:, 0], discriminate(fake)[:, 0]
        d_loss = (F.softplus(-real_logits) + F.softplus(fake_logits)).mean()
        g_loss = F.softplus(-fake_logits).mean()
        # `inputs`: each player's gradients only. (`torch.autograd.grad` may give a gradient other strides than its
        # parameter has, which the fused Adam silently takes in the wrong order.)
        d_adam.zero_grad()
        g_adam.zero_grad()
        d_loss.backward(inputs=d_params, retain_graph=True)
        g_loss.backward(inputs=g_params)
        d_adam.step()
        g_adam.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, averaged, 1 - min(0.999, (1 + t) / (10 + t)))
        return torch.stack([d_loss, g_loss]).detach()

    counts = {"generator": count(generator), "discriminator": count(discriminator)}
    return Task(counts, over(step, in_turn(images, 64)))


def vae(form: str, networks: tuple[nn.Module, nn.Module], batches: Callable, eps: float) -> Task:
    """The ELBO with its analytic KL and one sample of the latent."""
    encoder, decoder = placed(form, networks)
    params = [*encoder.parameters(), *decoder.parameters()]
    adam = torch.optim.Adam(params, 1e-3, eps=eps, fused=True)
    encode, decode = callables(form, encoder, decoder)

    def step(x: torch.Tensor) -> torch.Tensor:
        mean, logvar = encode(x)
        raw = decode(mean + torch.exp(0.5 * logvar) * torch.randn_like(mean))
        reconstruction = -F.binary_cross_entropy_with_logits(raw, x, reduction="none").flatten(1).sum(1)
        kl = 0.5 * (mean**2 + torch.expm1(logvar) - logvar).sum(1)
        loss = (kl - reconstruction).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()[None]

    return Task({"encoder": count(encoder), "decoder": count(decoder)}, over(step, batches))


def vae_mlp(form: str, images: torch.Tensor) -> Task:
    """Whole epochs in random order; a batch is scaled and binarised when it is drawn."""
    flat = images.flatten(1)

    def batches():
        while True:
            order = torch.randperm(len(flat), device=DEVICE)
            for index in order[: len(flat) // 100 * 100].split(100):
                yield torch.bernoulli(flat[index].float() / 255)

    return vae(form, mlp_networks(), batches, eps=1e-4)


def vae_conv(form: str, images: torch.Tensor) -> Task:
    images = as_placed(form, (images[:6400] > 127).float())
    return vae(form, guide_networks(form == "torch channels_last"), in_turn(images, 128), eps=1e-8)


TASKS = {
    "dcgan": lambda form, images: gan(form, images, dcgan_networks),
    "dcgan_tutorial": lambda form, images: gan(form, images, tutorial_networks),
    "vae_mlp": vae_mlp,
    "vae_conv": vae_conv,
}


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    return TASKS[benchmark](form, torch.from_numpy(pixels).to(DEVICE).movedim(-1, 1))


def placed(form: str, networks: tuple[nn.Module, ...]) -> tuple[nn.Module, ...]:
    memory_format = torch.channels_last if form == "torch channels_last" else torch.contiguous_format
    return tuple(network.to(DEVICE, memory_format=memory_format) for network in networks)


def as_placed(form: str, images: torch.Tensor) -> torch.Tensor:
    last = form == "torch channels_last"
    return images.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


def callables(form: str, *networks: nn.Module) -> list[Callable]:
    # The GAN's step goes backward through the discriminator twice, so no buffer may be given away at the first.
    torch._functorch.config.donated_buffer = False
    return [torch.compile(network) if form == "torch compile" else network for network in networks]


def count(network: nn.Module) -> int:
    return sum(param.numel() for param in network.parameters())


def in_turn(images: torch.Tensor, size: int) -> Callable:
    """Batches of consecutive images; drawing them is no part of the benchmark."""
    return lambda: itertools.cycle(images.split(size))


def over(step: Callable, batches: Callable) -> Callable[[int], np.ndarray]:
    drawn = batches()
    return lambda steps: torch.stack([step(x) for x in itertools.islice(drawn, steps)]).cpu().numpy()
