"""The GAN that PacGAN was compared with, on the ring of 8 Gaussians: published 6.3 +- 0.5 modes.

Lin, Khetan, Fanti & Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018, section 4.1 and
table 1. Networks, training, protocol and where ours differs are those of `grid_pacgan.py`; only the data are others,
those of `ring_veegan.py`, where another architecture was found to cover 1 mode.

    gvlab train experiments/reproductions/ring_pacgan.py
    gvlab evaluate runs/ring_pacgan/seed-0
"""

from dataclasses import replace
from pathlib import Path
from runpy import run_path

from gvlab.config import Data, Experiment
from gvlab.reproduce import Published

GRID = run_path(str(Path(__file__).with_name("grid_pacgan.py")))


def config() -> Experiment:
    grid: Experiment = GRID["config"]()
    return replace(grid, name="ring_pacgan", data=Data(name="ring"))


def published() -> Published:
    grid: Published = GRID["published"]()
    return replace(grid, where="table 1, GAN, 2D-ring", value=6.3, text="6.3 +- 0.5 modes of 8")
