"""A data set of one's own from the arrays of an .npz or .npy file."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Int32, UInt8

from gvlab.data import archives, own, rows
from gvlab.data.stamps import Stamp
from gvlab.files import require_regular
from gvlab.types import UserError

Layout = Literal["auto", "NHWC", "NCHW"]
Range = Literal["auto", "255", "1", "-1..1"]
_CHUNK = 2**24
"""Values that are converted at a time."""
_SPLITS = (("train_x", "test_x", "train_y", "test_y"), ("x_train", "x_test", "y_train", "y_test"))
_SPANS = {"255": (0.0, 255.0), "1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}


def add_arrays(
    name: str,
    path: str | Path,
    *,
    layout: Layout = "auto",
    value_range: Range = "auto",
    test: float = 0.1,
    data_dir: str | None = None,
) -> own.Own:
    """Makes the data set `name` of the images in an .npz or .npy file, once.

    The file holds one array of images [n, height, width], [n, height, width, channel] or [n, channel, height, width]
    with 1 to 4 channels, alone or with one vector of n labels; or the arrays train_x and test_x (x_train and x_test),
    alone or with train_y and test_y (y_train and y_test). Values become 8 bits, by rounding to nearest, halves to even.

    Args:
        name: of the data set.
        path: of the file.
        layout: where the channels are; auto: where only the last axis, or only the second, can be they.
        value_range: what is white: 255, 1, or -1..1 for the range of a tanh. auto: 255 for 8-bit values, and for others
            what their largest one says; negative values, and 8-bit ones of which none is above 1, have more than one
            reading, and are refused.
        test: the share of the images of each class that is for testing, where the file has no test split.
        data_dir: as `load` has it.

    Returns:
        What was made, or was there.

    Raises:
        UserError: whatever would be lost or guessed; nothing is left then.
    """
    path = Path(path)
    settings = {"layout": layout, "range": value_range, "test": test}
    is_here = path.exists()

    def write(part: Path) -> rows.Rows:
        return _read(path, part, layout, value_range)

    stamp = (lambda: Stamp({"file": path})) if is_here else None
    return own.make(name, own.Recipe("file of arrays", own.source_of(path), settings, stamp, write, test), data_dir)


def _read(path: Path, part: Path, layout: Layout, value_range: Range) -> rows.Rows:
    images, vectors = _chosen(_arrays(path, part), path)
    views = [_channels_last(x, layout, label, path) for label, x in images.items()]
    shapes = {view.shape[1:] for view in views}
    if len(shapes) > 1:
        raise UserError(f"{path} has images of the shapes {sorted(shapes)} in its two splits: make them equal.")
    span = _span(views, value_range, path)
    keys = []
    with rows.Writer(part / "rows.npy", views[0].shape[1:]) as writer:
        for view in views:
            for chunk in _chunks(view):
                converted = _to_bytes(chunk, span)
                writer.append(converted)
                keys += [rows.digest(np.ascontiguousarray(image).data) for image in converted]
        x = writer.finished()
    y, class_names = _labels(vectors, [len(view) for view in views], path)
    is_test = np.repeat([False, True], [len(view) for view in views]) if len(views) == 2 else None
    return rows.Rows(x, keys, {"pixels": f"from the range {span}, rounded to nearest"}, y, class_names, is_test)


def _arrays(path: Path, part: Path) -> dict[str, np.ndarray]:
    """The arrays of the file by name, mapped; those of an archive are unpacked first."""
    require_regular(path)
    try:
        if path.suffix.lower() == ".npy":
            return {"x": np.lib.format.open_memmap(path, mode="r")}
        archives.names(path, times=1000)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            unpacked: dict[str, np.ndarray] = {}
            for number, member in enumerate(members):
                file = part / f"unpacked_{number}.npy"
                with archive.open(member) as packed, file.open("wb") as opened:
                    shutil.copyfileobj(packed, opened)
                unpacked[member.filename.removesuffix(".npy")] = np.lib.format.open_memmap(file, mode="r")
            return unpacked
    except (UserError, OSError):
        raise
    except Exception as error:  # encrypted, cut off, of Python objects: as many kinds as there are mistakes
        reason = " ".join(str(error).split()) or type(error).__name__
        objects = "object" in reason.lower()
        advice = "convert its objects to one array of numbers, and save that" if objects else "save it anew"
        raise UserError(f"{path} cannot be read as a file of arrays ({reason}): {advice}.") from error


def _chosen(arrays: Mapping[str, np.ndarray], path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The images by name, of one split or of two, and the labels by name."""
    for train_x, test_x, train_y, test_y in _SPLITS:
        if {train_x, test_x} <= arrays.keys():
            known = {name for name in (train_y, test_y) if name in arrays}
            others = set(arrays) - {train_x, test_x} - known
            if others or len(known) == 1:
                raise _unclear(arrays, path)
            return {name: arrays[name] for name in (train_x, test_x)}, {n: arrays[n] for n in sorted(known)[::-1]}
    images = {name: x for name, x in arrays.items() if x.ndim > 2} if len(arrays) > 1 else dict(arrays)
    vectors = {name: x for name, x in arrays.items() if name not in images}
    if len(images) != 1 or len(vectors) > 1:
        raise _unclear(arrays, path)
    return images, vectors


