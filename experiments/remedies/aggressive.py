"""Aggressive inference (He et al. 2019): five updates of the encoder before each of the decoder, for 500 steps.

    gvlab train experiments/remedies/aggressive.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Aggressive, Experiment

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("aggressive", inference=Aggressive(most=5, window=5, until=500))
    return made
