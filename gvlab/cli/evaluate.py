"""The command that measures a run, or images or text of any system."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab import backend
from gvlab.cli import outputs, terminal
from gvlab.cli.runs import add_experiment, trained
from gvlab.errors import UserError

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config import Evaluation, Experiment

_MEASURES_HELP = (
    "frechet, frechet_infinity, kernel, inception_score, classes, prdc, improved_precision_recall, prd, vendi, "
    "sliced_wasserstein, authenticity, memorisation, nearest, modes, stacked_modes, ais, ais_gap, disentanglement, "
    "cluster_accuracy"
)
_TEXTS_HELP = "ngram_js, bleu, self_bleu, distinct, ngram_lm, ngram_frechet, copies, length, grammar"
_SOUNDS_HELP = "loudness"
_RESTORATIONS_HELP = (
    "restore:mask0.5, restore:block10, restore:half, restore:downsample2, restore:blur1, restore:grey, "
    "restore:noise0.5, restore:projection50"
)
_COST_HELP = (
    "ais and ais_gap: 10 and 18 million passes through the decoder and back, which for a DCGAN take hours on a CPU; "
    "disentanglement: every image of gvsprites or gvrooms through the encoder, and boosted trees, minutes on a CPU"
)
_FEATURES_HELP = (
    "pixels, coordinates, spectrum, digits, mnist, fashion_mnist, cifar10, vowels, spoken_digit, stacked_mnist, "
    "inception, inception-pytorch, inception-clean"
)


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the command to the parser; `command(name, help, run)` makes one."""
    evaluate = command(
        "evaluate", "Measure a trained model, or any images, sounds or text, against a data set.", _evaluate
    )
    evaluate.add_argument("run_directory", type=Path, metavar="RUN", nargs="?")
    evaluate.add_argument(
        "--images", type=Path, metavar="FOLDER", help="PNG, JPEG, WebP or BMP files, or an .npz, instead of a run"
    )
    evaluate.add_argument("--text", type=Path, metavar="FILE.txt", help="sentences, one a line, instead of a run")
    evaluate.add_argument("--audio", type=Path, metavar="FOLDER", help="WAV files, instead of a run")
    evaluate.add_argument("--against", metavar="DATASET", help="what --images, --audio or --text are compared with")
    evaluate.add_argument(
        "--metrics",
        nargs="+",
        dest="measures",
        metavar="NAME",
        help=f"{_MEASURES_HELP} ({_COST_HELP}); of sentences {_TEXTS_HELP}; of sounds {_SOUNDS_HELP}, too; "
        f"how well damaged test images are restored, {_RESTORATIONS_HELP}",
    )
    evaluate.add_argument("--features", nargs="+", metavar="NAME", help=_FEATURES_HELP)
    evaluate.add_argument("--weights", type=Path, metavar="FILE", help="of Inception (default: downloaded once)")
    evaluate.add_argument(
        "--samples", type=int, help="examples (default: the experiment's; all of --images or --audio)"
    )
    evaluate.add_argument("--split", choices=("test", "train"), help="to compare with (default: the experiment's)")
    evaluate.add_argument("--k", type=int, help="samples of the importance-weighted bound (default: the experiment's)")
    evaluate.add_argument(
        "--decoded", choices=("mean", "draw"), help="of a VAE's p(x|z): its mean, or draws (default: the experiment's)"
    )
    evaluate.add_argument(
        "--standing", type=int, help="batches to estimate a generator's BatchNorm by (default: the experiment's)"
    )
    evaluate.add_argument("--ais-variance", type=float, help="of the noise about a GAN's images in [0, 1], for ais")
    add_experiment(evaluate)
    measures = outputs.file([".json"], "measures are JSON")
    evaluate.add_argument(
        "--out",
        type=measures,
        metavar="FILE.json",
        help="of --images, --audio or --text (default: beside them, NAME.evaluation.json)",
    )


