"""A measure as a record that says everything of itself: its number and protocol, which direction is the good one, and
what it tells of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gvlab.types import Json

Better = Literal["lower", "higher"]
Group = Literal["quality", "diversity", "likelihood", "latents", "diagnostics"]

GROUPS: dict[Group, str] = {
    "quality": "Quality: how near samples are to the data",
    "diversity": "Diversity: how much of the data the samples reach",
    "likelihood": "Likelihood: what the model says of test data",
    "latents": "Latents: what the encoder tells of an image",
    "diagnostics": "Diagnostics: terms of training, which judge nothing",
}
"""What the groups are of, in the order in which they are shown."""


class Kind(NamedTuple):
    """What the measures of one name have in common, whatever features they are on."""

    name: str
    """All of the measure's name, or what stands before _FEATURES."""
    better: Better | None
    group: Group


KINDS = (
    *(Kind(name, "higher", "likelihood") for name in ("iw_bound_nats", "ais_bound_nats")),
    *(Kind(name, "lower", "quality") for name in ("fid", "fld")),
    *(Kind(name, "higher", "diversity") for name in ("modes_covered",)),
    *(Kind(name, "lower", "quality") for name in ("frechet",)),
    *(Kind(name, "higher", "likelihood") for name in ("elbo_nats",)),
    *(Kind(name, "higher", "quality") for name in ("precision", "improved_precision", "prd_f1_8")),
    *(Kind(name, "higher", "diversity") for name in ("recall", "improved_recall", "prd_f8", "coverage")),
    *(Kind(name, "higher", "quality") for name in ("density", "class_score", "inception_score", "isc")),
    *(Kind(name, "higher", "quality") for name in ("high_quality",)),
    *(Kind(name, "lower", "quality") for name in ("kid", "kld", "kernel", "sliced_wasserstein2")),
    *(Kind(name, "lower", "diversity") for name in ("reverse_kl", "kl_to")),
    *(Kind(name, None, "diversity") for name in ("vendi", "memorisation")),
    *(Kind(name, "higher", "diversity") for name in ("authenticity",)),
    *(Kind(name, "lower", "likelihood") for name in ("bits_per_dim",)),
    *(Kind(name, None, "likelihood") for name in ("reconstruction_nats", "kl_nats", "ais_gap_nats")),
    *(Kind(name, None, "latents") for name in ("active_units", "mutual_information_nats", "marginal_kl_nats")),
    *(Kind(name, None, "latents") for name in ("collapsed_units",)),
)
"""All that gvlab knows, those first that tell most: what is shown at a glance is taken in this order. A measure that is
none of them, as a model's own term, describes and doesn't judge."""


def kind_of(measure: str) -> Kind:
    """The kind of a measure, by its name."""
    fitting = (kind for kind in KINDS if f"{measure}_".startswith(f"{kind.name}_"))
    return next(fitting, Kind(measure, None, "diagnostics"))


def rank(measure: str) -> int:
    """Where a measure's kind stands in `KINDS`; behind all of them if it is none."""
    kind = kind_of(measure)
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


@dataclass(frozen=True)
class Measure:
    """One number of a unit, with the protocol that it was measured by, its direction and its group."""

    name: str
    value: float
    stamp: dict[str, Any]
    """The protocol."""
    better: Better | None
    """Which direction is the good one; None if it describes and doesn't judge."""
    group: Group
    """What it tells of."""

    @classmethod
    def of(cls, name: str, written: Json) -> Measure:
        """Of its object in evaluation.json, which is what lies on the disk since the first version."""
        kind = kind_of(name)
        return cls(name, float(written["value"]), written["stamp"], kind.better, kind.group)

    @property
    def warnings(self) -> list[str]:
        """What the stamp warns of."""
        return [self.stamp[field] for field in ("warning", "note") if field in self.stamp]
