"""The commands that draw pictures of a trained run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gvlab.cli import outputs, terminal
from gvlab.cli.paper import FIGURES
from gvlab.cli.runs import add_class, add_experiment, class_number, class_wanted, drawing, images_for, loaded, trained
from gvlab.errors import UserError
from gvlab.files import replacing


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    reconstruct = command("reconstruct", "Images above their reconstructions, by a VAE.", _reconstruct)
    reconstruct.add_argument("run_directory", type=Path, metavar="RUN")
    reconstruct.add_argument("--n", type=int, help="how many (default: 16, or all where there are fewer)")
    reconstruct.add_argument(
        "--images", type=Path, metavar="FOLDER", help="or an .npz or .npy file (default: the test images)"
    )
    add_class(reconstruct, "of all of --images, for a conditional run")

    interpolate = command("interpolate", "Walk between latents on the sphere, one walk per row.", _interpolate)
    interpolate.add_argument("run_directory", type=Path, metavar="RUN")
    interpolate.add_argument("--rows", type=int, default=8, help="walks (default: 8)")
    interpolate.add_argument("--columns", type=int, default=10, help="pictures per walk (default: 10)")
    interpolate.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    interpolate.add_argument(
        "--classes", metavar="A,B,...", help="walk from class to class instead, with the latent of the row"
    )

    traverse = command("traverse", "One test image with one latent at a time changed, one latent per row.", _traverse)
    traverse.add_argument("run_directory", type=Path, metavar="RUN")
    traverse.add_argument("--example", type=int, default=0, help="number of the test image (default: 0)")
    traverse.add_argument("--columns", type=int, default=11, help="values from -3 to 3 (default: 11)")

    latents = command(
        "latents", "What each latent says: its KL, and what it tells of the factors or classes.", _latents
    )
    latents.add_argument("run_directory", type=Path, metavar="RUN")
    figure = outputs.file(FIGURES, "a figure is a PDF, an SVG or a PNG file")
    latents.add_argument("--out", type=figure, metavar="MAP.png", help="a heat map as well; or .pdf, .svg")
    add_experiment(latents)

    neighbours = command("neighbours", "Samples beside their nearest training images.", _neighbours)
    neighbours.add_argument("run_directory", type=Path, metavar="RUN")
    neighbours.add_argument("--n", type=int, default=8, help="samples (default: 8)")
    neighbours.add_argument("--k", type=int, default=7, help="neighbours of each (default: 7)")
    neighbours.add_argument("--seed", type=int, default=0, help="seed of the latents (default: 0)")
    neighbours.add_argument("--features", default="pixels", metavar="NAME", help="nearest in these (default: pixels)")
    neighbours.add_argument("--weights", type=Path, metavar="FILE", help="of Inception (default: downloaded once)")
    for picture in (traverse, neighbours):
        picture.add_argument(
            "--out", type=outputs.picture, required=True, metavar="GRID.png", help="the picture's file"
        )
    for either in (reconstruct, interpolate):
        either.add_argument(
            "--out",
            type=outputs.picture_or_text,
            required=True,
            metavar="GRID.png",
            help="the picture's file; of sentences FILE.txt",
        )
    for command_of_run in (reconstruct, interpolate, traverse, neighbours):
        add_experiment(command_of_run)


def _reconstruct(args: argparse.Namespace, rest: list[str]) -> None:
    n = 16 if args.n is None else args.n
    at_least("--n", n, 1)
    if args.images:
        _reconstruct_images(args, n)
        return
    if args.of_class is not None:
        raise UserError(f"--class {args.of_class} is of --images, but test images have their labels: leave it out.")
    program, state = trained(args.run_directory, args.experiment)
    _check_count(args.n, len(program.dataset.test.x), f"{program.dataset.name} has only", "test examples")
    from gvlab.pictures import draw, walks

    if _writes(program, args.out):
        show_lines(args.out, walks.reconstructed(program, state, n))
        return
    save(draw.reconstructions(program, state, n), args.out)


def _reconstruct_images(args: argparse.Namespace, n: int) -> None:
    """Of images that the user brings, for which none of the run's data need be here."""
    model = loaded(args.run_directory, args.experiment)
    model.check_encoder()
    images = images_for(model, args.run_directory, args.images)
    _check_count(args.n, images.count, f"{args.images} has only", "images")
    of_class = class_wanted(model, args)
    from gvlab.pictures import draw

    first = next(images.in_order(n))
    save(draw.reconstructions_of(model.program, model.state, draw.batch_of(model.program, first, of_class)), args.out)


