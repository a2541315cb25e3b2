"""The commands of data sets."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gvlab.cli import terminal
from gvlab.errors import UserError
from gvlab.spelling import nearest_path

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.config import Arrays, Folder, Text, Tfds, Waves
    from gvlab.data import Own

_TFDS = "tfds:"
_BYTE = r"(?:\d\d?|1\d\d|2[0-4]\d|25[0-5])"
_OF = {
    "folder": {"size", "fit", "test", "test_dir", "labels", "background", "skip_unreadable"},
    "file": {"test", "layout", "range"},
    "builder": {"size", "fit", "test"},
    "text": {"test", "level", "length", "symbols"},
    "folder of sounds": {"test", "labels", "samples", "peak", "test_names"},
}
"""The options that there are for each kind of source."""


def add(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Adds the commands to the parser; `command(name, help, run)` makes one."""
    data = command("data", "The data sets.", lambda args, rest: None)
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, help: str, run: Callable[..., None]) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=help, description=help, allow_abbrev=False)
        made.set_defaults(run=run, parser=made)
        return made

    action("list", "What exists: size, licence, shape.", _data_list)
    prepare = action("prepare", "Download, verify and cache one.", _data_prepare)
    prepare.add_argument("name", metavar="NAME")
    _add_add(
        action("add", "Make one of your own pictures, sounds or text, of arrays, or of a builder of TFDS.", _data_add)
    )
    remove = action("remove", "Remove one that was added; what it was made of stays.", _data_remove)
    remove.add_argument("name", metavar="NAME")


def _add_add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", help="what to call it from now on")
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a folder of pictures or of WAV files, an .npz, .npy or .txt file, or tfds:BUILDER[/CONFIG][:VERSION]",
    )
    parser.add_argument("--size", metavar="N|HxW", help="height and width in pixels (default: as all pictures are)")
    parser.add_argument("--fit", choices=("crop", "pad", "stretch"), help="other shapes to that size (default: crop)")
    parser.add_argument("--test", type=float, metavar="SHARE", help="of the examples, for testing (default: 0.1)")
    parser.add_argument("--test-dir", metavar="DIR", help="a folder of test pictures instead")
    parser.add_argument(
        "--labels",
        metavar="SOURCE",
        help="folders, none, of pictures a .csv file, of sounds names, or auto: folders where there are sub-folders "
        "(default: auto)",
    )
    parser.add_argument("--background", metavar="R,G,B", help="behind transparent pixels, and around padded pictures")
    parser.add_argument("--skip-unreadable", action="store_true", default=None, help="leave damaged files out")
    parser.add_argument("--layout", choices=("NHWC", "NCHW"), help="of arrays, where it is not plain")
    parser.add_argument("--range", choices=("255", "1", "-1..1"), help="of arrays, where it is not plain")
    parser.add_argument("--level", choices=("characters", "words"), help="symbols of a text (default: characters)")
    parser.add_argument(
        "--length", type=int, help="of a text's rows, end included (default: as the longest line needs)"
    )
    parser.add_argument("--symbols", type=int, help="of a text at most, the most frequent (default: all)")
    parser.add_argument("--samples", type=int, help="of a sound (default: as many as the longest has)")
    parser.add_argument("--peak", type=float, help="to which each sound is scaled, in (0, 1] (default: as they are)")
    parser.add_argument("--test-names", metavar="PATTERN", help="of the sounds for testing, such as '*_[0-4].wav'")
    # -1..1 is a value, as -1 is one: argparse asks this pattern, and it has no other door.
    parser._negative_number_matcher = re.compile(r"-\d")


