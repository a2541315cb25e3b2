"""The vanilla GAN that VEEGAN was compared with, on the ring of 8 Gaussians: published 99.3 % of high quality.

Srivastava, Valkov, Russell, Gutmann & Sutton, "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
Learning", 2017, section 5.1 and table 1: a sample is of high quality if it lies within 3 standard deviations of its
nearest mode. The runs, their protocol and where ours differs are those of `ring_veegan.py`; `gvlab reproduce` makes
them once for both numbers.

    gvlab train experiments/reproductions/ring_veegan_quality.py
    gvlab evaluate runs/ring_veegan/seed-0
"""

from dataclasses import replace
from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment
from gvlab.reproduce import Published

RUNS = run_path(str(Path(__file__).with_name("ring_veegan.py")))


def config() -> Experiment:
    made: Experiment = RUNS["config"]()
    return made


def published() -> Published:
    modes: Published = RUNS["published"]()
    return replace(modes, value=0.993, text="99.3 % high quality", measure="high_quality", margin=0.0005)
