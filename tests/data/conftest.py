"""Images of a run as files."""

from __future__ import annotations

import os

import jax
import numpy as np
import pytest
from made_images import generated, save

from gvlab import parallel
from gvlab.evaluate import sampling


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("images") / "made", generated())


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    file = tmp_path_factory.mktemp("images") / "made.npz"
    np.savez_compressed(file, generated())
    return file


@pytest.fixture(scope="module")
def one_device():
    """Of which two programs give the same bits; and the tests' own cache directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", os.environ["GVLAB_TESTS_CACHE"])
        patch.setattr(parallel, "devices_for", lambda size: jax.devices()[:1])
        sampling._sampler.cache_clear()
        yield
    sampling._sampler.cache_clear()
