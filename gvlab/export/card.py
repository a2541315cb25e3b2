"""card.json of an export: what its arrays are, where they come from, and what was measured of them."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

import jax

from gvlab import __version__, schema, tree
from gvlab import config as c
from gvlab.data import WAVES
from gvlab.evaluate import results
from gvlab.export.programs import PLATFORMS, Weights, arguments
from gvlab.files import sha256, write_atomically
from gvlab.schema import Count
from gvlab.train import origin
from gvlab.trained import Trained

CARD = "card.json"
WEIGHTS = "weights.safetensors"
SUFFIX = ".jax_export"
OUTPUTS = {"sample": ("x",), "decode": ("x",), "encode": ("mean", "logvar"), "codes": ("z",)}


class Tensor(TypedDict):
    """One of the weights: `np.ndarray(shape, dtype, bytes of weights.safetensors, offset)`."""

    shape: list[Count]
    dtype: str
    offset: Count
    """Bytes from the beginning of the file."""
    path: str
    """In the state of the run."""


class Values(TypedDict):
    """What a program takes or gives."""

    name: str
    shape: list[Count | str]
    """"b" is the number of examples."""
    dtype: str
    range: NotRequired[list[float]]
    """Smallest and largest value; missing where there is no bound."""


class Program(TypedDict):
    """Of a file NAME.jax_export or NAME.onnx."""

    inputs: list[Values]
    """Besides the weights, which come first."""
    outputs: list[Values]
    largest_difference: float
    """From what `gvlab.load` gives, measured when it was exported on the platform `exported_on`."""


class Run(TypedDict):
    """Where the weights come from."""

    seed: int
    step: Count
    state_sha256: str
    """Of the whole state, optimizers included, as states.jsonl of the run has it."""
    data: origin.Data


class Evaluation(TypedDict):
    """Of evaluation.json of the run."""

    step: int
    of_these_weights: bool
    """Whether it was this state that was measured."""
    measures: dict[str, Any]
    """By name: value and stamp."""


class _Prior(TypedDict):
    prior: Literal["normal", "own", "none"]
    """Of the latents; of "own", that of a whole model of one's own, there is no truncation, and of "none" no sample."""
    unsampled: NotRequired[str]
    """Why there is no program `sample`, where there is none."""


class Card(_Prior):
    """Of card.json."""

    format: Literal[1]
    name: str
    model: str
    """GAN, VAE, or the class of a model of one's own."""
    experiment: dict[str, Any]
    """As config.json of the run has it."""
    run: Run
    versions: dict[str, str]
    """Of what exported it."""
    platforms: list[str]
    exported_on: str
    calling_convention: Count
    """Of `jax.export`."""
    shape: list[Count]
    """Of one example."""
    range: list[float] | None
    """Of the examples that are made; null where they have no bound."""
    latent: Count
    psi: NotRequired[float]
    """Of styles that are drawn towards their mean (`models.truncation`); missing where they are as they come."""
    classes: Count
    """0 for an unconditional model."""
    class_names: list[str]
    weights: dict[str, Tensor]
    programs: dict[str, Program]
    onnx: NotRequired[dict[str, Program]]
    evaluation: Evaluation | None
    files: dict[str, str]
    """SHA-256 of each file but this one."""


def write(folder: Path, card: Card) -> None:
    """Writes card.json, with the hashes of all other files of the folder."""
    hashes = {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.name != CARD}
    complete = card | {"files": hashes}
    schema.check(complete, Card)
    write_atomically(folder / CARD, json.dumps(complete, indent=2, allow_nan=False) + "\n")


def of(run: Path, model: Trained, weights: Weights, exported: dict[str, jax.export.Exported], file: Path) -> Card:
    """The card of an export, before its programs were compared with the run and without the hashes of its files.

    Args:
        run: the run directory.
        model: of it.
        weights: of the model.
        exported: the programs.
        file: of the weights.
    """
    experiment = model.experiment
    return {
        "format": 1,
        "name": experiment.name,
        "model": type(experiment.model).__name__,
        "experiment": c.to_dict(experiment),
        "run": {
            "seed": experiment.seed,
            "step": int(model.state.step),
            "state_sha256": tree.digest(model.state),
            "data": (origin.read(run) or origin.of(model.program))["data"],
        },
        "versions": {"gvlab": __version__} | {name: importlib.metadata.version(name) for name in ("jax", "jaxlib")},
        "platforms": list(PLATFORMS),
        "exported_on": jax.default_backend(),
        "calling_convention": exported["decode"].calling_convention_version,
        "shape": list(model.shape),
        "range": _range(model),
        "latent": model.program.latent_dim,
        **_prior(model),
        "classes": model.classes,
        "class_names": list(model.program.dataset.class_names) if model.classes else [],
        "weights": _table(weights, file),
        "programs": {name: _program(model, name, exported[name]) for name in exported},
        "evaluation": _evaluation(run, model),
        "files": {},
    }


def _prior(model: Trained) -> _Prior:
    if model.program.model.unsampled:
        why = f"{model.experiment.name} has no prior to sample from: give latents to decode, as encode makes them."
        return {"prior": "none", "unsampled": why}
    return {"prior": "normal" if model.has_normal_prior else "own"}


def _table(weights: Weights, file: Path) -> dict[str, Tensor]:
    """What each of the weights is, and where the file has it."""
    with file.open("rb") as opened:  # as the format has it: the length of a header, the header, the tensors
        size = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(size))
    return {
        name: {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "offset": 8 + size + header[name]["data_offsets"][0],
            "path": weights.paths[name],
        }
        for name, array in weights.arrays.items()
    }


def _program(model: Trained, name: str, exported: jax.export.Exported) -> Program:
    names = arguments(model, 1)[name]
    inputs = zip(names, exported.in_avals[-len(names) :], strict=True)  # the weights come first
    outputs = zip(OUTPUTS[name], exported.out_avals, strict=True)
    return {
        "inputs": [values(model, key, aval.shape, str(aval.dtype)) for key, aval in inputs],
        "outputs": [values(model, key, aval.shape, str(aval.dtype)) for key, aval in outputs],
        "largest_difference": 0.0,
    }


def _range(model: Trained) -> list[float] | None:
    """The least and the greatest value of examples as they come out, where there are bounds."""
    modality = model.program.dataset.modality
    if not modality.bounded:
        return None
    return [-1.0, 1.0] if modality == WAVES else [0.0, 1.0]


def values(model: Trained, name: str, shape: tuple[Any, ...], dtype: str) -> Values:
    """A line about an array that a program of the model takes or gives; its size that is no number is the batch."""
    about: Values = {
        "name": name,
        "shape": [size if isinstance(size, int) else str(size) for size in shape],
        "dtype": dtype,
    }
    if name == "y" or (name == "x" and model.program.dataset.modality.bounded):
        of_stored = {"uint8": [0.0, 255.0], "int16": [-32768.0, 32767.0]}
        about["range"] = of_stored.get(dtype, [0.0, 1.0] if name == "y" else _range(model) or [])
    return about


def _evaluation(run: Path, model: Trained) -> Evaluation | None:
    found = results.read_file(run / "evaluation.json")
    if found is None:
        return None
    protocol = found["protocol"]
    return {
        "step": protocol["step"],
        "of_these_weights": protocol.get("state_sha256") == tree.digest(model.state),
        "measures": found["measures"],
    }
