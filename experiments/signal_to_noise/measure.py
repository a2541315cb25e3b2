"""How much of a gradient is signal, against the number k of draws: for each estimator, of the encoder and the decoder.

    python experiments/signal_to_noise/measure.py --out signal                  the linear model of the paper
    gvlab train experiments/mnist_estimators.py
    python experiments/signal_to_noise/measure.py --run runs/mnist_estimators/seed-0 --out signal

Rainforth et al. 2018 ("Tighter variational bounds are not necessarily better", theorem 1): with more draws the gradient
of the importance-weighted bound with respect to the encoder loses its signal, as k^-1/2, while that of the decoder
gains it, as k^1/2. Tucker et al. 2019 mend the encoder's by reparametrising twice: k^1/2. What is measured is

    |E g| / sqrt(tr Cov g)

of the gradient g of one image over all parameters of a network, by many draws; |E g|^2 is estimated without bias, as
|mean of g|^2 - tr Cov g / draws, so it can come out negative where there is next to no signal. The number said is the
root of the squares' mean over the images ("unseen" where that is negative), the slope that of the logarithms over the
last three k with a signal. Gradients are taken through the public step: one of SGD with a rate of 1 moves the
parameters by minus the gradient.

Cost: 3 CPU minutes for the linear model with 4 examples and 16,384 draws, and 3 for the run with 4 images and 256.
Reached: `results/`. In the linear model the slopes of the theory, of the trained run neither (docs/which_vae.md).

The linear model is Rainforth's of section 4.1: z ~ N(0, I) of 20 dimensions, x ~ N(z + mu, I) and q(z|x) = N(Ax + b,
2/3 I), with A, b and mu at the optimum and N(0, 0.01^2) beside it. (Their mu is the prior's mean; here it stands in the
likelihood, which leaves p(x) the same.)
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gvlab import backend, build, models, rng
from gvlab.config import (
    SGD,
    CombinedImportanceWeighted,
    DoublyReparametrised,
    ImportanceWeighted,
    MultiplyImportanceWeighted,
    PartiallyImportanceWeighted,
    Renyi,
    StickingTheLanding,
)
from gvlab.train import loop, origin
from gvlab.types import Batch, Model

KS = (2, 8, 32, 128, 512)
AT_ONCE = 8
DIMENSIONS = 20
OBJECTIVES = {
    "IWAE": ImportanceWeighted(),
    "STL": StickingTheLanding(),
    "DReG": DoublyReparametrised(),
    "MIWAE, 2 groups": MultiplyImportanceWeighted(2),
    "PIWAE, 2 groups": PartiallyImportanceWeighted(2),
    "CIWAE": CombinedImportanceWeighted(),
    "VR, alpha 0.5": Renyi(),
}
THEORY = {"IWAE": (-0.5, 0.5), "DReG": (0.5, 0.5)}
"""Slopes of the encoder's and the decoder's that the papers prove."""
NETWORKS = ("encoder", "decoder")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="of mnist_estimators.py, or of another VAE without BatchNorm")
    parser.add_argument("--images", type=int, default=8, help="of the test split, the first (default: 8)")
    parser.add_argument("--draws", type=int, default=256, help=f"of each gradient, a multiple of {AT_ONCE}")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    args = parser.parse_args()
    backend.start()
    model, params, x = linear(args.images) if args.run is None else of_run(args.run, args.images)
    found: dict[str, dict] = {}
    for name, objective in OBJECTIVES.items():
        by_k = {k: ratios(model(objective, k), params, x, args.draws) for k in KS}
        found[name] = {network: {k: of[network] for k, of in by_k.items()} for network in NETWORKS}
        print(name, {network: [shown(of) for of in found[name][network].values()] for network in NETWORKS}, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    stem = "linear" if args.run is None else "run"
    (args.out / f"{stem}.json").write_text(json.dumps(found, indent=1) + "\n")
    (args.out / f"{stem}.md").write_text("\n".join(table(found)) + "\n")


Problem = tuple[Callable[[Any, int], Model], Any, jax.Array]
"""(objective, k) -> the model; its parameters; examples."""


def of_run(run: Path, images: int) -> Problem:
    """A run's model at its last parameters, and test images as it sees them."""
    program = origin.program_of(run)
    experiment = program.experiment

    def model(objective: Any, k: int) -> Model:
        changed = replace(experiment.model, objective=objective, num_samples=k, optimizer=SGD(1.0))
        return build.program(replace(experiment, model=changed), program.dataset).model

    seen = program.preprocess(program.dataset.test.x[:images], rng.stream(rng.root(0), rng.EVALUATE))
    return model, loop.restore(program, run).params, seen


class Affine(nn.Module):
    """q(z|x) = N(Ax + b, 2/3 I)."""

    @nn.compact
    def __call__(self, x, y=None, *, train: bool = False):
        mean = nn.Dense(DIMENSIONS)(x)
        return mean, jnp.full_like(mean, math.log(2 / 3))


