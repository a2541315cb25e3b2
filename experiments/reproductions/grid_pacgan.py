"""The GAN that PacGAN was compared with, on the grid of 25 Gaussians: published 17.3 +- 0.8 modes, 94.8 % high quality.

Lin, Khetan, Fanti & Oh, "PacGAN: The power of two samples in generative adversarial networks", 2018, section 4.1 and
table 1: means of 10 runs with their standard errors, by 2,500 samples. The same data and the same statistics as
`grid_veegan.py`, where another architecture was found to cover 3.3 modes.

As in the authors' code: generator 2-400-400-400-400-2 with BatchNorm and ReLU; discriminator of three layers of 200
maxout units with 5 pieces; weights from N(0, 0.02); batches of 100 of a fixed sample of 100,000 points; Adam at 1e-4
with b1 = 0.8; both networks updated at once, with the non-saturating loss; 400 epochs; samples by BatchNorm's averages.

Where ours differs: their averages are updated during the monitoring of training, too.

    gvlab train experiments/reproductions/grid_pacgan.py
    gvlab evaluate runs/grid_pacgan/seed-0
"""

from gvlab.config import GAN, Adam, Data, Evaluation, Experiment, MaxoutMLP
from gvlab.reproduce import Published


def config() -> Experiment:
    return Experiment(
        name="grid_pacgan",
        data=Data(name="grid"),
        model=GAN(
            network=MaxoutMLP(generator=(400, 400, 400, 400), discriminator=(200, 200, 200), pieces=5),
            latent_dim=2,
            update="simultaneous",
            ema_decay=0.0,
            generator_optimizer=Adam(learning_rate=1e-4, b1=0.8),
            discriminator_optimizer=Adam(learning_rate=1e-4, b1=0.8),
        ),
        steps=400_000,
        batch_size=100,
        log_every=1_000,
        sample_every=20_000,
        checkpoint_every=20_000,
        evaluation=Evaluation(samples=2_500),
    )


def published() -> Published:
    return Published(
        citation='Lin, Khetan, Fanti & Oh, "PacGAN", 2018',
        where="table 1, GAN, 2D-grid",
        value=17.3,
        text="17.3 +- 0.8 modes of 25",
        measure="modes_covered",
        runs=10,
        margin=0.05,
        protocol="400 epochs of 100,000 points, 2,500 samples, mean of 10 runs with its standard error",
        differs="BatchNorm's averages are not updated while training is monitored",
    )
