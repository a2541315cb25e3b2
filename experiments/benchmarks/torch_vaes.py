"""The training steps of `gvlab_vaes` in PyTorch; the forms are those of `torch_tasks`.

Where a published package has the model, it is that package's. Adam is the fused one.
"""

import importlib.metadata
import itertools
import math

import numpy as np
import torch
import torch.nn.functional as F
import torch_tasks
import torch_vae_networks
import torch_vdvae
from torch import nn
from torch_tasks import DEVICE, as_placed, count, in_turn, over, placed
from worker import MASKED, NOISE, Task, coloured, enlarged, levels, threads

__all__ = ["TASKS", "make", "versions"]

PACKAGES = ("pythae", "vector-quantize-pytorch")


def versions() -> dict[str, str]:
    return torch_tasks.versions() | {name: importlib.metadata.version(name) for name in PACKAGES}


def iwae(form: str, pixels: np.ndarray) -> Task:
    """pythae's loss is the weighted mean of the log-weights: it has the bound's gradient, and not its value."""
    from pythae.models import IWAE, IWAEConfig

    return of_pythae(IWAE(IWAEConfig(**OF_MNIST, number_samples=50)), ("encoder", "decoder"), pixels)


def vamp(form: str, pixels: np.ndarray) -> Task:
    from pythae.models import VAMP, VAMPConfig

    model = VAMP(VAMPConfig(**OF_MNIST, number_components=500))
    return of_pythae(model, ("encoder", "decoder", "pseudo_inputs"), pixels)


OF_MNIST = {"input_dim": (1, 28, 28), "latent_dim": 16, "reconstruction_loss": "bce"}


def of_pythae(model: nn.Module, networks: tuple[str, ...], pixels: np.ndarray) -> Task:
    """One of pythae's models with its default networks."""
    model.to(DEVICE).train()
    adam = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step(x: torch.Tensor) -> torch.Tensor:
        output = model({"data": x})
        adam.zero_grad()
        output.loss.backward()
        adam.step()
        return -(output.recon_loss + output.reg_loss).detach()[None]  # the ELBO

    counts = {name: count(getattr(model, name)) for name in networks}
    assert sum(counts.values()) == count(model)
    images = torch.from_numpy(pixels[:6400] > 127).to(DEVICE).movedim(-1, 1).float()
    return Task(counts, over(step, in_turn(images, 64)))


def vqvae(form: str, pixels: np.ndarray) -> Task:
    """The quantiser of vector-quantize-pytorch, with the straight-through gradient and a codebook of averages."""
    from vector_quantize_pytorch import VectorQuantize

    encoder, decoder = placed(form, torch_vae_networks.codes())
    quantizer = VectorQuantize(
        64, 512, decay=0.99, commitment_weight=0.125, accept_image_fmap=True, rotation_trick=False
    )
    book = quantizer._codebook
    nn.init.uniform_(book.embed, -math.sqrt(3 / 64), math.sqrt(3 / 64))  # as ours starts, each as if chosen once
    book.embed_avg.copy_(book.embed)
    book.cluster_size.fill_(1.0)
    quantizer.to(DEVICE).train()
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 3e-4, fused=True)
    images = as_placed(form, torch.from_numpy(coloured(pixels[:6400])).to(DEVICE).movedim(-1, 1) / 255)

    def step(x: torch.Tensor) -> torch.Tensor:
        codes, _, commitment = quantizer(encoder(x - 0.5))
        error = (decoder(codes) - x).square().mean() / VARIANCE
        loss = 0.5 * (error + math.log(2 * math.pi * VARIANCE)) + commitment.sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.detach()[None]

    assert count(quantizer) == 0
    return Task({"encoder": count(encoder), "decoder": count(decoder)}, over(step, in_turn(images, 32)))


VARIANCE = 0.0633


