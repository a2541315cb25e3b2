"""Times training steps of gvlab beside PyTorch and Keras: the same networks, batch and update scheme, in turn.

    pip install -e '.[bench]'
    python experiments/benchmarks/training_steps.py [--only NAME ...] [--forms FORM ...] [--rounds N]

Each form runs in a process of its own with all CPU threads. One works at a time: in every round each takes its turn, in
an order that rotates, so that whatever else the machine does falls on all of them. A round's ratio is another form's
seconds over gvlab's in that round. Cost on 2 CPU cores: about 20 minutes for the first four, 10 for the last seven with
four rounds at most; the GANs between them were not timed. The results go to `results/NAME.json`.

The images are MNIST where `$TFDS_DATA_DIR` has it prepared, else random bytes (times don't depend on pixels).
"""

import argparse
import contextlib
import datetime
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from worker import cpu, threads

from gvlab import data

HERE = Path(__file__).resolve().parent
OURS = "gvlab"


@dataclass(frozen=True)
class Benchmark:
    """What is timed, and against what."""

    title: str
    forms: tuple[str, ...]
    warm_up: int
    """Steps before the first round, whose losses are compared between the forms."""
    steps: int
    """Steps in a round."""
    data: str = "mnist"
    """What every form is given of the training examples of that set."""


PEERS = ("torch", "torch channels_last", "torch compile", "keras", "keras jit_compile")
EAGER = ("torch", "torch channels_last")
WITHOUT_IMAGES = tuple(form for form in PEERS if form != "torch channels_last")

BENCHMARKS = {
    "dcgan": Benchmark("DCGAN step, gvlab's networks, batch 64", (OURS, *PEERS), 200, 20),
    "dcgan_tutorial": Benchmark("DCGAN step, TensorFlow tutorial's networks, batch 64", (OURS, *PEERS), 200, 20),
    "vae_mlp": Benchmark("MLP VAE, an epoch of MNIST, batch 100", (OURS, *WITHOUT_IMAGES), 600, 600),
    "vae_conv": Benchmark("convolutional VAE step, Keras guide's networks, batch 128", (OURS, *PEERS), 200, 50),
    "sngan": Benchmark("SNGAN, 32x32, one update of each player, batch 16", (OURS, *EAGER), 4, 1),
    "r3gan": Benchmark(
        "R3GAN, a quarter of CIFAR-10's width, one update of each player, batch 16", (OURS, *EAGER), 4, 1
    ),
    "stylegan2": Benchmark(
        "StyleGAN2, a quarter of CIFAR-10's width, the mean of 16 steps of which one has R1, batch 16",
        (OURS, *EAGER),
        4,
        16,
    ),
    "iwae": Benchmark("IWAE-50, pythae's MLP, batch 64", (OURS, "torch"), 200, 20),
    "vamp": Benchmark("VampPrior of 500 pseudo-inputs, pythae's MLP, batch 64", (OURS, "torch"), 400, 100),
    "vqvae": Benchmark("VQ-VAE, Sonnet's networks, 32x32x3, batch 32", (OURS, *EAGER), 80, 8),
    "sentence_vae": Benchmark("sentence VAE of the grammar, GRU, batch 64", (OURS, "torch"), 400, 100, "grammar"),
    "vdvae": Benchmark("VDVAE of eight layers, 28x28, batch 64", (OURS, *EAGER), 40, 3),
    "restore": Benchmark(
        "search step of 100 restorations with 10 restarts, the digits' VAE",
        (OURS, *EAGER),
        10,
        10,
        "digits",
    ),
    "factor_vae": Benchmark("FactorVAE, 64x64, one update of both players, batch 64 of each", (OURS, *EAGER), 80, 8),
}


