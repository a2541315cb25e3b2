"""A published number, and how what was found is judged against it."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, sqrt
from pathlib import Path
from typing import Literal

from gvlab import evaluate, statistics
from gvlab.config.experiment_file import call
from gvlab.errors import UserError


def load_published(file: Path) -> Published:
    """What `published()` in the experiment file of a reproduction returns.

    Raises:
        UserError: as `load`.
    """
    found = call(file, "published")
    if not isinstance(found, Published):
        raise UserError(f"published() in {file} returns {type(found).__name__}, but must return a Published.")
    return found


Judgement = Literal["reproduced", "undecided", "better", "not reached", "not judged", "other protocol", "outdated"]
"""What is said of a published number that was run again; README.md of the ledger says what each means."""


WIDEST = 0.1
"""Half a range's width over the published number: a wider one holds many numbers and reproduces none."""


@dataclass(frozen=True)
class Published:
    """A number from a paper, and how it was made."""

    citation: str
    """Authors, title, year."""
    where: str
    """Table or section."""
    value: float
    """In the measure's own unit and sign."""
    text: str
    """As it is printed: "86.76 nats"."""
    measure: str
    """Ours: iw_bound_nats, modes_covered, ..."""
    runs: int
    """Of how many runs it is the mean."""
    margin: float
    """How exactly it is known for these runs: half of the last printed digit, or the noise of the measurement."""
    protocol: str
    """As published, in a phrase."""
    differs: str
    """Where ours differs, in a phrase."""
    comparable: bool = True
    """False where the difference is one of model, data or measure, so that no number of ours can reproduce it."""

    def __post_init__(self) -> None:
        for name in ("value", "margin"):
            number = getattr(self, name)
            if type(number) not in (int, float) or not isfinite(number):
                raise UserError(f"Published.{name} is {number!r}, but must be a number.")
        if type(self.runs) is not int or self.runs < 1:
            raise UserError(f"Published.runs is {self.runs!r}, but must be a whole number, at least 1.")


def expected(summary: statistics.Summary, runs: int) -> tuple[float, float] | None:
    """Where the mean of `runs` further runs lies with a probability of 95 %: Student's prediction interval.

    mean +- t_(n-1) sd sqrt(1/n + 1/runs), for normal values. A number from one run lies in no confidence interval of
    a mean, however right it is, once the seeds are many; here it does in 95 of 100 cases.

    Args:
        summary: of n runs.
        runs: of how many the published number is the mean.

    Returns:
        (low, high), or None below 3 seeds.
    """
    from scipy.special import stdtrit

    if summary.mean is None or summary.sd is None or summary.n < statistics.FEWEST:
        return None
    half = float(stdtrit(summary.n - 1, 0.975)) * summary.sd * sqrt(1 / summary.n + 1 / runs)
    return summary.mean - half, summary.mean + half


def judge(summary: statistics.Summary, published: Published) -> Judgement:
    """Whether the published number is one that our runs would give.

    reproduced: published +- margin reaches into the range `expected` of as many runs; undecided: it does, but the range
    is too wide to say anything; better, not reached: it lies to one side of that; not judged: too few seeds for a
    range; other protocol: it is not `comparable`.
    """
    range_ = expected(summary, published.runs)
    if not published.comparable:
        return "other protocol"
    if range_ is None:
        return "not judged"
    low, high = range_
    if low <= published.value + published.margin and high >= published.value - published.margin:
        narrow = (high - low) / 2 <= max(WIDEST * abs(published.value), published.margin)
        return "reproduced" if narrow else "undecided"
    above = low > published.value
    return "better" if above == (evaluate.kind_of(published.measure).better == "higher") else "not reached"
