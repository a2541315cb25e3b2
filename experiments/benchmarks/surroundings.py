"""Times every experiment's training step in two surroundings, in turn: the same code, the same batches.

    python experiments/benchmarks/surroundings.py memory                      # freed memory kept, and given back
    python experiments/benchmarks/surroundings.py python OTHER/bin/python     # this interpreter, and another one's JAX
    python experiments/benchmarks/surroundings.py convolutions                # oneDNN's, and XLA's

Each form runs in a process of its own with all CPU threads; one works at a time, in an order that rotates. A round's
ratio is the second form's seconds over the first's. The pixels are random: times don't depend on them. The digest of
the state after the warm-up says whether the bits are the same. Cost: about 10 minutes on 2 CPU cores. The results go to
`results/surroundings-FORM.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from worker import cpu, threads

HERE = Path(__file__).resolve().parent
EXPERIMENTS = (
    *("digits_vae", "digits_dcgan", "mnist_vae_mlp", "mnist_vae", "mnist_dcgan", "fashion_mnist_dcgan"),
    *("cifar10_dcgan", "article_vae", "article_gan", "ring_gan"),
)
CONVOLUTIONAL = (
    *("digits_dcgan", "digits_vae", "digits_vqvae", "digits_nvae", "mnist_dcgan", "mnist_vae", "cifar10_dcgan"),
    *("article_gan", "article_vae"),
)
SHAPES = {"digits": (16, 16, 1), "cifar10": (32, 32, 3)}
"""Of the images; (28, 28, 1) for the others."""
STEPS = 20
"""In a round, and before the first one."""


def work(name: str, keep: bool) -> None:
    """One form: builds the experiment, then trains so many steps for each line of standard input."""
    import jax
    import numpy as np

    from gvlab import backend, build, data, tree
    from gvlab.train import engines

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    backend.pin()
    backend.fast_cpu()
    if keep:
        assert backend.keep_memory(), "this C library cannot be asked to keep memory"
    backend.fast_convolutions()  # as the variable says
    experiment = runpy.run_path(str(HERE.parent / f"{name}.py"))["config"]()
    if experiment.data.name in ("ring", "grid"):
        dataset = data.load(experiment.data.name)
    else:
        shape = SHAPES.get(experiment.data.name, (28, 28, 1))
        pixels = np.random.default_rng(0).integers(0, 256, (10_000, *shape), np.uint8)
        dataset = data.from_arrays(experiment.data.name, pixels, pixels[:100])
    engine = engines.alone(build.program(experiment, dataset), jax.devices()[:1])
    inputs = engine.inputs([experiment])
    state = engine.init(inputs)
    print(json.dumps({"jax": jax.__version__, "python": sys.version.split()[0]}), file=replies, flush=True)
    for line in sys.stdin:
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
        for _ in range(int(line)):
            state, _ = engine.single(state, engine.data, inputs)
        jax.block_until_ready(state)
        seconds = time.perf_counter() - start
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        reply = {"seconds": seconds, "faults": faults, "state": tree.digest(state)}
        print(json.dumps(reply), file=replies, flush=True)


class Worker:
    """A process that has built one form and waits for its turn."""

    def __init__(self, python: str, name: str, keep: bool, convolutions: str) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "work", name, *(["--keep"] if keep else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"GVLAB_CONVOLUTIONS": convolutions},
        )
        self.versions = self._reply()

    def run(self, steps: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        print(steps, file=self._process.stdin, flush=True)
        return self._reply()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"A worker ended with code {self._process.wait()}.")
        return json.loads(line)


def measure(name: str, forms: dict[str, tuple[str, bool, str]], rounds: int) -> dict[str, Any]:
    """Everything about one experiment that is written down."""
    with contextlib.ExitStack() as stack:
        workers = {form: Worker(python, name, *how) for form, (python, *how) in forms.items()}
        for worker in workers.values():
            stack.callback(worker.close)
        digests = {form: worker.run(STEPS)["state"] for form, worker in workers.items()}
        replies: dict[str, list[dict[str, Any]]] = {form: [] for form in forms}
        for turn in range(rounds):
            for form in list(forms) if turn % 2 == 0 else reversed(forms):
                replies[form].append(workers[form].run(STEPS))
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu(),
        "threads": threads(),
        "load": os.getloadavg()[0],
        "versions": {form: worker.versions for form, worker in workers.items()},
        "same_bits": len(set(digests.values())) == 1,
        "steps_per_round": STEPS,
        "seconds_per_round": {form: [reply["seconds"] for reply in rows] for form, rows in replies.items()},
        "faults_per_step": {
            form: statistics.median(reply["faults"] for reply in rows) / STEPS for form, rows in replies.items()
        },
    }


def row(name: str, result: dict[str, Any]) -> str:
    """Of the table: milliseconds a step in each form, the ratio of each round, page faults a step."""
    (first, second), seconds = result["seconds_per_round"], result["seconds_per_round"]
    ratios = [b / a for a, b in zip(seconds[first], seconds[second], strict=True)]
    times = [1e3 * statistics.median(seconds[form]) / STEPS for form in (first, second)]
    faults = result["faults_per_step"]
    return (
        f"| {name} | {times[0]:.2f} | {times[1]:.2f} | {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f}..{max(ratios):.2f}) | {faults[first]:,.0f} | {faults[second]:,.0f} "
        f"| {'yes' if result['same_bits'] else 'no'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("memory", "python", "convolutions"):
        of = commands.add_parser(command)
        if command == "python":
            of.add_argument("other", help="the other interpreter, with gvlab installed")
        known = CONVOLUTIONAL if command == "convolutions" else EXPERIMENTS
        of.add_argument("--only", nargs="+", choices=known, default=list(known))
        of.add_argument("--rounds", type=int, default=8)
    worker = commands.add_parser("work")
    worker.add_argument("name")
    worker.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    if args.command == "work":
        return work(args.name, args.keep)
    forms = {
        "memory": {"kept": (sys.executable, True, "xla"), "given back": (sys.executable, False, "xla")},
        "python": {"this": (sys.executable, True, "xla"), "other": (getattr(args, "other", ""), True, "xla")},
        "convolutions": {"oneDNN": (sys.executable, True, "onednn"), "XLA": (sys.executable, True, "xla")},
    }[args.command]
    print(f"| experiment | {', ms | '.join(forms)}, ms | ratio | {', faults | '.join(forms)}, faults | same bits |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | --- |")
    results = {}
    for name in args.only:
        results[name] = measure(name, forms, args.rounds)
        print(row(name, results[name]), flush=True)
    (HERE / "results" / f"surroundings-{args.command}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
