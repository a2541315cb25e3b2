"""An experiment file."""

from __future__ import annotations

import pytest
from harness import EXPERIMENTS, experiment_file


@pytest.fixture
def file(tmp_path):
    return experiment_file(tmp_path, EXPERIMENTS["vae"])
