"""The report of a comparison: one HTML file with everything in it, which opens anywhere without a network."""

from __future__ import annotations

import base64
import json
import math
import re
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gvlab import log, rundir
from gvlab.tables import lost
from gvlab.types import UserError

Json: TypeAlias = dict[str, Any]

SCHEMA = 1
DASH = "\u2013"
"""Stands where there is no number."""
CURVE_POINTS = 200
"""A seed's curve is thinned to this many logged steps."""
CURVE_DIGITS = 5
"""Significant digits of a curve's values."""
SAMPLE_BYTES = 2_600_000
"""What all sample sheets together may add to the page."""
PICTURE_BYTES = 450_000
"""What one experiment's pictures of one kind may add to the page."""
SAMPLE_SIZES = ((3, 12), (2, 12), (1, 12), (1, 6), (1, 3), (1, 2))
"""(rows of a sheet, positions of the slider), the first that fits."""
PICTURE_ROWS = (8, 4, 2)
LOOKS = 6
"""Colours and marks in the style sheet: experiments beyond these get other pairs of the two."""
KINDS = {
    "VAE": (
        ("reconstructions", "Reconstructions", "Each row of test images stands above its reconstructions."),
        ("traversals", "Traversals", "One latent per row goes from -3 to 3, the most active latent first."),
    ),
    "GAN": (
        ("neighbours", "Nearest training neighbours", "Each row: a sample, then the training images nearest to it."),
    ),
}


class _Unit(NamedTuple):
    """One (experiment, seed) and what its run directory still holds."""

    experiment: str
    seed: int
    run: Path
    exists: bool
    diverged: bool
    lines: list[Json]
    """Of metrics.jsonl."""