def _evaluate(args: argparse.Namespace, rest: list[str]) -> None:
    if sum(given is not None for given in (args.run_directory, args.images, args.audio, args.text)) != 1:
        raise UserError(
            "gvlab evaluate measures either a RUN, or --images FOLDER, --audio FOLDER or --text FILE: give one of them."
        )
    names = ("k", "ais_variance", "standing", "decoded", "samples", "split", "features", "measures")
    asked = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    asked = {name: tuple(value) if isinstance(value, list) else value for name, value in asked.items()}
    if args.text:
        file, measures = _evaluate_text(args, asked)
    elif args.audio:
        file, measures = _evaluate_audio(args, asked)
    elif args.images:
        file, measures = _evaluate_images(args, asked)
    else:
        file, measures = _evaluate_run(args, asked)
    from gvlab import evaluate
    from gvlab.numbers import number

    rows = []
    for name, m in measures.items():
        error, spread = m.get("standard_error"), m.get("spread")
        cells = number(m["value"], error or spread), number(error, error), number(spread, spread)
        rows.append([name, *cells, evaluate.described(m["stamp"])])
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
    from gvlab.runs import directory as rundir

    if args.against or args.out:
        raise UserError(
            "--against and --out are for --images, --audio and --text: a run is compared with its own data set."
        )
    if (args.run_directory / "unit.json").exists():
        raise UserError(
            f"{args.run_directory} is a unit of a comparison, whose measures are recorded: repeat gvlab compare with "
            f"what is to be measured, such as {args.run_directory.resolve().parent.name}.evaluation.samples=5000 (it "
            "trains nothing again), or evaluate a copy without its unit.json."
        )
    rundir.open_parts(args.run_directory, args.experiment)
    experiment = rundir.read_config(args.run_directory)
    evaluation = replace(experiment.evaluation, **asked)  # refuse a bad value before anything is computed
    _check_effects(args, experiment)
    from gvlab import evaluate

    evaluate.check(evaluation)
    program, state = trained(args.run_directory, args.experiment)
    known = rundir.status(args.run_directory)
    if known["status"] in ("complete", "interrupted") and int(state.step) < known["step"]:
        raise UserError(
            f"{args.run_directory} is at step {known['step']}, but its newest checkpoint that can be used is of step "
            f"{int(state.step)}: repeat gvlab train, which makes the later one again, then measure."
        )
    _check_weights(args, evaluation)
    earlier = evaluate.earlier(args.run_directory, program, state)
    bound = earlier.get(evaluate.BOUND)
    if bound and args.k is None:
        print(f"{evaluate.BOUND}: k = {bound['stamp']['k']}, as it was measured earlier; --k makes it anew.")
        evaluation = replace(evaluation, k=bound["stamp"]["k"])
    program = replace(program, experiment=replace(experiment, evaluation=evaluation))
    extractors = evaluate.extractors_of(evaluation, program.dataset, args.weights)
    measures = evaluate.evaluate(program, state, extractors, _say_batch, earlier if args.k is None else None)
    if kept := [name for name in earlier if name not in measures]:
        print(f"Kept as measured earlier of this state: {', '.join(kept)}.")
    return evaluate.write(args.run_directory, program, state, measures, earlier), earlier | measures


def _check_effects(args: argparse.Namespace, experiment: Experiment) -> None:
    """Raises UserError for an option that would change nothing that this command measures."""
    from gvlab.config import GAN
    from gvlab.evaluate import OF_LIKELIHOODS, is_of_model

    of_gan, name = isinstance(experiment.model, GAN), experiment.name
    if args.ais_variance is not None and not of_gan:
        raise UserError(f"--ais-variance is for a GAN, but {name} has a likelihood of its own: leave it out.")
    if args.k is not None and of_gan:
        raise UserError(
            f"--k is of the bound on a VAE's likelihood, but {name} is a GAN, which has none: leave it out."
        )
    measures = set(args.measures or experiment.evaluation.measures)
    if args.ais_variance is not None and not measures & set(OF_LIKELIHOODS):
        raise UserError(
            f"--ais-variance is {args.ais_variance}, but only ais and ais_gap add such noise: ask for them."
        )
    for option, given in (("--samples", args.samples), ("--split", args.split), ("--features", args.features)):
        if given is not None and measures and all(map(is_of_model, measures)):
            raise UserError(
                f"{option} would have no effect, since {' and '.join(sorted(measures))} compares no distributions: "
                "leave it out."
            )


def _check_weights(args: argparse.Namespace, evaluation: Evaluation) -> None:
    from gvlab.extractors.extractor import INCEPTION

    if args.weights and not set(evaluation.features) & set(INCEPTION):
        raise UserError(
            f"--weights {args.weights} are Inception's, but no such features are asked for: name them, too."
        )


