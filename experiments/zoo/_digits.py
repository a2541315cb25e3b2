"""The digits zoo: twelve contests, each under four ways to hold the discriminator, six seeds; its files share this.

    gvlab compare experiments/zoo/[a-z]*.py --seeds 6 --out experiments/digits_zoo --sweep "contest=minimax,\
non_saturating,least_squares,wasserstein,hinge,top_k,relativistic(logistic),relativistic(hinge),\
relativistic(least_squares),relativistic_average(logistic),relativistic_average(hinge),\
relativistic_average(least_squares)"

A game of linear margins is the Wasserstein one, by pairs and by averages alike, and so is not repeated. The networks
are DCGAN's at a quarter of the quickstart's width; the discriminator is without BatchNorm, since R1, R2 and the
gradient penalty look at examples one by one.

Cost: about 45 CPU minutes for the 288 runs, of which much is compiling, that six seeds share.
Reached: `values.csv` has fld, precision and recall of each run, `table.md` the comparison's tables, and
`analysis/pooled.py` says what they say together.
"""

from typing import Any

from gvlab.config import DCGAN, GAN, Adam, Data, Evaluation, Experiment


def experiment(name: str, discriminator: Any, *terms: Any) -> Experiment:
    adam = Adam(learning_rate=5e-4, b1=0.5)
    return Experiment(
        name=name,
        data=Data(name="digits"),
        model=GAN(
            network=DCGAN(width=8, discriminator=discriminator),
            discriminator_terms=terms,
            latent_dim=32,
            ema_decay=0.99,
            generator_optimizer=adam,
            discriminator_optimizer=adam,
        ),
        steps=500,
        batch_size=64,
        log_every=100,
        sample_every=500,
        checkpoint_every=500,
        evaluation=Evaluation(samples=2_000, features=("digits",)),
    )
