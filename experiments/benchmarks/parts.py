"""What parts of a GAN's training step cost in gvlab: R1 and R2, augmentations, and compilation.

    python experiments/benchmarks/parts.py [--only NAME ...] [--rounds N]

The forms of a benchmark are compiled programs of one process, which take turns in an order that rotates; a ratio is a
form's seconds over the first form's in the same round. CPU seconds are those of all threads together. Programs are
compiled afresh, without the cache. The results go to `results/parts.json`.
"""

import argparse
import datetime
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gvlab_gans import BATCH, CONFIGS, versions
from worker import cpu, threads

from gvlab import Batch, build, config, rng
from gvlab.models import game as played
from gvlab.types import PyTree

SHAPE = (32, 32, 3)
DCGAN = config.GAN(config.DCGAN())
AUGMENTATIONS: dict[str, Any] = {
    "none": None,
    "DiffAugment": config.DiffAugment(),
    "ADA bgc": config.ADA("bgc", config.Fixed(0.5)),
}


def key() -> jax.Array:
    return rng.root(0)


def images(count: int) -> Batch:
    return Batch(jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (count, *SHAPE)), jnp.float32))


def training_step(gan: config.GAN) -> tuple[Callable, PyTree, Batch]:
    """(step, state, batch): one update of each player."""
    model = build.model(gan, SHAPE, 0)
    batch = images(BATCH * gan.batches)
    state = jax.jit(lambda key: model.init(key, Batch(jnp.zeros(batch.x.shape))))(key())
    return model.train_step, state, batch


def discriminator_step(gan: config.GAN) -> tuple[Callable, PyTree, Batch]:
    """(step, state, batch): one update of the discriminator, with the pass of the generator that it needs."""
    generator, discriminator = gan.network.networks(SHAPE, 0, None)
    game = played.Game(
        generator,
        discriminator,
        gan.generator_optimizer.transformation(),
        gan.discriminator_optimizer.transformation(),
        gan.latent_dim,
        gan.contest.contest(),
        [term.term() for term in gan.discriminator_terms],
        (),
        None,
        played.decay_of(gan.ema_decay),
        0,
        None,
    )
    _, state, _ = training_step(gan)
    return (
        lambda state, batch, key: played.discriminator_update(game, state, batch, state.step, key),
        state,
        images(BATCH),
    )


def augmented(gan: config.GAN) -> dict[str, tuple]:
    return {name: training_step(replace(gan, augmentation=of)) for name, of in AUGMENTATIONS.items()}


BENCHMARKS: dict[str, Callable[[], dict[str, tuple]]] = {
    "discriminator's update, R3GAN / 4": lambda: {
        "without penalties": discriminator_step(replace(CONFIGS["r3gan"], discriminator_terms=())),
        "with R1 and R2": discriminator_step(CONFIGS["r3gan"]),
    },
    "training step, DCGAN": lambda: augmented(DCGAN),
    "training step, R3GAN / 4": lambda: augmented(CONFIGS["r3gan"]),
    "training step, SNGAN": lambda: {"none": training_step(CONFIGS["sngan"])},
    "training step, StyleGAN2 / 4": lambda: {"none": training_step(CONFIGS["stylegan2"])},
}


class Program:
    """A compiled step with its state."""

    def __init__(self, step: Callable, state: PyTree, batch: Batch):
        start, cpu_start = time.perf_counter(), time.process_time()
        self._compiled = jax.jit(step, donate_argnums=0).lower(state, batch, key()).compile()
        self.compile = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
        self._state, self._batch = state, batch

    def run(self) -> tuple[float, float]:
        """(seconds, CPU seconds) of one step"""
        start, cpu_start = time.perf_counter(), time.process_time()
        self._state, _ = self._compiled(self._state, self._batch, key())
        jax.block_until_ready(self._state)
        return time.perf_counter() - start, time.process_time() - cpu_start


def measure(name: str, rounds: int) -> dict[str, Any]:
    programs = {form: Program(*made) for form, made in BENCHMARKS[name]().items()}
    found: dict[str, Any] = {
        form: {"compile": program.compile, "seconds": [], "cpu_seconds": []} for form, program in programs.items()
    }
    for program in programs.values():
        program.run()
    for turn in range(rounds if len(programs) > 1 else 0):
        forms = list(programs)
        for form in forms[turn % len(forms) :] + forms[: turn % len(forms)]:
            for kind, seconds in zip(("seconds", "cpu_seconds"), programs[form].run(), strict=True):
                found[form][kind].append(seconds)
    return found


def rows(name: str, found: dict[str, Any]) -> list[str]:
    lines, first = [], next(iter(found.values()))
    for form, one in found.items():
        compiled = f"{one['compile']['seconds']:.0f} | {one['compile']['cpu_seconds']:.0f}"
        cells = ["-", "-", "-"]
        if one["seconds"]:
            ratios = {
                kind: [a / b for a, b in zip(one[kind], first[kind], strict=True)]
                for kind in ("seconds", "cpu_seconds")
            }
            wall = ratios["seconds"]
            cells = [
                f"{1e3 * statistics.median(one['seconds']):.0f}",
                f"{statistics.median(wall):.2f} ({min(wall):.2f}..{max(wall):.2f})",
                f"{statistics.median(ratios['cpu_seconds']):.2f}",
            ]
        lines.append(f"| {name} | {form} | {' | '.join(cells)} | {compiled} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    path = Path(__file__).resolve().parent / "results" / "parts.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    print("| of | form | ms: median | ratio: median (min..max) | CPU time | compiled in s | in CPU s |")
    print("| --- | --- | ---: | --- | ---: | ---: | ---: |")
    for name in args.only:
        load = [os.getloadavg()[0]]
        found = measure(name, args.rounds)
        load.append(os.getloadavg()[0])
        facts = {"date": datetime.date.today().isoformat(), "cpu": cpu(), "threads": threads(), "versions": versions()}
        kept[name] = facts | {"load_before_and_after": load, "forms": found}
        path.write_text(json.dumps(kept, indent=1) + "\n")
        print("\n".join(rows(name, found)), flush=True)


if __name__ == "__main__":
    main()
