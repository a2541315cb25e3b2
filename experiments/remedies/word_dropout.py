"""Word dropout (Bowman et al. 2016): three of ten characters are hidden from the decoder in training.

    gvlab train experiments/remedies/word_dropout.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("word_dropout", word_dropout=0.3)
    return made
