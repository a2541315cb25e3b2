"""A second stage, as an experiment states it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gvlab.config import own
from gvlab.config.densities import Density
from gvlab.config.likelihoods import Gaussian, LearnedGaussian, SharedGaussian
from gvlab.config.networks import MLP, ReluMLP
from gvlab.config.plain import settle
from gvlab.config.vae import VAE
from gvlab.errors import UserError

if TYPE_CHECKING:
    from gvlab.config.experiment import Experiment


@dataclass(frozen=True)
class First:
    """What a first stage was when a second was put on it; the command that trains the second writes it down."""

    state_sha256: str
    """Of what was trained, as states.jsonl of its run has it."""
    step: int
    dataset_sha256: str
    config: str = field(compare=False)
    """Its config.json, which a later version of gvlab may write with more fields; the hashes say which run it is."""


@dataclass(frozen=True)
class SecondStage:
    """A model of what the encoder of a trained model makes of its data: VAEs' latents, or codes."""

    second: Density | VAE = Density()
    """Of the latents; a VAE of vectors with a normal likelihood makes a two-stage VAE (Dai & Wipf 2019)."""
    on: str = field(default="", compare=False)
    """The run directory of the first stage, `.../seed-<k>`; `--on RUN` sets it. Wherever it lies, it is known by what
    is in it (`first`)."""
    first: First | None = None
    """What is found there when training begins."""

    def __post_init__(self) -> None:
        settle(self)
        for name, part in own.parts(self.second):
            raise UserError(
                f"SecondStage.second.{name} is of the class {type(part).__name__}, but a second stage is made of "
                "gvlab's own parts: use one of those."
            )
        if not isinstance(self.second, VAE):
            return
        if not isinstance(self.second.likelihood, Gaussian | LearnedGaussian | SharedGaussian):
            raise UserError(
                f"SecondStage.second.likelihood is {type(self.second.likelihood).__name__}, but latents are vectors of "
                "real numbers: use SharedGaussian, Gaussian or LearnedGaussian."
            )
        if not isinstance(self.second.network, MLP | ReluMLP):
            raise UserError(
                f"SecondStage.second.network is {type(self.second.network).__name__}, but latents are vectors: use MLP "
                "or ReluMLP."
            )
        if self.second.conditional:
            raise UserError(
                "SecondStage.second.conditional is True, but the classes are for the first stage alone: use False."
            )

    @property
    def first_experiment(self) -> Experiment | None:
        """What the first stage was trained by; None before it is known."""
        return None if self.first is None else _experiment(self.first.config)

    @property
    def likelihood(self) -> Any:
        """The first's, which the nats are of."""
        return getattr(self._of_first, "likelihood", None)

    @property
    def conditional(self) -> bool:
        """Whether the first is given the classes."""
        return bool(getattr(self._of_first, "conditional", False))

    @property
    def batches(self) -> int:
        """Batches of examples that a train step takes."""
        return self.second.batches if isinstance(self.second, VAE) else 1

    @property
    def _of_first(self) -> Any:
        return None if self.first_experiment is None else self.first_experiment.model

    def check_batch(self, size: int) -> None:
        """As of a VAE."""
        if isinstance(self.second, VAE):
            self.second.check_batch(size)


@functools.lru_cache(maxsize=64)
def _experiment(text: str) -> Experiment:
    from gvlab.config.experiment import from_json

    return from_json(text)
