"""The command that trains one run."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gvlab import backend
from gvlab.cli import outputs, overrides, terminal
from gvlab.cli.runs import program_of
from gvlab.config import experiment_file
from gvlab.errors import UserError

if TYPE_CHECKING:
    from gvlab.train.record import Progress


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the command to the parser; `command(name, help, run)` makes one."""
    train = command("train", "Train one seed of an experiment, or continue it.", _train)
    train.add_argument("experiment", type=Path, metavar="EXPERIMENT.py", help="a file that defines config()")
    train.add_argument("--out", type=outputs.directory, default=Path("runs"), help="directory of runs (default: runs)")
    train.add_argument("--on", metavar="RUN", help="for a second stage: the run directory of its first")
    train.add_argument("--coordinator", metavar="HOST:PORT", help="of several processes that train one run; or auto")
    train.add_argument("--processes", type=int, metavar="N", help="how many processes there are")
    train.add_argument("--process", type=int, metavar="I", help="which of them this one is, from 0")
    train.epilog = "Any field of the experiment is an option, too: gvlab train EXPERIMENT.py --help lists them."


def help_of(parser: argparse.ArgumentParser, argv: list[str]) -> None:
    """Prints the options of `gvlab train FILE`, the fields of its experiment among them."""
    files = [arg for arg in argv[1:] if arg.endswith(".py")]
    if not files:
        parser.parse_args(["train", "--help"])
    print(
        "Options of the command itself: --out DIR, the directory of runs (default: runs); for a second stage --on RUN, "
        "the run of its first; for one run on several hosts --coordinator HOST:PORT --processes N --process I, or "
        "--coordinator auto.\n"
    )
    experiment = experiment_file.load(Path(files[0]))
    print(f"Options that choose a class, with its defaults:\n{overrides.classes(experiment)}\n")
    with contextlib.suppress(SystemExit):
        overrides.override(experiment, ["--help"], f"gvlab train {files[0]}")


def _train(args: argparse.Namespace, rest: list[str]) -> None:
    experiment = overrides.override(experiment_file.load(args.experiment), rest, f"gvlab train {args.experiment}")
    experiment = overrides.put_on([experiment], args.on)[0]
    _check_processes(args)
    if args.coordinator:  # a process that waits for the others would hear of SIGTERM when they answer, or never
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    backend.start(args.coordinator, args.processes, args.process)
    program = program_of(experiment)
    experiment = program.experiment
    from gvlab import evaluate
    from gvlab.extractors.extractor import INCEPTION
    from gvlab.runs import directory as rundir
    from gvlab.runs.environment import keep_convolutions
    from gvlab.train import engines, loop

    evaluate.check(experiment.evaluation)
    if not set(experiment.evaluation.features) & set(INCEPTION):  # whose weights need not be here yet
        evaluate.check_ahead(program, evaluate.extractors_of(experiment.evaluation, program.dataset))
    run = rundir.path(args.out, experiment)
    rundir.check_config(run, experiment)
    keep_convolutions([run])
    before, heard = rundir.status(run), False
    try:
        with terminal.progress(f"{experiment.name} seed {experiment.seed}") as show:

            def listen(now: Progress) -> None:
                nonlocal heard
                heard = True
                show(now)

            loop.train(engines.alone(program), args.out, experiment.seed, listen=listen)
    except loop.Interrupted as stop:
        terminal.stopped(stop, stop.signum)
    terminal.say_own_parts([experiment], run / rundir.EXPERIMENT_FILE)
    if before == rundir.status(run) and not heard:
        print(f"{run} is complete: {before['step']} steps.")
    else:
        print(f"Trained {experiment.steps} steps: {run}")


def _check_processes(args: argparse.Namespace) -> None:
    """Either none of the options of several processes, or all that belong together."""
    given = args.processes is not None, args.process is not None
    if args.coordinator in (None, "auto"):
        if any(given):
            raise UserError("--processes and --process belong to --coordinator HOST:PORT: give all three, or none.")
    elif not re.fullmatch(r"[^\s:]+:\d+", args.coordinator):
        raise UserError(f"--coordinator is {args.coordinator!r}, but must be HOST:PORT or auto.")
    elif not all(given):
        raise UserError(f"--coordinator {args.coordinator} needs --processes N and --process I, too.")
    elif not 0 <= args.process < args.processes:
        raise UserError(f"--process is {args.process}, but must be from 0 to {args.processes - 1}.")
