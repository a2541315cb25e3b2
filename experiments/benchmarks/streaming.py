"""What it costs to stream the examples from a mapped file, and how much memory of the host it takes.

python experiments/benchmarks/streaming.py [--rounds 7] [--gigabytes 20] [--steps 2000] [--directory DIR]

Two tables. The first trains the MLP VAE and the DCGAN of the other benchmarks on 60,000 random images of 28x28 in a
cache as `gvlab data` writes it, once with the examples on the device and once streamed, in turn, round by round; the
ratio is of medians of steps per second. The second makes a cache of random images 32x32x3 of so many gigabytes, and
trains on it in a process of its own, as `gvlab train` does, which says at its end how much memory it took at most:
VmHWM, in which the mapped pages count, after loading the data (every byte is hashed) and after training. Both
states after 50 steps are compared bit for bit. The results go to results/streaming-<backend>.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import seeds

from gvlab import backend, build, config, data, memory, tree
from gvlab.data import cache, rows
from gvlab.train import engines, sources

RESULTS = Path(__file__).resolve().parent / "results"
SECONDS = 2.0
"""Of one reading."""


def made(directory: Path, count: int, shape: tuple[int, ...]) -> data.Dataset:
    """A cache of random images, written row after row."""
    generator = np.random.default_rng(0)
    with cache.lock(directory), cache.part_of(directory) as part:
        splits = []
        for split, number in (("train", count), ("test", 1000)):
            with rows.Writer(part / f"{split}_x.npy", shape) as writer:
                while writer.count < number:
                    size = (min(10_000, number - writer.count), *shape)
                    writer.append(generator.integers(0, 256, size, np.uint8))
                splits.append(data.Split(writer.finished()))
        checksum = data.fingerprint(*splits)
        cache.finish(part, directory, data.Dataset(directory.name, *splits, 0, checksum), {"made": "at random"})
    return cache.read(directory)


def engine_of(experiment: config.Experiment, dataset: data.Dataset, share: float) -> engines.Engine:
    sources.RESIDENT_SHARE = share
    return engines.alone(build.program(experiment, dataset))


def state_after(engine: engines.Engine, steps: int) -> str:
    inputs = engine.inputs([engine.program.experiment])
    state = engine.init(inputs)
    with contextlib.closing(engine.dispatches(inputs, 0, steps)) as dispatches:
        for advance, examples in dispatches:
            state, _ = advance(state, examples, inputs)
    return tree.digest(state)


def reader(engine: engines.Engine) -> Callable[[], float]:
    """A function that trains for about SECONDS and returns steps per second."""
    inputs = engine.inputs([engine.program.experiment])
    state = [engine.init(inputs)]
    dispatches = engine.dispatches(inputs, 0, sys.maxsize)

    def read() -> float:
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < SECONDS:
            advance, examples = next(dispatches)
            state[0], terms = advance(state[0], examples, inputs)
            jax.block_until_ready(terms)
            steps += len(terms)
        return steps / (time.perf_counter() - start)

    read()  # compiles
    return read


def speeds(directory: Path, rounds: int) -> dict[str, Any]:
    dataset, found = made(directory, 60_000, (28, 28, 1)), {}
    for name, experiment in seeds.experiments().items():
        both = {"resident": 1.0, "streamed": 0.0}
        same = len({state_after(engine_of(experiment, dataset, share), 50) for share in both.values()}) == 1
        readers = {form: reader(engine_of(experiment, dataset, share)) for form, share in both.items()}
        readings: dict[str, list[float]] = {form: [] for form in readers}
        for _ in range(rounds):
            for form, read in readers.items():
                readings[form].append(read())
        medians = {form: statistics.median(values) for form, values in readings.items()}
        ratio = medians["streamed"] / medians["resident"]
        found[name] = {"steps_per_second": readings, "streamed_over_resident": ratio, "same_bits": same}
        print(f"{name}: streamed at {ratio:.2f} of the resident speed, {'the same' if same else 'OTHER'} bits")
    return found


def peaks(directory: Path, steps: int) -> None:
    """In a process of its own: trains on the cache, and prints the memory that it took."""
    found: dict[str, Any] = {"before_gib": _peak()}
    start = time.perf_counter()
    dataset = cache.read(directory)
    found |= {"loaded_gib": _peak(), "loading_seconds": time.perf_counter() - start}
    found["data_gib"] = dataset.train.x.nbytes / 2**30
    found["memory_gib"] = memory.limit() / 2**30
    engine = engines.alone(build.program(seeds.experiments()["vae_mlp"], dataset))
    found["source"] = type(engine.source).__name__
    start = time.perf_counter()
    state_after(engine, steps)
    found |= {"trained_gib": _peak(), "steps_per_second": steps / (time.perf_counter() - start)}
    print(json.dumps(found))


def _peak() -> float:
    """GiB, of this process from its start on: Linux only, where getrusage also counts what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--directory", type=Path, help="where the large cache is made and removed")
    parser.add_argument("--peaks", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    backend.start()
    if args.peaks:
        peaks(args.peaks, args.steps)
        return
    with tempfile.TemporaryDirectory(dir=args.directory) as directory:
        found = {"backend": jax.default_backend(), "device": jax.devices()[0].device_kind, "cores": os.cpu_count()}
        found |= speeds(Path(directory) / "small", args.rounds)
        made(Path(directory) / "large", int(args.gigabytes * 2**30 / 3072), (32, 32, 3))
        command = [sys.executable, __file__, "--peaks", str(Path(directory) / "large"), "--steps", str(args.steps)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found["large"] = json.loads(said.splitlines()[-1])
    print(json.dumps(found["large"], indent=1))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"streaming-{found['backend']}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