class Shift(nn.Module):
    """The mean of p(x|z) is z + mu."""

    @nn.compact
    def __call__(self, z, y=None, *, train: bool = False):
        return z + self.param("mu", nn.initializers.zeros, (DIMENSIONS,))


def linear(examples: int) -> Problem:
    """The linear model near its optimum, and examples of it."""

    def model(objective: Any, k: int) -> Model:
        return models.autoencoder(
            Affine(), Shift(), models.observation.gaussian(1.0), optax.sgd(1.0), objective=objective.objective(),
            latent_dim=DIMENSIONS, num_samples=k, data_range=(-math.inf, math.inf),
        )  # fmt: skip

    draw = np.random.RandomState(0)
    mu = draw.randn(DIMENSIONS)
    x = mu + math.sqrt(2) * draw.randn(examples, DIMENSIONS)
    optimum = {
        "encoder": {"Dense_0": {"kernel": np.eye(DIMENSIONS) / 2, "bias": -mu / 2}},
        "decoder": {"mu": mu},
    }
    beside = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.01 * draw.randn(*leaf.shape), jnp.float32), optimum)
    return model, beside, jnp.asarray(x, jnp.float32)


def ratios(model: Model, params: Any, seen: jax.Array, draws: int) -> dict[str, list[float]]:
    """The square of signal over noise of each example, by network."""
    means, squares = gradients(model, params, seen, draws)
    variances = {name: variance(means[name], squares[name], draws) for name in NETWORKS}
    return {
        name: [float((square(mean) - of / draws) / of) for mean, of in zip(means[name], variances[name], strict=True)]
        for name in NETWORKS
    }


Gradients = dict[str, list[np.ndarray]]
"""By network, one flat gradient for each example."""


def gradients(
    model: Model, params: Any, seen: jax.Array, draws: int, seed: int = 0
) -> tuple[Gradients, dict[str, list[float]]]:
    """The mean of each example's gradient over the draws of a seed, and that of its squared length."""
    state = jax.jit(model.init)(rng.stream(rng.root(0), rng.INIT), Batch(seen)).replace(params=params)

    def gradient(x, key):
        moved, _ = model.train_step(state, Batch(x[None]), key)
        return {name: jax.tree.map(jnp.subtract, params[name], moved.params[name]) for name in NETWORKS}

    def squares(tree) -> dict:
        return {name: sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(tree[name])) for name in NETWORKS}

    @jax.jit
    def sums(x):
        def add(sums, key):
            g = jax.vmap(gradient, (None, 0))(x, jax.random.split(key, AT_ONCE))
            total, square = sums
            total = jax.tree.map(lambda s, one: s + one.sum(0), total, g)
            return (total, jax.tree.map(jnp.add, square, squares(g))), None

        zero = {name: jax.tree.map(jnp.zeros_like, params[name]) for name in NETWORKS}, dict.fromkeys(NETWORKS, 0.0)
        return jax.lax.scan(add, zero, jax.random.split(rng.root(seed), draws // AT_ONCE))[0]

    means: Gradients = {name: [] for name in NETWORKS}
    lengths: dict[str, list[float]] = {name: [] for name in NETWORKS}
    for x in seen:
        total, square = jax.device_get(sums(x))
        for name in NETWORKS:
            means[name].append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(total[name])]) / draws)
            lengths[name].append(float(square[name]) / draws)
    return means, lengths


def variance(means: list[np.ndarray], lengths: list[float], draws: int) -> list[float]:
    """tr Cov g of each example, from the mean gradient and the mean squared length of so many draws."""
    return [(length - square(mean)) * draws / (draws - 1) for mean, length in zip(means, lengths, strict=True)]


def square(g: np.ndarray) -> float:
    return float(np.vdot(g, g))


def mean(of: list[float]) -> float:
    """Signal over noise, of all examples; NaN if there is less signal than can be seen."""
    square = sum(of) / len(of)
    return math.sqrt(square) if square > 0 else math.nan


def shown(of: list[float]) -> str:
    return "unseen" if math.isnan(mean(of)) else f"{mean(of):.3g}"


def slope(of: dict[int, list[float]]) -> float:
    """Of the logarithms, over the last three k with a signal."""
    ks = [k for k in of if not math.isnan(mean(of[k]))][-3:]
    return float(np.polyfit(np.log(ks), [math.log(mean(of[k])) for k in ks], 1)[0])


def table(found: dict) -> list[str]:
    lines = []
    for number, network in enumerate(NETWORKS):
        heads = " | ".join(f"k = {k}" for k in KS)
        lines += [f"| {network} | {heads} | slope | theory |", "| --- " + "| ---: " * (len(KS) + 2) + "|"]
        for name, of in found.items():
            theory = f"{THEORY[name][number]:+}" if name in THEORY else ""
            cells = [*(shown(one) for one in of[network].values()), f"{slope(of[network]):+.2f}", theory]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        lines.append("")
    return lines[:-1]


if __name__ == "__main__":
    main()
