"""Networks and the likelihood of sentences, as an experiment states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import MOST_LAYERS, check_positive, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn

    from gvlab.models import Observation


@dataclass(frozen=True)
class SentenceGRU:
    """Gated recurrent units that read sentences, and write them (Cho et al. 2014; Bowman et al. 2016)."""

    width: int = 128
    """Units."""
    embedding: int = 64
    """Features of a symbol."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("SentenceGRU", width=self.width, embedding=self.embedding)

    def language(self, length: int, levels: int) -> nn.Module:
        from gvlab import networks

        return networks.GRUDecoder(levels, self.width, self.embedding)

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from gvlab import networks

        return (
            networks.GRUEncoder(latent_dim, parameters, self.width, self.embedding),
            networks.GRUDecoder(parameters, self.width, self.embedding),
        )


@dataclass(frozen=True)
class SentenceTransformer:
    """Attention that reads sentences as a whole, and writes them from front to end (Radford et al. 2019)."""

    width: int = 64
    """Features of a position."""
    blocks: int = 2
    """Of each of the two networks."""
    heads: int = 4
    """Of the attention, which share the width equally."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("SentenceTransformer", width=self.width, blocks=self.blocks, heads=self.heads)
        if self.blocks > MOST_LAYERS:
            raise UserError(
                f"SentenceTransformer.blocks is {self.blocks}, but at most {MOST_LAYERS} layers can be compiled."
            )
        if self.width % self.heads:
            raise UserError(
                f"SentenceTransformer.width is {self.width}, which {self.heads} heads cannot share equally: use a "
                "multiple."
            )

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None
    ) -> tuple[nn.Module, ...]:
        from gvlab import networks

        return (
            networks.TransformerEncoder(latent_dim, parameters, self.width, self.blocks, self.heads),
            networks.TransformerDecoder(parameters, shape[0], self.width, self.blocks, self.heads),
        )


@dataclass(frozen=True)
class Softmax:
    """The generator gives the probabilities of each symbol (Gulrajani et al. 2017)."""

    def temperature_of(self) -> float | None:
        return None


@dataclass(frozen=True)
class GumbelDraw:
    """It gives a draw from them: Gumbel-softmax with one-hot rows forwards (Kusner & Hernández-Lobato 2016)."""

    temperature: float = 1.0
    """Of the relaxation, which gradients see."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("GumbelDraw", temperature=self.temperature)

    def temperature_of(self) -> float | None:
        return self.temperature


@dataclass(frozen=True)
class SentenceConvolutions:
    """A GAN's networks of sentences: residual convolutions that write all symbols at once (Gulrajani et al. 2017).

    Published with 128 latents, under Wasserstein with GradientPenalty(10), 10 updates of the discriminator a step, and
    Adam(1e-4, 0.5, 0.9).
    """

    width: int = 512
    """Channels."""
    blocks: int = 5
    """Residual blocks of each of the two networks."""
    outputs: Softmax | GumbelDraw = Softmax()
    """What the discriminator sees of a generated sentence."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("SentenceConvolutions", width=self.width, blocks=self.blocks)
        if self.blocks > MOST_LAYERS:
            raise UserError(
                f"SentenceConvolutions.blocks is {self.blocks}, but at most {MOST_LAYERS} layers can be compiled."
            )

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None) -> tuple[nn.Module, nn.Module]:
        """(generator, discriminator) of rows [length, levels]."""
        from gvlab import networks

        generator = networks.SentenceGenerator(shape, self.width, self.blocks, self.outputs.temperature_of())
        return generator, networks.SentenceDiscriminator(self.width, self.blocks)

    def noise(self, length: int, levels: int) -> int:
        """Numbers of the latent that a draw of the symbols takes, beside those that a sentence is made of."""
        return 0 if self.outputs.temperature_of() is None else length * levels


@dataclass(frozen=True)
class Sentences:
    """Each symbol of a sentence drawn from a softmax by the latents and the symbols before it, up to the end."""

    word_dropout: float = 0.0
    """Probability with which the decoder is shown a symbol as unknown in training, so that it needs the latents (Bowman
    et al. 2016)."""

    def __post_init__(self) -> None:
        settle(self)
        if not 0 <= self.word_dropout <= 1:
            raise UserError(f"Sentences.word_dropout is {self.word_dropout}, but is a probability from 0 to 1.")

    def observation(self, length: int, levels: int) -> Observation:
        from gvlab.models import observation

        return observation.sentences(levels, length, self.word_dropout)
