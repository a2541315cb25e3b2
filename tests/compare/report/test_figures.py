"""Ticks and times of a report as text."""

from __future__ import annotations

import pytest

from gvlab import numbers
from gvlab.compare.report import forest


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (0.0, 1.0, ["0.0", "0.5", "1.0"]),
        (-3.1, 12.2, ["0", "5", "10"]),
        (0.501, 0.509, ["0.502", "0.504", "0.506", "0.508"]),
    ],
)
def test_ticks_are_few_and_round(low, high, texts):
    assert [text for _, text in forest.ticks_between(low, high)] == texts


@pytest.mark.parametrize(
    ("times", "text"),
    [
        ((0.5, 0.25, 0.75), "0.5 [0.25, 0.75] s"),
        ((60.0, 30.0, 90.0), "1 [0.5, 1.5] min"),
        ((9000.0, 3600.0, 10800.0), "2.5 [1, 3] h"),
        ((None, None, None), numbers.DASH),
    ],
)
def test_times_share_the_unit_of_their_mean(times, text):
    assert numbers.times(*times) == text
