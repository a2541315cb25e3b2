"""Running an entry of the ledger again."""

from __future__ import annotations

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from gvlab import compare, evaluate
from gvlab import config as c
from gvlab.config import experiment_file
from gvlab.files import write_atomically
from gvlab.reproduce.ledger import is_current, read_record, write_ledger
from gvlab.reproduce.published import load_published
from gvlab.types import UserError

SCHEMA = 2
"""Of a record, results/NAME.json."""
VERSIONS = ("gvlab", "jax", "jaxlib", "flax", "optax")
"""Those that a record has."""


def reproduce(file: Path, steps: int | None, seeds: int, out: Path | None, listen: compare.Listen) -> dict[str, Any]:
    """Runs a reproduction as a comparison of one experiment, records what was found, and makes README.md anew.

    Args:
        file: the reproduction's experiment file.
        steps: to train for, instead of the config's; if they are fewer, the record says so.
        seeds: how many.
        out: the directory of the comparison; by default reproductions/EXPERIMENT, so that files which are about one
            experiment make its runs once.
        listen: hears of the training.

    Returns:
        The record: what was run and found, nothing of what was published.

    Raises:
        UserError: the experiment has no such measure, or the ledger has more of it already.
    """
    experiment, published = experiment_file.load(file), load_published(file)
    steps = experiment.steps if steps is None else steps
    kept = read_record(file.parent / "results" / f"{file.stem}.json")
    if kept and is_current(kept, experiment) and (kept["steps"], len(kept["values"])) > (steps, seeds):
        raise UserError(
            f"The ledger has {file.stem} with {len(kept['values'])} seeds of {kept['steps']} steps, more than {seeds} "
            f"of {steps}: ask for at least as much, or use gvlab compare {file}."
        )
    if evaluate.kind_of(published.measure).better is None:
        raise UserError(
            f"{file.stem} is about {published.measure}, which has no good direction: choose another measure."
        )
    out = out or Path("reproductions") / experiment.name
    found = compare.run(compare.Plan((replace(experiment, steps=steps),), seeds), out, listen)
    stamps = {row["measure"]: row["stamp"] for row in found["summaries"]}
    if published.measure not in stamps and any(unit["measures"] for unit in found["units"]):
        raise UserError(
            f"{file.stem} is about {published.measure}, but {experiment.name} has only {', '.join(stamps)}."
        )
    environment = found["units"][0]["environment"] or {}
    unknown = [name for name in ("device", "cpu_threads", *VERSIONS) if name not in environment]
    if unknown:
        where = out / found["units"][0]["directory"] / "environment.json"
        raise UserError(f"{where} lacks {' and '.join(unknown)}: restore it from a copy, or use another --out.")
    record = {
        "schema": SCHEMA,
        "name": file.stem,
        "measure": published.measure,
        "values": [
            unit["measures"][published.measure]["value"] if unit["measures"] else None for unit in found["units"]
        ],
        "steps": steps,
        "config": c.to_dict(experiment),
        "stamp": stamps.get(published.measure),
        "date": datetime.date.today().isoformat(),
        "device": f"{environment['device']}, {environment['cpu_threads']} threads",
        "versions": {name: environment[name] for name in VERSIONS},
        "seconds": [unit["timing"]["seconds"] for unit in found["units"]],
        "state_sha256": [unit["state_sha256"] for unit in found["units"]],
    }
    results = file.parent / "results"
    results.mkdir(exist_ok=True)
    write_atomically(results / f"{file.stem}.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    write_ledger(file.parent)
    return record
