"""The vanilla GAN that VEEGAN was compared with, on the ring of 8 Gaussians: published 1 mode, 99.3 % high quality.

Srivastava, Valkov, Russell, Gutmann & Sutton, "VEEGAN: Reducing Mode Collapse in GANs using Implicit Variational
Learning", 2017, section 5.1 and table 1. A mode is covered if it is the nearest of a sample within 3 of its standard
deviations; 2,500 samples, means of 5 runs.

Published code: the notebooks for VEEGAN, of which this takes the generator (254 normal numbers, 128-128, ReLU), the
discriminator without its second input (128, ReLU), batches of 500, Adam at 1e-3 with b1 = 0.5, both networks at once,
100,000 steps. The GAN's own code was not published, so the architecture is a reading. The ring is the paper's, of
radius 1 and deviation 0.01.

Where ours differs: a fixed sample of 100,000 points (theirs are drawn anew), LeCun's initial weights (theirs are
Glorot's), the non-saturating loss (theirs for the GAN is not stated).

    gvlab train experiments/reproductions/ring_veegan.py
    gvlab evaluate runs/ring_veegan/seed-0
"""

from gvlab.config import GAN, Adam, Data, Evaluation, Experiment, TwoMLPs
from gvlab.reproduce import Published


def config() -> Experiment:
    return Experiment(
        name="ring_veegan",
        data=Data(name="ring"),
        model=GAN(
            network=TwoMLPs(generator=(128, 128), discriminator=(128,)),
            latent_dim=254,
            update="simultaneous",
            ema_decay=0.0,
            generator_optimizer=Adam(learning_rate=1e-3, b1=0.5),
            discriminator_optimizer=Adam(learning_rate=1e-3, b1=0.5),
        ),
        steps=100_000,
        batch_size=500,
        log_every=1_000,
        sample_every=10_000,
        checkpoint_every=10_000,
        evaluation=Evaluation(samples=2_500),
    )


def published() -> Published:
    return Published(
        citation='Srivastava, Valkov, Russell, Gutmann & Sutton, "VEEGAN", 2017',
        where="table 1, GAN, 2D ring",
        value=1.0,
        text="1 mode of 8",
        measure="modes_covered",
        runs=5,
        margin=0.5,
        protocol="2,500 samples, mean of 5 runs",
        differs="the GAN's own code was not published: architecture, optimiser and steps are read from VEEGAN's "
        "notebooks; LeCun's initial weights (theirs Glorot's), the non-saturating loss (theirs is not stated), a fixed "
        "sample of 100,000 points",
        comparable=False,
    )
