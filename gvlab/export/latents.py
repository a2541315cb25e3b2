"""Latents as .npz files: what an encoder gave for images, and what a decoder is to take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Num

from gvlab.data import archives, image_sets
from gvlab.files import replacing, require_regular
from gvlab.trained import BATCH, Trained
from gvlab.types import UserError


def write_latents(
    out: Path,
    model: Trained,
    images: image_sets.ImageSet,
    y: int | None = None,
    listen: Callable[[int], None] = lambda done: None,
) -> None:
    """Writes `names` [n], and of q(z|x) of each image `mean` and `logvar` [n, latent], as float32; where the latents
    are codes, these as `z` [n, positions], int32.

    Args:
        out: an .npz file.
        model: a VAE.
        images: of its shape.
        y: the class of all of them, for a conditional model.
        listen: hears how many are encoded.

    Raises:
        UserError: the model has no encoder.
    """
    if model.has_codes:
        _write_codes(out, model, images, y, listen)
        return
    means, logvars, done = [], [], 0
    for batch in images.in_order(BATCH):
        mean, logvar = model.encode(batch, y)
        means.append(np.asarray(mean))
        logvars.append(np.asarray(logvar))
        done += len(batch)
        listen(done)
    with replacing(out) as file:
        np.savez(file, names=np.array(images.names), mean=np.concatenate(means), logvar=np.concatenate(logvars))


def _write_codes(
    out: Path, model: Trained, images: image_sets.ImageSet, y: int | None, listen: Callable[[int], None]
) -> None:
    codes, done = [], 0
    for batch in images.in_order(BATCH):
        codes.append(np.asarray(model.codes(batch, y)))
        done += len(batch)
        listen(done)
    with replacing(out) as file:
        np.savez(file, names=np.array(images.names), z=np.concatenate(codes))


def read_latents(file: Path) -> tuple[Num[np.ndarray, "n latent"], Num[np.ndarray, "n *classes"] | None]:
    """(z, y) of an .npz file with an array `z`, or else `mean`, and perhaps `y`: classes [n] or weights [n, classes].

    Raises:
        UserError: there is no such file or no such array, there are both, they hold nothing or what is no number, or
            their lengths differ.
    """
    require_regular(file)
    try:
        archives.names(file, times=100)
        with np.load(file, allow_pickle=False) as arrays:
            name = next((name for name in ("z", "mean") if name in arrays), None)
            if name is None:
                raise UserError(f"{file} holds {', '.join(arrays)}, but an array z or mean [n, latent] is wanted.")
            if {"z", "mean"} <= set(arrays):
                raise UserError(f"{file} holds both z and mean, but one of them is decoded: leave the other one out.")
            z, y = arrays[name], arrays.get("y")
    except UserError:
        raise
    except Exception as error:  # cut off, encrypted, of objects: as many kinds as there are mistakes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{file} cannot be read as an .npz file of latents ({reason}): save it anew.") from error
    if z.ndim != 2 or z.dtype.kind not in "iuf":
        raise UserError(f"{file} holds {name} as {z.dtype}{list(z.shape)}, but floats [n, latent] are wanted.")
    if not len(z):
        raise UserError(f"{file} holds {name} as {z.dtype}{list(z.shape)}, which is no latent: give at least one.")
    if not np.isfinite(z).all():
        raise UserError(f"{file} holds {name} with values that are NaN or infinite: leave such latents out.")
    if y is not None and (not y.shape or len(y) != len(z)):
        raise UserError(f"{file} holds {len(z)} latents, but y has the shape {y.shape}: give one entry for each.")
    return z, y
