"""What a run was trained with besides its configuration: which data, and whose model. It is kept in origin.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from gvlab import build, data
from gvlab.build import Program
from gvlab.config import own
from gvlab.data import cache
from gvlab.files import read_json, replacing, write_atomically
from gvlab.runs import directory as rundir
from gvlab.schema import Count
from gvlab.types import UserError


class Data(TypedDict):
    """Of what was trained on, as much as sampling needs, and what tells it from others."""

    name: str
    sha256: str
    shape: list[Count]
    classes: Count
    class_names: NotRequired[list[str]]
    """Where they have names; a run of before lacks them."""
    labelled: bool
    alphabet: NotRequired[cache.Symbols]
    rate: NotRequired[int]
    """Of sentences."""


class Origin(TypedDict):
    """Of origin.json."""

    model: Literal["configuration", "own"]
    """own: given from Python, so that config.json does not say what it is."""
    data: Data


def of(program: Program) -> Origin:
    dataset = program.dataset
    about: Data = {
        "name": dataset.name,
        "sha256": dataset.checksum,
        "shape": list(dataset.shape),
        "classes": dataset.num_classes,
        "labelled": dataset.labelled,
    }
    if dataset.class_names:
        about["class_names"] = list(dataset.class_names)
    if dataset.alphabet is not None:
        about["alphabet"] = {"level": dataset.alphabet.level, "symbols": list(dataset.alphabet.symbols)}
    if dataset.rate is not None:
        about["rate"] = dataset.rate
    return {"model": "own" if program.own_model else "configuration", "data": about}


def read(run: Path) -> Origin | None:
    """None for a run of before it was recorded."""
    return read_json(run / "origin.json", Origin)


def write(run: Path, program: Program) -> None:
    """Writes origin.json, and the experiment file, where parts of the model are of it."""
    write_atomically(run / "origin.json", json.dumps(of(program), indent=2) + "\n")
    for sha256 in own.files(program.experiment):
        if source := own.source(sha256):
            with replacing(run / rundir.EXPERIMENT_FILE) as file:
                file.write(source.text)


def check(run: Path, program: Program) -> None:
    """Refuses to go on with a run on other data, or with another model (`UserError`)."""
    check_model(run, program)
    known = read(run)
    if known and known["data"]["sha256"] != program.dataset.checksum:
        raise UserError(
            f"{run} was trained on {known['data']['name']} with the SHA-256 {known['data']['sha256'][:12]}, but "
            f"{program.dataset.name} is now {program.dataset.checksum[:12]}: use the same data, or another --out."
        )


def check_model(run: Path, program: Program) -> None:
    """Refuses what would read the states of another model (`UserError`)."""
    known = read(run)
    if known is None or (known["model"] == "own") == program.own_model:
        return
    if program.own_model:
        raise UserError(
            f"{run} was trained with the model that its config.json describes, but the program brings its own: use "
            "gvlab.build.program, or another root."
        )
    raise UserError(
        f"{run} was trained with a model given from Python, which its config.json does not describe: make the same "
        "gvlab.build.Program there, and give it and the run to gvlab.train.restore."
    )


def program_of(run: Path) -> Program:
    """The program of a run, for looking at: on its data, or, where they are not here, on what is known of them.

    Raises:
        UserError: it is no run, or nothing is known of data that are not here, or the experiment file is missing that
            parts of its own are of.
    """
    experiment, known = rundir.read_config(run), read(run)
    own.check_opened((part for _, part in own.parts(experiment)), [run / rundir.EXPERIMENT_FILE])
    try:
        dataset = build.dataset(experiment.data)
        missing = known is not None and known["data"]["sha256"] != dataset.checksum
        why = f"the {dataset.name} that is here has other examples"
    except UserError as error:
        if known is None or isinstance(experiment.data.source, own.Unopened):  # the file is to be named
            raise
        missing, why = True, f"there is none here ({str(error).partition(':')[0].rstrip('.')})"
    return build.program(experiment, _absent(known, why) if missing and known else dataset)


def program_without_data(run: Path) -> Program:
    """The program of a run, for what needs none of the examples that it was trained on: they are not looked for.

    Raises:
        UserError: it is no run, or one of before its data were recorded, and they are not here, or the experiment file
            is missing that parts of its model are of.
    """
    known = read(run)
    if known is None:
        return program_of(run)
    experiment = rundir.read_config(run)
    of_model = (part for name, part in own.parts(experiment) if name.startswith("model"))
    own.check_opened(of_model, [run / rundir.EXPERIMENT_FILE])
    return build.program(experiment, _absent(known, "they were not looked for"))


def _absent(known: Origin, why: str) -> data.Absent:
    one = known["data"]
    names = tuple(one.get("class_names", ()))
    alphabet = cache.alphabet_of_card(one.get("alphabet"))
    shape, rate = tuple(one["shape"]), one.get("rate")
    return data.Absent(one["name"], shape, one["classes"], one["labelled"], why, names, alphabet, rate)
