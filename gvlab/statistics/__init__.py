"""Statistics over seeds: what several runs of one experiment say, and whether two experiments differ.

A seed that failed (diverged) has the value None. It enters no average and is counted: an experiment whose survivors are
good is not a good experiment, so read the failure rate beside the mean.

Everything is deterministic: resampling draws from a frozen generator with a fixed seed, so that the same values have
the same interval and p-value wherever a report is rebuilt.
"""

from gvlab.statistics.intervals import interquartile_mean, mean_interval, wilson
from gvlab.statistics.power import MOST_SEEDS, POWER
from gvlab.statistics.significance import fewest_pairs, holm, sign_flip_test
from gvlab.statistics.summaries import Paired, Summary, paired, summarise, verdict
from gvlab.statistics.values import ALPHA, FEWEST

__all__ = [
    "ALPHA",
    "FEWEST",
    "MOST_SEEDS",
    "POWER",
    "Paired",
    "Summary",
    "fewest_pairs",
    "holm",
    "interquartile_mean",
    "mean_interval",
    "paired",
    "sign_flip_test",
    "summarise",
    "verdict",
    "wilson",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
