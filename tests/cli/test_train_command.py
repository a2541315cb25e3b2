"""`gvlab train`: any field can be set, and progress is shown."""

from __future__ import annotations

import re
import time
from dataclasses import replace

from harness import EXPERIMENTS, call
from screen import shown

from gvlab import config as c
from gvlab.cli import terminal
from gvlab.runs import directory as rundir
from gvlab.train import record


def test_any_field_can_be_set(file, tmp_path, capsys):
    args = (
        "--out",
        tmp_path / "runs",
        "--steps",
        4,
        "--seed",
        3,
        "--model.latent-dim",
        5,
        "--model.network.hidden",
        8,
        6,
    )
    more = ("--evaluation.features", "pixels", "digits", "--evaluation.split", "train", "--evaluation.measures", "prd")
    assert call("train", file, *args, *more, "--log-every=2", "--data.flip", "True") == 0
    made = tmp_path / "runs" / "vae" / "seed-3"
    assert capsys.readouterr().out == f"Trained 4 steps: {made}\n"
    experiment = rundir.read_config(made)
    assert (experiment.steps, experiment.seed, experiment.log_every, experiment.data.flip) == (4, 3, 2, True)
    evaluation = {"features": ("pixels", "digits"), "split": "train", "measures": ("prd",)}
    assert experiment.evaluation == replace(EXPERIMENTS["vae"].evaluation, **evaluation)
    assert experiment.model == replace(EXPERIMENTS["vae"].model, latent_dim=5, network=c.MLP(hidden=(8, 6)))

    assert call("train", file, "--out", tmp_path / "runs", *args[2:], "--log-every=2", "--data.flip", "True") == 0
    assert capsys.readouterr().out == f"{made} is complete: 4 steps.\n"


def test_lines_without_a_terminal_and_a_bar_on_one(capsys):
    now = record.Progress(30, 60, 1234.5, {"d_loss": 1.25, "grad_norm/generator": 9.0})
    with terminal.progress("digits seed 0") as listen:
        listen(now)
        listen(replace(now, step=40))  # less than five seconds later
    assert capsys.readouterr().err == "digits seed 0: step 30/60  1,234 images/s  d_loss 1.25\n"

    def train() -> None:
        with terminal.progress("digits seed 0") as listen:
            listen(now)
            time.sleep(0.2)
            listen(replace(now, step=40))

    bar = shown(train)
    for part in ("digits seed 0", "30/60", "40/60", "1,234 images/s", "d_loss 1.25"):
        assert part in bar
    assert re.search(r"\d:\d\d:\d\d", bar)  # the time left
