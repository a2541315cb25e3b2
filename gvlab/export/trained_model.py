"""A trained model as a folder that needs only JAX and NumPy: weights, programs, a card, and a loader of 17 lines."""

from __future__ import annotations

import runpy
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gvlab import onednn, trained
from gvlab.export import card, onnx_files, programs
from gvlab.export.agreement import EXAMPLES, largest_difference
from gvlab.extractors import weights as weight_files
from gvlab.files import appearing, replacing, require_new_folder
from gvlab.trained import Trained
from gvlab.types import UserError


def write_model(
    run: Path | str,
    out: Path | str,
    experiment: Path | str | None = None,
    onnx: bool = False,
    psi: float | None = None,
) -> Path:
    """Exports the model of a run, with the weights of its newest checkpoint; the training data need not be here.

    Args:
        run: as for `gvlab.load`.
        out: a folder, which must be new or empty; what it lies in is made with it. It appears when everything is in it
            and was compared with the run.
        experiment: the experiment file, where classes of its own were trained with.
        onnx: writes decoder (and encoder) as ONNX, too; needs the extra `onnx`.
        psi: as for `Trained.truncated`: the programs draw the styles towards their mean, and the card says by how much.

    Returns:
        `out`, with card.json (`gvlab.export.card.Card`), weights.safetensors, sample.jax_export (but of a model
        without samples), decode.jax_export, of a VAE encode.jax_export, and load.py.

    Raises:
        UserError: as `gvlab.load`; `psi` is refused by `Trained.truncated`, or given with `onnx`; there is something in
            `out`; a part of one's own cannot be exported; jax2onnx is missing, or cannot convert the model.
    """
    run, out = Path(run), Path(out)
    require_new_folder(out)
    if onnx and psi is not None:
        raise UserError(
            f"psi is {psi}, but the mean style is one of random latents, which ONNX cannot draw: leave out ONNX or psi."
        )
    if onnx:
        onnx_files.check()
    model = trained.load(run, experiment)
    if psi is not None:
        model = model.truncated(psi)
    out.parent.mkdir(parents=True, exist_ok=True)
    with appearing(out) as folder, onednn.unused():  # which who runs the export may not have
        _write(run, model, folder, onnx, psi)
    return out


def _write(run: Path, model: Trained, folder: Path, onnx: bool, psi: float | None) -> None:
    weights = programs.weights_of(model)
    exported = programs.lowered(model, weights)
    for name, program in exported.items():
        with replacing(folder / f"{name}{card.SUFFIX}") as file:
            file.write(program.serialize())
    weight_files.write_safetensors(folder / card.WEIGHTS, weights.arrays, {"name": model.experiment.name})
    shutil.copyfile(Path(__file__).with_name("loader.py"), folder / "load.py")
    about = card.of(run, model, weights, exported, folder / card.WEIGHTS)
    if psi is not None:
        about["psi"] = float(psi)
    card.write(folder, about)
    for name, difference in _differences(model, runpy.run_path(str(folder / "load.py"))).items():
        about["programs"][name]["largest_difference"] = difference
    if onnx:
        about["onnx"] = onnx_files.write(model, folder)
    card.write(folder, about)


def _differences(model: Trained, loaded: dict[str, Any]) -> dict[str, float]:
    """Of what the export makes from what the run's model makes; both as a user calls them."""
    stored = np.dtype(model.program.dataset.modality.dtype)
    seed, draw, shape = model.experiment.seed, np.random.default_rng(0), (EXAMPLES, *model.shape)
    if model.program.model.unsampled:  # any latents will do
        z, found = jax.random.normal(jax.random.key(0), (EXAMPLES, model.program.latent_dim)), {}
    else:
        z = model.latents(jax.random.key(0), EXAMPLES)
        found = {"sample": largest_difference(loaded["sample"](EXAMPLES, seed), model.sample(EXAMPLES, seed))}
    found["decode"] = largest_difference(loaded["decode"](z), model.decode(z))
    if model.program.model.encode is not None:
        x = np.zeros(shape, np.int32) if model.writes else _examples(draw, stored, shape)  # sentences of nothing
        found["encode"] = max(map(largest_difference, loaded["encode"](x), model.encode(x)))
    if model.has_codes:
        x = _examples(draw, stored, shape)
        # A share: where two codes are as near, other roundings choose the other one.
        found["codes"] = float((np.asarray(loaded["encode"](x)) != np.asarray(model.codes(x))).mean())
    return found


def _examples(draw: np.random.Generator, stored: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Noise as a data set of that type stores its examples."""
    if stored in (np.uint8, np.int16):
        return draw.integers(np.iinfo(stored).min, np.iinfo(stored).max, shape, stored, endpoint=True)
    return draw.normal(size=shape).astype(np.float32)
