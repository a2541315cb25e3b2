"""What is taken from images, and how they are restored, as the command line states it."""

from __future__ import annotations

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from gvlab.config.checks import check_not_negative, check_positive, check_size
from gvlab.config.fields import field_types
from gvlab.config.plain import plain, settle
from gvlab.errors import UserError
from gvlab.spelling import nearest

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


PREFIX = "restore:"
"""Of a measure that is a restoration: restore:block10."""
USUAL_NOISE = 0.1
"""Standard deviation of the measurements' noise, of images in [0, 1], where nobody says another."""
COMPARED = MAP(restarts=2, steps=100, rate=0.1)
"""How a restoration as a measure is made: on digits the objective moves by less than 2 % in another hundred steps."""


class Restoration(NamedTuple):
    """A restoration as a measure."""

    name: str
    """As its numbers are called: block10."""
    what: AnyOperator
    noise: float


def is_restoration(measure: str) -> bool:
    """Whether the name of a measure is that of a restoration."""
    return measure.startswith(PREFIX)


def restoration(measure: str) -> Restoration:
    """The restoration that a measure names: `restore:` and an operator with its number, restore:mask0.5; of `noise` the
    number is its standard deviation.

    Raises:
        UserError: there is no such operator, or the number is none for it.
    """
    kinds = {kind.__name__.lower(): kind for kind in typing.get_args(AnyOperator)}
    found = re.fullmatch(r"(?P<operator>[a-z]+)(?P<number>\d+(\.\d+)?)?", measure.removeprefix(PREFIX))
    kind = kinds.get(found["operator"]) if found else None
    if found is None or kind is None:
        known = [PREFIX + name for name in EXAMPLES]
        raise UserError(
            f"There is no measure {measure!r}: choose one like {', '.join(known)}{nearest(measure, known)}."
        )
    text = found["number"]
    number = None if text is None else float(text) if "." in text else int(text)
    name = found["operator"] if number is None else f"{found['operator']}{number:g}"
    if kind is Noise:
        return Restoration(name, Noise(), USUAL_NOISE if number is None else _checked_noise(measure, float(number)))
    if number is None:
        return Restoration(name, kind(), USUAL_NOISE)
    if not dataclasses.fields(kind):
        raise UserError(f"The measure {measure} has a number, but {found['operator']} has none: leave it out.")
    field = dataclasses.fields(kind)[0].name
    return Restoration(name, kind(plain(field_types(kind)[field], number, f"{kind.__name__}.{field}")), USUAL_NOISE)


EXAMPLES = ("mask0.5", "block10", "half", "downsample2", "blur1", "grey", "noise0.5", "projection50")
LEAST_NOISE, MOST_NOISE = 1e-4, 100.0
"""Of measurements of images in [0, 1]: beyond these squared errors over it are no numbers of float32."""


def _checked_noise(measure: str, noise: float) -> float:
    if not LEAST_NOISE <= noise <= MOST_NOISE:
        raise UserError(f"The noise of {measure} is {noise:g}, but must be from {LEAST_NOISE} to {MOST_NOISE:g}.")
    return noise