def sentence_vae(form: str, tokens: np.ndarray) -> Task:
    """A symbol counts up to the first end, but for the last of a row, which is an end for certain."""
    sentences = torch.from_numpy(tokens[:6400]).long().to(DEVICE)
    encoder, decoder = placed(form, torch_vae_networks.sentence_coders(levels(tokens)))
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 2e-3, fused=True)
    steps_done = itertools.count(1)

    def step(x: torch.Tensor) -> torch.Tensor:
        mean, logvar = encoder(x)
        z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
        shown = torch.where((torch.rand(x.shape, device=DEVICE) < 0.3) & (x != END), UNKNOWN, x)
        counted = F.pad(x[:, :-2] != END, (1, 1), value=True)
        counted[:, -1] = False
        targets = torch.where(counted, x, IGNORED)
        error = F.cross_entropy(
            decoder(z, shown).flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        kl = 0.5 * (mean**2 + torch.expm1(logvar) - logvar).sum()
        adam.zero_grad()
        ((error + min(1.0, next(steps_done) / 2000) * kl) / len(x)).backward()
        adam.step()
        return -(error + kl).detach()[None] / len(x)  # the ELBO

    return Task({"encoder": count(encoder), "decoder": count(decoder)}, over(step, in_turn(sentences, 64)))


END, UNKNOWN, IGNORED = 0, 1, -100


def vdvae(form: str, pixels: np.ndarray) -> Task:
    (network,) = placed(form, (torch_vdvae.VDVAE(),))
    images = as_placed(form, torch.from_numpy(pixels[:6400] > 127).to(DEVICE).movedim(-1, 1).float())
    return Task({"network": count(network)}, over(torch_vdvae.Training(network).step, in_turn(images, 64)))


def restore(form: str, digits: np.ndarray) -> Task:
    """One image after the other, its restarts as a batch; only latents have a gradient."""
    (decoder,) = placed(form, (torch_vae_networks.article_decoder(form == "torch channels_last"),))
    decoder.requires_grad_(False)
    true = torch.from_numpy(digits[:100]).to(DEVICE).movedim(-1, 1) / 255
    kept = np.random.default_rng(0).uniform(size=digits.shape[1:3]) < MASKED
    mask = torch.from_numpy(kept).to(true)
    measured = mask * (true + NOISE * torch.randn_like(true))

    def objective(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        made = torch.sigmoid(decoder(z)).clamp(0, 1)
        return (mask * made - y).square().sum((1, 2, 3)) + 0.1 * z.square().sum(1)

    def search(y: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(the best image, its objective)."""
        z = torch.randn(10, 16, device=DEVICE, requires_grad=True)
        adam = torch.optim.Adam([z], 0.01, fused=True)
        for _ in range(steps):
            adam.zero_grad()
            objective(z, y).sum().backward()
            adam.step()
        with torch.no_grad():
            values = objective(z, y)
            best = values.argmin()
            return torch.sigmoid(decoder(z[best][None])), values[best]

    def run(steps: int) -> np.ndarray:
        found = [search(y, steps) for y in measured]
        return np.full((steps, 1), torch.stack([value for _, value in found]).mean().item())

    return Task({"decoder": count(decoder)}, run)


def factor_vae(form: str, pixels: np.ndarray) -> Task:
    """Algorithm 2 of Kim & Mnih 2018, on the networks of its appendix A."""
    last = form == "torch channels_last"
    encoder, decoder, critic = placed(form, torch_vae_networks.factor_coders(last))
    params, judged = [*encoder.parameters(), *decoder.parameters()], list(critic.parameters())
    adam = torch.optim.Adam(params, 1e-4, fused=True)
    critics_adam = torch.optim.Adam(judged, 1e-4, betas=(0.5, 0.9), fused=True)
    images = as_placed(form, torch.from_numpy(enlarged(pixels[:6400]) > 127).to(DEVICE).movedim(-1, 1).float())

    def draw(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(latents, the KL of each example)."""
        mean, logvar = encoder(x)
        kl = 0.5 * (mean**2 + torch.expm1(logvar) - logvar).sum(1)
        return mean + torch.exp(0.5 * logvar) * torch.randn_like(mean), kl

    def update_autoencoder(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        z, kl = draw(x)
        error = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="none").sum((1, 2, 3))
        negative_elbo = (error + kl).mean()
        adam.zero_grad()
        (negative_elbo + GAMMA * critic(z).mean()).backward(inputs=params)
        adam.step()
        return z.detach(), -negative_elbo

    def update_critic(z: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            other, _ = draw(x)
            order = torch.rand(other.shape, device=DEVICE).argsort(0)  # another of each latent
            permuted = other.gather(0, order)
        loss = (F.softplus(-critic(z)) + F.softplus(critic(permuted))).mean() / 2
        critics_adam.zero_grad()
        loss.backward()
        critics_adam.step()
        return loss

    def step(x: torch.Tensor) -> torch.Tensor:
        first, second = x.split(64)
        z, elbo = update_autoencoder(first)
        return torch.stack([elbo, update_critic(z, second)]).detach()

    counts = {"encoder": count(encoder), "decoder": count(decoder), "critic": count(critic)}
    return Task(counts, over(step, in_turn(images, 2 * 64)))


GAMMA = 6.4


TASKS = {
    "iwae": iwae,
    "vamp": vamp,
    "vqvae": vqvae,
    "sentence_vae": sentence_vae,
    "vdvae": vdvae,
    "restore": restore,
    "factor_vae": factor_vae,
}


def make(benchmark: str, form: str, examples: np.ndarray) -> Task:
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    return TASKS[benchmark](form, examples)
