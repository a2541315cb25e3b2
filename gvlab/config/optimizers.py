"""The optimizers, all of optax: what acts on updates is a chain of its transformations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gvlab.config.checks import check_fraction, check_not_negative, check_positive
from gvlab.config.plain import settle
from gvlab.config.protocols import OwnOptimizer
from gvlab.config.schedules import AnySchedule, Constant
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import optax


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015); the learning rate is multiplied by `drop_factor` at each of `drop_steps`."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    drop_steps: tuple[int, ...] = ()
    drop_factor: float = 0.1
    schedule: AnySchedule = Constant()
    """A factor on the learning rate."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Adam", learning_rate=self.learning_rate, eps=self.eps, drop_factor=self.drop_factor)
        check_fraction("Adam", b1=self.b1, b2=self.b2)
        for step in self.drop_steps:
            check_positive("Adam", drop_steps=step)
        if self.drop_steps and not isinstance(self.schedule, Constant):
            raise UserError(
                f"Adam.drop_steps is {self.drop_steps}, but Adam.schedule is {type(self.schedule).__name__}, too: "
                "leave one of them out."
            )

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        """Drops are counted by optax in updates, and stated in train steps, which may hold several."""
        import optax

        if not isinstance(self.schedule, Constant):
            return optax.chain(
                optax.scale_by_adam(self.b1, self.b2, self.eps), _rate(self.learning_rate, self.schedule)
            )
        drops = [step * updates_per_step for step in self.drop_steps]
        rate = optax.piecewise_constant_schedule(self.learning_rate, dict.fromkeys(drops, self.drop_factor))
        return optax.adam(rate if self.drop_steps else self.learning_rate, self.b1, self.b2, self.eps)


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 1e-4
    """Share of the parameters that is taken off at every update, times the learning rate."""
    schedule: AnySchedule = Constant()
    """A factor on the learning rate."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("AdamW", learning_rate=self.learning_rate, eps=self.eps)
        check_fraction("AdamW", b1=self.b1, b2=self.b2)
        check_not_negative("AdamW", weight_decay=self.weight_decay)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        return optax.chain(
            optax.scale_by_adam(self.b1, self.b2, self.eps),
            optax.add_decayed_weights(self.weight_decay),
            _rate(self.learning_rate, self.schedule),
        )


@dataclass(frozen=True)
class RMSprop:
    """Gradients over the root of their mean square (Tieleman & Hinton 2012)."""

    learning_rate: float = 1e-3
    decay: float = 0.9
    """Of the mean square."""
    eps: float = 1e-8
    schedule: AnySchedule = Constant()
    """A factor on the learning rate."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("RMSprop", learning_rate=self.learning_rate, eps=self.eps)
        check_fraction("RMSprop", decay=self.decay)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        return optax.chain(optax.scale_by_rms(self.decay, self.eps), _rate(self.learning_rate, self.schedule))


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent."""

    learning_rate: float = 0.1
    momentum: float = 0.0
    """Decay of the sum of past gradients that is descended instead (Polyak 1964); 0 keeps none."""
    schedule: AnySchedule = Constant()
    """A factor on the learning rate."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("SGD", learning_rate=self.learning_rate)
        check_fraction("SGD", momentum=self.momentum)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        traces = [optax.trace(self.momentum)] if self.momentum else []
        return optax.chain(*traces, _rate(self.learning_rate, self.schedule))


@dataclass(frozen=True)
class Clipped:
    """Gradients whose norm, over all parameters of a player, is at most `norm`, before another optimizer takes them."""

    norm: float = 1.0
    optimizer: Adam | AdamW | RMSprop | SGD | OwnOptimizer = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Clipped", norm=self.norm)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        return optax.chain(optax.clip_by_global_norm(self.norm), self.optimizer.transformation(updates_per_step))


AnyOptimizer = Adam | AdamW | RMSprop | SGD | Clipped | OwnOptimizer


def _rate(learning_rate: float, schedule: AnySchedule) -> optax.GradientTransformation:
    import optax

    from gvlab.schedules import scale_by_step

    if isinstance(schedule, Constant):
        return optax.scale_by_learning_rate(learning_rate)
    return scale_by_step(learning_rate, schedule.schedule())
