"""The GAN that PacGAN was compared with, on the grid of 25 Gaussians: published 94.8 +- 0.7 % of high quality.

Lin, Khetan, Fanti & Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018, section 4.1 and
table 1: a sample is of high quality if it lies within 3 standard deviations of its nearest mode. The runs, their
protocol and where ours differs are those of `grid_pacgan.py`; `gvlab reproduce` makes them once for both numbers.

    gvlab train experiments/reproductions/grid_pacgan_quality.py
    gvlab evaluate runs/grid_pacgan/seed-0
"""

from dataclasses import replace
from pathlib import Path
from runpy import run_path

from gvlab.config import Experiment
from gvlab.reproduce import Published

RUNS = run_path(str(Path(__file__).with_name("grid_pacgan.py")))


def config() -> Experiment:
    made: Experiment = RUNS["config"]()
    return made


def published() -> Published:
    modes: Published = RUNS["published"]()
    return replace(modes, value=0.948, text="94.8 +- 0.7 % high quality", measure="high_quality", margin=0.0005)
