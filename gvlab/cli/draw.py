"""The commands that draw pictures of a trained run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gvlab.cli.runs import add_experiment, trained
from gvlab.errors import UserError


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    reconstruct = command("reconstruct", "Test images above their reconstructions, by a VAE.", _reconstruct)
    reconstruct.add_argument("run_directory", type=Path, metavar="RUN")
    reconstruct.add_argument("--n", type=int, help="how many (default: 16, or all where there are fewer)")

    interpolate = command("interpolate", "Walk between latents on the sphere, one walk per row.", _interpolate)
    interpolate.add_argument("run_directory", type=Path, metavar="RUN")
    interpolate.add_argument("--rows", type=int, default=8, help="walks (default: 8)")
    interpolate.add_argument("--columns", type=int, default=10, help="pictures per walk (default: 10)")
    interpolate.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")

    traverse = command("traverse", "One test image with one latent at a time changed, one latent per row.", _traverse)
    traverse.add_argument("run_directory", type=Path, metavar="RUN")
    traverse.add_argument("--example", type=int, default=0, help="number of the test image (default: 0)")
    traverse.add_argument("--columns", type=int, default=11, help="values from -3 to 3 (default: 11)")

    neighbours = command("neighbours", "Samples beside their nearest training images.", _neighbours)
    neighbours.add_argument("run_directory", type=Path, metavar="RUN")
    neighbours.add_argument("--n", type=int, default=8, help="samples (default: 8)")
    neighbours.add_argument("--k", type=int, default=7, help="neighbours of each (default: 7)")
    neighbours.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    neighbours.add_argument("--features", default="pixels", metavar="NAME", help="nearest in these (default: pixels)")
    neighbours.add_argument("--weights", type=Path, metavar="FILE", help="of Inception (default: downloaded once)")
    for drawing in (reconstruct, interpolate, traverse, neighbours):
        drawing.add_argument("--out", type=Path, required=True, metavar="GRID.png", help="the picture's file")
        add_experiment(drawing)


def _reconstruct(args: argparse.Namespace, rest: list[str]) -> None:
    n = 16 if args.n is None else args.n
    at_least("--n", n, 1)
    program, state = trained(args.run_directory, args.experiment)
    there = len(program.dataset.test.x)
    if args.n is not None and n > there:
        raise UserError(f"--n is {n}, but {program.dataset.name} has only {there} test examples: ask for fewer.")
    from gvlab.pictures import draw

    save(draw.reconstructions(program, state, n), args.out)


def _interpolate(args: argparse.Namespace, rest: list[str]) -> None:
    at_least("--rows", args.rows, 1)
    at_least("--columns", args.columns, 2)
    check_seed(args.seed)
    program, state = trained(args.run_directory, args.experiment)
    from gvlab.pictures import draw

    save(draw.interpolations(program, state, args.seed, args.rows, args.columns), args.out)


def _traverse(args: argparse.Namespace, rest: list[str]) -> None:
    at_least("--columns", args.columns, 2)
    program, state = trained(args.run_directory, args.experiment)
    from gvlab.pictures import draw

    save(draw.traversals(program, state, args.example, args.columns), args.out)


def _neighbours(args: argparse.Namespace, rest: list[str]) -> None:
    at_least("--n", args.n, 1)
    at_least("--k", args.k, 1)
    check_seed(args.seed)
    from gvlab.extractors.extractor import INCEPTION

    if args.weights and args.features not in INCEPTION:
        raise UserError(
            f"--weights {args.weights} are Inception's, but --features is {args.features}: name one of "
            f"{', '.join(INCEPTION)}, or leave them out."
        )
    program, state = trained(args.run_directory, args.experiment)
    from gvlab.extractors import catalogue
    from gvlab.pictures import draw

    extractor = catalogue.extractor(args.features, args.weights)
    save(draw.neighbours(program, state, extractor, args.seed, args.n, args.k), args.out)


def at_least(option: str, value: int, least: int) -> None:
    """Raises `UserError` unless the option's value is from `least` to 2^31 - 1."""
    if value < least:
        raise UserError(f"{option} is {value}, but must be at least {least}.")
    if value >= 2**31:
        raise UserError(f"{option} is {value}, but must be at most {2**31 - 1}.")


def check_seed(seed: int) -> None:
    """Raises `UserError` unless --seed is one."""
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed is {seed}, but must be from 0 to 2147483647.")


def save(sheet: Any, out: Path) -> None:
    """Writes the picture, and prints where it is."""
    from gvlab.pictures import sheets

    sheets.save_png(out, sheet)
    print(out)