def _say_batch(measure: str, batch: int, batches: int) -> None:
    print(f"{measure}: batch {batch} of {batches}", file=sys.stderr, flush=True)


def _check_out(out: Path, measured: Path) -> None:
    """Raises `UserError` where measures would take the place of anything but measures."""
    from gvlab import evaluate

    if measured.is_dir() and measured.resolve() in out.resolve().parents:
        raise UserError(f"--out is {out}, which lies among what is measured: choose another place.")
    if os.path.lexists(out):
        try:
            evaluate.read_file(out)
        except UserError as error:
            raise UserError(f"{out} is there already, and holds no measures: choose another --out.") from error


def _check_of_no_model(args: argparse.Namespace, what: str) -> None:
    """Raises `UserError` for options that only a model has."""
    if not args.against:
        raise UserError(f"{what} are compared with a data set: name it with --against.")
    for option, given in (
        ("--k", args.k),
        ("--ais-variance", args.ais_variance),
        ("--standing", args.standing),
        ("--decoded", args.decoded),
        ("--experiment", args.experiment),
    ):
        if given is not None:
            raise UserError(f"{option} is {given}, but is of models, and {what} have none: leave it out.")


def _of_no_model(args: argparse.Namespace, asked: dict[str, Any], what: str, path: Path) -> tuple[Evaluation, Path]:
    """(what is asked of another system's output, where its measures go), both checked before anything is read.

    Args:
        args: of the command.
        asked: fields of an `Evaluation`.
        what: the option that names the output.
        path: of the output.
    """
    _check_of_no_model(args, what)
    if args.weights and not args.images:
        raise UserError(f"--weights {args.weights} are Inception's, but {what} has no images: leave it out.")
    backend.start()
    from gvlab import config, evaluate

    evaluation = config.Evaluation(**asked)
    evaluate.check(evaluation)
    _check_weights(args, evaluation)
    out = args.out or Path(f"{os.path.abspath(path)}.evaluation.json")  # also of "."
    _check_out(out, path)
    return evaluation, out


def _evaluate_text(args: argparse.Namespace, asked: dict[str, Any]) -> tuple[Path, Any]:
    evaluation, out = _of_no_model(args, asked, "--text", args.text)
    from gvlab import config, data, evaluate
    from gvlab.files import sha256

    measures = evaluate.of_text_file(args.text, data.load(args.against), evaluation)
    protocol = {"text_sha256": sha256(args.text), "against": args.against, "evaluation": config.to_dict(evaluation)}
    return evaluate.write_file(out, protocol, measures), measures


def _evaluate_audio(args: argparse.Namespace, asked: dict[str, Any]) -> tuple[Path, Any]:
    evaluation, out = _of_no_model(args, asked, "--audio", args.audio)
    from gvlab import config, data, evaluate
    from gvlab.data import sound_sets

    dataset = data.load(args.against)
    if dataset.modality != data.WAVES:
        raise UserError(
            f"--audio {args.audio} has sounds, but {dataset.name} {dataset.modality.name}: compare them with a data "
            "set of sounds."
        )
    sounds = sound_sets.read(args.audio, dataset)
    measures = evaluate.of_sounds(sounds, dataset, evaluation, evaluate.extractors_of(evaluation, dataset))
    protocol = {"sounds_sha256": sounds.sha256, "against": dataset.name, "evaluation": config.to_dict(evaluation)}
    return evaluate.write_file(out, protocol, measures), measures


def _evaluate_images(args: argparse.Namespace, asked: dict[str, Any]) -> tuple[Path, Any]:
    evaluation, out = _of_no_model(args, asked, "--images", args.images)
    from gvlab import config, data, evaluate
    from gvlab.data import image_sets

    dataset, images = data.load(args.against), image_sets.read(args.images)
    extractors = evaluate.extractors_of(evaluation, dataset, args.weights)
    measures = evaluate.of_images(images, dataset, evaluation, extractors)
    protocol = {"images_sha256": images.sha256, "against": dataset.name, "evaluation": config.to_dict(evaluation)}
    if images.left_out:
        protocol["left_out"] = images.left_out
        print(f"{images.path}: nobody measures what else is there ({images.left_out}).")
    return evaluate.write_file(out, protocol, measures), measures
