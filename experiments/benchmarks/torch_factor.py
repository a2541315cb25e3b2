"""FactorVAE in PyTorch: algorithm 2 of Kim & Mnih 2018, on the networks of its appendix A."""

import numpy as np
import torch
import torch.nn.functional as F
import torch_vae_networks
from torch_tasks import DEVICE, as_placed, count, in_turn, over, placed
from worker import Task, enlarged

BATCH, GAMMA = 64, 6.4


def factor_vae(form: str, pixels: np.ndarray) -> Task:
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
        first, second = x.split(BATCH)
        z, elbo = update_autoencoder(first)
        return torch.stack([elbo, update_critic(z, second)]).detach()

    counts = {"encoder": count(encoder), "decoder": count(decoder), "critic": count(critic)}
    return Task(counts, over(step, in_turn(images, 2 * BATCH)))