def _check_count(n: int | None, there: int, has_only: str, what: str) -> None:
    if n is not None and n > there:
        raise UserError(f"--n is {n}, but {has_only} {there} {what}: ask for fewer.")


def _interpolate(args: argparse.Namespace, rest: list[str]) -> None:
    at_least("--rows", args.rows, 1)
    at_least("--columns", args.columns, 2)
    check_seed(args.seed)
    model = loaded(args.run_directory, args.experiment)
    program = drawing(model, args.run_directory)
    from gvlab.pictures import draw, walks

    if _writes(program, args.out):
        if args.classes is not None:
            raise UserError(
                f"--classes {args.classes} is of pictures, but {args.run_directory} makes sentences: leave it out."
            )
        show_lines(args.out, walks.walked(program, model.state, args.seed, args.rows, args.columns))
        return
    if args.classes is None:
        save(draw.interpolations(program, model.state, args.seed, args.rows, args.columns), args.out)
        return
    classes = [class_number(model, args.run_directory, name.strip(), "--classes") for name in args.classes.split(",")]
    if len(classes) < 2:
        raise UserError(f"--classes is {args.classes}, but a walk has two ends: name two classes or more, as A,B.")
    at_least("--columns", args.columns, len(classes))
    save(draw.class_walks(program, model.state, args.seed, args.rows, args.columns, classes), args.out)


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


def _latents(args: argparse.Namespace, rest: list[str]) -> None:
    program, state = trained(args.run_directory, args.experiment)
    from gvlab.compare.paper import canvas, latents
    from gvlab.evaluate.ranking import ranking

    found = ranking(program, state)
    format = args.out and args.out.suffix.lower().removeprefix(".")
    made = canvas.rendered(latents.heat_map(found), format) if format else None
    rows = [
        [str(latent), f"{kl:.3f}", *(f"{nats:.3f}" for nats in told), *([follows or "-"] if found.factors else [])]
        for latent, kl, told, follows in zip(
            found.latents, found.kl_nats, found.information_nats, found.followed, strict=True
        )
    ]
    terminal.print_table(["latent", "KL, nats", *found.factors, *(["follows"] if found.factors else [])], rows, left=1)
    print(latents.caption_of(found))
    if made is not None:
        with replacing(args.out) as file:
            file.write(made)
        print(args.out)


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


def _writes(program: Any, out: Path) -> bool:
    """Whether sentences are asked for (`UserError` where pictures can be had alone)."""
    if out.suffix.lower() != ".txt":
        return False  # where there are sentences alone, who draws refuses
    if program.dataset.alphabet is None:
        raise UserError(f"--out is {out}, but {program.experiment.name} makes no sentences: let it end in .png.")
    return True


def show_lines(out: Path, sentences: list[str]) -> None:
    """Writes lines of text, prints them as they can be seen, and where they are."""
    from gvlab.pictures import lines

    lines.write(out, sentences)
    for sentence in sentences:
        print(lines.visible(sentence.replace("\t", "  |  ")))
    print(out)


def save(sheet: Any, out: Path) -> None:
    """Writes the picture, and prints where it is."""
    from gvlab.pictures import sheets

    sheets.save_png(out, sheet)
    print(out)
