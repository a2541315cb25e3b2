"""What the latents of each VAE say, as tables with tints."""

from __future__ import annotations

from pathlib import Path
from typing import TypedDict

from gvlab.compare.report.reading import Unit, relative
from gvlab.evaluate.ranking import FILE
from gvlab.files import read_json
from gvlab.types import Json, UserError

MOST = 16
"""Latents of a table; latents.json of each unit has all."""


class _Latent(TypedDict):
    latent: int
    kl_nats: float
    information_nats: list[float]
    follows: str | None


class _Ranking(TypedDict):
    """The content of latents.json."""

    examples: int
    factors: list[str]
    chance_nats: list[float]
    latents: list[_Latent]


def latents(directory: Path, names: list[str], units: list[Unit], remarks: list[str]) -> list[Json]:
    """The experiments that have rankings: their names, and [(unit, its table or None)]."""
    shown = []
    for name in names:
        own = [unit for unit in units if unit.experiment == name]
        tables = [_table(directory, unit, remarks) for unit in own]
        if any(tables):
            shown.append({"name": name, "units": list(zip(own, tables, strict=True))})
    return shown


def _table(directory: Path, unit: Unit, remarks: list[str]) -> Json | None:
    try:
        ranking = read_json(unit.run / FILE, _Ranking)
    except UserError as error:
        remarks.append(f"That seed has no ranking of latents: {relative(error, directory)}")
        return None
    if ranking is None:
        return None
    rows = ranking["latents"][:MOST]
    # Each column by itself: a factor of few values has little to be told.
    columns = [[row["kl_nats"] for row in rows], *zip(*(row["information_nats"] for row in rows), strict=True)]
    most = [max(column, default=0) for column in columns]
    return {
        "examples": ranking["examples"],
        "factors": list(zip(ranking["factors"], ranking["chance_nats"], strict=True)),
        "rows": [
            {
                "latent": row["latent"],
                "follows": row["follows"],
                "cells": [
                    (value, value / top if top > 0 else 0)
                    for value, top in zip([row["kl_nats"], *row["information_nats"]], most, strict=True)
                ],
            }
            for row in rows
        ],
        "left_out": len(ranking["latents"]) - len(rows),
    }
