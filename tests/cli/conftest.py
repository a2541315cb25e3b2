"""An experiment file, and a process that has executed none."""

from __future__ import annotations

import pytest
from harness import EXPERIMENTS, experiment_file

from gvlab.config import own


@pytest.fixture
def file(tmp_path):
    return experiment_file(tmp_path, EXPERIMENTS["vae"])


@pytest.fixture
def forgotten(monkeypatch):
    """As another process would have it: no file was executed here."""
    monkeypatch.setattr(own, "_SOURCES", {})
    monkeypatch.setattr(own, "_MODULES", {})