class Worker:
    """A process that has built one form and waits for its turn."""

    def __init__(self, benchmark: str, form: str, examples: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, HERE / "worker.py", benchmark, form, examples],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.form = form
        built = self._reply()
        self.parameters, self.versions = built["parameters"], built["versions"]

    def run(self, steps: int) -> tuple[float, float, np.ndarray]:
        """(seconds, seconds of all threads together, losses [steps, ...])"""
        assert self._process.stdin is not None
        print(steps, file=self._process.stdin, flush=True)
        reply = self._reply()
        return reply["seconds"], reply["cpu_seconds"], np.array(reply["losses"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _reply(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"The worker of {self.form} ended with code {self._process.wait()}.")
        return json.loads(line)


def examples_of(name: str) -> np.ndarray:
    """Training examples as they are stored; of MNIST, where it isn't prepared, random bytes."""
    if name == "mnist" and not data.is_prepared("mnist"):
        return np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), np.uint8)
    return data.load(name).train.x


def measure(name: str, forms: tuple[str, ...], rounds: int, examples: Path) -> dict:
    """Everything about one benchmark that is written down."""
    benchmark = BENCHMARKS[name]
    with contextlib.ExitStack() as stack:
        workers, losses = [], {}
        for form in forms:  # built and warmed up one after the other
            worker = Worker(name, form, examples)
            stack.callback(worker.close)
            workers.append(worker)
            losses[form] = worker.run(benchmark.warm_up)[-1]
        assert all(worker.parameters == workers[0].parameters for worker in workers), "the networks differ"

        load = [os.getloadavg()[0]]
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        cpu_seconds: dict[str, list[float]] = {form: [] for form in forms}
        for turn in range(rounds):
            first = turn % len(workers)
            for worker in workers[first:] + workers[:first]:
                wall, of_threads, _ = worker.run(benchmark.steps)
                seconds[worker.form].append(wall)
                cpu_seconds[worker.form].append(of_threads)
        load.append(os.getloadavg()[0])
    return {
        "title": benchmark.title,
        "date": datetime.date.today().isoformat(),
        "cpu": cpu(),
        "threads": threads(),
        "load_before_and_after": load,
        "versions": {name: version for worker in workers for name, version in worker.versions.items()},
        "parameters": workers[0].parameters,
        "steps_per_round": benchmark.steps,
        "seconds_per_round": seconds,
        "cpu_seconds_per_round": cpu_seconds,
        # A check of the twins: the last quarter of the warm-up.
        "warm_up_steps": benchmark.warm_up,
        "warm_up_losses": {form: rows[-benchmark.warm_up // 4 :].mean(0).tolist() for form, rows in losses.items()},
    }


def table(result: dict) -> str:
    """The result as Markdown: milliseconds a step, and the ratios to gvlab in the same round."""
    steps, seconds = result["steps_per_round"], result["seconds_per_round"]
    parameters = " + ".join(f"{count:,}" for count in result["parameters"].values())
    load = " to ".join(f"{x:.1f}" for x in result["load_before_and_after"])
    lines = [
        f"{result['title']} ({parameters} parameters, {len(seconds[OURS])} rounds of {steps} steps, load {load})",
        "",
        "| form | ms per step: median | min | time relative to gvlab: median (min..max) | CPU time | warm-up's loss |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for form, rounds in seconds.items():
        ratios, of_threads = (
            [theirs / ours for theirs, ours in zip(result[key][form], result[key][OURS], strict=True)]
            for key in ("seconds_per_round", "cpu_seconds_per_round")
        )
        losses = ", ".join(f"{loss:.2f}" for loss in np.ravel(result["warm_up_losses"][form]))
        lines.append(
            f"| {form} | {1e3 * statistics.median(rounds) / steps:.2f} | {1e3 * min(rounds) / steps:.2f} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) "
            f"| {statistics.median(of_threads):.2f} | {losses} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS))
    parser.add_argument("--forms", nargs="+", help=f"instead of every framework's; {OURS!r} must be among them")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=HERE / "results", help="directory of the JSON files")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        for name in args.only:
            examples = Path(scratch) / f"{BENCHMARKS[name].data}.npy"
            if not examples.exists():
                np.save(examples, examples_of(BENCHMARKS[name].data))
            result = measure(name, tuple(args.forms or BENCHMARKS[name].forms), args.rounds, examples)
            args.out.mkdir(exist_ok=True)
            (args.out / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
            print(table(result), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
