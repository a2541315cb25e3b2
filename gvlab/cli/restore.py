"""The command that restores images by a trained model."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gvlab.cli import outputs, terminal
from gvlab.cli.draw import at_least, check_seed
from gvlab.cli.runs import add_class, add_experiment, class_wanted, loaded, trained
from gvlab.config.fields import member_to_dict
from gvlab.config.members import member
from gvlab.config.restoration import LEAST_NOISE, MOST_NOISE, AnyMethod, AnyOperator, Mask, Projection
from gvlab.errors import UserError
from gvlab.files import write_atomically
from gvlab.spelling import nearest

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.build import Program
    from gvlab.extractors.extractor import Extractor
    from gvlab.restoration.classical import Classical
    from gvlab.restoration.operators import Operator, Shape
    from gvlab.restore import Restored

BASELINES = ("mean", "adjoint", "tv", "biharmonic", "lasso", "lasso_dct")
"""`classical.NAMES`, which is imported with JAX."""
_FIELDS = (
    "restarts",
    "steps",
    "rate",
    "weight",
    "chains",
    "warmup",
    "draws",
    "thinning",
    "tuning_steps",
    "tuning_rate",
)
"""Of methods, that are options."""


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the command to the parser; `command(name, help, run)` makes one."""
    restore = command("restore", "Degrade test images, or take a degraded one, and restore it by a model.", _restore)
    restore.add_argument("run_directory", type=Path, metavar="RUN")
    restore.add_argument(
        "--operator",
        metavar="NAME",
        help="what is seen: mask(0.5), block(8), half, downsample(2), blur(1.0), grey, noise or projection(100)",
    )
    restore.add_argument(
        "--method",
        default="optimise",
        metavar="NAME",
        help="optimise, map, posterior, encoder or finetune (default: optimise)",
    )
    restore.add_argument(
        "--noise",
        type=float,
        default=0.1,
        metavar="S",
        help="of the measurements, whose images are in [0, 1] (default: 0.1)",
    )
    restore.add_argument("--mask", type=Path, metavar="FILE", help="or the pixels that are seen, white in a picture")
    restore.add_argument("--n", type=int, help="test images (default: 16, or all where there are fewer)")
    restore.add_argument("--image", type=Path, metavar="FILE", help="or one degraded picture of your own")
    restore.add_argument("--seed", type=int, default=0, help="of the noise and of the search (default: 0)")
    restore.add_argument(
        "--baselines",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"that need no model, beside the simplest: {', '.join(BASELINES)}",
    )
    for name in _FIELDS:
        kind = float if name in ("rate", "weight", "tuning_rate") else int
        restore.add_argument(f"--{name.replace('_', '-')}", type=kind, help="of the method")
    add_class(restore, "of --image, for a conditional run")
    restore.add_argument("--out", type=outputs.new_folder, required=True, metavar="DIR", help="a folder, new or empty")
    add_experiment(restore)