class _Sheet(NamedTuple):
    """A picture as it goes into the page."""

    step: int | None
    uri: str
    width: int
    height: int


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
    units = [_load(directory, unit, remarks) for unit in comparison["units"]]
    names = [experiment["name"] for experiment in comparison["experiments"]]
    page = {
        "c": comparison,
        "title": " against ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])} and {names[-1]}",
        "looks": {name: {"colour": i % LOOKS, "mark": (i + i // LOOKS) % LOOKS} for i, name in enumerate(names)},
        "differences": _differences(comparison["experiments"]),
        "pairing": _pairing(comparison["experiments"]),
        "summaries": _by_measure([*comparison["summaries"], *lost(comparison)]),
        "pairs": _by_measure(comparison["pairs"]),
        "better": {row["measure"]: row["better"] for row in comparison["summaries"]},
        "forests": [_forest(name, rows, comparison["units"]) for name, rows in _by_measure(comparison["summaries"])],
        "curves": _curves(names, units),
        "samples": _samples(directory, names, units, remarks),
        "pictures": _pictures(directory, comparison["experiments"], units, remarks),
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
    rundir.write_atomically(target, html(directory, comparison))
    return target


def _template() -> Any:
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"))
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": _number,
        "interval": _interval,
        "percent": _percent,
        "scaled": _scaled,
        "size": _size,
        "times": _times,
        "plain": _plain,
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False),
    }
    return environment.get_template("report.html.jinja")


# --- numbers as text --------------------------------------------------------------------------------------------------


def _number(value: float | None, spread: float | None = None) -> str:
    """The value with two digits of its spread, or four of its own; a dash if there is none."""
    if value is None:
        return DASH
    scale = spread or abs(value)
    digits = 1 if spread else 3
    decimals = digits - math.floor(math.log10(scale)) if scale else 0
    if (abs(value) >= 1e7 or decimals > 9) and value:
        return f"{value:.3e}"
    return f"{value:,.{max(0, decimals)}f}"


def _interval(row: Json, name: str) -> str:
    """`mean [low, high]` with two digits of half the interval's width."""
    value, low, high = row[name], row["low"], row["high"]
    if low is None or high is None:
        return _number(value, row.get("sd"))
    width = (high - low) / 2
    return f"{_number(value, width)} [{_number(low, width)}, {_number(high, width)}]"


def _percent(fraction: float | None) -> str:
    return DASH if fraction is None else f"{100 * fraction:.0f} %"


def _scaled(value: float | None, unit: str) -> str:
    """Three digits with a decimal prefix."""
    if value is None:
        return DASH
    power = min(max(0, math.floor(math.log10(value) / 3) if value > 0 else 0), 6)
    return f"{value / 1000**power:.3g} {('', 'k', 'M', 'G', 'T', 'P', 'E')[power]}{unit}"


def _size(value: float | None) -> str:
    """Three digits with a binary prefix."""
    if value is None:
        return DASH
    power = min(max(0, int(math.log2(value) // 10) if value > 0 else 0), 4)
    return f"{value / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def _times(mean: float | None, fastest: float | None, slowest: float | None) -> str:
    """`mean [fastest, slowest]`, all in the unit that suits the mean."""
    if mean is None or fastest is None or slowest is None:
        return DASH
    size, unit = next((size, unit) for size, unit in ((3600, "h"), (60, "min"), (0, "s")) if mean >= size)
    scaled = [f"{seconds / max(size, 1):.3g}" for seconds in (mean, fastest, slowest)]
    return f"{scaled[0]} [{scaled[1]}, {scaled[2]}] {unit}"


def _plain(value: Any) -> str:
    """A value of a config, stamp or environment."""
    if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# --- tables -----------------------------------------------------------------------------------------------------------


def _by_measure(rows: list[Json]) -> list[tuple[str, list[Json]]]:
    """Rows of one measure together, measures in the order of their first row."""
    measures = dict.fromkeys(row["measure"] for row in rows)
    return [(measure, [row for row in rows if row["measure"] == measure]) for measure in measures]


def _differences(experiments: list[Json]) -> list[tuple[str, list[str]]]:
    """(field, its value in each experiment) for every field of the configs that is not the same in all."""
    flat = [dict(_fields(experiment["config"])) for experiment in experiments]
    fields = dict.fromkeys(field for config in flat for field in config if field not in ("name", "seed"))
    rows = [(field, [_plain(config[field]) if field in config else DASH for config in flat]) for field in fields]
    return [(field, values) for field, values in rows if len(set(values)) > 1]


def _pairing(experiments: list[Json]) -> str:
    """What the runs of one seed share in all experiments, in a sentence; "" for one experiment."""
    if len(experiments) == 1:
        return ""
    # A batch takes the next examples of the order: of another size, or several a step, it takes others.
    order = {(e["dataset"]["sha256"], e["config"]["batch_size"], e["images"] / e["steps"]) for e in experiments}
    latents = {e["config"]["model"]["latent_dim"] for e in experiments}
    shared = {
        (True, True): "the same data order and the same evaluation latents in every experiment",
        (True, False): "the same data order in every experiment, but latents of other sizes",
        (False, True): "the same evaluation latents in every experiment, but other data or batches",
        (False, False): "other data or batches and latents of other sizes in every experiment",
    }[len(order) == 1, len(latents) == 1]
    return f"A seed gives {shared}; pairs are by seed."


def _fields(config: Json, prefix: str = "") -> list[tuple[str, Any]]:
    return [
        leaf
        for name, value in config.items()
        for leaf in (_fields(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)])
    ]


def _cost(experiment: Json, units: list[Json]) -> Json:
    """What one seed of an experiment costs: means over the seeds for which the number is known."""
    own = [unit for unit in units if unit["experiment"] == experiment["name"]]

    def known(part: str, name: str) -> list[float]:
        values = [(unit[part] or {}).get(name) for unit in own]
        return [value for value in values if value is not None]

    def mean(part: str, name: str) -> float | None:
        values = known(part, name)
        return statistics.fmean(values) if values else None

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
            who.setdefault(DASH if value is None else _plain(value), []).append(
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


# --- the interval plot ------------------------------------------------------------------------------------------------


def _forest(measure: str, rows: list[Json], units: list[Json]) -> Json:
    """One measure's intervals and seeds as places in per cent of the plot's width."""
    seeds: dict[str, list[tuple[int, float]]] = {row["experiment"]: [] for row in rows}
    for unit in units:
        value = (unit["measures"] or {}).get(measure, {}).get("value")
        if value is not None and unit["experiment"] in seeds:
            seeds[unit["experiment"]].append((unit["seed"], value))
    shown = [row for row in rows if not row["other_protocol"]]
    numbers = [row[name] for row in shown for name in ("mean", "low", "high") if row[name] is not None]
    numbers += [value for row in shown for _, value in seeds[row["experiment"]]]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def place(value: float | None) -> float | None:
        return None if value is None else round(100 * (value - low) / (high - low), 2)

    ticks = _ticks(low, high) if numbers else []
    return {
        "measure": measure,
        "better": rows[0]["better"],
        "ticks": [(at, text) for tick, text in ticks if 6 < (at := place(tick) or 0) < 94],  # their texts fit in
        "rows": [
            {
                **row,
                "at": {name: place(row[name]) for name in ("mean", "low", "high")},
                "seeds": [(seed, value, place(value)) for seed, value in seeds[row["experiment"]]],
            }
            if not row["other_protocol"]
            else {**row, "seeds": []}
            for row in rows
        ],
    }


def _ticks(low: float, high: float, most: int = 5) -> list[tuple[float, str]]:
    """At most `most` round numbers between low and high, with their texts."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(power * times for times in (1, 2, 5, 10, 20) if (high - low) / (power * times) < most)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    values = [i * step for i in range(first, last + 1)]
    wide = max(abs(low), abs(high)) >= 1e6
    return [(value, f"{value:.3g}" if wide else f"{value:,.{decimals}f}") for value in values]


# --- curves -----------------------------------------------------------------------------------------------------------


def _load(directory: Path, unit: Json, remarks: list[str]) -> _Unit:
    """The unit's curves; what is missing is remarked upon."""
    run = directory / unit["directory"]
    lines: list[Json] = []
    if not run.is_dir():
        remarks.append(f"{unit['directory']} is missing, so the curves and pictures of that seed are left out.")
    else:
        try:
            lines = log.read_metrics(run)
            if not lines:
                remarks.append(f"{unit['directory']} has no lines in metrics.jsonl, so that seed has no curve.")
        except UserError as error:
            remarks.append(f"That seed has no curve: {_relative(error, directory)}")
    return _Unit(unit["experiment"], unit["seed"], run, run.is_dir(), unit["status"] != "complete", lines)


def _relative(error: UserError, directory: Path) -> str:
    """The sentence with paths as they are seen from the comparison's directory."""
    return str(error).replace(f"{directory}/", "")


def _curves(names: list[str], units: list[_Unit]) -> Json:
    """What the page's script draws: each experiment's steps, and for each term the seeds' values and quartiles."""
    lines = [line for unit in units for line in unit.lines]
    terms = [name for name in dict.fromkeys(name for line in lines for name in line)]
    terms = [term for term in terms if term not in ("step", *log.WALL_CLOCK)]
    return {
        "terms": terms,
        "experiments": [_experiment_curves(name, [u for u in units if u.experiment == name], terms) for name in names],
    }


def _experiment_curves(name: str, units: list[_Unit], terms: list[str]) -> Json:
    logged = [{line["step"]: line for line in unit.lines} for unit in units]
    # The last step of a diverged seed is always shown, because there stands its mark.
    ends = {max(lines) for unit, lines in zip(units, logged, strict=True) if unit.diverged and lines}
    every = sorted({step for lines in logged for step in lines})
    steps = sorted(ends | set(_evenly(every, max(2, CURVE_POINTS - len(ends)))))
    made = {}
    for term in terms:
        values = [[_rounded(lines.get(step, {}).get(term)) for step in steps] for lines in logged]
        if any(value is not None for curve in values for value in curve):
            made[term] = {"seeds": values, **_quartiles(values)}
    return {
        "name": name,
        "steps": steps,
        "seeds": [{"seed": unit.seed, "diverged": unit.diverged} for unit in units],
        "terms": made,
    }


def _quartiles(curves: list[list[float | None]]) -> dict[str, list[float | None]]:
    """First quartile, median and third quartile of the seeds that have a value at the step."""
    columns = [[value for value in column if value is not None] for column in zip(*curves, strict=True)]
    made = [np.quantile(column, (0.25, 0.5, 0.75)).tolist() if column else (None, None, None) for column in columns]
    return {name: [_rounded(row[i]) for row in made] for i, name in enumerate(("low", "median", "high"))}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{CURVE_DIGITS}g}")


def _evenly(items: Sequence[int], most: int) -> list[int]:
    """At most `most` of the items, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


# --- pictures ---------------------------------------------------------------------------------------------------------


def _samples(directory: Path, names: list[str], units: list[_Unit], remarks: list[str]) -> Json:
    """The sheets of all seeds at the slider's steps, as large as the page may afford."""
    files = [_sample_files(unit.run) for unit in units]
    for unit, own in zip(units, files, strict=True):
        if not own and unit.exists:
            remarks.append(
                f"{unit.run.relative_to(directory)}/samples has no pictures, so none are shown for that seed."
            )
    steps = sorted({step for own in files for step in own})
    read = _reader(directory, remarks)
    rows, shown = 0, steps
    sheets: list[list[_Sheet]] = []
    for rows, positions in SAMPLE_SIZES:
        shown = _evenly(steps, positions)
        sheets = []
        for own in files:
            # The newest sheet at each position: experiments of different length share one slider.
            before = [[step for step in own if step <= at] for at in shown]
            pixels = {step: read(own[step]) for step in sorted({max(steps) for steps in before if steps})}
            sheets.append([_embedded(_first_rows(p, rows), step) for step, p in pixels.items() if p is not None])
        if sum(len(sheet.uri) for own in sheets for sheet in own) <= SAMPLE_BYTES:
            break
    together = [(unit, own) for unit, own in zip(units, sheets, strict=True)]
    return {
        "steps": shown,
        "rows": rows,
        "left_out": len(steps) - len(shown),
        "experiments": [(name, [(unit, own) for unit, own in together if unit.experiment == name]) for name in names],
    }


def _sample_files(run: Path) -> dict[int, Path]:
    named = [(re.fullmatch(r"step-(\d+)\.png", file.name), file) for file in (run / "samples").glob("step-*.png")]
    return {int(match[1]): file for match, file in named if match}


def _pictures(directory: Path, experiments: list[Json], units: list[_Unit], remarks: list[str]) -> list[Json]:
    """The pictures of each kind that the families have: [(unit, its sheet or None)] for each experiment."""
    made = []
    read = _reader(directory, remarks)
    for family, kinds in KINDS.items():
        members = [experiment["name"] for experiment in experiments if experiment["family"] == family]
        for kind, title, caption in kinds:
            shown = []
            for name in members:
                own = [unit for unit in units if unit.experiment == name]
                files = [unit.run / "pictures" / f"{kind}.png" for unit in own]
                pixels = [read(file) if file.exists() else None for file in files]
                sheets: list[_Sheet | None] = []
                for rows in PICTURE_ROWS:
                    sheets = [None if p is None else _embedded(_first_rows(p, rows)) for p in pixels]
                    if sum(len(sheet.uri) for sheet in sheets if sheet) <= PICTURE_BYTES:
                        break
                if any(sheets):
                    remarks += [
                        f"{file.relative_to(directory)} is missing."
                        for unit, file in zip(own, files, strict=True)
                        if not file.exists() and unit.exists and not unit.diverged
                    ]
                shown.append((name, list(zip(own, sheets, strict=True)) if any(sheets) else []))
            if members:
                made.append({"kind": kind, "title": title, "caption": caption, "experiments": shown})
    return made


def _reader(directory: Path, remarks: list[str]) -> Callable[[Path], np.ndarray | None]:
    """Reads each sheet once, at one pixel per pixel; of a damaged one comes a remark and None."""
    known: dict[Path, np.ndarray | None] = {}

    def read(file: Path) -> np.ndarray | None:
        if file not in known:
            try:
                known[file] = _shrunk(log.read_png(file))
            except UserError as error:
                known[file] = None
                remarks.append(_relative(error, directory))
        return known[file]

    return read


def _shrunk(sheet: np.ndarray) -> np.ndarray:
    """Undoes `log.enlarge`: the smallest picture of which the sheet is a whole enlargement."""
    common = math.gcd(*sheet.shape[:2])
    for times in range(common, 1, -1):
        if common % times == 0:
            small = sheet[::times, ::times]
            if np.array_equal(small.repeat(times, 0).repeat(times, 1), sheet):
                return small
    return sheet


def _first_rows(sheet: np.ndarray, rows: int) -> np.ndarray:
    """The first rows of images of a grid; the whole sheet where it is none, as a scatter of points."""
    grey = (sheet == 128).all(axis=(1, 2))  # the gaps between the rows
    height = len(sheet) - 1
    pitch = next((p for p in range(3, height + 1) if height % p == 0 and grey[::p].all()), None)
    return sheet if pitch is None else sheet[: rows * pitch + 1]


def _embedded(sheet: np.ndarray, step: int | None = None) -> _Sheet:
    data = base64.b64encode(log.png_bytes(sheet)).decode()
    return _Sheet(step, f"data:image/png;base64,{data}", sheet.shape[1], sheet.shape[0])
