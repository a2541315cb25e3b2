"""The optimizers, all of optax: what acts on updates is a chain of its transformations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from gvlab.config.checks import check_fraction, check_not_negative, check_positive, check_size
from gvlab.config.fields import with_traced
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
class AnnealedAdam:
    """Adam whose learning rate and second decay go to their last values along half a cosine, as R3GAN's do."""

    learning_rate: float = 2e-4
    final_learning_rate: float = 5e-5
    b1: float = 0.0
    b2: float = 0.9
    final_b2: float = 0.99
    eps: float = 1e-8
    steps: int = 40_000
    """Train steps until the last values are reached."""
    images: int = 0
    """Real images until then, as R3GAN counts, of which an experiment makes `steps`; 0: `steps` says it."""

    def __post_init__(self) -> None:
        settle(self)
        if self.images < 0:
            raise UserError(f"AnnealedAdam.images is {self.images}, but is a number of images (0: steps are counted).")
        check_positive("AnnealedAdam", learning_rate=self.learning_rate, eps=self.eps)
        check_not_negative("AnnealedAdam", final_learning_rate=self.final_learning_rate)
        check_fraction("AnnealedAdam", b1=self.b1, b2=self.b2, final_b2=self.final_b2)
        check_size("AnnealedAdam", steps=self.steps)

    @property
    def counts_images(self) -> bool:
        """Whether it is to be made one of steps (`schedules.in_steps`)."""
        return self.images > 0

    def at(self, images: int) -> AnnealedAdam:
        """The optimizer in train steps of so many images."""
        counted: AnnealedAdam = with_traced(self, {"steps": -(-self.images // images), "images": 0})
        return counted

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        if self.counts_images:
            raise UserError(
                f"AnnealedAdam.images is {self.images}, but how many of them a step has is known to an experiment "
                "alone: build it from an Experiment, or state steps."
            )

        from gvlab.schedules import scale_by_step
        from gvlab.transformations import scale_by_moving_adam

        left = optax.cosine_decay_schedule(1.0, self.steps)
        end = self.final_learning_rate / self.learning_rate

        def b2(step: Any) -> Any:
            return self.final_b2 + (self.b2 - self.final_b2) * left(step)

        return optax.chain(
            scale_by_moving_adam(self.b1, b2, self.eps),
            scale_by_step(self.learning_rate, lambda step: end + (1 - end) * left(step)),
        )


@dataclass(frozen=True)
class LazyAdam:
    """Adam for a loss with a term in every n-th update alone: rate times c, decays to the power c, c = n / (n + 1).

    The published correction (Karras et al. 2020), but not the published updates. There the term has an update of its
    own, after that of the rest of the loss and with the same moments: n + 1 in n batches, for which c makes up. Here
    it is added to the loss of the n-th update. The rest of the loss has n updates at c times the rate, as there, the
    term none of its own: in n batches parameters move n c times the rate and not n times, 6 % less for 16 and 20 % for
    4. Where the term's gradient, n times enlarged, is the larger one it takes that update over, since Adam divides by
    the size of the sum. And of the past the second moment keeps b2^(n c) in n batches, not b2^n.
    """

    learning_rate: float = 2.5e-3
    b1: float = 0.0
    b2: float = 0.99
    eps: float = 1e-8
    every: int = 16
    """n: of the discriminator's R1 usually 16, of the generator's path length 4."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("LazyAdam", learning_rate=self.learning_rate, eps=self.eps)
        check_fraction("LazyAdam", b1=self.b1, b2=self.b2)
        check_size("LazyAdam", every=self.every)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        c = self.every / (self.every + 1)
        return optax.adam(self.learning_rate * c, self.b1**c, self.b2**c, self.eps)


Single: TypeAlias = Adam | AdamW | RMSprop | SGD | AnnealedAdam | LazyAdam | OwnOptimizer
"""What another may act on the gradients or the updates of; others act in one order: Orthogonal(Clipped(Boxed()))."""


@dataclass(frozen=True)
class Boxed:
    """Parameters that are kept within [-bound, bound] after each update: the weight clipping of Wasserstein GANs."""

    bound: float = 0.01
    optimizer: Single = RMSprop(learning_rate=5e-5)

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Boxed", bound=self.bound)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        from gvlab.transformations import into_box

        return optax.chain(self.optimizer.transformation(updates_per_step), into_box(self.bound))


@dataclass(frozen=True)
class Clipped:
    """Gradients whose norm, over all parameters of a player, is at most `norm`, before another optimizer takes them."""

    norm: float = 1.0
    optimizer: Single | Boxed = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Clipped", norm=self.norm)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        return optax.chain(optax.clip_by_global_norm(self.norm), self.optimizer.transformation(updates_per_step))


@dataclass(frozen=True)
class Orthogonal:
    """Kernels whose outputs are drawn towards being orthogonal (Brock et al. 2019), before another optimizer."""

    weight: float = 1e-4
    """beta"""
    optimizer: Single | Boxed | Clipped = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_not_negative("Orthogonal", weight=self.weight)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        import optax

        from gvlab.transformations import add_orthogonal_decay

        return optax.chain(add_orthogonal_decay(self.weight), self.optimizer.transformation(updates_per_step))


AnyOptimizer = Single | Clipped | Boxed | Orthogonal


@dataclass(frozen=True)
class Skipped:
    """Updates left out where the gradient is too long, or not finite, before another optimizer sees it (Child 2021).

    Published for CIFAR-10: 400 for a loss in nats per dimension, so here 400 times the 3,072 values of an example, and
    gradients clipped at half of it.
    """

    norm: float = 1e6
    """Of a gradient over all parameters, in nats of an example's loss: from it on the update is left out."""
    patience: int = 100
    """After so many in a row one is made after all: a gradient that stays long would hold training up for ever, and one
    that is not finite ends it."""
    optimizer: Single | Clipped | Boxed | Orthogonal = Adam()

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Skipped", norm=self.norm)
        check_size("Skipped", patience=self.patience)

    def transformation(self, updates_per_step: int = 1) -> optax.GradientTransformation:
        from gvlab.transformations import skip_from

        return skip_from(self.norm, self.patience, self.optimizer.transformation(updates_per_step))


def _rate(learning_rate: float, schedule: AnySchedule) -> optax.GradientTransformation:
    import optax

    from gvlab.schedules import scale_by_step

    if isinstance(schedule, Constant):
        return optax.scale_by_learning_rate(learning_rate)
    return scale_by_step(learning_rate, schedule.schedule())
