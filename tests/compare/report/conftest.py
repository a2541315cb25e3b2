"""The small comparison, and its page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_comparison import make_comparison

from gvlab.compare import report


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    directory = tmp_path_factory.mktemp("report") / "comparison"
    return directory, make_comparison(directory)


@pytest.fixture(scope="module")
def page(original) -> str:
    return report.html(*original)


@pytest.fixture
def comparison(original, tmp_path) -> tuple[Path, dict[str, Any]]:
    """A copy that a test may spoil."""
    directory = tmp_path / "comparison"
    shutil.copytree(original[0], directory)
    return directory, json.loads(json.dumps(original[1]))
