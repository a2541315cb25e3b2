"""What each latent of a trained model says: how much of the examples, and of which factor."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64, Int

from gvlab import config as c
from gvlab import metrics, rng
from gvlab.build import Program
from gvlab.evaluate.held_out import compiled, test_batches
from gvlab.losses import gaussian_kl_by_latent
from gvlab.types import Batch, Json, PyTree, UserError

FILE = "latents.json"
"""Of a unit, which has its ranking."""
COMBINATIONS = 10_000
"""Of the factors of a set whose ground truth is known, drawn at random."""
BATCH = 500
BINS = 20
SHUFFLES = 10


class Ranking(NamedTuple):
    """The latents, those that say most first."""

    latents: Int[np.ndarray, " latent"]
    """Their numbers."""
    kl_nats: Float64[np.ndarray, " latent"]
    """The mean over examples of the KL of each from N(0, 1), in that order."""
    factors: tuple[str, ...]
    """What they may follow: the factors of a set whose ground truth is known, else the class; none without classes."""
    information_nats: Float64[np.ndarray, "latent factors"]
    """The mutual information of each latent's mean, in `BINS` bins, with each factor."""
    chance_nats: Float64[np.ndarray, " factors"]
    """The most that any latent tells of each factor once it is shuffled, `SHUFFLES` times."""
    examples: int
    """That it is of."""

    @property
    def followed(self) -> list[str | None]:
        """The factor that each latent tells most of beyond chance; None where that is of none."""
        if not self.factors:
            return [None] * len(self.latents)
        beyond = self.information_nats - self.chance_nats[None]
        best = beyond.argmax(axis=1)
        return [self.factors[factor] if row[factor] > 0 else None for factor, row in zip(best, beyond, strict=True)]


def as_json(ranking: Ranking) -> Json:
    """The content of `FILE`."""
    rows = zip(ranking.latents, ranking.kl_nats, ranking.information_nats, ranking.followed, strict=True)
    return {
        "examples": ranking.examples,
        "factors": list(ranking.factors),
        "chance_nats": [float(nats) for nats in ranking.chance_nats],
        "latents": [
            {
                "latent": int(latent),
                "kl_nats": float(kl),
                "information_nats": [float(nats) for nats in told],
                "follows": follows,
            }
            for latent, kl, told, follows in rows
        ],
    }


def can_be_ranked(program: Program) -> bool:
    """Whether the KL of q(z|x) is that of independent normals from N(0, 1)."""
    model = c.pictured(program.experiment.model)
    posterior = getattr(model, "posterior", c.DiagonalNormal())
    normal = program.model.learned_prior is None and isinstance(posterior, c.INDEPENDENT_NORMALS)
    normal = normal and not isinstance(model, c.RAE | c.TRANSLATORS)
    return program.model.encode is not None and normal


def ranking(program: Program, state: PyTree) -> Ranking:
    """The latents of a model by the KL of q(z|x) from N(0, 1), with what the means tell of the factors.

    Of a set whose ground truth is known `COMBINATIONS` of its factors are drawn, else the test split is encoded; then
    the class counts as the one factor.

    Args:
        program: with an encoder.
        state: of its model.

    Raises:
        UserError: the model has no encoder, or another posterior or prior than these normals (`can_be_ranked`).
    """
    if program.model.encode is None:
        raise UserError(f"{program.experiment.name} has no encoder whose latents could be ranked: this needs a VAE.")
    if not can_be_ranked(program):
        raise UserError(
            f"{program.experiment.name} has another posterior than independent normals, or another prior, so KLs "
            "from N(0, 1) say nothing of its latents: rank another run."
        )
    means, logvars, factors, names = _of_truth(program, state) if program.dataset.truth else _of_test(program, state)
    kl = np.asarray(gaussian_kl_by_latent(jnp.asarray(means), jnp.asarray(logvars)).mean(0), np.float64)
    order = np.argsort(-kl, kind="stable")
    if not names:
        return Ranking(order, kl[order], names, np.zeros((len(kl), 0)), np.zeros(0), len(means))
    told = metrics.mutual_information(means, factors, BINS)
    random = np.random.RandomState(0)
    shuffled = [metrics.mutual_information(means, random.permutation(factors), BINS) for _ in range(SHUFFLES)]
    return Ranking(order, kl[order], names, told[order], np.max(shuffled, axis=(0, 1)), len(means))


def _of_test(program: Program, state: PyTree) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    encode = compiled(program.model).encode
    assert encode is not None
    pieces = [
        [np.asarray(part)[:counted] for part in encode(state, batch)] for _, counted, batch in test_batches(program)
    ]
    means, logvars = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    y = program.dataset.test.y
    if y is None or len(np.unique(y)) < 2:
        return means, logvars, np.zeros((len(means), 0), int), ()
    return means, logvars, np.asarray(y)[:, None], ("class",)


def _of_truth(program: Program, state: PyTree) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[str, ...]]:
    truth, encode = program.dataset.truth, compiled(program.model).encode
    assert truth is not None
    assert encode is not None
    factors = np.asarray(truth.draw(rng.stream(rng.root(0), rng.EVALUATE), COMBINATIONS))
    pieces = []
    for number, start in enumerate(range(0, COMBINATIONS, BATCH)):
        some = factors[start : start + BATCH]
        x = program.preprocess(truth.render(some), rng.stream(rng.root(0), rng.EVALUATE, number))
        y = jnp.asarray(some[:, truth.factors.index(truth.label)]) if program.dataset.labelled else None
        pieces.append(jax.device_get(encode(state, Batch(x, y))))
    means, logvars = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    return means, logvars, factors, truth.factors
