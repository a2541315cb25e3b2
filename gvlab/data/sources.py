"""Where data sets come from: a visible catalogue, and `load(name)`.

The embedded and synthetic ones are made on the spot, and StackedMNIST from MNIST. The others come from the stock
builders of tensorflow-datasets (TFDS), which verify what they download; they are read once and kept as memory-mapped
arrays beside TFDS's own files, in `<data_dir>/gvlab/<name>-<version>/`. From then on neither TFDS nor TensorFlow is
imported.
"""

from __future__ import annotations

import contextlib
import difflib
import errno
import importlib
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gvlab.data import cache, synthetic
from gvlab.data.dataset import Dataset, Split, fingerprint, from_arrays
from gvlab.types import UserError


@dataclass(frozen=True)
class Card:
    """What is known of a data set before it is here."""

    shape: tuple[int, ...]
    train: int
    test: int
    num_classes: int
    """0 where there are no labels."""
    licence: str
    description: str
    download: str
    """The size of the download, or "embedded", "synthetic", or what it is made from."""
    version: str | None = None
    """The version of the stock TFDS builder; None where there is none."""


CATALOGUE: dict[str, Card] = {
    "digits": Card(
        (16, 16, 1),
        1497,
        300,
        10,
        "CC BY 4.0",
        "Handwritten digits, 8x8 in scikit-learn, resized to 16x16 (Alpaydin & Kaynak 1998)",
        "embedded",
    ),
    "mnist": Card(
        (28, 28, 1),
        60_000,
        10_000,
        10,
        "CC BY-SA 3.0 (as commonly given)",
        "Handwritten digits (LeCun et al. 1998)",
        "12 MB",
        "3.0.1",
    ),
    "binarized_mnist": Card(
        (28, 28, 1),
        50_000,
        10_000,
        0,
        "CC BY-SA 3.0 (as commonly given)",
        "MNIST binarised once and for all, its 10,000 validation images left aside (Larochelle & Murray 2011)",
        "110 MB",
        "1.0.0",
    ),
    "fashion_mnist": Card(
        (28, 28, 1), 60_000, 10_000, 10, "MIT", "Pictures of clothes (Xiao et al. 2017)", "31 MB", "3.0.1"
    ),
    "kmnist": Card(
        (28, 28, 1), 60_000, 10_000, 10, "CC BY-SA 4.0", "Cursive Japanese characters (Clanuwat 2018)", "21 MB", "3.0.1"
    ),
    "cifar10": Card(
        (32, 32, 3), 50_000, 10_000, 10, "none stated", "Colour photographs (Krizhevsky 2009)", "170 MB", "3.0.2"
    ),
    "stacked_mnist": Card(
        (28, 28, 3),
        128_000,
        26_000,
        1000,
        "CC BY-SA 3.0 (as commonly given)",
        "Three digits of mnist as red, green and blue (Metz et al. 2017; Srivastava et al. 2017)",
        "made from mnist",
    ),
    "ring": Card(
        (2,), 100_000, 10_000, 8, "none needed", "Eight Gaussians on a circle (Srivastava et al. 2017)", "synthetic"
    ),
    "grid": Card(
        (2,), 100_000, 10_000, 25, "none needed", "25 Gaussians on a grid (Srivastava et al. 2017)", "synthetic"
    ),
}
"""The data sets that `load` knows, by name."""

MADE_FROM = {"stacked_mnist": "mnist"}
"""Data sets that are made at every load from the arrays of another one."""


