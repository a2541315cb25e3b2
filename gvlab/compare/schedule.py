"""What is said of a comparison before and while it trains: whether its seeds can decide, and how far it is."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gvlab import config as c
from gvlab import statistics
from gvlab.compare.groups import title
from gvlab.compare.plan import Plan
from gvlab.numbers import number
from gvlab.statistics.significance import smallest_p


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


class Schedule:
    """How far a comparison is, and about how long the rest takes: by the units that were made since it began."""

    def __init__(self, units: int, missing: Sequence[c.Experiment]) -> None:
        self._units, self._missing = units, [experiment.name for experiment in missing]
        self._seconds: dict[str, list[float]] = {}
        self._since = time.monotonic()

    def title(self, group: Sequence[c.Experiment]) -> str:
        """What is said of a group of units that begins: unit 3 of 12, about 4 min left: digits_vae seed 2."""
        first = self._units - len(self._missing) + 1
        which = f"unit {first}" if len(group) == 1 else f"units {first}-{first + len(group) - 1}"
        left = self._left()
        return f"{which} of {self._units}{f', about {duration(left)} left' if left else ''}: {title(group)}"

    def made(self, group: Sequence[c.Experiment]) -> None:
        """To be called when a group has been trained and measured."""
        now = time.monotonic()
        for experiment in group:
            self._missing.remove(experiment.name)
            self._seconds.setdefault(experiment.name, []).append((now - self._since) / len(group))
        self._since = now

    def _left(self) -> float | None:
        """Seconds, by the newest unit of each experiment; of one that has none, by the others'. None before any."""
        if not self._seconds:
            return None
        newest = {name: seconds[-1] for name, seconds in self._seconds.items()}
        others = sum(newest.values()) / len(newest)
        return sum(newest.get(name, others) for name in self._missing)


def duration(seconds: float) -> str:
    """In the unit that suits it, and no more exact than a guess is."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
