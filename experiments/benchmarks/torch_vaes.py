"""The training steps of `gvlab_vaes` in PyTorch; the forms are those of `torch_tasks`.

Where a published package has the model, it is that package's. Adam is the fused one.
"""

import importlib.metadata

import numpy as np
import torch
import torch_tasks
from torch import nn
from torch_tasks import DEVICE, count, in_turn, over
from worker import Task, threads

__all__ = ["TASKS", "make", "versions"]

PACKAGES = ("pythae",)


def versions() -> dict[str, str]:
    return torch_tasks.versions() | {name: importlib.metadata.version(name) for name in PACKAGES}


def iwae(form: str, images: torch.Tensor) -> Task:
    """pythae's loss is the weighted mean of the log-weights: it has the bound's gradient, and not its value."""
    from pythae.models import IWAE, IWAEConfig

    return of_pythae(IWAE(IWAEConfig(**OF_MNIST, number_samples=50)), ("encoder", "decoder"), images)


def vamp(form: str, images: torch.Tensor) -> Task:
    from pythae.models import VAMP, VAMPConfig

    model = VAMP(VAMPConfig(**OF_MNIST, number_components=500))
    return of_pythae(model, ("encoder", "decoder", "pseudo_inputs"), images)


OF_MNIST = {"input_dim": (1, 28, 28), "latent_dim": 16, "reconstruction_loss": "bce"}


def of_pythae(model: nn.Module, networks: tuple[str, ...], images: torch.Tensor) -> Task:
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
    return Task(counts, over(step, in_turn((images[:6400] > 127).float(), 64)))


TASKS = {"iwae": iwae, "vamp": vamp}


def make(benchmark: str, form: str, pixels: np.ndarray) -> Task:
    torch.set_num_threads(threads())
    torch.manual_seed(0)
    return TASKS[benchmark](form, torch.from_numpy(pixels).to(DEVICE).movedim(-1, 1))
