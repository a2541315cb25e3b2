"""A GAN, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from gvlab.config.checks import check_fraction, check_size
from gvlab.config.contests import AnyContest, NonSaturating
from gvlab.config.networks import DCGAN, MLP, R3GAN, Article, MaxoutMLP, TwoMLPs
from gvlab.config.optimizers import Adam, AnyOptimizer
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnNetworks
from gvlab.config.residual_networks import SAGAN, SNGAN, BigGAN, BigGANDeep
from gvlab.config.terms import AnyTerm, check_given_once
from gvlab.errors import UserError

AnyNetworks: TypeAlias = (
    DCGAN | Article | MLP | TwoMLPs | MaxoutMLP | R3GAN | SNGAN | SAGAN | BigGAN | BigGANDeep | OwnNetworks
)


@dataclass(frozen=True)
class GAN:
    """A generative adversarial network (Goodfellow et al. 2014)."""

    network: AnyNetworks = DCGAN()
    latent_dim: int = 100
    contest: AnyContest = NonSaturating()
    update: Literal["alternating", "simultaneous"] = "alternating"
    """alternating: `discriminator_steps` updates of the discriminator, then one of the generator against the new one.
    simultaneous: both from the same generated batch, which costs one generator pass less."""
    discriminator_steps: int = 1
    ema_decay: float = 0.999
    """Decay per step of the generator's average, which `sample` uses; 0 switches the average off."""
    conditional: bool = False
    """Give the class label to both networks (Mirza & Osindero 2014)."""
    generator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    discriminator_optimizer: AnyOptimizer = Adam(learning_rate=2e-4, b1=0.5)
    discriminator_terms: tuple[AnyTerm, ...] = ()
    """What is added to the discriminator's loss: a sum of terms, each of them once."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("GAN", latent_dim=self.latent_dim, discriminator_steps=self.discriminator_steps)
        check_fraction("GAN", ema_decay=self.ema_decay)
        check_given_once("GAN.discriminator_terms", self.discriminator_terms)
        if self.update == "simultaneous" and self.discriminator_steps != 1:
            raise UserError(
                f"GAN.discriminator_steps is {self.discriminator_steps}, but simultaneous updates take exactly 1: "
                "use update='alternating'."
            )
