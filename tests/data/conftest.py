"""Images of a run as files."""

from __future__ import annotations

import numpy as np
import pytest
from made_images import generated, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("images") / "made", generated())


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "made.npz"
    np.savez_compressed(file, generated())
    return file
