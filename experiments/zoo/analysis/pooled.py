"""What the digits zoo says as a whole: every cell's mean, and kinds of contests and penalties against each other.

    python experiments/zoo/analysis/pooled.py experiments/zoo/values.csv

The values are those of the units that the command in `_digits.py` makes, one row for each. A cell's interval is that of
its six seeds. Kinds are compared by the logarithms of fld, averaged over the cells that they share: so there are six
paired numbers, one for each seed, as there are of any two experiments.
"""

import csv
import math
import sys

from gvlab.statistics import mean_interval, paired

PENALTIES = ("spectral_norm", "r1", "r1_r2", "gradient_penalty")
PLAIN = ("non_saturating", "hinge", "least_squares")
PAIRS = tuple(f"relativistic({name})" for name in ("logistic", "hinge", "least_squares"))
AVERAGES = tuple(f"relativistic_average({name})" for name in ("logistic", "hinge", "least_squares"))
CONTESTS = ("minimax", *PLAIN[:1], "top_k", *PLAIN[1:], "wasserstein", *PAIRS, *AVERAGES)
SEEDS = range(6)


def read(file: str) -> dict[tuple[str, str, int], float]:
    """fld by (penalty, contest, seed)."""
    with open(file, newline="") as lines:
        return {(row["penalty"], row["contest"], int(row["seed"])): float(row["fld"]) for row in csv.DictReader(lines)}


def compared(fld: dict[tuple[str, str, int], float], first: list, second: list) -> str:
    """The ratio of the geometric means of cells, with its interval and the paired test."""

    def logs(cells: list, seed: int) -> float:
        return sum(math.log(fld[*cell, seed]) for cell in cells) / len(cells)

    found = paired([logs(first, seed) for seed in SEEDS], [logs(second, seed) for seed in SEEDS])
    assert found.difference is not None
    assert found.low is not None
    assert found.high is not None
    ratio, low, high = (math.exp(value) for value in (found.difference, found.low, found.high))
    return f"{ratio:.2f} [{low:.2f}, {high:.2f}], p = {found.p}"


def main(file: str) -> None:
    fld = read(file)
    print(f"| contest | {' | '.join(PENALTIES)} |\n| --- |{' ---: |' * len(PENALTIES)}")
    for contest in CONTESTS:
        of = [[fld[penalty, contest, seed] for seed in SEEDS] for penalty in PENALTIES]
        cells = [
            f"{sum(v) / len(v):.0f} [{low:.0f}, {high:.0f}]"
            for v, (low, high) in zip(of, map(mean_interval, of), strict=True)
        ]
        print(f"| `{contest}` | {' | '.join(cells)} |")
    for name, penalties in (("all", PENALTIES), ("R1, R1 with R2", ("r1", "r1_r2")), *((p, (p,)) for p in PENALTIES)):
        for kind, contests in (("by pairs", PAIRS), ("by averages", AVERAGES)):
            cells, plain = ([(p, contest) for p in penalties for contest in of] for of in (contests, PLAIN))
            print(f"{kind} / plain under {name}: {compared(fld, cells, plain)}")
    for number, first in enumerate(PENALTIES):
        for second in PENALTIES[number + 1 :]:
            of = [[(penalty, contest) for contest in CONTESTS] for penalty in (first, second)]
            print(f"{first} / {second}: {compared(fld, *of)}")


if __name__ == "__main__":
    main(sys.argv[1])
