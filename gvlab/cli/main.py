"""The command line. Every mistake ends in one sentence on the standard error and exit code 2."""

from __future__ import annotations

import argparse
import contextlib
import errno
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from gvlab import __version__, backend
from gvlab.cli import compare, data, draw, evaluate, last_resort, paper, reproduce, restore, streams, take, train
from gvlab.errors import Diverged, UserError
from gvlab.spelling import nearest


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
        made.set_defaults(run=run, parser=made)
        return made

    for verb in (train, compare, paper, reproduce, take, draw, restore, evaluate, data):
        verb.add(command)
    return top


def main(argv: list[str] | None = None) -> None:
    """The entry point; ends the process with its exit code."""
    streams.prepare()
    argv = sys.argv[1:] if argv is None else argv
    try:
        with _ended_by_sigterm():
            code = _main(argv)
    except SystemExit as stop:  # of --help, a signal, what could not be verified
        code = int(stop.code or 0)
    except streams.Unwritable:
        code = 0  # until the streams have been asked
    except Exception as error:
        code = _fail(last_resort.unforeseen(error, argv), 70)
    try:
        streams.finish()
    except streams.Unwritable as refused:
        code = _refused(refused.__cause__)
    sys.exit(code)


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: what is half made is removed on the way out, as after Ctrl-C."""


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM raises `_Terminated`, unless whoever started the process has it ignored."""

    def terminate(_signum: int, _frame: Any) -> NoReturn:
        raise _Terminated

    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _main(argv: list[str]) -> int:
    try:
        _check_letters(argv)
        if argv and argv[0].startswith("-") and argv[0] not in ("-h", "--help", "--version"):
            raise UserError(f"Unknown argument {argv[0]} before any command (see gvlab --help).")
        if argv[:1] == ["train"] and len(argv) > 2 and {"-h", "--help"} & set(argv):
            backend.check_variables()
            train.help_of(parser(), argv)
            return 0
        args, rest = parser().parse_known_args(argv)
        if args.command == "train" and str(args.experiment) != str(Path(argv[1])):
            raise UserError(f"The experiment file comes first, but the first argument of train is {argv[1]}.")
        if args.command != "train":  # which takes every field of its experiment
            _check_known(args, argv, rest)
        backend.check_variables()
        args.run(args, rest)
    except (UserError, OSError) as error:
        return _fail(_sentence(error), 2)
    except Diverged as diverged:
        return _fail(f"Training diverged: {diverged}", 1)
    except KeyboardInterrupt as stop:
        return _fail("Interrupted.", 128 + (signal.SIGTERM if isinstance(stop, _Terminated) else signal.SIGINT))
    except (MemoryError, RuntimeError) as error:
        if sentence := last_resort.out_of_memory(error):
            return _fail(sentence, 2)
        raise
    return 0


def _check_known(args: argparse.Namespace, argv: list[str], rest: list[str]) -> None:
    """Refuses what the command doesn't know; an experiment of compare may stand behind an option."""
    for option, first, second in zip(argv, argv[1:], argv[2:], strict=False):
        if option.startswith("--") and _is_number(first) and second in rest and _is_number(second):
            takes = next((a.help for a in args.parser._actions if option in a.option_strings), None) or ""
            raise UserError(
                f"{option} is followed by {first} {second}, but takes one number ({takes.partition(' (')[0]}): give "
                "one."
            )
    unknown = [text for text in rest if text.startswith("-") or args.command != "compare"]
    if not unknown:
        return
    option = unknown[0].partition("=")[0]
    hint = nearest(option, re.findall(r"--[\w-]+", args.parser.format_usage()))
    if args.command == "compare" and "." in option:
        hint = ": a field is set by NAME.FIELD=VALUE, without dashes"
    raise UserError(f"Unknown argument {unknown[0]}{hint} (see {args.parser.prog} --help).")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_letters(argv: list[str]) -> None:
    """Refuses an empty argument, as a rule of a variable that is not set, one with NUL, and what the file system's
    encoding cannot decode: neither JSON nor orbax could keep such a path."""
    for before, arg in zip(["gvlab", *argv], argv, strict=False):
        if not arg:
            raise UserError(f"The argument after {before} is empty: give it a value, or leave it out.")
        if "\0" in arg:
            raise UserError(
                f"The argument {arg!r} has the character NUL, which nothing can be called by: leave it out."
            )
        try:
            arg.encode()
        except UnicodeEncodeError as error:
            raise UserError(
                f"The argument {arg!a} has bytes that are no letters in {sys.getfilesystemencoding()}: rename "
                "what it names, or set LC_ALL=C.UTF-8."
            ) from error


def _refused(error: BaseException | None) -> int:
    """The exit code where the standard output takes nothing more."""
    if isinstance(error, BrokenPipeError):  # whoever reads it has seen enough
        return 128 + signal.SIGPIPE
    why = error.strerror if isinstance(error, OSError) else error
    return _fail(f"The standard output takes nothing ({why}): send it where there is room, and repeat the command.", 2)


def _fail(sentence: str, code: int) -> int:
    line = re.sub(r"\S{400,}", lambda word: f"{word[0][:100]}...", " ".join(sentence.splitlines()))
    with contextlib.suppress(streams.Unwritable):  # nobody hears of it
        print(f"gvlab: {line}", file=sys.stderr)
    return code


def _sentence(error: UserError | OSError) -> str:
    if isinstance(error, UserError):
        return str(error)
    where = f" ({re.sub(_PART, '', str(error.filename))})" if error.filename else ""
    remedy = _REMEDIES.get(error.errno or 0, "make room or choose another path, then repeat")
    return f"The file system refuses: {error.strerror or error}{where}; {remedy}."


_PART = r"\.\d+\.part$"
"""What `files.replacing` appends to a name."""

_REMEDIES = {
    errno.ENOENT: "make the directory first, or choose another path",
    errno.ENOTDIR: "choose another path",
    errno.EACCES: "change its permissions, or choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.EROFS: "choose another path",
}


if __name__ == "__main__":
    main()
