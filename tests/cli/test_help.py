"""The command line's help, and its list of data sets."""

from __future__ import annotations

import math
import re
import resource
import subprocess
import sys

import harness
import pytest
from harness import call, run

from gvlab import data, evaluate
from gvlab.cli import evaluate as evaluate_command
from gvlab.cli import restore as restore_command
from gvlab.evaluate import annealing, distances
from gvlab.evaluate.restorations import EXAMPLES, PREFIX, restoration
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.restoration import classical

# --- help -------------------------------------------------------------------------------------------------------------


def test_help_answers_at_once():
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        # The processor's time: what the machine does for others meanwhile is no fault of the command.
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        if seconds[-1] < 1.5:  # once is enough: the least of them counts
            break
    assert done.returncode == 0
    commands = (
        "train",
        "compare",
        "unit",
        "report",
        "verify",
        "sample",
        "export",
        "reconstruct",
        "interpolate",
        "latents",
        "traverse",
        "restore",
        "neighbours",
        "evaluate",
        "data",
    )
    for word in commands:
        assert re.search(rf"^\s+{word}\s", done.stdout, re.MULTILINE), word
    assert min(seconds) < 1.5


ASKED = [["--help"], ["train", "--help"], ["compare", "--help"], ["nonsense"]]


@pytest.fixture(scope="module")
def imported() -> list[str]:
    """What one process says of the slow libraries that it holds: when gvlab is imported, then after each call. None
    goes away again, so whoever imports the first is the one after whom it is seen."""
    program = f"""
import sys
import gvlab
slow = {{"tensorflow_datasets", "tensorflow", "matplotlib", "sklearn", "scipy", "orbax", "flax"}}
print("seen:", sorted(slow & set(sys.modules)))
from gvlab.cli.main import main
for args in {ASKED}:
    try:
        main(args)
    except SystemExit:
        pass
    held = sorted(slow & set(sys.modules))
    from jax._src import xla_bridge
    print("seen:", held, "back-ends:", xla_bridge.backends_are_initialized())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], env=harness.environment(), capture_output=True, text=True, check=True
    )
    seen = [line for line in done.stdout.splitlines() if line.startswith("seen:")]
    assert len(seen) == 1 + len(ASKED)
    return seen


@pytest.mark.parametrize("number", range(len(ASKED)), ids=[" ".join(args) for args in ASKED])
def test_help_imports_nothing_slow(number, imported):
    assert imported[1 + number] == "seen: [] back-ends: False"


def test_importing_gvlab_touches_no_data_library(imported):
    assert imported[0] == "seen: []"


def test_help_of_train_lists_the_fields_of_the_experiment(file, capsys):
    assert call("train", file, "--help") == 0
    out = capsys.readouterr().out
    for option in (
        "--out",
        "--steps",
        "--seed",
        "--batch-size",
        "--model.latent-dim",
        "--model.optimizer.learning-rate",
    ):
        assert option in out
    assert "Steps between two checkpoints" in out  # the fields' own documentation


def test_help_of_evaluate_names_what_exists(capsys):
    assert evaluate_command._MEASURES_HELP.split(", ") == [*distances.MEASURES, *evaluate.OF_MODELS]
    assert evaluate_command._TEXTS_HELP.split(", ") == [*evaluate.OF_TEXT]
    assert evaluate_command._SOUNDS_HELP.split(", ") == [*evaluate.OF_SOUND]
    assert evaluate_command._RESTORATIONS_HELP.split(", ") == [PREFIX + name for name in EXAMPLES]
    assert all(restoration(PREFIX + name).name == name for name in EXAMPLES)
    assert restore_command.BASELINES == classical.NAMES
    assert evaluate_command._FEATURES_HELP.split(", ") == [
        *catalogue.RAW,
        *features.SMALL,
        catalogue.STACKED,
        *features.INCEPTION,
    ]
    with pytest.raises(SystemExit) as stop:
        call("evaluate", "--help")
    assert stop.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name in (*distances.MEASURES, *features.SMALL, *features.INCEPTION):
        assert re.search(rf"\b{name}\b", shown), name
    # What annealing costs: examples x chains of the pilot, ahead and back x transitions x leapfrog steps.
    each = math.prod(annealing.AIS[name] for name in ("examples", "temperatures", "leapfrog_steps"))
    assert each * (4 + annealing.AIS["chains"]) == 10_000_000
    assert each * (4 + 2 * annealing.AIS["chains"]) == 18_000_000
    assert "ais and ais_gap: 10 and 18 million passes through the decoder and back" in shown


# --- data -------------------------------------------------------------------------------------------------------------


def test_data_list_says_what_exists(capsys):
    assert call("data", "list") == 0
    out = capsys.readouterr().out
    for name, card in data.CATALOGUE.items():
        row = next(line for line in out.splitlines() if line.startswith(name + " "))
        assert str(card.shape) in row
        assert f"{card.train} + {card.test}" in row
    assert "CC BY 4.0" in out


def test_data_prepare(capsys):
    assert call("data", "prepare", "digits") == 0
    assert "digits is ready" in capsys.readouterr().out
