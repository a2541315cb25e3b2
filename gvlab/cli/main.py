"""The command line. Every mistake ends in one sentence on the standard error and exit code 2."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from gvlab import __version__
from gvlab.cli import compare, data, draw, evaluate, reproduce, train
from gvlab.types import Diverged, UserError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message[:1].upper()}{message[1:]} (see {self.prog} --help).")


def parser() -> argparse.ArgumentParser:
    """The commands and their own options; the fields of an experiment are added by tyro when it has been loaded."""
    top = _Parser(prog="gvlab", description="A laboratory for GANs and VAEs.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"gvlab {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, help: str, run: Callable[..., None]) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    for verb in (train, compare, reproduce, draw, evaluate, data):
        verb.add(command)
    return top


def main(argv: list[str] | None = None) -> None:
    """The entry point; ends the process with its exit code."""
    sys.exit(_main(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    try:
        if argv[:1] == ["train"] and len(argv) > 2 and {"-h", "--help"} & set(argv):
            train.help_of(parser(), argv)
            return 0
        args, rest = parser().parse_known_args(argv)
        if args.command == "train" and str(args.experiment) != str(Path(argv[1])):
            raise UserError(f"The experiment file comes first, but the first argument of train is {argv[1]}.")
        if rest and args.command not in ("train", "compare"):
            raise UserError(f"Unknown argument {rest[0]} (see gvlab {args.command} --help).")
        args.run(args, rest)
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (UserError, OSError) as error:
        return _fail(_sentence(error), 2)
    except Diverged as diverged:
        return _fail(f"Training diverged: {diverged}", 1)
    except KeyboardInterrupt:
        return _fail("Interrupted.", 128 + signal.SIGINT)
    return 0


def _fail(sentence: str, code: int) -> int:
    print(f"gvlab: {sentence}", file=sys.stderr)
    return code


def _sentence(error: UserError | OSError) -> str:
    if isinstance(error, UserError):
        return str(error)
    where = f" ({error.filename})" if error.filename else ""
    return f"The file system refuses: {error.strerror or error}{where}; make room or choose another path, then repeat."