def load(name: str, data_dir: str | None = None) -> Dataset:
    """The data set `name` of the catalogue, prepared first where need be.

    Args:
        name: a key of `CATALOGUE`.
        data_dir: TFDS's data directory; by default `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`.

    Returns:
        Images are uint8, points float32, labels int32; arrays that come from the cache are mapped read-only.

    Raises:
        UserError: for an unknown name, or if the data set is not here and cannot be brought.

    Examples:
        >>> from gvlab import data
        >>> digits = data.load("digits")
        >>> digits.train.x.shape, digits.test.x.shape, digits.num_classes
        ((1497, 16, 16, 1), (300, 16, 16, 1), 10)
    """
    card = _card(name)
    if name == "digits":
        return _digits()
    if name == "ring":
        return _drawn(name, card, synthetic.ring())
    if name == "grid":
        return _drawn(name, card, synthetic.grid())
    if name == "stacked_mnist":
        return _stacked(card, load("mnist", data_dir))
    directory = prepare(name, data_dir)
    assert directory is not None  # all that have nothing to prepare are above
    return cache.read(directory)


def prepare(name: str, data_dir: str | None = None) -> Path | None:
    """Downloads, verifies and caches the data set `name`, unless that is done.

    TFDS works in a process of its own: TensorFlow's memory, its log and its hold on a GPU end with it. What is made
    from another data set takes that one's arrays and keeps none of its own.

    Returns:
        The directory of the cached arrays, or None for a data set that has nothing to prepare.

    Raises:
        UserError: for an unknown name, or with what to do if it cannot be done here.
    """
    if name in MADE_FROM:
        return prepare(MADE_FROM[name], data_dir)
    if _card(name).version is None:
        return None
    root = _data_dir(data_dir)
    directory = _directory(name, root)
    if cache.is_whole(directory):
        return directory
    module_path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = {"PYTHONPATH": module_path, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    # Names of directories need not be text.
    environment |= {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    lifeline, ours = os.pipe()  # which closes however this process ends, and then the child ends, too
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", f"from {__name__} import _child; _child()", name, str(root)],
            env={**os.environ, **environment},
            stdin=lifeline,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    finally:
        os.close(lifeline)
        os.close(ours)
    if child.returncode == 2:
        raise UserError(child.stdout.strip())
    if child.returncode < 0:
        raise UserError(
            f"preparing {name} was ended by signal {-child.returncode}, most often for want of memory: free some and "
            "try again."
        )
    if child.returncode != 0:
        raise RuntimeError(f"preparing {name} ended with code {child.returncode}:\n{child.stderr[-4000:]}")
    return directory


def is_prepared(name: str, data_dir: str | None = None) -> bool:
    """Whether `load(name, data_dir)` needs no download and no TFDS."""
    if name in MADE_FROM:
        return is_prepared(MADE_FROM[name], data_dir)
    return _card(name).version is None or cache.is_whole(_directory(name, _data_dir(data_dir)))


def _card(name: str) -> Card:
    if name in CATALOGUE:
        return CATALOGUE[name]
    nearest = difflib.get_close_matches(name, CATALOGUE, n=1)
    hint = f" (did you mean {nearest[0]!r}?)" if nearest else ""
    raise UserError(f"unknown data set {name!r}{hint}: choose one of {', '.join(CATALOGUE)}.")


def _data_dir(data_dir: str | None) -> Path:
    """TFDS's own choice, made without importing it."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # a user without a home
        raise UserError(f"{chosen} leads nowhere, since there is no home directory: set TFDS_DATA_DIR.") from error


def _directory(name: str, root: Path) -> Path:
    return root / "gvlab" / f"{name}-{CATALOGUE[name].version}"


# --- embedded and synthetic ---------------------------------------------------------------------------------------


def _digits() -> Dataset:
    """Scikit-learn's 1,797 digits (8x8, values 0..16) as 16x16 images with values 0..255.

    Bilinear with half-pixel centres, borders repeated: each new pixel lies a quarter of an old one from its nearest
    old centre, so the weights are 3/4 and 1/4, and everything is exact in integers.
    """
    from sklearn.datasets import load_digits

    raw = load_digits()
    old = raw.images.astype(np.int64)
    for axis in (1, 2):
        padded = np.pad(old, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        before, here, after = (np.take(padded, np.arange(8) + shift, axis=axis) for shift in range(3))
        both = np.stack([before + 3 * here, 3 * here + after], axis=axis + 1)  # four times the values between
        old = both.reshape([16 if a == axis else n for a, n in enumerate(old.shape)])
    x = ((old * 255 + 128) // 256).astype(np.uint8)[..., None]  # 16 * 4 * 4 = 256 becomes 255, rounded to nearest
    y = raw.target.astype(np.int32)
    order = np.random.RandomState(1797).permutation(len(x))  # NumPy promises that this stream never changes
    train, test = order[: CATALOGUE["digits"].train], order[CATALOGUE["digits"].train :]
    return from_arrays("digits", x[train], x[test], y[train], y[test])


def _drawn(name: str, card: Card, mixture: synthetic.Mixture) -> Dataset:
    """A fixed sample of a mixture, drawn by NumPy so that no accelerator's rounding enters; y is the mode."""
    stream = np.random.RandomState(2017)
    splits = []
    for count in (card.train, card.test):
        y = stream.randint(card.num_classes, size=count).astype(np.int32)
        x = mixture.means[y].astype(np.float64) + mixture.scale * stream.standard_normal((count, 2))
        splits.append((x.astype(np.float32), y))
    (train_x, train_y), (test_x, test_y) = splits
    return from_arrays(name, train_x, test_x, train_y, test_y)


def _stacked(card: Card, digits: Dataset) -> Dataset:
    """StackedMNIST: three digits of one split as the channels of an image, labelled 100 r + 10 g + b.

    Each channel's digit is drawn uniformly from its split, with replacement: the training images (128,000) from MNIST's
    training split, the test images (26,000) from its test split, in this order from NumPy's RandomState(2017).
    """
    stream = np.random.RandomState(2017)  # NumPy promises that this stream never changes
    splits = []
    for count, split in ((card.train, digits.train), (card.test, digits.test)):
        assert split.y is not None
        which = stream.randint(len(split.x), size=(count, 3))
        x = np.empty((count, *digits.shape[:2], 3), np.uint8)
        for channel in range(3):  # one at a time: the whole is 300 MB
            x[..., channel] = split.x[which[:, channel], :, :, 0]
        splits.append(Split(x, split.y[which] @ np.array([100, 10, 1], np.int32)))
    train, test = splits
    return Dataset("stacked_mnist", train, test, card.num_classes, fingerprint(train, test))


# --- tensorflow-datasets: everything below runs in the process that `prepare` starts -----------------------------


def _child() -> NoReturn:
    """Prepares argv[1] under argv[2]; a sentence for the user goes to standard output, with exit code 2."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    name, root = sys.argv[1], Path(sys.argv[2])
    try:
        with contextlib.redirect_stdout(sys.stderr):  # TFDS prints
            _make_cache(name, root)
    except UserError as error:
        print(error)
        sys.exit(2)
    sys.exit(0)


def _end_with_the_parent() -> None:
    """Ends this process when standard input does: nobody waits for it any more."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def _make_cache(name: str, root: Path) -> None:
    directory = _directory(name, root)
    try:
        with cache.lock(directory):
            if cache.is_whole(directory):  # another process was faster
                return
            import tensorflow_datasets as tfds

            tfds.disable_progress_bar()
            builder = tfds.builder(f"{name}:{CATALOGUE[name].version}", data_dir=str(root))
            if not builder.is_prepared():
                _download_and_prepare(builder, root)
            train, test = _read(builder, "train"), _read(builder, "test")
            dataset = Dataset(name, train, test, CATALOGUE[name].num_classes, fingerprint(train, test))
            cache.write(
                directory, dataset, {"builder": builder.info.full_name, "tensorflow_datasets": tfds.__version__}
            )
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):  # of the network, say
            raise
        where = f": {error.filename}" if error.filename else ""
        raise UserError(
            f"{name} cannot be written to {root} ({error.strerror}{where}): make room there, or name another directory "
            "in TFDS_DATA_DIR."
        ) from error


def _download_and_prepare(builder: Any, root: Path) -> None:
    """Lets TFDS download what is missing and write ArrayRecord files."""
    import requests
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.download_manager import NonMatchingChecksumError

    name = builder.name
    if builder.data_path.exists():
        raise UserError(f"{builder.data_path} is not a whole data set of TFDS: move this directory away and try again.")
    missing = _missing(builder, root)
    if missing:
        try:  # TFDS itself would try for more than three minutes
            requests.head(missing[0], timeout=20)
        except requests.RequestException as error:
            raise UserError(_by_hand(builder, root, error)) from error
    try:
        importlib.import_module("tensorflow")
    except ImportError as error:
        raise UserError(
            f"{name} is not prepared in {root}, and preparing it takes TensorFlow (reading it does not): "
            "pip install 'gvlab[data]', or copy "
            f"{_directory(name, root)} from a machine where `gvlab data prepare {name}` was run."
        ) from error
    config = tfds.download.DownloadConfig()
    if (manual := _manual_dir(name, root)).is_dir():
        # TFDS names what it unpacks by file name alone, and fashion_mnist's files are called as mnist's: keep apart.
        config = tfds.download.DownloadConfig(manual_dir=manual, extract_dir=manual / "extracted")
    try:
        builder.download_and_prepare(download_config=config, file_format="array_record")
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise UserError(_by_hand(builder, root, error)) from error
    except NonMatchingChecksumError as error:
        raise UserError(
            f"a file of {name} is not the one that TFDS knows: move it away and try again "
            f"({' '.join(str(error).split())})"
        ) from error


def _missing(builder: Any, root: Path) -> list[str]:
    """The addresses that TFDS would have to fetch."""
    from etils import epath
    from tensorflow_datasets.core.download import resource

    downloads = root / "downloads"
    return [
        url
        for url, info in builder.url_infos.items()
        if not (_manual_dir(builder.name, root) / info.filename).exists()
        and not any(
            resource.is_locally_cached(epath.Path(folder / resource.get_dl_fname(url, info.checksum)))
            for folder in (downloads / builder.name, downloads)
        )
    ]


def _manual_dir(name: str, root: Path) -> Path:
    return root / "downloads" / "manual" / name


def _by_hand(builder: Any, root: Path, error: Exception) -> str:
    """The sentence for a machine without a network."""
    name, directory = builder.name, _directory(builder.name, root)
    files = ", ".join(info.filename for info in builder.url_infos.values())
    source = next(iter(builder.url_infos)).rsplit("/", 1)[0]
    return (
        f"{name} is neither prepared in {directory} nor in {builder.data_path} nor downloaded to "
        f"{root / 'downloads' / name}, and {source} cannot be reached ({type(error).__name__}): on a machine with a "
        f"network run `gvlab data prepare {name}` and copy {directory.name} from its gvlab directory to "
        f"{directory.parent}, or put {files} from {source} into {_manual_dir(name, root)} and try again."
    )


def _read(builder: Any, split: str) -> Split:
    """One split of a prepared data set, in the order of its files (the same in either file format)."""
    import tensorflow_datasets as tfds

    card = CATALOGUE[builder.name]
    columns: Mapping[str, Any]
    if builder.info.file_format == tfds.core.FileFormat.TFRECORD:  # prepared by someone else; only TensorFlow reads it
        columns = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    else:
        source = builder.as_data_source(split)
        rows = source.__getitems__(range(len(source)))
        columns = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    x = columns["image"] * 255 if builder.name == "binarized_mnist" else columns["image"]  # TFDS gives it as 0 and 1
    wanted = (getattr(card, split), *card.shape)
    if x.shape != wanted:
        raise UserError(
            f"the {split} split in {builder.data_path} has shape {x.shape} instead of {wanted}: move this directory "
            "away and try again."
        )
    return Split(x, columns["label"].astype(np.int32) if card.num_classes else None)
