"""Kills a comparison with SIGKILL at random moments, continues it, and says whether its result is the undisturbed one.

    python experiments/benchmarks/kill_compare.py [--kills 10] [--seed N] [--together N]

Two small experiments on digits with two seeds each. First they run undisturbed; then they are started in another
directory, killed at a moment drawn uniformly from the undisturbed one's duration, started again, and so on, until so
many kills have hit. An attempt that comes to its end before its moment ends that comparison, and the next one begins in
a new directory. Of every comparison comparison.json, without the wall clock and the command line, and the tables must
be those of the undisturbed one. Cost: about 5 minutes on 2 CPU cores. Exit code 1 if anything differs.
"""

import argparse
import json
import random
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FILES = {
    "vae": 'Experiment("vae", VAE(MLP(hidden=(64,)), latent_dim=8), data=Data(quantization="binarize"), **PACE)',
    "gan": 'Experiment("gan", GAN(MLP(hidden=(64,)), latent_dim=8), **PACE)',
}
PACE = """from gvlab.config import *

PACE = dict(steps=400, batch_size=32, log_every=20, checkpoint_every=40, sample_every=200,
            evaluation=Evaluation(samples=256, k=20))


def config():
    return """


def command(directory: Path, root: Path, together: int) -> list[str]:
    files = [str(directory / f"{name}.py") for name in FILES]
    options = ["--seeds", "2", "--together", str(together), "--out", str(root)]
    return [str(Path(sys.executable).with_name("gvlab")), "compare", *files, *options]


def results(root: Path) -> dict[str, Any]:
    """What an undisturbed comparison and a killed one must share."""
    found = json.loads((root / "comparison.json").read_text())
    for unit in found["units"]:
        del unit["timing"], unit["environment"]["command"]
        for one in (unit["measures"] or {}).values():
            one.pop("points_per_second", None)
    tables = {name: (root / name).read_text() for name in ("comparison.csv", "table.md", "table.tex")}
    return {"comparison.json": found, **tables}


def run(args: list[str]) -> float:
    """Seconds that the command takes to its end."""
    start = time.monotonic()
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - start


def killed(args: list[str], after: float) -> bool:
    """Whether SIGKILL hit the command before its end."""
    process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=10)
    options.add_argument("--seed", type=int, default=secrets.randbits(32), help="of the moments (default: a new one)")
    options.add_argument("--together", type=int, default=1, help="seeds per program (default: 1)")
    asked = options.parse_args()
    draw = random.Random(asked.seed)
    print(f"The moments are drawn with random.Random({asked.seed}).")
    with tempfile.TemporaryDirectory(prefix="gvlab-kill-") as scratch:
        directory = Path(scratch)
        for name, experiment in FILES.items():
            (directory / f"{name}.py").write_text(PACE + experiment + "\n")
        run(command(directory, directory / "first" / "comparison", asked.together))  # compiles, into the user's cache
        seconds = run(command(directory, directory / "undisturbed" / "comparison", asked.together))
        print(f"Undisturbed: {seconds:.1f} s.")
        expected = results(directory / "undisturbed" / "comparison")
        kills, differing, roots = 0, [], [directory / "0" / "comparison"]
        while kills < asked.kills:
            moment = draw.uniform(0, seconds)
            if killed(command(directory, roots[-1], asked.together), moment):
                kills += 1
                units = len(list(roots[-1].glob("units/*/*/unit.json")))
                print(f"Comparison {len(roots)}, kill {kills} after {moment:.1f} s: {units} of 4 units complete.")
            else:
                roots.append(directory / str(len(roots)) / "comparison")
        for number, root in enumerate(roots, start=1):
            run(command(directory, root, asked.together))
            made = results(root)
            differing += [f"{name} of comparison {number}" for name in expected if made[name] != expected[name]]
    print(f"Different: {', '.join(differing)}." if differing else f"All {len(roots)} are the undisturbed comparison.")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
