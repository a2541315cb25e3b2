"""The tools that keep the house: lint, format, types."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "tool", [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",)], ids=["lint", "format", "types"]
)
def test_the_house_is_in_order(tool):
    done = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(tool)}:\n{done.stdout}{done.stderr}"


def test_the_tests_of_a_file_share_a_process(request):
    """Else each process compiles what another one has compiled; pytest and xdist must be of versions that agree."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("without xdist there is one process, which all tests share")
    assert request.node.nodeid.endswith("@test_house.py")
