"""What is said of a comparison before and while it trains: whether its seeds can decide, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gvlab import config as c
from gvlab import statistics
from gvlab.compare import compiling
from gvlab.compare.groups import title
from gvlab.compare.plan import Plan
from gvlab.numbers import number
from gvlab.statistics.significance import smallest_p
from gvlab.train.record import Listener, Progress


def too_few(plan: Plan) -> str | None:
    """A sentence, if the comparison's seeds cannot decide anything, whatever they show; None if they can."""
    count, seeds = len(plan.experiments), plan.seeds
    pairs = count * (count - 1) // 2
    enough = statistics.fewest_pairs(pairs) if pairs else None
    if enough is None or seeds >= enough:
        return None
    why = f"the smallest possible p is {number(smallest_p(seeds))}"
    if seeds < statistics.FEWEST:
        why = "there is neither an interval nor a test"
    elif pairs > 1:
        why += f", and {pairs} times that among {pairs} pairs"
    return (
        f"{seeds} seed{'s'[: seeds > 1]} cannot tell {'the two' if count == 2 else count} experiments apart, whatever "
        f"they show: {why}; {enough} seeds can (--seeds {enough})."
    )


class _Cost(NamedTuple):
    """Of one unit, in seconds."""

    training: float
    """Of all of its steps, at the pace that they had once they were compiled."""
    rest: float
    """Measuring and drawing, above all."""


class Schedule:
    """How far a comparison is, and about how long the rest takes: by the units that were made since it began.

    Compiling is counted apart, since of an experiment only the first unit does it, and what the very first one compiles
    after its training, to measure by, the others find ready. What an experiment costs of which nothing is known yet is
    guessed from the others: their training by the work of its steps, the rest as theirs is.
    """

    def __init__(
        self,
        units: int,
        missing: Sequence[c.Experiment],
        work: Callable[[c.Experiment], float] = lambda experiment: experiment.steps * experiment.examples_per_step,
        compiling: Callable[[], float] = compiling.seconds,
    ) -> None:
        """
        Args:
            units: how many there are in all.
            missing: those that are to be made.
            work: of a unit's training, in any unit.
            compiling: seconds spent on it so far.
        """
        self._units, self._missing, self._work, self._compiling = units, list(missing), work, compiling
        self._costs: dict[str, tuple[c.Experiment, _Cost]] = {}
        self._first: float | None = None
        """Seconds of compiling that the next experiment will take, as did the one that began last."""
        self._since, self._compiled = time.monotonic(), compiling()
        self._heard: list[tuple[int, float, float]] = []
        """(step, when, seconds of compiling so far), the first and the last of the group that is made."""

    def title(self, group: Sequence[c.Experiment]) -> str:
        """What is said of a group of units that begins: unit 3 of 12, about 4 min left: digits_vae seed 2."""
        first = self._units - len(self._missing) + 1
        which = f"unit {first}" if len(group) == 1 else f"units {first}-{first + len(group) - 1}"
        left = self._left()
        return f"{which} of {self._units}{f', about {duration(left)} left' if left else ''}: {title(group)}"

    def hearing(self, listen: Callable[[str], Listener | None], group: Sequence[c.Experiment]) -> Listener:
        """What hears of the training of a group, for itself and for whoever else listens."""
        other = listen(self.title(group))

        def hear(progress: Progress) -> None:
            self._heard = [*self._heard[:1], (progress.step, time.monotonic(), self._compiling())]
            if other:
                other(progress)

        return hear

    def made(self, group: Sequence[c.Experiment]) -> None:
        """To be called when a group has been trained and measured."""
        now, compiled = time.monotonic(), self._compiling()
        apart = min(compiled - self._compiled, now - self._since)
        busy = now - self._since - apart
        training = min(busy, self._pace() * group[0].steps)
        if any(experiment.name not in self._costs for experiment in group):
            alone = not self._costs and self._heard
            self._first = self._heard[-1][2] - self._compiled if alone else apart
        for experiment in group:
            self._missing = [one for one in self._missing if (one.name, one.seed) != (experiment.name, experiment.seed)]
            self._costs[experiment.name] = experiment, _Cost(training / len(group), (busy - training) / len(group))
        self._since, self._compiled, self._heard = now, compiled, []

    def _pace(self) -> float:
        """Seconds of a step, by the first and the last that were heard of."""
        if len(self._heard) < 2 or self._heard[1][0] <= self._heard[0][0]:
            return 0.0
        (first, start, _), (last, end, _) = self._heard
        return (end - start) / (last - first)

    def _left(self) -> float | None:
        """Seconds, by the newest unit of each experiment; None before any."""
        if self._first is None:
            return None
        new = {one.name: one for one in self._missing if one.name not in self._costs}
        guessed = {name: self._guessed(experiment) for name, experiment in new.items()}
        known = {name: sum(cost) for name, (_, cost) in self._costs.items()}
        return sum((known | guessed)[one.name] for one in self._missing) + self._first * len(new)

    def _guessed(self, experiment: c.Experiment) -> float:
        """Seconds of a unit of an experiment that has none yet, by the mean of the others."""
        work = self._work(experiment)
        like = [cost.training * work / (self._work(other) or 1) + cost.rest for other, cost in self._costs.values()]
        return sum(like) / len(like)


def duration(seconds: float) -> str:
    """In the unit that suits it, and no more exact than a guess is."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
