"""Experiments and trained runs, as several commands need them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend
from gvlab.cli import terminal
from gvlab.errors import UserError
from gvlab.spelling import nearest

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.build import Program
    from gvlab.config import Experiment
    from gvlab.data.image_sets import ImageSet
    from gvlab.trained import Trained


def program_of(experiment: Experiment) -> Program:
    """The experiment on its data; starts the back-end."""
    backend.start()
    from gvlab import build

    return build.program(experiment, build.dataset(experiment.data))


def add_experiment(command: argparse.ArgumentParser, **options: Any) -> None:
    """The option by which the user names the file that a run's own parts are of."""
    command.add_argument(
        "--experiment",
        type=Path,
        metavar="FILE.py",
        help="the experiment file, where its own parts were trained with: it is executed, and no copy unasked",
        **options,
    )


def trained(run: Path, experiment: Path | None = None) -> tuple[Program, Any]:
    """The program and the newest state of a run directory; `experiment` is the file that its own parts are of."""
    backend.start()
    from gvlab.runs import directory as rundir
    from gvlab.runs import environment
    from gvlab.train import loop, origin

    environment.keep_convolutions([run])
    rundir.open_parts(run, experiment)
    program = origin.program_of(run)
    return program, loop.restore(program, run)


def loaded(run: Path, experiment: Path | None = None) -> Trained:
    """The trained model of a run directory, which needs none of the data; `experiment` as for `trained`."""
    backend.start()
    from gvlab import trained
    from gvlab.runs import environment

    environment.keep_convolutions([run])
    return trained.load(run, experiment)


def drawing(model: Trained, run: Path) -> Program:
    """The program that a picture is drawn with: of points it shows the data, too."""
    if model.program.dataset.modality.exhibit != "scatter":
        return model.program
    from gvlab.train import origin

    return origin.program_of(run)


def images_for(model: Trained, run: Path, path: Path) -> ImageSet:
    """The images in a folder or a file, which must have the model's shape."""
    from gvlab.data import image_sets

    images = image_sets.read(path)
    if images.shape != model.shape and images.twin is not None and images.twin.shape == model.shape:
        images = images.twin
    if images.shape != model.shape:
        raise UserError(
            f"The images in {path} have the shape {images.shape}, but {run} was trained on {model.shape}: give images "
            "of that size."
        )
    return images


def add_class(command: argparse.ArgumentParser, what: str) -> None:
    """The option that names one class."""
    command.add_argument("--class", dest="of_class", metavar="K", help=f"{what}: the number of a class, or its name")


def class_given(model: Trained, args: argparse.Namespace) -> int | None:
    """The class that --class names, if it was given."""
    return None if args.of_class is None else class_number(model, args.run_directory, args.of_class)


def class_wanted(model: Trained, args: argparse.Namespace) -> int | None:
    """The class of the user's images: a conditional model needs one, another has none."""
    of_class = class_given(model, args)
    if of_class is None and model.classes:
        raise UserError(
            f"{args.run_directory} is conditional on {model.classes} class{'es' * (model.classes > 1)}: name that of "
            "the images by --class K."
        )
    return of_class


def class_number(model: Trained, run: Path, asked: str, option: str = "--class") -> int:
    """The class that the user named, by its number or its name.

    Raises:
        UserError: the run has no classes, or not that one.
    """
    if not model.classes:
        raise UserError(f"{option} {asked} is for conditional models, but {run} is none: leave it out.")
    names = model.program.dataset.class_names
    if asked in names:
        return names.index(asked)
    if asked.isdecimal() and int(asked) < model.classes:
        return int(asked)
    named = f" or named {terminal.some(names)}" if names else ""
    raise UserError(
        f"{option} is {asked}, but the classes of {run} are numbered from 0 to {model.classes - 1}{named}"
        f"{nearest(asked, names)}."
    )
