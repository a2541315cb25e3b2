"""How long JAX has compiled, as JAX itself reports it: tracing, lowering and XLA."""

from __future__ import annotations

import functools
import time

import jax

_EVENTS = "/jax/core/compile/"
"""How the names begin of the events that tell of a step of compiling when it has ended."""


class Clock:
    """Seconds in which at least one step of compiling was under way: a function that another one calls is traced while
    that is, and both tell of it."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def heard(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        """To be called when a step has ended."""
        if not event.startswith(_EVENTS):
            return
        end = time.monotonic()
        start = end - duration_secs
        while self._spans and self._spans[-1][1] >= start:  # those within it, which ended before
            start = min(start, self._spans.pop()[0])
        self._spans.append((start, end))

    @property
    def seconds(self) -> float:
        """Since it was made."""
        total = sum(end - start for start, end in self._spans)
        self._spans = [(-total, 0.0)] if total else []  # no more than a number is kept
        return total


@functools.cache
def _clock() -> Clock:
    clock = Clock()
    jax.monitoring.register_event_duration_secs_listener(clock.heard)
    return clock


def seconds() -> float:
    """Since it was first asked."""
    return _clock().seconds
