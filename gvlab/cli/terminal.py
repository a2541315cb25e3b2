"""What the command line shows: tables, and the progress of training."""

from __future__ import annotations

import contextlib
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from gvlab.numbers import number

if TYPE_CHECKING:
    from gvlab.config import Experiment
    from gvlab.train.record import Listener, Progress


def print_table(head: list[str], rows: list[list[str]], left: int) -> None:
    """A table on the terminal, its first `left` columns aligned left, the others right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text  # what is in brackets would be a style otherwise

    console = Console() if sys.stdout.isatty() else Console(width=160)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(Text(name), justify="left" if i < left else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def some(names: Sequence[str], most: int = 12) -> str:
    """The names, or the first of them where there are more."""
    return ", ".join([*names[:most], "..."] if len(names) > most else names)


@contextlib.contextmanager
def progress(title: str) -> Iterator[Listener]:
    """A progress bar on a terminal; elsewhere a plain line at most every five seconds."""
    if not sys.stderr.isatty():
        yield _plain_lines(title, 5)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[values]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=None, speed="", values="compiling")

        def listen(now: Progress) -> None:
            bar.update(
                task,
                completed=now.step,
                total=now.steps,
                speed=f"{now.images_per_second:,.0f} images/s",
                values=_values(now),
            )

        yield listen


@contextlib.contextmanager
def counting(title: str, total: int | None = None) -> Iterator[Callable[..., None]]:
    """A progress bar on a terminal, for what hears how many are done (and of how many, where `total` isn't known
    beforehand); elsewhere a line every five seconds."""
    if not sys.stderr.isatty():
        last = time.monotonic()

        def listen(done: int, of: int | None = total) -> None:
            nonlocal last
            if time.monotonic() - last > 5:
                last = time.monotonic()
                print(f"{title}: {done} of {of}", file=sys.stderr, flush=True)

        yield listen
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done, of=total: bar.update(task, completed=done, total=of)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _say_when(line: str) -> None:
    """With the time, since whoever reads it later was not there."""
    _say(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")


def _plain_lines(title: str, every: float, last: float = 0.0, say: Callable[[str], None] = _say) -> Listener:
    """A line at most every so many seconds; the first so many after `last`."""

    def listen(now: Progress) -> None:
        nonlocal last
        if time.monotonic() - last > every:
            last = time.monotonic()
            left = ""
            if now.images_per_second and now.step > 1:
                left = f"  {now.images_per_second:,.0f} images/s"
            say(f"{title}: step {now.step}/{now.steps}{left}  {_values(now)}")

    return listen


def _values(now: Progress) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in now.values.items() if "grad_norm" not in name)


def stopped(reason: Exception, signum: int) -> NoReturn:
    """Ends the process after a signal, saying how to continue."""
    program = Path(sys.argv[0])
    as_module = [Path(sys.executable).name, "-m", "gvlab"]
    again = shlex.join([*(as_module if program.stem == "__main__" else [program.name]), *sys.argv[1:]])
    print(f"gvlab: {reason} To continue: {again}", file=sys.stderr)
    raise SystemExit(128 + signum) from reason


@contextlib.contextmanager
def listening() -> Iterator[Callable[[str], Listener]]:
    """A function from titles to what hears of a training: one progress bar after another; without a terminal a line
    for each, with the time, and for one that takes long some more."""
    with contextlib.ExitStack() as stack:

        def listen(title: str) -> Listener:
            stack.close()
            if sys.stderr.isatty():
                return stack.enter_context(progress(title))
            _say_when(title)
            return _plain_lines(title, 30, time.monotonic(), _say_when)

        yield listen


def say_own_parts(experiments: Iterable[Experiment], copy: Path) -> None:
    """Says which classes of the experiments' own files take part, if any, and where the copies lie."""
    for which in _executed(experiments):
        print(f"{which} took part: a copy is kept as {copy}.")


def say_executed(experiments: Iterable[Experiment]) -> None:
    """Says which classes of the experiments' own files train them again, if any."""
    for which in _executed(experiments):
        print(f"Executed: {which}, letter for letter the file that was trained with.")


def _executed(experiments: Iterable[Experiment]) -> Iterator[str]:
    """The classes of each file that was executed here: Nets of mine.py (SHA-256 6783c463e5ae)."""
    from gvlab.config import own

    for sha256, names in dict.fromkeys(item for experiment in experiments for item in own.files(experiment).items()):
        if source := own.source(sha256):
            yield f"{names} of {source.path.name} (SHA-256 {sha256[:12]})"
