"""Free nats (Kingma et al. 2016): each latent's KL counts at least a quarter of a nat.

    gvlab train experiments/remedies/free_nats.py

The whole study's command, and what is the same in all of it: `_shakespeare.py`.
"""

from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment, FreeNats

SHARED = run_path(str(Path(__file__).with_name("_shakespeare.py")))


def config() -> Experiment:
    made: Experiment = SHARED["vae"]("free_nats", objective=FreeNats(0.25))
    return made
