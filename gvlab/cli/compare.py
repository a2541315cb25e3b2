"""The commands of comparisons: compare, unit, report, verify."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend
from gvlab.cli import outputs, terminal
from gvlab.cli.plan import directory_of, planned
from gvlab.cli.runs import add_experiment
from gvlab.errors import Diverged, UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.compare import Plan


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    compare = command("compare", "Train and measure several experiments over several seeds.", _compare)
    compare.add_argument(
        "experiments",
        nargs="+",
        metavar="EXPERIMENT.py",
        help="files that define config(), or the plan.json of another comparison; NAME.FIELD=VALUE sets a field of one",
    )
    compare.add_argument("--seeds", type=int, help="how many: 0, 1, ..., N-1 (default: as before, or 6)")
    compare.add_argument("--steps", type=int, help="of every run; with --match, of the first experiment's")
    compare.add_argument(
        "--match", metavar="WHAT", help="give the others as many steps, images, seconds or flops as the first has"
    )
    compare.add_argument(
        "--sweep",
        metavar="FIELD=V1,V2",
        action="append",
        help="every experiment once for each value of a field; given several times, for each combination",
    )
    compare.add_argument(
        "--metrics",
        nargs="+",
        dest="measures",
        metavar="NAME",
        help="what all are measured by, as of gvlab evaluate (default: what each experiment says)",
    )
    compare.add_argument("--on", metavar="RUN", help="for second stages: the run directory of their first")
    compare.add_argument(
        "--out",
        type=outputs.directory,
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

    add_experiment(compare, action="append")

    unit = command("unit", "Make one unit of a comparison that was planned.", _unit)
    unit.add_argument("directory", type=Path, metavar="DIR")
    unit.add_argument("unit", metavar="EXPERIMENT/seed-K")
    add_experiment(unit, action="append")

    report = command("report", "Make the tables and the report of a comparison anew, without training.", _report)
    report.add_argument("directory", type=Path, metavar="DIR")
    for each in (compare, report):
        each.add_argument("--full", action="store_true", help="print every measure, not only the six that tell most")

    verify = command("verify", "Train units of a comparison again and say whether the numbers are true.", _verify)
    verify.add_argument("directory", type=Path, metavar="DIR")
    verify.add_argument("--unit", nargs="+", metavar="EXPERIMENT/seed-K", help="default: all")
    add_experiment(verify, action="append")
    verify.add_argument("--fraction", type=float, help="of the steps, rounded up to a checkpoint (default: all)")


def _compare(args: argparse.Namespace, rest: list[str]) -> None:
    if args.launcher == "ray":
        backend.check_variables()  # before anything imports JAX
        from gvlab.compare.launch import begin_ray

        begin_ray()
    backend.start()
    args.experiments += rest  # what stands behind an option
    plan = planned(args)
    from gvlab import compare
    from gvlab.compare import launch
    from gvlab.runs import directory as rundir
    from gvlab.train import loop

    root = directory_of(args, plan)
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
    with terminal.listening() as listen:
        try:
            comparison = compare.run(plan, root, listen, args.together)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    _show(plan, comparison, root, args.full)
    terminal.say_own_parts(plan.experiments, root / "units" / "*" / "*" / rundir.EXPERIMENT_FILE)


def _unit(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    from gvlab import compare
    from gvlab.train import loop

    compare.open_parts(args.directory, args.experiment or (), [args.unit])
    with terminal.listening() as listen:
        try:
            compare.run_unit(args.directory, args.unit, listen)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    print(f"{args.directory}: {args.unit} is complete.")


def _report(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import compare

    plan = compare.read_plan(args.directory)
    _show(plan, compare.write(plan, args.directory), args.directory, args.full)


def _verify(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    from gvlab import compare
    from gvlab.compare import verify

    compare.open_parts(args.directory, args.experiment or (), args.unit)
    terminal.say_executed(compare.read_plan(args.directory).experiments)
    with terminal.listening() as listen:
        verdicts = verify.verify(args.directory, args.unit, args.fraction, listen)
    for verified in verdicts:
        print(verified.sentence)
    unchecked = verify.unchecked(args.directory, compare.read_plan(args.directory), verdicts)
    print(f"Not checked: {'; '.join(unchecked)}.")
    unknown = [verified.unit for verified in verdicts if verified.outcome == "unverified"]
    if unknown:
        print(f"gvlab: {len(unknown)} of {len(verdicts)} could not be verified: {', '.join(unknown)}.", file=sys.stderr)
    wrong = [verified.unit for verified in verdicts if verified.outcome == "different"]
    if wrong:
        print(f"gvlab: {len(wrong)} of {len(verdicts)} are not what was recorded: {', '.join(wrong)}.", file=sys.stderr)
        raise SystemExit(1)
    if unknown:
        raise SystemExit(3)


def _show(plan: Plan, comparison: dict[str, Any], root: Path, full: bool) -> None:
    """The verdict, what tells most, one line for each reason to be careful, and where the rest is."""
    from gvlab import compare
    from gvlab.compare import headlines, tables

    print(comparison["verdict"])
    print()
    if full or not comparison["summaries"]:
        # Without the protocols, which would fill the screen; the files have them.
        terminal.print_table(list(tables.HEADER[:-1]), [row[:-1] for row in tables.table(comparison)], left=3)
    else:
        head, rows = headlines.table(comparison)
        terminal.print_table(head, rows, left=2 if head[0] == "measure" else 1)
        every = len({row["measure"] for row in comparison["summaries"]})
        if every > headlines.MOST:
            print(f"All {every} measures: --full, or table.md")
    print()
    for remark in comparison["remarks"]:
        print(remark)
    print(f"Report: {root / 'report.html'}")
    print(f"Tables: {root / 'table.md'}, table.tex, comparison.csv, comparison.json")
    for note in compare.notes(plan, root):
        print(note, file=sys.stderr)
    if all(unit["failure"] for unit in comparison["units"]):
        raise Diverged("no run of the comparison came to its end.")
