"""What is taken from images, and how they are restored, as the command line states it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from gvlab.config.checks import check_not_negative, check_positive, check_size
from gvlab.config.plain import settle
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.restoration.operators import Operator, Shape


@dataclass(frozen=True)
class Mask:
    """A share of the pixels is seen, drawn at random."""

    share: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        settle(self)
        if not 0 < self.share <= 1:
            raise UserError(f"Mask.share is {self.share}, but must be above 0 and at most 1.")

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.random_mask(shape, self.share, self.seed)


@dataclass(frozen=True)
class Block:
    """A square in the middle is hidden."""

    size: int = 8
    """Pixels of a side."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Block", size=self.size)

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.block(shape, self.size)


@dataclass(frozen=True)
class Half:
    """The lower half is hidden."""

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.half(shape)


@dataclass(frozen=True)
class Downsample:
    """Means over squares are seen."""

    factor: int = 2
    """Pixels of a square's side."""

    def __post_init__(self) -> None:
        settle(self)

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.downsample(shape, self.factor)


@dataclass(frozen=True)
class Blur:
    """Seen through a Gaussian."""

    sigma: float = 1.0
    """Its standard deviation, in pixels."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Blur", sigma=self.sigma)

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.blur(shape, self.sigma)


@dataclass(frozen=True)
class Grey:
    """The luminance of colours is seen."""

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.grey(shape)


@dataclass(frozen=True)
class Noise:
    """All is seen, under noise."""

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.identity(shape)


@dataclass(frozen=True)
class Projection:
    """Random projections of the image are measured (Bora et al. 2017)."""

    measurements: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        settle(self)

    def operator(self, shape: Shape) -> Operator:
        from gvlab.restoration import operators

        return operators.projection(shape, self.measurements, self.seed)


AnyOperator: TypeAlias = Mask | Block | Half | Downsample | Blur | Grey | Noise | Projection


@dataclass(frozen=True)
class Optimise:
    """The latents of the least squared error, with a weight on their length (Bora et al. 2017)."""

    restarts: int = 10
    """For each image, of which the one of the least objective counts."""
    steps: int = 1_000
    """Of Adam."""
    rate: float = 0.01
    """Of Adam."""
    weight: float = 0.1
    """Of the latents' squared length, beside the squared error's sum over the measurements."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Optimise", restarts=self.restarts, steps=self.steps)
        check_positive("Optimise", rate=self.rate)
        check_not_negative("Optimise", weight=self.weight)


@dataclass(frozen=True)
class MAP:
    """The latents' most probable values given the measurements: Optimise, weighed by the noise's variance."""

    restarts: int = 10
    steps: int = 1_000
    rate: float = 0.01

    def __post_init__(self) -> None:
        settle(self)
        check_size("MAP", restarts=self.restarts, steps=self.steps)
        check_positive("MAP", rate=self.rate)


@dataclass(frozen=True)
class Posterior:
    """Draws from the posterior given the measurements, by Hamiltonian chains; the image is their mean."""

    chains: int = 4
    warmup: int = 500
    """Transitions of each chain that are thrown away."""
    draws: int = 250
    """Of each chain."""
    thinning: int = 2
    """Transitions between two draws."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Posterior", chains=self.chains, warmup=self.warmup, thinning=self.thinning)
        if self.draws < 4:
            raise UserError(f"Posterior.draws is {self.draws}, but its diagnostics need at least 4.")


@dataclass(frozen=True)
class Encoder:
    """The reconstruction of the simple baseline's image, by a VAE."""


@dataclass(frozen=True)
class FineTune:
    """Optimise, then the generator's weights and the latents together, for each image (Hussein et al. 2020)."""

    restarts: int = 10
    steps: int = 1_000
    rate: float = 0.01
    """Of Adam on the latents, before and then."""
    weight: float = 0.1
    """Of the latents' squared length before; then there is none."""
    tuning_steps: int = 200
    """Of Adam on weights and latents, which hold it back from restoring the noise, too."""
    tuning_rate: float = 1e-4
    """Of Adam on the weights."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("FineTune", restarts=self.restarts, steps=self.steps, tuning_steps=self.tuning_steps)
        check_positive("FineTune", rate=self.rate, tuning_rate=self.tuning_rate)
        check_not_negative("FineTune", weight=self.weight)

    @property
    def first(self) -> Optimise:
        """What it begins with."""
        return Optimise(self.restarts, self.steps, self.rate, self.weight)


AnyMethod: TypeAlias = Optimise | MAP | Posterior | Encoder | FineTune

LEAST_NOISE, MOST_NOISE = 1e-4, 100.0
"""Of measurements of images in [0, 1]: beyond these squared errors over it are no numbers of float32."""
