"""The commands that take samples and latents out of a trained run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend
from gvlab.cli import terminal
from gvlab.cli.draw import at_least, check_seed, save
from gvlab.cli.runs import add_experiment
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.trained import Trained

COUNT = 64
"""Samples where --n is not given."""


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    sample = command("sample", "Draw samples of a trained model: one picture, or as many files as you like.", _sample)
    sample.add_argument("run_directory", type=Path, metavar="RUN")
    sample.add_argument(
        "--out", type=Path, required=True, metavar="OUT", help="GRID.png, FILE.npz, FILE.npy, or a folder for PNG files"
    )
    sample.add_argument("--n", type=int, help="how many (default: 64; with --classes all 8 of each)")
    sample.add_argument(
        "--seed",
        type=int,
        help="of the latents (default: of a picture 0, else the run's, as evaluate draws them)",
    )
    sample.add_argument("--class", type=int, dest="of_class", metavar="K", help="all of one class")
    sample.add_argument("--classes", choices=["all"], help="a picture with a row for each class, of the same latents")
    sample.add_argument("--truncation", type=float, metavar="T", help="latents from within [-T, T] only")

    encode = command("encode", "Latents of images, by a VAE.", _encode)
    encode.add_argument("run_directory", type=Path, metavar="RUN")
    encode.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="or an .npz or .npy file")
    encode.add_argument("--class", type=int, dest="of_class", metavar="K", help="of all images; for a conditional run")
    encode.add_argument("--out", type=Path, required=True, metavar="Z.npz", help="mean and logvar, [n, latent] each")
    encode.set_defaults(classes=None)

    decode = command("decode", "Examples of latents.", _decode)
    decode.add_argument("run_directory", type=Path, metavar="RUN")
    decode.add_argument(
        "--latents", type=Path, required=True, metavar="Z.npz", help="mean or z [n, latent], and perhaps classes y"
    )
    decode.add_argument(
        "--out", type=Path, required=True, metavar="OUT", help="GRID.png, FILE.npz, FILE.npy, or a folder for PNG files"
    )
    for taking in (sample, encode, decode):
        add_experiment(taking)


def _load(args: argparse.Namespace) -> Trained:
    backend.start()
    from gvlab import trained

    return trained.load(args.run_directory, args.experiment)


def _sample(args: argparse.Namespace, rest: list[str]) -> None:
    if args.n is not None:
        at_least("--n", args.n, 1)
    if args.seed is not None:
        check_seed(args.seed)
    if args.truncation is not None and not args.truncation > 0:
        raise UserError(f"--truncation is {args.truncation}, but must be a positive number.")
    if args.classes and args.of_class is not None:
        raise UserError(f"--classes all and --class {args.of_class} exclude each other: leave one of them out.")
    picture = args.out.suffix.lower() == ".png"
    if args.classes and not picture:
        raise UserError(f"--classes all makes a picture, but --out is {args.out}: let it end in .png, or leave it out.")
    model = _load(args)
    _check_classes(model, args)
    if picture:
        _picture(model, args)
        return
    from gvlab import export

    n = args.n or COUNT
    export.check(args.out, model.shape)
    batches = model.stored(n, args.seed, args.of_class, args.truncation)
    with terminal.counting(f"{args.run_directory}", n) as listen:
        export.write(args.out, batches, n, model.shape, listen)
    print(args.out)


def _check_classes(model: Trained, args: argparse.Namespace) -> None:
    option = "--classes all" if args.classes else f"--class {args.of_class}"
    if (args.classes or args.of_class is not None) and not model.classes:
        raise UserError(f"{option} is for conditional models, but {args.run_directory} is none: leave it out.")
    if args.of_class is not None and not 0 <= args.of_class < model.classes:
        raise UserError(
            f"--class is {args.of_class}, but the classes of {args.run_directory} are numbered from 0 to "
            f"{model.classes - 1}."
        )


def _picture(model: Trained, args: argparse.Namespace) -> None:
    import numpy as np

    from gvlab import rng
    from gvlab.pictures import draw

    key = rng.stream(rng.root(args.seed or 0), rng.PICTURE)
    n, y, columns = args.n or COUNT, args.of_class, 8
    if args.classes:
        columns = args.n or columns
        n, y = columns * model.classes, np.repeat(np.arange(model.classes), columns)
    program = _with_data(model, args.run_directory)
    draw.check_samples(program, n, columns)
    model.check_size(n, f"--n {args.n or COUNT}")
    z = model.latents(key, columns if args.classes else n, args.truncation)
    save(draw.samples(program, model.decode(np.tile(z, (n // len(z), 1)), y), columns), args.out)


def _with_data(model: Trained, run: Path) -> Any:
    """The program that a picture is drawn with: of points it shows the data, too."""
    if len(model.shape) == 3:
        return model.program
    from gvlab.train import origin

    return origin.program_of(run)


def _encode(args: argparse.Namespace, rest: list[str]) -> None:
    if args.out.suffix.lower() != ".npz":
        raise UserError(f"--out is {args.out}, but latents are an .npz file: let it end in .npz.")
    model = _load(args)
    from gvlab import export
    from gvlab.data import image_sets

    model.check_encoder()
    images = image_sets.read(args.images)
    if images.shape != model.shape and images.twin is not None and images.twin.shape == model.shape:
        images = images.twin
    if images.shape != model.shape:
        raise UserError(
            f"The images in {args.images} have the shape {images.shape}, but {args.run_directory} was trained on "
            f"{model.shape}: give images of that size."
        )
    if args.of_class is None and model.classes:
        raise UserError(
            f"{args.run_directory} is conditional on {model.classes} classes: name the images' class by --class K."
        )
    _check_classes(model, args)
    with terminal.counting(f"{args.images}", images.count) as listen:
        export.write_latents(args.out, model, images, args.of_class, listen)
    print(args.out)


def _decode(args: argparse.Namespace, rest: list[str]) -> None:
    model = _load(args)
    from gvlab import export

    z, y = export.read_latents(args.latents)
    if args.out.suffix.lower() == ".png":
        from gvlab.pictures import draw

        program = _with_data(model, args.run_directory)
        draw.check_samples(program, len(z))
        model.check_size(len(z), f"{args.latents} of {len(z)} latents")
        save(draw.samples(program, model.decode(z, y)), args.out)
        return
    export.check(args.out, model.shape)
    with terminal.counting(f"{args.latents}", len(z)) as listen:
        export.write(args.out, model.decoded(z, y), len(z), model.shape, listen)
    print(args.out)
