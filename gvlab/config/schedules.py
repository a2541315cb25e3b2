"""How a learning rate changes: factors on it as functions of the train step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gvlab.config.checks import check_not_negative, check_size
from gvlab.config.fields import with_traced
from gvlab.config.inside import has_inside, inside
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnSchedule
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import optax
    from jax import Array


@dataclass(frozen=True)
class Constant:
    """The learning rate itself at every step."""

    def schedule(self) -> optax.Schedule:
        import optax

        return optax.constant_schedule(1.0)


@dataclass(frozen=True)
class Cosine:
    """From `begin` to `end` along half a cosine (Loshchilov & Hutter 2017), then `end`."""

    steps: int = 10_000
    """Train steps until the end is reached."""
    end: float = 0.0
    begin: float = 1.0

    def __post_init__(self) -> None:
        settle(self)
        check_size("Cosine", steps=self.steps)
        check_not_negative("Cosine", end=self.end, begin=self.begin)

    def schedule(self) -> optax.Schedule:
        import optax

        if self.begin == 1:
            return optax.cosine_decay_schedule(1.0, self.steps, alpha=self.end)
        left = optax.cosine_decay_schedule(1.0, self.steps)
        return lambda step: self.end + (self.begin - self.end) * left(step)


@dataclass(frozen=True)
class Linear:
    """From `begin` to `end` along a line, then `end`: a decay, or a warm-up."""

    steps: int = 10_000
    """Train steps until the end is reached."""
    begin: float = 1.0
    end: float = 0.0

    def __post_init__(self) -> None:
        settle(self)
        check_size("Linear", steps=self.steps)
        check_not_negative("Linear", begin=self.begin, end=self.end)

    def schedule(self) -> optax.Schedule:
        import optax

        return optax.linear_schedule(self.begin, self.end, self.steps)


@dataclass(frozen=True)
class Exponential:
    """From 1, times `rate` after every `steps` train steps, and never below `end`."""

    steps: int = 1_000
    """Train steps between two falls."""
    rate: float = 0.99
    end: float = 0.0

    def __post_init__(self) -> None:
        settle(self)
        check_size("Exponential", steps=self.steps)
        check_not_negative("Exponential", end=self.end)
        if not 0 < self.rate < 1:
            raise UserError(f"Exponential.rate is {self.rate}, but must be between 0 and 1.")

    def schedule(self) -> optax.Schedule:
        import optax

        return optax.exponential_decay(1.0, self.steps, self.rate, staircase=True, end_value=self.end)


@dataclass(frozen=True)
class Cyclical:
    """From 0 to 1 along a line and 1 for a while, again and again: for the weight of a KL (Fu et al. 2019, eq. 6)."""

    steps: int = 10_000
    """Train steps of all cycles; afterwards 1."""
    cycles: int = 4
    rise: float = 0.5
    """Share of a cycle in which it rises."""

    def __post_init__(self) -> None:
        settle(self)
        check_size("Cyclical", steps=self.steps, cycles=self.cycles)
        if not 0 < self.rise <= 1:
            raise UserError(f"Cyclical.rise is {self.rise}, but must be above 0 and at most 1.")

    def schedule(self) -> optax.Schedule:
        import jax.numpy as jnp

        cycle = self.steps / self.cycles

        def factor(step: Array) -> Array:
            within = jnp.mod(step, cycle) / cycle
            return jnp.where(step < self.steps, jnp.minimum(1.0, within / self.rise), 1.0)

        return factor


@dataclass(frozen=True)
class PerImage:
    """Another schedule, whose `steps` are real images, as the recipes of StyleGAN2 and R3GAN count.

    Of an experiment, whose batch size makes train steps of them: those after which so many have been seen (of a GAN by
    its discriminator, of which a train step may have several updates).
    """

    of: Cosine | Linear | Exponential | Cyclical = Cosine(steps=20_000_000)

    counts_images = True

    def __post_init__(self) -> None:
        settle(self)

    def at(self, images: int) -> Cosine | Linear | Exponential | Cyclical:
        """The schedule in train steps of so many images."""
        counted: Cosine | Linear | Exponential | Cyclical = with_traced(self.of, {"steps": -(-self.of.steps // images)})
        return counted

    def schedule(self) -> optax.Schedule:
        raise UserError(
            f"{self} counts images, of which only an experiment knows how many a step has: build it from an "
            "Experiment, or state the schedule in steps."
        )


def in_steps(config: Any, images: int) -> Any:
    """The configuration with what counts images in train steps of so many of them; itself where nothing does."""
    return with_traced(config, {name: part.at(images) for name, part in _per_image(config)})


def _per_image(config: Any, within: str = "") -> Iterator[tuple[str, Any]]:
    """PerImage, and whatever else counts images and has `at`, by dotted name."""
    for name, part in inside(config).items():
        if getattr(part, "counts_images", False) is True:
            yield within + name, part
        elif has_inside(part):
            yield from _per_image(part, f"{within}{name}.")


AnySchedule = Constant | Cosine | Linear | Exponential | Cyclical | PerImage | OwnSchedule
