"""How the images of any builder of tensorflow-datasets are read: all of it runs in the process of `builders`."""

from __future__ import annotations

import contextlib
import difflib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gvlab.data import fitting, rows
from gvlab.data.preparation import answer, download_and_prepare
from gvlab.spelling import nearest
from gvlab.types import UserError

_BLACK = (0, 0, 0)


def child() -> NoReturn:
    """Reads a builder as argv[1] says, and prints what else there is to know, as JSON."""
    name, root, part, size, how = json.loads(sys.argv[1])
    answer(lambda: read(name, Path(root), Path(part), size and tuple(size), how))


def read(name: str, root: Path, part: Path, size: tuple[int, int] | None, how: fitting.Fit) -> dict[str, Any]:
    """Writes rows.npy, keys.txt, labels.npy and is_test.npy (where there are any) into the directory `part`.

    Returns:
        `class_names`, `pixels` and `remarks`, as `rows.Rows` has them.

    Raises:
        UserError: there is no such builder, it has no 8-bit images or several, or it cannot be brought here.
    """
    builder = _builder(name, root)
    image, label = _features(builder, name)
    if not builder.is_prepared():
        download_and_prepare(builder, root)
    if "train" not in builder.info.splits:
        raise UserError(
            f"{name} has the splits {', '.join(builder.info.splits)}, but no train: choose another builder."
        )
    keys, labels, tested, largest = [], [], [], 0
    with contextlib.ExitStack() as stack:
        writer = None
        for split, example in _examples(builder):
            pixels = np.asarray(example[image])
            fitted = _fitted(pixels, size, how, writer, name)
            writer = writer or stack.enter_context(rows.Writer(part / "rows.npy", fitted.shape))
            writer.append(fitted[None])
            keys.append(rows.digest(np.ascontiguousarray(pixels).data).hex())
            labels.append(-1 if label is None else int(example[label]))
            tested.append(split == "test")
            largest = max(largest, int(pixels.max(initial=0)))
        if writer is None:
            raise UserError(f"{name} has no images: choose another builder.")
        if largest <= 1:  # as binarized_mnist has them
            raise UserError(
                f"The images of {name} have no value above 1, so all would be almost black: save them as arrays, and "
                "add these with --range 1."
            )
        writer.finished()
    (part / "keys.txt").write_text("\n".join(keys))
    remarks = []
    if label is not None and min(labels) >= 0:
        np.save(part / "labels.npy", np.array(labels, np.int32))
    elif label is not None:
        remarks.append("Some images have no label (-1), so all were taken without.")
        label = None
    if any(tested):
        np.save(part / "is_test.npy", np.array(tested))
    others = [split for split in builder.info.splits if split not in ("train", "test")]
    if others:
        remarks.append(
            f"Left aside: the split{'s' * (len(others) > 1)} {', '.join(others)} of {builder.info.full_name}."
        )
    return {
        "class_names": [] if label is None else list(builder.info.features[label].names),
        "pixels": f"{builder.info.full_name}; {fitting.stamp() if size else 'as they were'}",
        "remarks": remarks,
    }


def _builder(name: str, root: Path) -> Any:
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        return tfds.builder(name, data_dir=str(root), try_gcs=False)
    except tfds.core.DatasetNotFoundError as error:
        bare = name.partition(":")[0].partition("/")[0]
        nearest = difflib.get_close_matches(bare, tfds.list_builders(with_community_datasets=False), n=1)
        hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
        raise UserError(
            f"TFDS {tfds.__version__} has no builder {bare!r}{hint}: see https://www.tensorflow.org/datasets/catalog."
        ) from error
    except (ImportError, ValueError, AssertionError, KeyError) as error:  # a configuration or version it does not have
        if lacking := _lacking(name):
            raise UserError(lacking) from error
        reason = str(error).strip().partition("\n")[0].partition(". ")[0][:300].rstrip(".:") or type(error).__name__
        raise UserError(f"TFDS cannot make the builder {name!r} ({reason}): correct it.") from error


def _lacking(name: str) -> str | None:
    """Which configuration or version TFDS's builder doesn't have, and which it has."""
    import tensorflow_datasets as tfds

    of_builder, _, version = name.partition(":")
    bare, _, config = of_builder.partition("/")
    try:
        known = tfds.builder_cls(bare)
    except (ValueError, ImportError):  # the builder itself is unknown or lacks a package: the caller says so
        return None
    configs, begin = [one.name for one in known.BUILDER_CONFIGS], f"{bare} of TFDS {tfds.__version__} has no"
    if config and config not in configs:
        others = f"choose one of {', '.join(configs[:20])}" if configs else "leave it out"
        return f"{begin} configuration {config!r}{nearest(config, configs)}: {others}."
    versions = [str(one) for one in (known.VERSION, *(known.SUPPORTED_VERSIONS or ())) if one]
    if version and version not in versions:
        return f"{begin} version {version}: choose {' or '.join(versions)}, or leave it out."
    return None


def _features(builder: Any, name: str) -> tuple[str, str | None]:
    """The names of the image and of the class label."""
    import tensorflow_datasets as tfds

    features, supervised = builder.info.features, builder.info.supervised_keys or ()
    if not isinstance(features, tfds.features.FeaturesDict):
        raise UserError(f"{name} has no images: choose another builder.")
    images = [key for key, one in features.items() if type(one) is tfds.features.Image]
    classes = [key for key, one in features.items() if isinstance(one, tfds.features.ClassLabel)]
    paired = [key for key in supervised if isinstance(key, str)]
    image = paired[0] if paired and paired[0] in images else images[0] if len(images) == 1 else None
    if image is None:
        found = f"several kinds of images ({', '.join(images)})" if images else f"no images, but {', '.join(features)}"
        raise UserError(f"{name} has {found}: choose another builder, or save the images that you want in a folder.")
    if features[image].np_dtype != np.uint8:
        raise UserError(
            f"{name} has images of {features[image].np_dtype}, but 8 bits are wanted: choose another builder."
        )
    if len(paired) == 2 and paired[1] in classes:
        return image, paired[1]
    return image, classes[0] if len(classes) == 1 else None


def _fitted(
    pixels: np.ndarray, size: tuple[int, int] | None, how: fitting.Fit, writer: rows.Writer | None, name: str
) -> np.ndarray:
    """One image at the size, which is the first one's where none is asked for."""
    first = pixels.shape if writer is None else writer.shape
    wanted = size or (first[0], first[1])
    if size is None and pixels.shape[:2] != wanted:
        raise UserError(
            f"The images of {name} have several sizes (height x width: {wanted[0]}x{wanted[1]}, "
            f"{pixels.shape[0]}x{pixels.shape[1]}), but a data set has one: choose it with --size N or --size HxW "
            "(size=(H, W) in Python)."
        )
    return fitting.fit(pixels, wanted, how, _BLACK)


def _examples(builder: Any) -> Iterator[tuple[str, Any]]:
    """All of train, then all of test, with their split."""
    import tensorflow_datasets as tfds

    for split in ("train", "test"):
        if split not in builder.info.splits:
            continue
        if builder.info.file_format == tfds.core.FileFormat.TFRECORD:  # by someone else; only TensorFlow reads it
            yield from ((split, example) for example in tfds.as_numpy(builder.as_dataset(split=split)))
        else:
            source = builder.as_data_source(split)
            yield from ((split, source[number]) for number in range(len(source)))
