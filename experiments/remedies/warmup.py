"""KL annealing (Bowman et al. 2016): its weight rises from 0 to 1 over the first 1,000 steps.

    gvlab train experiments/remedies/warmup.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("warmup", kl_warmup_steps=1_000)
    return made
