"""How earlier versions of gvlab wrote what is now written otherwise: a table, by class and field."""

from __future__ import annotations

from typing import Any

RENAMED: dict[str, dict[str, tuple[str, dict[str, str]]]] = {
    "GAN": {"generator_loss": ("contest", {"non_saturating": "NonSaturating", "minimax": "Minimax"})},
    "VAE": {"objective": ("objective", {"elbo": "ELBO", "importance_weighted": "ImportanceWeighted"})},
}
"""Class -> field as it was called -> what it is called now, and the member of a union for each of its texts."""

ONCE_ONE_CLASS: dict[str, dict[str, str]] = {
    "GAN": {"generator_optimizer": "Adam", "discriminator_optimizer": "Adam"},
    "VAE": {"optimizer": "Adam"},
}
"""Class -> field that is one of several classes now -> the one that it was, so that its JSON had no `type`."""


def _without_unused_head(values: dict[str, Any]) -> dict[str, Any]:
    """A GAN without classes, whose discriminator's head was written as Projection, by default, and left unused."""
    network = values.get("network")
    if values.get("conditional") or not isinstance(network, dict) or network.get("head") != {"type": "Projection"}:
        return values
    return values | {"network": {name: item for name, item in network.items() if name != "head"}}


def as_now(cls: str, values: dict[str, Any]) -> dict[str, Any]:
    """The fields of a class as JSON, in today's writing; what is in no table is left as it is."""
    for old, (new, members) in RENAMED.get(cls, {}).items():
        text = values.get(old)
        if isinstance(text, str) and text in members and (new == old or new not in values):
            values = {(new if name == old else name): item for name, item in values.items()}
            values[new] = {"type": members[text]}
    for name, member in ONCE_ONE_CLASS.get(cls, {}).items():
        held = values.get(name)
        if isinstance(held, dict) and "type" not in held:
            values = values | {name: {"type": member} | held}
    return _without_unused_head(values) if cls == "GAN" else values
