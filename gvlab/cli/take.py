"""The commands that take samples, latents and the model itself out of a trained run."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gvlab import backend
from gvlab.cli import outputs, terminal
from gvlab.cli.draw import at_least, check_seed, save
from gvlab.cli.runs import add_class, add_experiment, class_given, class_wanted, drawing, images_for, loaded
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.trained import Trained

COUNT = 64
"""Samples where --n is not given."""
_OUT = "GRID.png, FILE.npz, FILE.npy, or a folder for PNG files, of sounds for WAV files; of sentences FILE.txt"
_SHOWN = 20
"""Sentences that are shown besides."""


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    sample = command("sample", "Draw samples of a trained model: one picture, or as many files as you like.", _sample)
    sample.add_argument("run_directory", type=Path, metavar="RUN")
    sample.add_argument("--out", type=outputs.examples, required=True, metavar="OUT", help=_OUT)
    sample.add_argument("--n", type=int, help="how many (default: 64; with --classes all 8 of each)")
    sample.add_argument(
        "--seed",
        type=int,
        help="of the latents (default: of a picture 0, else the run's, as evaluate draws them)",
    )
    add_class(sample, "all of one class")
    sample.add_argument("--classes", choices=["all"], help="a picture with a row for each class, of the same latents")
    sample.add_argument(
        "--truncation", type=float, metavar="T", help="latents from within [-T, T] only, of the normal prior"
    )
    sample.add_argument("--psi", type=float, metavar="P", help="styles drawn towards their mean, of a StyleGAN2")

    encode = command("encode", "Latents of images, by a VAE.", _encode)
    encode.add_argument("run_directory", type=Path, metavar="RUN")
    encode.add_argument("--images", type=Path, required=True, metavar="FOLDER", help="or an .npz or .npy file")
    add_class(encode, "of all images, for a conditional run")
    latents = outputs.file([".npz"], "latents are an .npz file")
    encode.add_argument(
        "--out", type=latents, required=True, metavar="Z.npz", help="mean and logvar, [n, latent] each, or codes z"
    )

    decode = command("decode", "Examples of latents.", _decode)
    decode.add_argument("run_directory", type=Path, metavar="RUN")
    decode.add_argument(
        "--latents",
        type=Path,
        required=True,
        metavar="Z.npz",
        help="mean or z [n, latent], or codes z, and classes y (default: in turn)",
    )
    decode.add_argument("--out", type=outputs.examples, required=True, metavar="OUT", help=_OUT)

    model = command("export", "A trained model as a folder that needs only JAX and NumPy.", _export)
    model.add_argument("run_directory", type=Path, metavar="RUN")
    model.add_argument(
        "--out", type=outputs.new_folder_anywhere, required=True, metavar="DIR", help="a folder, new or empty"
    )
    model.add_argument("--psi", type=float, metavar="P", help="styles drawn towards their mean, of a StyleGAN2")
    model.add_argument("--onnx", action="store_true", help="write decoder and encoder as ONNX, too (extra: onnx)")
    for taking in (sample, encode, decode, model):
        add_experiment(taking)


def _sample(args: argparse.Namespace, rest: list[str]) -> None:
    if args.n is not None:
        at_least("--n", args.n, 1)
    if args.seed is not None:
        check_seed(args.seed)
    if args.truncation is not None and not 0 < args.truncation < math.inf:
        raise UserError(f"--truncation is {args.truncation}, but must be a positive, finite number.")
    if args.classes and args.of_class is not None:
        raise UserError(f"--classes all and --class {args.of_class} exclude each other: leave one of them out.")
    picture = args.out.suffix.lower() == ".png"
    if args.classes and not picture:
        raise UserError(f"--classes all makes a picture, but --out is {args.out}: let it end in .png, or leave it out.")
    model = loaded(args.run_directory, args.experiment)
    if args.psi is not None:
        model = model.truncated(args.psi)
    of_class = class_given(model, args)
    if model.has_codes and args.truncation is None:
        print(
            f"gvlab: each code is drawn by itself and uniformly, as the prior of {model.experiment.name} has it, so "
            "the parts of a sample need not fit together.",
            file=sys.stderr,
        )
    if args.classes and not model.classes:
        raise UserError(f"--classes all is for conditional models, but {args.run_directory} is none: leave it out.")
    from gvlab import export

    alphabet, rate = model.program.dataset.alphabet, model.program.dataset.rate
    if picture and alphabet is None:
        _picture(model, args, of_class)
        return
    n = args.n or COUNT
    export.check(args.out, model.shape, alphabet, rate)
    batches = model.stored(n, args.seed, of_class, args.truncation)
    with terminal.counting(f"{args.run_directory}", n) as listen:
        export.write(args.out, batches, n, model.shape, listen, model.program.dataset.class_names, alphabet, rate)
    _show(args.out)
    print(args.out)


def _show(out: Path) -> None:
    """Prints the first lines of a text that was written; of anything else nothing."""
    if out.suffix.lower() != ".txt":
        return
    from itertools import islice

    from gvlab.pictures.lines import visible

    with out.open(encoding="utf-8") as file:
        for line in islice(file, _SHOWN):
            print(visible(line.rstrip("\n")))


def _picture(model: Trained, args: argparse.Namespace, of_class: int | None) -> None:
    import numpy as np

    from gvlab import rng
    from gvlab.pictures import draw

    key = rng.stream(rng.root(args.seed or 0), rng.PICTURE)
    n, columns = args.n or COUNT, 8
    y: np.ndarray | int | None = of_class
    if args.classes:
        columns = args.n or columns
        n, y = columns * model.classes, np.repeat(np.arange(model.classes), columns)
    program = drawing(model, args.run_directory)
    asked = f"--n is {args.n or COUNT}{f' of each of {model.classes} classes' * bool(args.classes)}"
    draw.check_samples(program, n, columns, asked)
    model.check_size(n, f"--n {args.n or COUNT}")
    z = model.latents(key, columns if args.classes else n, args.truncation)
    save(draw.samples(program, model.decode(np.tile(z, (n // len(z), 1)), y), columns), args.out)


def _encode(args: argparse.Namespace, rest: list[str]) -> None:
    model = loaded(args.run_directory, args.experiment)
    from gvlab import export

    model.check_encoder()
    images = images_for(model, args.run_directory, args.images)
    of_class = class_wanted(model, args)
    with terminal.counting(f"{args.images}", images.count) as listen:
        export.write_latents(args.out, model, images, of_class, listen)
    print(args.out)


def _decode(args: argparse.Namespace, rest: list[str]) -> None:
    model = loaded(args.run_directory, args.experiment)
    from gvlab import export

    z, y = export.read_latents(args.latents)
    model.check_latents(z)  # before anything is said, or made
    model.labels(y, len(z))
    if y is None and model.classes:
        print(f"gvlab: {args.latents} has no y, so the classes come in turn.", file=sys.stderr)
    alphabet, rate = model.program.dataset.alphabet, model.program.dataset.rate
    if args.out.suffix.lower() == ".png" and alphabet is None:
        from gvlab.pictures import draw

        program = drawing(model, args.run_directory)
        draw.check_samples(program, len(z), asked=f"{args.latents} holds {len(z)} latents")
        model.check_size(len(z), f"{args.latents} of {len(z)} latents")
        save(draw.samples(program, model.decode(z, y)), args.out)
        return
    export.check(args.out, model.shape, alphabet, rate)
    names = model.program.dataset.class_names
    with terminal.counting(f"{args.latents}", len(z)) as listen:
        export.write(args.out, model.decoded(z, y), len(z), model.shape, listen, names, alphabet, rate)
    _show(args.out)
    print(args.out)


def _export(args: argparse.Namespace, rest: list[str]) -> None:
    backend.start()
    from gvlab import export

    print(export.write_model(args.run_directory, args.out, args.experiment, args.onnx, args.psi))
