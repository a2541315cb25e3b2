"""The report of a comparison: one HTML file with everything in it, which opens anywhere without a network."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gvlab import evaluate
from gvlab.compare.headlines import headlines, order
from gvlab.compare.looks import look
from gvlab.compare.remarks import NAMED, listed
from gvlab.compare.report.curves import CURVE_DIGITS, CURVE_POINTS, curves
from gvlab.compare.report.forest import forest
from gvlab.compare.report.latents import latents
from gvlab.compare.report.reading import load
from gvlab.compare.report.sheets import pictures, samples
from gvlab.compare.report.sweep import sweep
from gvlab.compare.sentences import outcome
from gvlab.compare.tables import lost
from gvlab.files import write_atomically
from gvlab.numbers import DASH, evened, interval, number, percent, plain, scaled, size, spread_of, times
from gvlab.types import Json, UserError

SCHEMA = 1


def html(directory: Path, comparison: Json) -> str:
    """The whole page of a comparison.

    What cannot be read of a unit's curves and pictures is left out, and the page says so.

    Args:
        directory: the comparison's directory; curves and pictures of the units are read from below it.
        comparison: the content of comparison.json, schema 1.

    Returns:
        An HTML document without references to other files.

    Raises:
        UserError: the comparison has another schema.
    """
    if comparison.get("schema") != SCHEMA:
        raise UserError(
            f"The comparison has the schema {comparison.get('schema')!r}, but this gvlab reads {SCHEMA}: "
            "make it again with gvlab compare."
        )
    remarks = list(comparison["remarks"])
    units = [load(directory, unit, remarks) for unit in comparison["units"]]
    names = [experiment["name"] for experiment in comparison["experiments"]]
    measures = _by_measure(evened(comparison["summaries"]))
    forests = {name: forest(name, rows, comparison["units"]) for name, rows in measures}
    first = headlines(comparison["summaries"], comparison["primary"])
    page = {
        "c": comparison,
        "title": " against ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}",
        "looks": {name: dict(zip(("colour", "mark"), look(i), strict=True)) for i, name in enumerate(names)},
        "differences": _differences(comparison["experiments"]),
        "pairing": _pairing(comparison["experiments"]),
        "outcome": outcome(comparison),
        "sweep": sweep(comparison, first),
        "groups": _groups(measures),
        "notes": _notes((row, f"{row['measure']} of {row['experiment']}") for row in comparison["summaries"]),
        "lost_some": any(row["failures"] for row in comparison["summaries"]),
        "pairs": _by_measure(comparison["pairs"]),
        "one_pair": len({(pair["first"], pair["second"]) for pair in comparison["pairs"]}) == 1,
        "pair_notes": _notes((pair, pair["measure"]) for pair in comparison["pairs"]),
        "better": {row["measure"]: row["better"] for row in comparison["summaries"]},
        "forests": [forests[name] for name in first],
        "more_forests": [plot for name, plot in forests.items() if name not in first],
        "rates": _rates(comparison),
        "curves": curves(names, units),
        "samples": samples(directory, names, units, remarks),
        "pictures": pictures(directory, comparison["experiments"], units, remarks),
        "latents": latents(directory, names, units, remarks),
        "costs": [_cost(experiment, comparison["units"]) for experiment in comparison["experiments"]],
        "failures": [
            {**unit, "step": loaded.lines[-1]["step"] if loaded.lines else None}
            for unit, loaded in zip(comparison["units"], units, strict=True)
            if unit["status"] != "complete"
        ],
        "stamps": _stamps(comparison["summaries"]),
        "environment": _environment(comparison["units"]),
    }
    return _template().render(page, remarks=remarks, curve_points=CURVE_POINTS, curve_digits=CURVE_DIGITS)


def write(directory: Path, comparison: Json) -> Path:
    """Writes `html(directory, comparison)` to report.html in the directory, the whole file or nothing.

    Raises:
        UserError: there is no such directory, or the comparison has another schema.
    """
    if not directory.is_dir():
        raise UserError(f"{directory} is not a directory: name the one that gvlab compare made.")
    target = directory / "report.html"
    write_atomically(target, html(directory, comparison))
    return target


@functools.cache
def _template() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number,
        "interval": interval,
        "spread": spread_of,
        "percent": percent,
        "scaled": scaled,
        "size": size,
        "times": times,
        "plain": plain,
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    }
    return environment.get_template("report.html.jinja")


def _by_measure(rows: list[Json]) -> list[tuple[str, list[Json]]]:
    """Rows of one measure together, measures in the order of their first row."""
    measures = dict.fromkeys(row["measure"] for row in rows)
    return [(measure, [row for row in rows if row["measure"] == measure]) for measure in measures]


def _groups(measures: list[tuple[str, list[Json]]]) -> list[tuple[str, str, list[tuple[str, list[Json]]]]]:
    """(group, its heading, its measures) for every group that has some, what tells most first."""
    of: dict[str, list[tuple[str, list[Json]]]] = {}
    for name, rows in sorted(measures, key=lambda one: order(one[0])):
        of.setdefault(evaluate.kind_of(name).group, []).append((name, rows))
    return [(group, heading, of[group]) for group, heading in evaluate.GROUPS.items() if group in of]


def _notes(rows: Iterable[tuple[Json, str]]) -> list[str]:
    """Each note once, with what it is about: one sentence stood under every row otherwise."""
    about: dict[str, list[str]] = {}
    for row, what in rows:
        if row["note"]:
            about.setdefault(row["note"], []).append(what)
    return [f"{note} ({listed(of) if len(of) <= NAMED else f'{len(of)} rows'})" for note, of in about.items()]


def _rates(comparison: Json) -> list[tuple[str, int, int, float, float]]:
    """(experiment, seeds that diverged, all, the interval of their rate) where there are any."""
    names = ("experiment", "failures", "total", "failure_low", "failure_high")
    rows = {row["experiment"]: row for row in [*comparison["summaries"], *lost(comparison)] if row["failures"]}
    return [tuple(row[name] for name in names) for row in rows.values()]


def _differences(experiments: list[Json]) -> list[tuple[str, list[str]]]:
    """(field, its value in each experiment) for every field of the configs that is not the same in all."""
    flat = [dict(_fields(experiment["config"])) for experiment in experiments]
    fields = dict.fromkeys(field for config in flat for field in config if field not in ("name", "seed"))
    rows = [(field, [plain(config[field]) if field in config else DASH for config in flat]) for field in fields]
    return [(field, values) for field, values in rows if len(set(values)) > 1]


def _pairing(experiments: list[Json]) -> str:
    """What the runs of one seed share in all experiments, in a sentence; "" for one experiment."""
    if len(experiments) == 1:
        return ""
    # A batch takes the next examples of the order: of another size, or several a step, it takes others.
    order = {(e["dataset"]["sha256"], e["config"]["batch_size"], e["images"] / e["steps"]) for e in experiments}
    latents = {_latents(e["config"]["model"]) for e in experiments}
    shared = {
        (True, True): "the same data order and the same evaluation latents in every experiment",
        (True, False): "the same data order in every experiment, but latents of other sizes",
        (False, True): "the same evaluation latents in every experiment, but other data or batches",
        (False, False): "other data or batches and latents of other sizes in every experiment",
    }[len(order) == 1, len(latents) == 1]
    return f"A seed gives {shared}; pairs are by seed."


def _latents(model: Json) -> str:
    """What of a model's configuration decides how many numbers its latents have."""
    of_latents = model.get("second", model)
    if "latent_dim" not in of_latents and "distribution" not in of_latents:
        return json.dumps(model)
    return json.dumps([of_latents.get("latent_dim"), of_latents.get("distribution"), "second" in model])


