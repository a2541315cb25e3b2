"""How a data set of tensorflow-datasets is brought: all of this runs in the process that `sources.prepare` starts."""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gvlab.data import cache
from gvlab.data.catalogue import CATALOGUE
from gvlab.data.dataset import Dataset, Split, fingerprint
from gvlab.types import UserError


def directory_of(name: str, root: Path) -> Path:
    """Where the cached arrays of a data set lie, under TFDS's data directory."""
    return root / "gvlab" / f"{name}-{CATALOGUE[name].version}"


def child() -> NoReturn:
    """Prepares argv[1] under argv[2]; a sentence for the user goes to standard output, with exit code 2."""
    name, root = sys.argv[1], Path(sys.argv[2])
    answer(lambda: make_cache(name, root))


def answer(work: Callable[[], Any]) -> NoReturn:
    """Ends the process with what the work returns, or with the sentence that it raises and exit code 2."""
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        with contextlib.redirect_stdout(sys.stderr):  # TFDS prints
            found = work()
    except UserError as error:
        print(error)
        sys.exit(2)
    if found is not None:
        print(json.dumps(found))
    sys.exit(0)


def _end_with_the_parent() -> None:
    """Ends this process when standard input does: nobody waits for it any more."""
    os.read(sys.stdin.fileno(), 1)
    os._exit(1)


def make_cache(name: str, root: Path) -> None:
    """Prepares the data set unless its cache is whole, and writes the cache."""
    directory = directory_of(name, root)
    try:
        with cache.lock(directory):
            if cache.is_whole(directory):  # another process was faster
                return
            import tensorflow_datasets as tfds

            tfds.disable_progress_bar()
            builder = tfds.builder(f"{name}:{CATALOGUE[name].version}", data_dir=str(root))
            if not builder.is_prepared():
                download_and_prepare(builder, root)
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


def download_and_prepare(builder: Any, root: Path) -> None:
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
        if name not in CATALOGUE:
            raise UserError(
                f"{name} is not prepared in {root}, and preparing it takes TensorFlow: pip install 'gvlab[data]', or "
                f"copy {builder.data_path} from a machine where TFDS prepared it."
            ) from error
        raise UserError(
            f"{name} is not prepared in {root}, and preparing it takes TensorFlow (reading it does not): "
            "pip install 'gvlab[data]', or copy "
            f"{directory_of(name, root)} from a machine where `gvlab data prepare {name}` was run."
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
            f"A file of {name} is not the one that TFDS knows: move it away and try again "
            f"({' '.join(str(error).split())})"
        ) from error


def _missing(builder: Any, root: Path) -> list[str]:
    """The addresses that TFDS would have to fetch."""
    from etils import epath
    from tensorflow_datasets.core.download import resource

    downloads = root / "downloads"
    return [
        url
        for url, info in (builder.url_infos or {}).items()
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
    name = builder.name
    if name not in CATALOGUE or not builder.url_infos:
        return (
            f"{name} is neither prepared in {builder.data_path} nor downloaded, and its files cannot be reached "
            f"({type(error).__name__}): copy {builder.data_path} from a machine where TFDS prepared it."
        )
    directory = directory_of(name, root)
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
            f"The {split} split in {builder.data_path} has shape {x.shape} instead of {wanted}: move this directory "
            "away and try again."
        )
    return Split(x, columns["label"].astype(np.int32) if card.num_classes else None)
