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
        import numpy as np

        from gvlab.restoration import operators

        return operators.mask(shape, np.random.default_rng(self.seed).uniform(size=shape[:2]) < self.share)


@dataclass(frozen=True)
class Block:
    """A square in the middle is hidden."""

    size: int = 8
    """Pixels of a side."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Block", size=self.size)

    def operator(self, shape: Shape) -> Operator:
        import numpy as np

        from gvlab.restoration import operators

        kept = np.ones(shape[:2], bool)
        top, left = (max(0, (side - self.size) // 2) for side in shape[:2])
        kept[top : top + self.size, left : left + self.size] = False
        if not kept.any():
            raise UserError(
                f"Block.size is {self.size}, which hides images of {shape[0]}x{shape[1]} pixels whole: use less."
            )
        return operators.mask(shape, kept)


@dataclass(frozen=True)
class Half:
    """The lower half is hidden."""

    def operator(self, shape: Shape) -> Operator:
        import numpy as np

        from gvlab.restoration import operators

        return operators.mask(shape, np.repeat(np.arange(shape[0])[:, None] < shape[0] // 2, shape[1], axis=1))


@dataclass(frozen=True)
class Downsample:
    """Means over squares are seen."""

    factor: int = 2
    """Pixels of a square's side."""

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


AnyMethod: TypeAlias = Optimise | MAP | Posterior | Encoder