def _restore(args: argparse.Namespace, rest: list[str]) -> None:
    operators, kinds = (list(typing.get_args(union)) for union in (AnyOperator, AnyMethod))
    if (args.operator is None) == (args.mask is None):
        raise UserError("--operator says what is seen, or --mask does by a picture: give one of them.")
    what = None if args.mask else member(operators, args.operator, "--operator")
    if args.image and isinstance(what, Mask):
        raise UserError(
            f"--operator is {args.operator}, which draws a mask, but --image {args.image} has one: give that by --mask."
        )
    if isinstance(what, Mask | Projection):
        what = dataclasses.replace(what, seed=args.seed)
    _check_baselines(args.baselines)
    method = _with_fields(member(kinds, args.method, "--method"), args)
    check_seed(args.seed)
    if args.noise != 0 and not LEAST_NOISE <= args.noise <= MOST_NOISE:
        raise UserError(f"--noise is {args.noise}, but must be 0, or from {LEAST_NOISE} to {MOST_NOISE}.")
    n = 16 if args.n is None else args.n
    at_least("--n", n, 1)
    if args.image and args.n is not None:
        raise UserError(f"--n {args.n} is of test images, but --image {args.image} is one of yours: leave one out.")
    if args.of_class is not None and not args.image:
        raise UserError(f"--class {args.of_class} is of --image, but test images have their labels: leave it out.")
    program, state = trained(args.run_directory, args.experiment)
    import jax.numpy as jnp

    from gvlab import restore, rng, sizes
    from gvlab.restoration import classical

    restore.check(program, method, args.noise)
    height, width, channels = program.dataset.shape
    shape = (height, width, channels)
    operator = _of_file(args.mask, shape) if what is None else what.operator(shape)
    for name in args.baselines:
        classical.check(name, operator)
    true: np.ndarray | None = None
    if args.image:
        of_class = class_wanted(loaded(args.run_directory, args.experiment), args)
        y = jnp.asarray(_picture(args.image, operator))[None]
        classes = None if of_class is None else np.array([of_class])
    else:
        test = program.dataset.test
        if args.n is not None and args.n > len(test.x):
            raise UserError(f"--n is {args.n}, but {program.dataset.name} has only {len(test.x)} test images.")
        true = np.asarray(test.x[:n], np.float32) / 255
        classes = np.asarray(test.y[: len(true)]) if program.experiment.conditional and test.y is not None else None
        y = operator.observed(rng.stream(rng.root(args.seed), rng.OBSERVATION), jnp.asarray(true), args.noise)
    rows = len(y) * getattr(method, "restarts", getattr(method, "chains", 1))
    asked = f"{type(method).__name__} of {len(y)} images"
    sizes.check_sampling(program.experiment, program.model, state, rows, program.dataset.shape, asked)
    with _folder(args.out):
        with terminal.counting(f"{type(method).__name__} of {len(y)} image{'s' * (len(y) > 1)}: steps") as listen:
            found = restore.restore(program, state, operator, y, method, args.noise, args.seed, classes, listen)
        others = _baselines(args.baselines, program, operator, np.asarray(y), args.noise, args.seed)
        seen = {"type": "Mask", "file": str(args.mask)} if what is None else member_to_dict(what)
        said = {"operator": seen, "method": member_to_dict(method)}
        judge = restore.classifier(program.dataset)
        _write(args, said, operator, np.asarray(y), true, found, others, int(state.step), judge)


def _check_baselines(names: list[str]) -> None:
    for name in names:
        if name not in BASELINES:
            known = ", ".join(BASELINES)
            raise UserError(f"There is no baseline {name!r}: choose from {known}{nearest(name, BASELINES)}.")
        if names.count(name) > 1:
            raise UserError(f"--baselines names {name} twice: name it once.")


def _baselines(
    names: list[str], program: Program, operator: Operator, y: np.ndarray, noise: float, seed: int
) -> dict[str, Classical]:
    """Of each name what it makes of the measurements; strengths are chosen on training images."""
    import jax.numpy as jnp

    from gvlab import rng
    from gvlab.restoration import classical

    made: dict[str, Classical] = {}
    if names:
        from gvlab.data import mapped

        x = np.asarray(program.dataset.train.x[: classical.TRAINING], np.float32) / 255
        key = rng.stream(rng.root(seed), rng.OBSERVATION, 1)
        damaged = np.asarray(operator.observed(key, jnp.asarray(x), noise))
        mean = (mapped.mean(program.dataset.train.x) / 255).astype(np.float32)
        training = classical.Training(x, damaged, mean)
        with terminal.counting("baselines", len(names)) as listen:
            for done, name in enumerate(names):
                listen(done)
                made[name] = classical.restored(name, operator, y, training)
    return made


@contextlib.contextmanager
def _folder(out: Path) -> Iterator[None]:
    """The folder, made at once, so that nobody searches for what cannot be written; gone again where nothing was."""
    there = out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not there:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise


def _of_file(file: Path, shape: Shape) -> Operator:
    """The mask of a picture, whose white pixels are seen."""
    from gvlab.data import picture_file
    from gvlab.restoration import operators

    return operators.mask(shape, picture_file.read(file).mean(axis=2) >= 128)


