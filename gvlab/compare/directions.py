"""Which measures are better when they are lower, and which the verdict is about."""

from __future__ import annotations

from typing import Literal

_LOWER = (
    *("fid", "fld_", "frechet", "kid", "kld_", "kernel_", "sliced_wasserstein", "bits_per_dim", "reverse_kl", "kl_to"),
)


_HIGHER = (
    *("elbo_nats", "iw_bound_nats", "ais_bound_nats", "precision", "recall", "density", "coverage", "improved_"),
    *("prd_f", "class_score", "inception_score", "isc", "modes_covered", "high_quality", "authenticity"),
)


PREFERRED = ("iw_bound_nats", "fid", "fld_", "modes_covered", "frechet", "elbo_nats")
"""What the verdict is about, in the order of preference."""


def better(measure: str) -> Literal["lower", "higher"] | None:
    """Which direction of a measure is the good one; None for those that describe and don't judge."""
    if measure.startswith(_LOWER):
        return "lower"
    return "higher" if measure.startswith(_HIGHER) else None