def _data_list(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import data
    from gvlab.data import own

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
    rows += [
        [one.name, str(one.shape), f"{one.train} + {one.test}", str(one.num_classes), "yours", "added", _made_of(one)]
        for one in data.listed()
    ]
    terminal.print_table(
        ["name", "shape", "train + test", "classes", "licence", "download", "what it is"], rows, left=7
    )
    for place in own.damaged():
        print(
            f"gvlab: {place} is damaged, and so not among them: remove it by gvlab data remove {place.name}, and add "
            "it anew.",
            file=sys.stderr,
        )


def _made_of(own: Own) -> str:
    return f"A {own.origin['kind']}: {own.origin['source']}"


def _data_prepare(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import data

    where = data.prepare(args.name)
    print(f"{args.name} is ready{f': {where}' if where else ' (it comes with gvlab)'}")


def _data_remove(args: argparse.Namespace, rest: list[str]) -> None:
    from gvlab import data

    print(f"Removed {args.name}: {data.remove(args.name)}")


def _data_add(args: argparse.Namespace, rest: list[str]) -> None:
    source = _source(args)
    from gvlab import build

    with terminal.counting(args.path) as listen:
        own = build.add(args.name, source, listen)
    for remark in own.origin["remarks"] if own.is_new else ():
        print(f"gvlab: {remark}", file=sys.stderr)
    classes = f"{own.num_classes} class{'es' * (own.num_classes > 1)}" if own.num_classes else "no labels"
    if own.class_names:
        classes += f" ({terminal.some(own.class_names)})"
    shape = "x".join(map(str, own.shape))
    what = "image"
    if own.rate is not None:
        what = "sound"
        about = f"{own.shape[0]} samples at {own.rate} a second"
        print(f"{own.name}: {own.train} training and {own.test} test sounds of {about}, {classes}.")
    elif own.alphabet is None:
        print(f"{own.name}: {own.train} training and {own.test} test images of {shape}, {classes}.")
    else:
        what = "sentence"
        most = f"at most {own.shape[0] - 1} {own.alphabet.level}, of {len(own.alphabet.symbols)} symbols"
        print(f"{own.name}: {own.train} training and {own.test} test sentences of {most}.")
    print(_of_copies(own.origin["copies"], what))
    verb = "Made" if own.is_new else "It was there already, made of the same in the same way"
    print(f"{verb}: {own.directory}")
    print(f'In an experiment file: Data(name="{own.name}")')


def _of_copies(copies: dict[str, int], what: str) -> str:
    if not any(copies.values()):
        return f"No {what} is there twice."
    return (
        f"Exact copies: {copies['train']} within the training {what}s, {copies['test']} within the test {what}s; "
        f"{copies['across']} test {what}s are training {what}s, too."
    )


def _source(args: argparse.Namespace) -> Folder | Arrays | Text | Waves | Tfds:
    """The source that the options describe.

    Raises:
        UserError: there is nothing at the path, or an option is of another kind of source.
    """
    from gvlab import config

    path = Path(args.path)
    if args.path.startswith(_TFDS):
        kind = "builder"
    elif path.is_dir():
        from gvlab.data import wave_folders

        kind = "folder of sounds" if wave_folders.sounds_in(path) else "folder"
    elif path.suffix.lower() in (".npz", ".npy"):
        kind = "file"
    elif path.suffix.lower() == ".txt" and path.is_file():
        kind = "text"
    else:
        what = "neither a folder nor an .npz, .npy or .txt file" if path.exists() else "not there"
        raise UserError(
            f"{path} is {what}{nearest_path(path)}: name a folder of pictures or of WAV files, an .npz, .npy or .txt "
            "file, or tfds:BUILDER."
        )
    given = {
        name: value for name, value in vars(args).items() if name in set().union(*_OF.values()) and value is not None
    }
    for name in given:
        if name not in _OF[kind]:
            kinds = " or ".join(f"a {kind}" for kind, options in _OF.items() if name in options)
            raise UserError(f"--{name.replace('_', '-')} is for {kinds}, but {args.path} is a {kind}: leave it out.")
    if "test" in given and "test_dir" in given:
        raise UserError(f"--test {args.test} and --test-dir {args.test_dir} both choose the test images: give one.")
    if "test" in given and "test_names" in given:
        raise UserError(f"--test {args.test} and --test-names {args.test_names} both choose the test sounds: give one.")
    fields: dict[str, Any] = {
        name: given[name]
        for name in sorted({"fit", "layout", "range"} | _OF["text"] | _OF["folder of sounds"])
        if name in given
    }
    if "size" in given:
        fields["size"] = _numbers("--size", args.size, r"\d{1,15}(x\d{1,15})?", "N or HxW, such as 64 or 48x64")
    if "background" in given:
        wanted = "R,G,B from 0 to 255, such as 255,255,255"
        fields["background"] = _numbers("--background", args.background, f"{_BYTE},{_BYTE},{_BYTE}", wanted)
    if "fit" in given and "size" not in given:
        raise UserError(f"--fit {args.fit} needs a --size to fit to: give one, or leave it out.")
    if "test_dir" in given:
        fields["test_path"] = _directory(args.test_dir)
    if "skip_unreadable" in given:
        fields["unreadable"] = "skip"
    try:
        if kind == "builder":
            return config.Tfds(args.path.removeprefix(_TFDS), **fields)
        if kind == "folder of sounds":
            return config.Waves(str(path), **fields)
        if kind == "text":
            return config.Text(str(path), **fields)
        return config.Arrays(str(path), **fields) if kind == "file" else config.Folder(str(path), **fields)
    except UserError as error:  # names the field, but the user knows the option
        raise UserError(re.sub(r"^\w+\.", "--", str(error))) from error


def _directory(path: str) -> str:
    if not Path(path).is_dir():
        raise UserError(f"--test-dir {path} is no folder{nearest_path(Path(path))}: name the one of the test pictures.")
    return path


def _numbers(option: str, text: str, pattern: str, wanted: str) -> tuple[int, ...]:
    if not re.fullmatch(pattern, text):
        raise UserError(f"{option} is {text!r}, but must be {wanted}.")
    return tuple(int(number) for number in re.findall(r"\d+", text))