def _unclear(arrays: Mapping[str, np.ndarray], path: Path) -> UserError:
    shown = ", ".join(f"{name} {list(x.shape)}" for name, x in [*arrays.items()][:4]) + ", ..." * (len(arrays) > 4)
    return UserError(
        f"{path} holds {shown or 'no arrays'}, but wanted are images, alone or with a vector of labels, or train_x and "
        "test_x, alone or with train_y and test_y: save it so."
    )


def _channels_last(x: np.ndarray, layout: Layout, label: str, path: Path) -> np.ndarray:
    """A view [n, height, width, channel]."""
    about = f"{path}: {label} has the shape {list(x.shape)}"
    if x.ndim == 3:
        if layout == "NCHW":
            raise UserError(f"{about}, which has no channels to be first: leave --layout out.")
        x = x[..., None]
    elif x.ndim != 4:
        raise UserError(f"{about}, but images are [n, height, width, channel] or [n, channel, height, width].")
    else:
        first, last = 1 <= x.shape[1] <= 4, 1 <= x.shape[3] <= 4
        if layout == "auto" and first and last:
            raise UserError(
                f"{about}, whose channels may be first or last: say --layout NHWC or --layout NCHW (layout= in Python)."
            )
        if layout == "NCHW" or (layout == "auto" and first):
            x = x.transpose(0, 2, 3, 1)
    if not 1 <= x.shape[3] <= 4:
        raise UserError(f"{about}, so {x.shape[3]} channels by --layout {layout}, but images have 1 to 4.")
    if not x.size:
        raise UserError(f"{about}, which is empty: give at least one image to train on and one to test with.")
    return x


def _span(views: Sequence[np.ndarray], value_range: Range, path: Path) -> Range:
    """The range that all values are in, stated or read from them."""
    kinds = {view.dtype.kind for view in views}
    if not kinds <= set("buif"):
        names = ", ".join(sorted({str(view.dtype) for view in views}))
        raise UserError(f"{path} holds values of type {names}, but images are numbers: convert them, and save it anew.")
    least, most = np.inf, -np.inf
    for view in views:
        for chunk in _chunks(view):
            if chunk.dtype.kind == "f" and not np.isfinite(chunk).all():
                raise UserError(f"{path} has values that are NaN or infinite: leave such images out.")
            least, most = min(least, float(chunk.min())), max(most, float(chunk.max()))
    found = f"{path} has values from {least:g} to {most:g}"
    if value_range != "auto":
        low, high = _SPANS[value_range]
        if least < low or most > high:
            raise UserError(f"{found}, which --range {value_range} does not hold: say another, or scale them.")
        return value_range
    if least < -1 or (least < 0 and most > 1):
        raise UserError(f"{found}, which no --range holds: scale them to -1..1, 0..1 or 0..255, and save them anew.")
    if least < 0:
        raise UserError(f"{found}: if -1 is black and 1 is white, say --range -1..1 (range='-1..1' in Python).")
    if most > 255:
        raise UserError(f"{found}, but 8-bit images end at 255: scale them, and save them anew.")
    if most <= 1 and kinds & set("ui"):
        raise UserError(f"{found}, of which 1 may be white or almost black: say --range 1 or --range 255.")
    return "1" if most <= 1 else "255"


def _to_bytes(x: np.ndarray, span: Range) -> UInt8[np.ndarray, "n height width channel"]:
    if span == "255":
        return np.rint(x).astype(np.uint8) if x.dtype.kind == "f" else x.astype(np.uint8)
    wide = x.astype(np.float64)
    return np.rint(255 * wide if span == "1" else 127.5 * (wide + 1)).astype(np.uint8)


def _chunks(x: np.ndarray) -> Iterator[np.ndarray]:
    size = max(1, _CHUNK // int(np.prod(x.shape[1:])))
    return (x[start : start + size] for start in range(0, len(x), size))


def _labels(
    vectors: Mapping[str, np.ndarray], counts: Sequence[int], path: Path
) -> tuple[Int32[np.ndarray, " n"] | None, tuple[str, ...]]:
    """Labels 0, 1, ..., and what they were called, where they were not these numbers."""
    if not vectors:
        return None, ()
    wanted = [sum(counts)] if len(vectors) == 1 else list(counts)
    parts = []
    for (label, y), count in zip(vectors.items(), wanted, strict=True):
        flat = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y  # as Keras and MedMNIST have them
        if flat.shape != (count,):
            raise UserError(f"{path}: {label} has the shape {list(y.shape)} for {count} images; give one label each.")
        if flat.dtype.kind not in "iu":
            raise UserError(f"{path}: {label} has the type {y.dtype}; labels are whole numbers.")
        parts.append(flat)
    values, y = np.unique(np.concatenate(parts), return_inverse=True)
    if len(parts) == 2 and len(missing := np.setdiff1d(parts[1], parts[0])):
        raise UserError(
            f"{path}: class {missing[0]} is among the test labels, but has no training images: give it some, or leave "
            "its test images out."
        )
    names = () if np.array_equal(values, np.arange(len(values))) else tuple(str(value) for value in values)
    return y.astype(np.int32), names