def _with_fields(method: Any, args: argparse.Namespace) -> Any:
    """The method, with the fields that are given as options."""
    given = {name: getattr(args, name) for name in _FIELDS if getattr(args, name) is not None}
    known = {field.name for field in dataclasses.fields(method)}
    for name, value in given.items():
        if name not in known:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is {value}, but the method {type(method).__name__} has none: leave it out.")
    return dataclasses.replace(method, **given)


def _picture(file: Path, operator: Operator) -> np.ndarray:
    """A degraded picture as measurements in [0, 1]."""
    from gvlab.data import picture_file

    pixels = picture_file.read(file).astype(np.float32) / 255
    wanted = operator.measured_shape
    if len(wanted) == 1:
        raise UserError(
            f"--image is {file}, but projections are no picture: restore test images, or use another operator."
        )
    if len(wanted) == 2:
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    elif pixels.shape[2] == 3 and wanted[2] == 1 and np.ptp(pixels, axis=2).max() == 0:
        pixels = pixels[..., :1]
    if pixels.shape != wanted:
        raise UserError(
            f"--image {file} has the shape {pixels.shape}, but this operator makes {wanted} of such images: give a "
            "picture of that size."
        )
    return pixels if operator.seen is None else pixels * operator.seen


def _write(
    args: argparse.Namespace, asked: dict[str, Any], operator: Operator, y: np.ndarray, true: np.ndarray | None,
    found: Restored, others: dict[str, Classical], step: int, judge: Extractor | None,
) -> None:  # fmt: skip
    from gvlab import __version__, restore
    from gvlab.pictures import restorations, sheets

    per_image = dict(found.per_image)
    baseline: dict[str, np.ndarray] = {}
    classical: dict[str, dict[str, np.ndarray]] = {}
    if true is not None:
        per_image |= restore.measured(found.x, true, found.interval, judge)
        baseline = restore.measured(found.baseline, true, judge=judge)
        classical = {name: restore.measured(other.x, true, judge=judge) for name, other in others.items()}
    made = restore.summary(per_image)
    content = {
        "gvlab": __version__,
        "run": str(args.run_directory),
        "step": step,
        **asked,
        "noise": args.noise,
        "seed": args.seed,
        "images": len(found.x),
        "measurements": operator.measurements,
        "seconds_per_image": round(found.seconds, 3),
        "measures": made,
        "baseline": {"name": found.baseline_name, "measures": restore.summary(baseline)},
        "baselines": {
            name: {"strength": other.strength, "measures": restore.summary(classical.get(name, {}))}
            for name, other in others.items()
        },
        "per_image": {
            name: [float(value) if np.isfinite(value) else None for value in of] for name, of in per_image.items()
        },
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    sheets.save_png(
        args.out / "sheet.png", restorations.sheet(operator, y, true, found, [other.x for other in others.values()])
    )
    write_atomically(args.out / "restore.json", text + "\n")
    beside = {"baseline": content["baseline"], **content["baselines"]}
    rows = [
        [name, f"{one['mean']:.4g}", _interval(one), *(_mean(of["measures"].get(name)) for of in beside.values())]
        for name, one in made.items()
        if one["mean"] is not None
    ]
    terminal.print_table(["measure", "mean", "interval", *beside], rows, left=1)
    print(f"Baseline: {found.baseline_name}. {found.seconds:.2f} s an image.")
    if not found.lowered.all():
        print("The search did not get below where it began, for some images: use a smaller --rate, or more --steps.")
    if "r_hat" in made and made["r_hat"]["mean"] > 1.05:
        print("The chains have not mixed (r_hat above 1.05): draw more, or after a longer warm-up.")
    print(args.out / "sheet.png")


def _interval(one: dict[str, Any]) -> str:
    return "-" if one["low"] is None else f"{one['low']:.4g} to {one['high']:.4g}"


def _mean(one: dict[str, Any] | None) -> str:
    return "-" if one is None or one["mean"] is None else f"{one['mean']:.4g}"
