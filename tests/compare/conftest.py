"""Comparisons of a test's own, and plans that are made and not run."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import COMPARED, call, copy_of_compared, experiment_file

from gvlab import compare
from gvlab.train import loop
from gvlab.types import UserError


@pytest.fixture
def made(tmp_path):
    """(a copy of the comparison of a VAE and a GAN with two seeds each, their files)."""
    return copy_of_compared(tmp_path)


@pytest.fixture
def planned(monkeypatch):
    """What the command line asks for, without running it."""
    plans: list[tuple[compare.Plan, Path]] = []

    def kept(plan, root, listen, together):
        plans.append((plan, root))
        compare.write_plan(root, plan)
        raise UserError("It is only planned.")

    monkeypatch.setattr(compare, "run", kept)

    def plan(*args: object) -> compare.Plan:
        assert call("compare", *args) == 2
        return plans[-1][0]

    plan.plans = plans
    return plan


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [experiment_file(tmp_path, experiment) for experiment in COMPARED.values()]


@pytest.fixture
def root(tmp_path) -> Path:
    return copy_of_compared(tmp_path)[0]


@pytest.fixture
def trainings(monkeypatch) -> list[int]:
    """One item per retraining: what is noticed without it has none."""
    made: list[int] = []
    train = loop.train_together

    def counted(*args, **options):
        made.append(1)
        return train(*args, **options)

    monkeypatch.setattr(loop, "train_together", counted)
    return made
