"""A sentence VAE of Shakespeare's lines without any remedy.

    gvlab train experiments/remedies/plain.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("plain")
    return made
