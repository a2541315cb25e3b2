"""The networks of `gvlab_vaes` in PyTorch, layer for layer as gvlab has them, where no package has them."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch_tasks import Heads, ToImages, ToVectors, glorot


def as_flax(network: nn.Module) -> nn.Module:
    """The network with Flax's first weights: LeCun's, normal and cut off at two deviations, and biases of 0; those of a
    recurrent product orthogonal for each gate."""
    for module in network.modules():
        match module:
            case nn.ConvTranspose2d():
                _lecun(module.weight, module.weight[:, 0].numel())
            case nn.Linear() | nn.Conv2d():
                _lecun(module.weight, module.weight[0].numel())
            case nn.Embedding():
                nn.init.normal_(module.weight, std=1 / math.sqrt(module.embedding_dim))
            case nn.GRU():
                _lecun(module.weight_ih_l0, module.input_size)
                for gate in module.weight_hh_l0.data.chunk(3):
                    nn.init.orthogonal_(gate)
        for name, parameter in module.named_parameters(recurse=False):
            if name.startswith("bias"):
                nn.init.zeros_(parameter)
    return network


def _lecun(weight: torch.Tensor, inputs: int) -> None:
    deviation = 1 / math.sqrt(inputs) / 0.87962566  # of the normal distribution before it is cut off
    nn.init.trunc_normal_(weight, std=deviation, a=-2 * deviation, b=2 * deviation)


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


# --- the sentence VAE -----------------------------------------------------------------------------------------------


class SentenceEncoder(nn.Module):
    """The state after a sentence's end, then the two heads."""

    def __init__(self, levels: int, width: int, embedding: int, latent: int):
        super().__init__()
        self.symbols, self.gru = nn.Embedding(levels, embedding), nn.GRU(embedding, width, batch_first=True)
        self.mean, self.logvar = nn.Linear(width, latent), nn.Linear(width, latent)

    def forward(self, x):
        states, _ = self.gru(self.symbols(x))
        last = (x != 0).sum(1).clamp(max=x.shape[1] - 1)
        h = states[torch.arange(len(x), device=x.device), last]
        return self.mean(h), self.logvar(h)


class SentenceDecoder(nn.Module):
    """The latents make the first state, and stand beside every symbol."""

    def __init__(self, levels: int, width: int, embedding: int, latent: int):
        super().__init__()
        self.symbols, self.first = nn.Embedding(levels, embedding), nn.Parameter(0.02 * torch.randn(embedding))
        self.start, self.out = nn.Linear(latent, width), nn.Linear(width, levels)
        self.gru = nn.GRU(embedding + latent, width, batch_first=True)

    def forward(self, z, x):
        before = torch.cat([self.first.expand(len(x), 1, -1), self.symbols(x[:, :-1])], 1)
        beside = z[:, None].expand(-1, x.shape[1], -1)
        states, _ = self.gru(torch.cat([before, beside], 2), torch.tanh(self.start(z))[None])
        return self.out(states)


def sentence_coders(levels: int) -> tuple[nn.Module, nn.Module]:
    sizes = {"width": 64, "embedding": 32, "latent": 16}
    return as_flax(SentenceEncoder(levels, **sizes)), as_flax(SentenceDecoder(levels, **sizes))


# --- the decoder of the digits' VAE ---------------------------------------------------------------------------------


def article_decoder(last: bool) -> nn.Module:
    decoder = nn.Sequential(
        nn.Linear(16, 128 * 4 * 4),
        nn.ReLU(),
        ToImages(128, 4, last),
        nn.ConvTranspose2d(128, 64, 5, 2, padding=2, output_padding=1, bias=False),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 5, 2, padding=2, output_padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(32, 1, 3, padding=1),
    )
    glorot(decoder)
    return decoder


# --- FactorVAE ------------------------------------------------------------------------------------------------------


def factor_coders(last: bool) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Encoder, decoder and critic of Kim & Mnih 2018, appendix A, the critic with one logit."""
    convolutions, transposed, layers = [], [], []
    for channels, features in itertools.pairwise((1, 32, 32, 64, 64)):
        convolutions += [nn.Conv2d(channels, features, 4, 2, padding=1), nn.ReLU()]
    for channels, features in itertools.pairwise((64, 64, 32, 32, 1)):
        transposed += [nn.ConvTranspose2d(channels, features, 4, 2, padding=1), nn.ReLU()]
    for units, features in itertools.pairwise((10, *6 * (1000,))):
        layers += [nn.Linear(units, features), nn.LeakyReLU(0.2)]
    encoder = nn.Sequential(*convolutions, ToVectors(last), nn.Linear(1024, 128), nn.ReLU(), Heads(128, 10))
    entry = (nn.Linear(10, 128), nn.ReLU(), nn.Linear(128, 1024), nn.ReLU(), ToImages(64, 4, last))
    decoder = nn.Sequential(*entry, *transposed[:-1])
    critic = nn.Sequential(*layers, nn.Linear(1000, 1))
    return as_flax(encoder), as_flax(decoder), as_flax(critic)
