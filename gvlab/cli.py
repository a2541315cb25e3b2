"""The command line. Every mistake ends in one sentence on the standard error and exit code 2."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from gvlab import __version__, backend, comparing, experiment_files, terminal
from gvlab.types import Diverged, UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.build import Program
    from gvlab.config import Evaluation, Experiment


_MEASURES_HELP = (
    "frechet, frechet_infinity, kernel, inception_score, prdc, improved_precision_recall, prd, vendi, "
    "sliced_wasserstein, authenticity, memorisation, modes, stacked_modes, ais, ais_gap"
)
_COST_HELP = (
    "ais and ais_gap: 10 and 18 million passes through the decoder and back, which for a DCGAN take hours on a CPU"
)
_FEATURES_HELP = (
    "pixels, coordinates, digits, mnist, fashion_mnist, cifar10, stacked_mnist, "
    "inception, inception-pytorch, inception-clean"
)


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

    train = command("train", "Train one seed of an experiment, or continue it.", _train)
    train.add_argument("experiment", type=Path, metavar="EXPERIMENT.py", help="a file that defines config()")
    train.add_argument("--out", type=Path, default=Path("runs"), help="directory of runs (default: runs)")
    train.add_argument("--coordinator", metavar="HOST:PORT", help="of several processes that train one run; or auto")
    train.add_argument("--processes", type=int, metavar="N", help="how many processes there are")
    train.add_argument("--process", type=int, metavar="I", help="which of them this one is, from 0")
    train.epilog = "Any field of the experiment is an option, too: gvlab train EXPERIMENT.py --help lists them."

    comparing.add(command)

    sample = command("sample", "Draw samples of a trained model.", _sample)
    sample.add_argument("run_directory", type=Path, metavar="RUN")
    sample.add_argument("--n", type=int, default=64, help="how many (default: 64)")
    sample.add_argument("--key", type=int, default=0, help="seed of the latents (default: 0)")

    reconstruct = command("reconstruct", "Test images above their reconstructions, by a VAE.", _reconstruct)
    reconstruct.add_argument("run_directory", type=Path, metavar="RUN")
    reconstruct.add_argument("--n", type=int, default=16, help="how many (default: 16)")

    interpolate = command("interpolate", "Walk between latents on the sphere, one walk per row.", _interpolate)
    interpolate.add_argument("run_directory", type=Path, metavar="RUN")
    interpolate.add_argument("--rows", type=int, default=8, help="walks (default: 8)")
    interpolate.add_argument("--columns", type=int, default=10, help="pictures per walk (default: 10)")
    interpolate.add_argument("--key", type=int, default=0, help="seed of the latents (default: 0)")

    traverse = command("traverse", "One test image with one latent at a time changed, one latent per row.", _traverse)
    traverse.add_argument("run_directory", type=Path, metavar="RUN")
    traverse.add_argument("--example", type=int, default=0, help="number of the test image (default: 0)")
    traverse.add_argument("--columns", type=int, default=11, help="values from -3 to 3 (default: 11)")

    neighbours = command("neighbours", "Samples beside their nearest training images.", _neighbours)
    neighbours.add_argument("run_directory", type=Path, metavar="RUN")
    neighbours.add_argument("--n", type=int, default=8, help="samples (default: 8)")
    neighbours.add_argument("--k", type=int, default=7, help="neighbours of each (default: 7)")
    neighbours.add_argument("--key", type=int, default=0, help="seed of the latents (default: 0)")
    neighbours.add_argument("--features", default="pixels", metavar="NAME", help="nearest in these (default: pixels)")
    neighbours.add_argument("--weights", type=Path, metavar="FILE", help="of Inception (default: downloaded once)")
    for drawing in (sample, reconstruct, interpolate, traverse, neighbours):
        drawing.add_argument("--out", type=Path, required=True, metavar="GRID.png", help="the picture's file")

    evaluate = command("evaluate", "Measure a trained model, or any images, against a data set.", _evaluate)
    evaluate.add_argument("run_directory", type=Path, metavar="RUN", nargs="?")
    evaluate.add_argument(
        "--images", type=Path, metavar="FOLDER", help="PNG or JPEG files, or an .npz, instead of a run"
    )
    evaluate.add_argument("--against", metavar="DATASET", help="what --images are compared with")
    evaluate.add_argument(
        "--metrics", nargs="+", dest="measures", metavar="NAME", help=f"{_MEASURES_HELP} ({_COST_HELP})"
    )
    evaluate.add_argument("--features", nargs="+", metavar="NAME", help=_FEATURES_HELP)
    evaluate.add_argument("--weights", type=Path, metavar="FILE", help="of Inception (default: downloaded once)")
    evaluate.add_argument("--samples", type=int, help="examples (default: the experiment's; all of --images)")
    evaluate.add_argument("--split", choices=("test", "train"), help="to compare with (default: the experiment's)")
    evaluate.add_argument("--k", type=int, help="samples of the importance-weighted bound (default: the experiment's)")
    evaluate.add_argument("--ais-variance", type=float, help="of the noise about a GAN's images in [0, 1], for ais")
    evaluate.add_argument("--out", type=Path, metavar="FILE.json", help="where --images' measures go")

    data = command("data", "The data sets.", lambda args, rest: None)
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION", parser_class=_Parser)
    actions.add_parser("list", help="What exists: size, licence, shape.").set_defaults(run=_data_list)
    prepare = actions.add_parser("prepare", help="Download, verify and cache one.")
    prepare.add_argument("name", metavar="NAME")
    prepare.set_defaults(run=_data_prepare)
    return top


def main(argv: list[str] | None = None) -> None:
    """The entry point; ends the process with its exit code."""
    sys.exit(_main(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    try:
        if argv[:1] == ["train"] and len(argv) > 2 and {"-h", "--help"} & set(argv):
            _train_help(argv)
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


# --- experiments -----------------------------------------------------------------------------------------------------


def _train_help(argv: list[str]) -> None:
    files = [arg for arg in argv[1:] if arg.endswith(".py")]
    if not files:
        parser().parse_args(["train", "--help"])
    print(
        "Options of the command itself: --out DIR, the directory of runs (default: runs); for one run on several hosts "
        "--coordinator HOST:PORT --processes N --process I, or --coordinator auto.\n"
    )
    with contextlib.suppress(SystemExit):
        experiment_files.override(experiment_files.load(Path(files[0])), ["--help"], f"gvlab train {files[0]}")


def _program(experiment: Experiment) -> Program:
    backend.start()
    from gvlab import build, data

    return build.program(experiment, data.load(experiment.data.name))


def _trained(run: Path) -> tuple[Program, Any]:
    """The program and the newest state of a run directory."""
    from gvlab import loop, rundir

    program = _program(rundir.read_config(run))
    return program, loop.restore(program, run)


# --- commands --------------------------------------------------------------------------------------------------------


def _train(args: argparse.Namespace, rest: list[str]) -> None:
    experiment = experiment_files.override(
        experiment_files.load(args.experiment), rest, f"gvlab train {args.experiment}"
    )
    _check_processes(args)
    backend.start(args.coordinator, args.processes, args.process)
    program = _program(experiment)
    from gvlab import engines, evaluate, loop, rundir

    evaluate.check(experiment.evaluation)
    run = rundir.path(args.out, experiment)
    rundir.check_config(run, experiment)
    before = rundir.status(run)
    try:
        with terminal.progress(f"{experiment.name} seed {experiment.seed}") as listen:
            loop.train(engines.alone(program), args.out, experiment.seed, listen=listen)
    except loop.Interrupted as stop:
        terminal.stopped(stop, stop.signum)
    if before == rundir.status(run):
        print(f"{run} is complete: {before['step']} steps.")
    else:
        print(f"Trained {experiment.steps} steps: {run}")


def _check_processes(args: argparse.Namespace) -> None:
    """Either none of the options of several processes, or all that belong together."""
    given = args.processes is not None, args.process is not None
    if args.coordinator in (None, "auto"):
        if any(given):
            raise UserError("--processes and --process belong to --coordinator HOST:PORT: give all three, or none.")
    elif not re.fullmatch(r"[^\s:]+:\d+", args.coordinator):
        raise UserError(f"--coordinator is {args.coordinator!r}, but must be HOST:PORT or auto.")
    elif not all(given):
        raise UserError(f"--coordinator {args.coordinator} needs --processes N and --process I, too.")
    elif not 0 <= args.process < args.processes:
        raise UserError(f"--process is {args.process}, but must be from 0 to {args.processes - 1}.")


def _sample(args: argparse.Namespace, rest: list[str]) -> None:
    _at_least("--n", args.n, 1)
    _check_key(args.key)
    program, state = _trained(args.run_directory)
    from gvlab import pictures

    _save(pictures.samples(program, state, args.key, args.n), args.out)


def _reconstruct(args: argparse.Namespace, rest: list[str]) -> None:
    _at_least("--n", args.n, 1)
    program, state = _trained(args.run_directory)
    from gvlab import pictures

    _save(pictures.reconstructions(program, state, args.n), args.out)


def _interpolate(args: argparse.Namespace, rest: list[str]) -> None:
    _at_least("--rows", args.rows, 1)
    _at_least("--columns", args.columns, 2)
    _check_key(args.key)
    program, state = _trained(args.run_directory)
    from gvlab import pictures

    _save(pictures.interpolations(program, state, args.key, args.rows, args.columns), args.out)


def _traverse(args: argparse.Namespace, rest: list[str]) -> None:
    _at_least("--columns", args.columns, 2)
    program, state = _trained(args.run_directory)
    from gvlab import pictures

    _save(pictures.traversals(program, state, args.example, args.columns), args.out)


def _neighbours(args: argparse.Namespace, rest: list[str]) -> None:
    _at_least("--n", args.n, 1)
    _at_least("--k", args.k, 1)
    _check_key(args.key)
    program, state = _trained(args.run_directory)
    from gvlab import distances, pictures

    extractor = distances.extractor(args.features, args.weights)
    _save(pictures.neighbours(program, state, extractor, args.key, args.n, args.k), args.out)


def _at_least(option: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{option} is {value}, but must be at least {least}.")


def _check_key(key: int) -> None:
    if not 0 <= key < 2**31:
        raise UserError(f"--key is {key}, but must be from 0 to 2147483647.")


def _save(sheet: Any, out: Path) -> None:
    from gvlab import log

    log.save_png(out, sheet)
    print(out)


def _evaluate(args: argparse.Namespace, rest: list[str]) -> None:
    if (args.run_directory is None) == (args.images is None):
        raise UserError("gvlab evaluate measures either a RUN or --images FOLDER: give one of them.")
    names = ("k", "ais_variance", "samples", "split", "features", "measures")
    asked = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
    file, measures = _evaluate_images(args, asked) if args.images else _evaluate_run(args, asked)
    from gvlab import evaluate, tables

    numbers = ("value", "standard_error", "spread")
    rows = [
        [name, *(tables.number(m.get(number)) for number in numbers), evaluate.described(m["stamp"])]
        for name, m in measures.items()
    ]
    terminal.print_table(["measure", "value", "standard error", "spread", "protocol"], rows, left=1)
    for text in dict.fromkeys(
        m["stamp"][kind] for m in measures.values() for kind in ("warning", "note") if kind in m["stamp"]
    ):
        of = ", ".join(name for name, m in measures.items() if text in m["stamp"].values())
        print(f"{of}: {text}.")
    for name, m in measures.items():
        if "points_per_second" in m:
            print(f"{name}: {m['points_per_second']:g} test points per second.")
    print(file)


def _evaluate_run(args: argparse.Namespace, asked: dict[str, Any]) -> tuple[Path, Any]:
    from gvlab import rundir
    from gvlab.config import GAN

    if args.against or args.out:
        raise UserError("--against and --out are for --images: a run is compared with its own data set.")
    if (args.run_directory / "unit.json").exists():
        raise UserError(
            f"{args.run_directory} is a unit of a comparison, whose measures are recorded: copy it without its "
            "unit.json, and evaluate the copy."
        )
    experiment = rundir.read_config(args.run_directory)
    if args.ais_variance is not None and not isinstance(experiment.model, GAN):
        raise UserError(f"--ais-variance is for a GAN, but {experiment.name} is a VAE with a likelihood of its own.")
    evaluation = replace(experiment.evaluation, **asked)  # refuse a bad value before anything is computed
    from gvlab import evaluate

    evaluate.check(evaluation)
    program, state = _trained(args.run_directory)
    _check_weights(args, evaluation)
    earlier = evaluate.earlier(args.run_directory, program, state)
    bound = earlier.get(evaluate.BOUND)
    if bound and args.k is None:
        print(f"{evaluate.BOUND}: k = {bound['stamp']['k']}, as it was measured earlier; --k makes it anew.")
        evaluation = replace(evaluation, k=bound["stamp"]["k"])
    program = replace(program, experiment=replace(experiment, evaluation=evaluation))
    extractors = evaluate.extractors_of(evaluation, program.dataset, args.weights)
    measures = evaluate.evaluate(program, state, extractors, _say_batch, earlier if args.k is None else None)
    return evaluate.write(args.run_directory, program, state, measures, earlier), earlier | measures


def _check_weights(args: argparse.Namespace, evaluation: Evaluation) -> None:
    from gvlab.networks.features import INCEPTION

    if args.weights and not set(evaluation.features) & set(INCEPTION):
        raise UserError(
            f"--weights {args.weights} are Inception's, but no such features are asked for: name them, too."
        )


def _say_batch(measure: str, batch: int, batches: int) -> None:
    print(f"{measure}: batch {batch} of {batches}", file=sys.stderr, flush=True)


def _evaluate_images(args: argparse.Namespace, asked: dict[str, Any]) -> tuple[Path, Any]:
    if not args.against:
        raise UserError("--images are compared with a data set: name it with --against.")
    for option, given in (("--k", args.k), ("--ais-variance", args.ais_variance)):
        if given is not None:
            raise UserError(f"{option} is {given}, but is of models, and --images have none: leave it out.")
    backend.start()
    from gvlab import config, data, evaluate, image_sets

    evaluation = config.Evaluation(**asked)
    evaluate.check(evaluation)
    _check_weights(args, evaluation)
    out = args.out or Path(f"{os.path.abspath(args.images)}.evaluation.json")  # also of "."
    dataset, images = data.load(args.against), image_sets.read(args.images)
    extractors = evaluate.extractors_of(evaluation, dataset, args.weights)
    measures = evaluate.of_images(images, dataset, evaluation, extractors)
    protocol = {"images_sha256": images.sha256, "against": dataset.name, "evaluation": config.to_dict(evaluation)}
    return evaluate.write_file(out, protocol, measures), measures


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
