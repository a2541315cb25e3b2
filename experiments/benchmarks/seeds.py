"""What many seeds cost: the time of a step of 1, 2, 4, 8, 16 seeds in one program, over that of one seed alone.

python experiments/benchmarks/seeds.py [--only vae_mlp] [--most 16] [--rounds 5]

Two tables. The first trains the MLP VAE and the DCGAN of the other benchmarks, on random images (their values don't
enter the time). The second takes one of the DCGAN's convolutions with its gradients, for 8 seeds, in four forms:
grouped (what `vmap` makes of it), unrolled (one convolution per seed in one program), patches (a batched matrix product
of the images' patches) and mapped (`lax.map`). All of a table's entries are timed in turn, round by round; the ratio is
of medians. The results go to results/seeds-<backend>.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import backend, build, config, data
from gvlab.train import engines

RESULTS = Path(__file__).resolve().parent / "results"
COUNTS = (1, 2, 4, 8, 16)
SECONDS = 1.0
"""Of one reading, at least one step."""


def experiments() -> dict[str, config.Experiment]:
    adam = config.Adam(1e-3, eps=1e-4)
    pace: dict[str, Any] = {"steps": 10**6, "log_every": 100, "sample_every": 100, "checkpoint_every": 100}
    return {
        "vae_mlp": config.Experiment(
            name="vae_mlp",
            data=config.Data(name="mnist", quantization="binarize"),
            model=config.VAE(config.MLP(hidden=(200, 200)), latent_dim=50, optimizer=adam),
            batch_size=100,
            **pace,
        ),
        "dcgan": config.Experiment(
            name="dcgan",
            data=config.Data(name="mnist"),
            model=config.GAN(config.DCGAN(width=64)),
            batch_size=64,
            **pace,
        ),
    }


def reader(experiment: config.Experiment, dataset: data.Dataset, count: int) -> Callable[[], float]:
    """A function that trains for about SECONDS and returns the seconds of a step of all seeds."""
    program = build.program(experiment, dataset)
    engine = engines.alone(program) if count == 1 else engines.together(program, count)
    inputs = engine.inputs([config.with_value(experiment, "seed", seed) for seed in range(count)])
    step = engine.many or engine.single
    state = [engine.init(inputs)]

    def advance() -> int:
        state[0], rows = step(state[0], engine.data, inputs)
        jax.block_until_ready(rows)
        return len(rows)

    advance()  # compiles

    def read() -> float:
        start, steps = time.perf_counter(), 0
        while steps == 0 or time.perf_counter() - start < SECONDS:
            steps += advance()
        return (time.perf_counter() - start) / steps

    return read


def convolution(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """5x5, stride 2, as in the discriminator: x [b, h, w, c], kernel [5, 5, c, d]."""
    return jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def by_patches(x: jax.Array, kernel: jax.Array) -> jax.Array:
    patches = jax.lax.conv_general_dilated_patches(
        x, (5, 5), (2, 2), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return patches @ kernel.transpose(2, 0, 1, 3).reshape(-1, kernel.shape[-1])


FORMS: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "grouped": jax.vmap(convolution),
    "unrolled": lambda x, kernel: jnp.stack([convolution(one, k) for one, k in zip(x, kernel, strict=True)]),
    "patches": jax.vmap(by_patches),
    "mapped": lambda x, kernel: jax.lax.map(lambda both: convolution(*both), (x, kernel)),
}


def form_reader(form: Callable, seeds: int) -> Callable[[], float]:
    keys = jax.random.split(jax.random.key(0), 2)
    x = jax.random.normal(keys[0], (seeds, 64, 14, 14, 64))
    kernel = jax.random.normal(keys[1], (seeds, 5, 5, 64, 128))
    gradients = jax.jit(jax.grad(lambda x, kernel: jnp.square(form(x, kernel)).sum(), argnums=(0, 1)))
    jax.block_until_ready(gradients(x, kernel))

    def read() -> float:
        start, times = time.perf_counter(), 0
        while times == 0 or time.perf_counter() - start < SECONDS:
            jax.block_until_ready(gradients(x, kernel))
            times += 1
        return (time.perf_counter() - start) / times

    return read


def in_turn(readers: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of each reader's readings, taken in turn."""
    readings: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(rounds):
        for name, read in readers.items():
            readings[name].append(read())
    return {name: statistics.median(values) for name, values in readings.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("vae_mlp", "dcgan", "convolution"))
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    backend.start()
    pixels = np.random.RandomState(0).randint(0, 256, (60_000, 28, 28, 1), np.uint8)
    dataset = data.from_arrays("mnist", pixels, pixels[:100])
    found: dict[str, Any] = {"backend": jax.default_backend(), "device": jax.devices()[0].device_kind}
    for name, experiment in experiments().items():
        if args.only in (None, name):
            counts = [count for count in COUNTS if count <= args.most]
            seconds = in_turn({str(n): reader(experiment, dataset, n) for n in counts}, args.rounds)
            found[name] = {
                n: {"seconds": value, "over_one": value / seconds["1"], "each_over_one": value / seconds["1"] / int(n)}
                for n, value in seconds.items()
            }
            for n, row in found[name].items():
                print(
                    f"{name}, {n} seeds: {row['over_one']:.2f} times one ({row['each_over_one']:.2f} a seed)",
                    flush=True,
                )
    if args.only in (None, "convolution"):
        seconds = in_turn({name: form_reader(form, 8) for name, form in FORMS.items()}, args.rounds)
        found["convolution"] = {name: value / seconds["grouped"] for name, value in seconds.items()}
        print("8 convolutions, over grouped:", {k: round(v, 2) for k, v in found["convolution"].items()})
    if args.only is None:
        file = RESULTS / f"seeds-{found['backend']}.json"
        file.write_text(json.dumps(found, indent=1) + "\n")
        print(file)


if __name__ == "__main__":
    main()
