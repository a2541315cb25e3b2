"""The commands of comparisons: compare, unit, report, verify, reproduce."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend, experiment_files, terminal
from gvlab.types import Diverged, UserError

REPRODUCTIONS = Path("experiments") / "reproductions"

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.compare import Plan
    from gvlab.config import Experiment


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    compare = command("compare", "Train and measure several experiments over several seeds.", _compare)
    compare.add_argument(
        "experiments",
        nargs="+",
        metavar="EXPERIMENT.py",
        help="files that define config(), or the plan.json of another comparison; NAME.FIELD=VALUE sets a field of one",
    )
    compare.add_argument("--seeds", type=int, help="how many: 0, 1, ..., N-1 (default: as before, or 3)")
    compare.add_argument("--steps", type=int, help="of every run; with --match, of the first experiment's")
    compare.add_argument(
        "--match", metavar="WHAT", help="give the others as many steps, images, seconds or flops as the first has"
    )
    compare.add_argument(
        "--sweep", metavar="FIELD=V1,V2", action="append", help="every experiment once for each value of a field"
    )
    compare.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="the comparison (default: comparisons/A-vs-B; name one to add experiments later)",
    )
    compare.add_argument("--together", type=int, metavar="N", help="seeds per program (default: what fits; on CPU 1)")
    compare.add_argument(
        "--launcher",
        default="here",
        choices=("here", "ray", "commands"),
        help="ray: a Ray cluster; commands: print one shell line per unit, for a scheduler (default: here)",
    )

    unit = command("unit", "Make one unit of a comparison that was planned.", _unit)
    unit.add_argument("directory", type=Path, metavar="DIR")
    unit.add_argument("unit", metavar="EXPERIMENT/seed-K")

    report = command("report", "Make the tables and the report of a comparison anew, without training.", _report)
    report.add_argument("directory", type=Path, metavar="DIR")

    verify = command("verify", "Train units of a comparison again and say whether the numbers are true.", _verify)
    verify.add_argument("directory", type=Path, metavar="DIR")
    verify.add_argument("--unit", nargs="+", metavar="EXPERIMENT/seed-K", help="default: all")
    verify.add_argument("--fraction", type=float, help="of the steps, rounded up to a checkpoint (default: all)")

    reproduce = command("reproduce", "Run a published result again, over seeds, and record it.", _reproduce)
    reproduce.add_argument("name", metavar="NAME", help="of experiments/reproductions/NAME.py, or a file's path")
    reproduce.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    reproduce.add_argument("--steps", type=int, help="shorten the training; the record says so")
    reproduce.add_argument("--out", type=Path, metavar="DIR", help="the runs (default: reproductions/EXPERIMENT)")


def _compare(args: argparse.Namespace, rest: list[str]) -> None:
    for text in rest:
        if text.startswith("-"):
            raise UserError(f"Unknown argument {text} (see gvlab compare --help).")
    backend.start()
    args.experiments += rest  # what stands behind an option
    plan = _planned(args)
    from gvlab import compare, launch, loop

    root = _root(args, plan)
    if args.together is not None and args.together < 1:
        raise UserError(f"--together is {args.together}, but must be at least 1.")
    if args.together is not None and args.launcher != "here":
        raise UserError(f"--together is for --launcher here: {args.launcher} makes every unit on its own.")
    if args.launcher == "commands":
        lines = launch.commands(plan, root)
        for line in lines:
            print(line)
        print(f"{len(lines)} units; afterwards: gvlab report {root}", file=sys.stderr)
        return
    if args.launcher == "ray":
        launch.ray(plan, root)
    with _listening() as listen:
        try:
            found = compare.run(plan, root, listen, args.together)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    _show(plan, found, root)


def _planned(args: argparse.Namespace) -> Plan:
    """The comparison that the command line asks for."""
    from gvlab import compare

    files = [text for text in args.experiments if "=" not in text or Path(text).is_file()]
    settings = [text for text in args.experiments if text not in files]
    other = None
    if [Path(file).name for file in files] == ["plan.json"]:
        other = compare.read_plan(Path(files[0]).parent)
        experiments, seeds = list(other.experiments), other.seeds
    elif files:
        experiments, seeds = [experiment_files.load(Path(file)) for file in files], 3
    else:
        raise UserError(f"{settings[0]} sets a field, but no experiment file is named.")
    twice = [text for text in settings if [one.split("=")[0] for one in settings].count(text.split("=")[0]) > 1]
    if twice:
        raise UserError(f"{twice[0]} and {twice[-1]} set one field: give it once, or --sweep over its values.")
    ignored = [
        *(text for text in settings if text.split("=")[0].endswith(".seed")),
        *(text for text in settings if args.steps is not None and text.split("=")[0].endswith(".steps")),
        *(text for text in args.sweep or () if args.steps is not None and text.split("=")[0] == "steps"),
    ]
    if ignored:
        instead = "--seeds gives the seeds" if ".seed=" in ignored[0] else f"--steps {args.steps} sets the same"
        raise UserError(f"{ignored[0]} would have no effect, since {instead}: leave one of them out.")
    if args.match and len(experiments) == 1 and not args.sweep:
        raise UserError(f"--match {args.match} has only {experiments[0].name}, and nothing to match it with: name two.")
    experiments = _set(experiments, settings)
    if args.steps is not None:
        experiments = [replace(experiment, steps=args.steps) for experiment in experiments]
    if args.sweep and len(args.sweep) > 1:
        raise UserError(f"--sweep is given for {' and '.join(args.sweep)}, but sweeps over one field: choose one.")
    for sweep in args.sweep or ():
        experiments = [one for experiment in experiments for one in _swept(experiment, sweep)]
    plan = compare.Plan(tuple(experiments), seeds if args.seeds is None else args.seeds)
    if args.seeds is None and not other and (_root(args, plan) / "plan.json").is_file():
        plan = replace(plan, seeds=compare.read_plan(_root(args, plan)).seeds)  # nothing is dropped by silence
    if args.match is None:
        same = other and other.experiments == plan.experiments
        return replace(plan, match=other.match, spent=other.spent) if other and same else plan
    if args.match not in compare.MATCHES:
        raise UserError(f"--match is {args.match!r}, but must be one of {', '.join(compare.MATCHES)}.")
    return _matched(plan, args.match, _root(args, plan))


def _root(args: argparse.Namespace, plan: Plan) -> Path:
    """The directory of the comparison."""
    from gvlab import compare

    names = [experiment.name for experiment in plan.experiments]
    several = "-vs-".join(names)
    return args.out or Path("comparisons") / (
        several if len(os.fsencode(several)) < compare.LONGEST_NAME else f"{names[0]}-and-{len(names) - 1}-more"
    )


def _matched(plan: Plan, match: str, root: Path) -> Plan:
    """The plan with equal budgets. What an earlier call matched to the same budget keeps its steps: no two measurements
    of seconds are alike, so that a comparison that was stopped could not go on."""
    from gvlab import compare
    from gvlab.config import WITHOUT_INFLUENCE, difference

    earlier: dict[str, tuple[Experiment, float]] = {}
    before = compare.read_plan(root) if (root / "plan.json").is_file() else None
    first = ("seed", "evaluation")  # do not change what the first experiment spends
    if before and before.match == match and not difference(before.experiments[0], plan.experiments[0], first):
        spent = before.spent or [1.0] * len(before.experiments)
        earlier = {one.name: (one, share) for one, share in zip(before.experiments, spent, strict=True)}
    found: list[tuple[Experiment, float] | None] = []
    for experiment in plan.experiments:
        old, share = earlier.get(experiment.name, (None, 1.0))
        same = old and not difference(old, experiment, ignore=("seed", *WITHOUT_INFLUENCE))
        found.append((replace(experiment, steps=old.steps), share) if old and same else None)
    if not all(found):
        fresh = compare.matched(list(compare.programs_of(plan).values()), match)
        found = [old or new for old, new in zip(found, fresh, strict=True)]
    made = [one for one in found if one]
    return replace(plan, experiments=tuple(e for e, _ in made), match=match, spent=tuple(share for _, share in made))


def _set(experiments: list[Experiment], settings: list[str]) -> list[Experiment]:
    """NAME.FIELD=VALUE, for each experiment of that name."""
    for setting in settings:
        target, value = setting.split("=", 1)
        found = [e for e in experiments if target.startswith(f"{e.name}.")]
        if not found:
            names = " or ".join(experiment.name for experiment in experiments)
            raise UserError(f"{setting} does not begin with the name of an experiment and a dot ({names}).")
        chosen = max(found, key=lambda experiment: len(experiment.name))
        option = "--" + target[len(chosen.name) + 1 :].replace("_", "-")
        changed = experiment_files.override(chosen, [option, value], "gvlab train EXPERIMENT.py")
        experiments = [changed if experiment is chosen else experiment for experiment in experiments]
    return experiments


def _swept(experiment: Experiment, sweep: str) -> list[Experiment]:
    from gvlab import compare

    field, separator, values = sweep.partition("=")
    if not separator or not all(values.split(",")):
        raise UserError(f"--sweep is {sweep!r}, but must be FIELD=VALUE,VALUE,... .")
    return compare.swept(experiment, field, [_value(text) for text in values.split(",")])


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return {"True": True, "False": False}.get(text, text)


def _unit(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    from gvlab import compare, loop

    with _listening() as listen:
        try:
            compare.run_unit(args.directory, args.unit, listen)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    print(f"{args.directory}: {args.unit} is complete.")


def _report(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import compare

    plan = compare.read_plan(args.directory)
    _show(plan, compare.write(plan, args.directory), args.directory)


def _verify(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    from gvlab import verify

    with _listening() as listen:
        found = verify.verify(args.directory, args.unit, args.fraction, listen)
    for one in found:
        print(one.sentence)
    unknown = [one.unit for one in found if one.outcome == "unverified"]
    if unknown:
        print(f"gvlab: {len(unknown)} of {len(found)} could not be verified: {', '.join(unknown)}.", file=sys.stderr)
    wrong = [one.unit for one in found if one.outcome == "different"]
    if wrong:
        print(f"gvlab: {len(wrong)} of {len(found)} are not what was recorded: {', '.join(wrong)}.", file=sys.stderr)
        raise SystemExit(1)


def _reproduce(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    file = Path(args.name)
    if file.suffix != ".py":
        known = sorted(one.stem for one in REPRODUCTIONS.glob("[a-z]*.py"))
        if args.name not in known:
            where = f"choose one of {', '.join(known)}" if known else "repeat this in a clone of gvlab"
            raise UserError(f"{REPRODUCTIONS} has no {args.name}.py: {where}.")
        file = REPRODUCTIONS / f"{args.name}.py"
    from gvlab import loop, reproduce

    with _listening() as listen:
        try:
            record = reproduce.reproduce(file, args.steps, args.seeds, args.out, listen)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    terminal.print_table(list(reproduce.HEADER), [reproduce.row(record, file)], left=3)
    print(f"Recorded: {file.parent / 'results' / file.stem}.json; the ledger: {file.parent / 'README.md'}")


@contextlib.contextmanager
def _listening() -> Any:
    """A function from titles to what hears of a training: one progress bar after another."""
    with contextlib.ExitStack() as stack:

        def listen(title: str) -> Any:
            stack.close()
            return stack.enter_context(terminal.progress(title))

        yield listen


def _show(plan: Plan, found: dict[str, Any], root: Path) -> None:
    from gvlab import compare, tables

    # Without the protocols, which would fill the screen; the files have them.
    rows = [row[:-1] for row in tables.table(found)]
    terminal.print_table(list(tables.HEADER[:-1]), rows, left=3)
    for remark in found["remarks"]:
        print(remark)
    print(found["verdict"])
    print(f"Report: {root / 'report.html'}")
    print(f"Tables: {root / 'table.md'}, table.tex, comparison.csv, comparison.json")
    for note in compare.notes(plan, root):
        print(note, file=sys.stderr)
    if all(unit["failure"] for unit in found["units"]):
        raise Diverged("no run of the comparison came to its end.")
