"""The optimizers."""

from __future__ import annotations

from dataclasses import dataclass

from gvlab.config.checks import check_fraction, check_positive
from gvlab.config.plain import settle


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015); the learning rate is multiplied by `drop_factor` at each of `drop_steps`."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    drop_steps: tuple[int, ...] = ()
    drop_factor: float = 0.1

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Adam", learning_rate=self.learning_rate, eps=self.eps, drop_factor=self.drop_factor)
        check_fraction("Adam", b1=self.b1, b2=self.b2)
        for step in self.drop_steps:
            check_positive("Adam", drop_steps=step)
