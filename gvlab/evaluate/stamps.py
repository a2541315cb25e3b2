"""What a number carries: the protocol that it was measured by."""

from __future__ import annotations

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax

from gvlab import __version__, data
from gvlab import config as c
from gvlab.build import Program
from gvlab.evaluate.features import PROTOCOL
from gvlab.evaluate.sampling import Clipped
from gvlab.types import PyTree

PER_RUN = (
    *("seed", "step", "gvlab", "backend", "matmul_precision", "samples", "images", "images_sha256", "warning"),
    *("images_seed", "channels", "clipped_share", "latents", "latent_samples", "median_effective_chains"),
    *("precision", "text", "text_sha256", "empty_lines"),
    *("sounds", "sounds_sha256", "sounds_seed", "filled_with_zeros"),
)
"""What two stamps may differ in and still be of one protocol."""


_LIKELIHOODS = typing.get_type_hints(c.VAE)["likelihood"]
CLIPPED = 1e-3
"""The share of generated values outside the range of the data, and so clipped, above which a stamp warns."""


def with_warning(stamp: dict[str, Any], clipped: Clipped) -> dict[str, Any]:
    share = clipped.outside / max(clipped.values, 1)
    if share <= CLIPPED:
        return stamp
    warning = f"{share:.2g} of the generated values lay outside the range of the data, and were clipped"
    return stamp | {"clipped_share": share, "warning": "; ".join(filter(None, [stamp.get("warning"), warning]))}


def of_dataset(dataset: data.Dataset, split: str) -> dict[str, Any]:
    return {
        "dataset": dataset.name,
        "dataset_sha256": dataset.checksum,
        "split": split,
        "examples": len(getattr(dataset, split).x),
    }


def stamp(program: Program, state: PyTree) -> dict[str, Any]:
    return (
        of_dataset(program.dataset, "test")
        | {
            "quantization": program.experiment.data.quantization,
            "step": int(state.step),
            "seed": program.experiment.seed,
            "gvlab": __version__,
            "protocol": PROTOCOL,
            "backend": jax.default_backend(),
            "matmul_precision": jax.config.values["jax_default_matmul_precision"] or "default",
        }
        | _unusual(program.experiment)
    )


def _unusual(experiment: c.Experiment) -> dict[str, Any]:
    """What is said where it is not as usual: the networks' precision, and statistics that were estimated anew."""
    said: dict[str, Any] = {}
    if experiment.precision != "float32":
        said["precision"] = experiment.precision
    if experiment.evaluation.standing:
        said["standing_statistics"] = f"{experiment.evaluation.standing} batches of {experiment.batch_size}"
    return said


def of_likelihood(program: Program) -> dict[str, Any]:
    """What a number of nats depends on besides, or one of translated images."""
    if isinstance(program.experiment.model, c.TRANSLATORS):
        return {"seen": c.member_to_dict(program.experiment.model.seen)}
    model = program.experiment.model
    likelihood = getattr(c.pictured(model), "likelihood", None)
    if likelihood is None or isinstance(likelihood, c.Sentences):  # all of sentences are of the same symbols
        return {}
    stamp: dict[str, Any] = {"likelihood": c.member_to_dict(likelihood)}
    if isinstance(likelihood, c.Bernoulli) and program.experiment.data.quantization != "binarize":
        stamp["note"] = "the pixels are grey, so nats are of a cross entropy, not of a likelihood"
    if isinstance(model, c.Spectrograms):
        stamp["spectra"] = {"n_fft": model.n_fft, "hop": model.hop}
    return stamp


def described(stamp: dict[str, Any]) -> str:
    """A stamp in a line, without what is the same for all measures of a run."""
    shown = ("split", "examples", "quantization", "k", "latent_samples", "features", "generated", "latents", "chains")
    unusual = ("precision", "standing_statistics")
    return ", ".join(f"{name} {stamp[name]}" for name in (*shown, *unusual) if name in stamp)


@dataclass(frozen=True)
class Difference:
    """Where two stamps are of different protocols."""

    field: str
    first: Any
    second: Any


def difference(first: dict[str, Any], second: dict[str, Any], ignore: Sequence[str] = ()) -> Difference | None:
    """The first field in which two stamps are of different protocols; None if their numbers may be compared."""
    for name in first | second:
        values = stated(first, name), stated(second, name)
        if name not in PER_RUN and name not in ignore and values[0] != values[1]:
            return Difference(name, *values)
    return None


def stated(stamp: dict[str, Any], name: str) -> Any:
    """What a stamp says under a name, or None; a likelihood with the fields that came after the stamp was written."""
    value = stamp.get(name)
    return c.completed(_LIKELIHOODS, value) if name == "likelihood" and value is not None else value
