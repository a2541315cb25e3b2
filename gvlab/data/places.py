"""Where data sets lie: below TFDS's data directory."""

from __future__ import annotations

import os
from pathlib import Path

from gvlab.types import UserError


def data_dir(chosen: str | None) -> Path:
    """TFDS's own choice, made without importing it: the one given, `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`."""
    chosen = chosen or os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # a user without a home
        raise UserError(f"{chosen} leads nowhere, since there is no home directory: set TFDS_DATA_DIR.") from error


def own_directory(root: Path) -> Path:
    """The user's own data sets, a directory each."""
    return root / "gvlab" / "own"
