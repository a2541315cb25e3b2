"""The commands of data sets."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from gvlab.cli import terminal


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    data = command("data", "The data sets.", lambda args, rest: None)
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="What exists: size, licence, shape.").set_defaults(run=_data_list)
    prepare = actions.add_parser("prepare", help="Download, verify and cache one.")
    prepare.add_argument("name", metavar="NAME")
    prepare.set_defaults(run=_data_prepare)


def _data_list(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import data

    rows = [
        [
            name,
            str(card.shape),
            f"{card.train} + {card.test}",
            str(card.num_classes),
            card.licence,
            card.download,
            card.description,
        ]
        for name, card in data.CATALOGUE.items()
    ]
    terminal.print_table(
        ["name", "shape", "train + test", "classes", "licence", "download", "what it is"], rows, left=7
    )


def _data_prepare(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import data

    where = data.prepare(args.name)
    print(f"{args.name} is ready{f': {where}' if where else ' (it comes with gvlab)'}")
