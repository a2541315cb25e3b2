"""A model of sounds by pictures of them, as an experiment states it."""

from __future__ import annotations

from dataclasses import dataclass

from gvlab.config import own
from gvlab.config.checks import check_size
from gvlab.config.gan import GAN
from gvlab.config.likelihoods import Gaussian, LearnedGaussian, SharedGaussian
from gvlab.config.plain import settle
from gvlab.config.vae import VAE
from gvlab.errors import UserError


@dataclass(frozen=True)
class Spectrograms:
    """A model of images, on pictures of sounds: logarithms of spectra, [samples / hop, n_fft / 2, 1], each frequency in
    standard deviations of the training set; a third of them for a GAN, cut to [-1, 1], as in SpecGAN (Donahue et al.
    2019). What it makes is heard by Griffin and Lim's search for phases."""

    pictured: GAN | VAE = GAN()
    """What is trained on the pictures. A GAN of DCGAN networks makes it SpecGAN."""
    n_fft: int = 128
    """Samples of a frame."""
    hop: int = 32
    """Samples from one frame to the next, a divisor of those of a sound."""
    rounds: int = 60
    """Of the search for phases, by momentum; published are 16 without."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Spectrograms", n_fft=self.n_fft, hop=self.hop, rounds=self.rounds)
        if self.n_fft % 2 or self.hop > self.n_fft:
            raise UserError(
                f"Spectrograms has n_fft = {self.n_fft} and hop = {self.hop}, but frames want an even number of "
                "samples, and no gaps between them: choose an even n_fft, and a hop of at most as much."
            )
        for name, part in own.parts(self.pictured):
            raise UserError(
                f"Spectrograms.pictured.{name} is of the class {type(part).__name__}, but pictures of sounds are seen "
                "by gvlab's own parts: use one of those."
            )
        normal = Gaussian | LearnedGaussian | SharedGaussian
        if isinstance(self.pictured, VAE) and not isinstance(self.pictured.likelihood, normal):
            raise UserError(
                f"Spectrograms.pictured.likelihood is {type(self.pictured.likelihood).__name__}, but spectra are real "
                "numbers without bounds: use Gaussian, LearnedGaussian or SharedGaussian."
            )

    @property
    def conditional(self) -> bool:
        """Whether the model of pictures is given the classes."""
        return self.pictured.conditional

    @property
    def discriminator_steps(self) -> int:
        """Batches of real examples that one train step counts as seen."""
        return self.pictured.discriminator_steps if isinstance(self.pictured, GAN) else 1
