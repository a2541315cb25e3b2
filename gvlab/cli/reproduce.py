"""The command that runs a published result again."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from gvlab import backend
from gvlab.cli import outputs, terminal
from gvlab.errors import UserError
from gvlab.spelling import nearest

REPRODUCTIONS = Path("experiments") / "reproductions"


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the command to the parser; `command(name, help, run)` makes one."""
    reproduce = command("reproduce", "Run a published result again, over seeds, and record it.", _reproduce)
    reproduce.add_argument("name", metavar="NAME", help="of experiments/reproductions/NAME.py, or a file's path")
    reproduce.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    reproduce.add_argument("--steps", type=int, help="shorten the training; the record says so")
    reproduce.add_argument(
        "--out", type=outputs.directory, metavar="DIR", help="the runs (default: reproductions/EXPERIMENT)"
    )


def _reproduce(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    file = Path(args.name)
    if file.suffix != ".py":
        known = sorted(one.stem for one in REPRODUCTIONS.glob("[a-z]*.py"))
        if args.name not in known:
            where = f"choose one of {', '.join(known)}" if known else "repeat this in a clone of gvlab"
            raise UserError(f"{REPRODUCTIONS} has no {args.name}.py{nearest(args.name, known)}: {where}.")
        file = REPRODUCTIONS / f"{args.name}.py"
    from gvlab import reproduce
    from gvlab.train import loop

    with terminal.listening() as listen:
        try:
            record = reproduce.reproduce(file, args.steps, args.seeds, args.out, listen)
        except loop.Interrupted as stop:
            terminal.stopped(stop, stop.signum)
    terminal.print_table(list(reproduce.HEADER), [reproduce.row(record, file)], left=3)
    print(f"Recorded: {file.parent / 'results' / file.stem}.json; the ledger: {file.parent / 'README.md'}")