def _fields(config: Any, name: str = "") -> list[tuple[str, Any]]:
    """(dotted name, value), as `gvlab.config.leaves` names them."""
    if isinstance(config, list | tuple) and any(isinstance(item, dict) for item in config):
        config = {str(i): item for i, item in enumerate(config)}
    if not isinstance(config, dict):
        return [(name, config)]
    return [leaf for inner, value in config.items() for leaf in _fields(value, f"{name}.{inner}".lstrip("."))]


def _cost(experiment: Json, units: list[Json]) -> Json:
    """What one seed of an experiment costs: means over the seeds for which the number is known."""
    own = [unit for unit in units if unit["experiment"] == experiment["name"]]

    def known(part: str, name: str) -> list[float]:
        values = [(unit[part] or {}).get(name) for unit in own]
        return [value for value in values if value is not None]

    def mean(part: str, name: str) -> float | None:
        values = known(part, name)
        return math.fsum(values) / len(values) if values else None

    seconds = known("timing", "seconds")
    flops = mean("cost", "flops_per_step")
    return {
        "experiment": experiment["name"],
        "steps": experiment["steps"],
        "images": experiment["images"],
        "parameters": mean("cost", "parameters"),
        "memory": mean("cost", "memory_bytes"),
        "flops_per_step": flops,
        "flops": None if flops is None else flops * experiment["steps"],
        "seconds": mean("timing", "seconds"),
        "fastest": min(seconds, default=None),
        "slowest": max(seconds, default=None),
        "images_per_second": mean("timing", "images_per_second"),
        "timed": len(seconds),
        "total": len(own),
    }


def _stamps(summaries: list[Json]) -> Json:
    """The fields on which all stamps agree, and for each measure the others, per experiment where those differ."""
    stamps = [row["stamp"] for row in summaries]
    common = {
        field: value
        for field, value in (stamps[0].items() if stamps else ())
        if all(field in stamp and stamp[field] == value for stamp in stamps)
    }
    measures = []
    for measure, rows in _by_measure(summaries):
        own = [{field: value for field, value in row["stamp"].items() if field not in common} for row in rows]
        if all(stamp == own[0] for stamp in own):
            measures.append((measure, [("", own[0])]))
        else:
            measures.append((measure, [(row["experiment"], stamp) for row, stamp in zip(rows, own, strict=True)]))
    return {"common": common, "measures": measures}


def _environment(units: list[Json]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(field, [(value, which units)]); the units are not named where all have the same value."""
    fields = dict.fromkeys(field for unit in units for field in unit["environment"] or {})
    rows = []
    for field in fields:
        who: dict[str, list[str]] = {}
        for unit in units:
            value = (unit["environment"] or {}).get(field)
            who.setdefault(DASH if value is None else plain(value), []).append(
                f"{unit['experiment']} seed {unit['seed']}"
            )
        short = [
            (
                value,
                "" if len(who) == 1 else ", ".join(names) if len(names) < 4 else f"{len(names)} of {len(units)} units",
            )
            for value, names in who.items()
        ]
        rows.append((field, short))
    return rows
