"""Runs, operators and methods against each other: how well the first test images are restored.

    gvlab train experiments/digits_vae.py
    gvlab train experiments/digits_dcgan.py
    python experiments/restorations/measure.py runs/digits_vae/seed-0 runs/digits_dcgan/seed-0 --out restored

Each cell is one `gvlab restore RUN --operator ... --method ...` in a folder of its own, with its sheet and
`restore.json`; all see the same measurements of the same images, under noise of 0.1. A cell that is there already is
kept, so this may be stopped and goes on where it was. `table.md` has PSNR with its 95 % interval over the images, class
agreement and, of draws, the coverage of the 90 % interval; `cells.json` the rest.

Cost: for 100 digits half a minute of a core for a search, two minutes for a posterior of the VAE, 26 CPU minutes in all
for both models; 5 for the VAE of `compressed_sensing/mnist_vae.py`.
Reached: `results/table.md`, read in docs/restoring.md.

Methods and their effort, the same for all: `METHODS`. A GAN has no encoder, so it gets `finetune` in its place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

OPERATORS = ("mask(0.5)", "block(8)", "half", "downsample(2)", "blur(1.0)", "noise")
SEARCH = ("--restarts", "4", "--steps", "300", "--rate", "0.05")
METHODS = {
    "optimise": SEARCH,
    "map": SEARCH,
    "posterior": ("--chains", "2", "--warmup", "100", "--draws", "50", "--thinning", "2"),
    "encoder": (),
    "finetune": (*SEARCH, "--tuning-steps", "100"),
}
SHOWN = ("psnr_db", "ssim", "error_per_pixel", "class_agreement", "coverage_90", "consistency", "r_hat")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN")
    parser.add_argument("--images", type=int, default=100, help="of the test split, the first (default: 100)")
    parser.add_argument("--operators", nargs="+", default=OPERATORS)
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="(default: all that the model has)")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    args = parser.parse_args()
    cells = [cell(args, run, operator, method) for run in args.runs for operator in args.operators
             for method in args.methods or methods_of(run)]  # fmt: skip
    (args.out / "cells.json").write_text(json.dumps(cells, indent=1) + "\n")
    (args.out / "table.md").write_text("\n".join(table(cells)) + "\n")


def methods_of(run: Path) -> tuple[str, ...]:
    """The four that a run's model has: searched, drawn, and encoded or fine-tuned."""
    is_vae = json.loads((run / "config.json").read_text())["model"]["type"] == "VAE"
    return "optimise", "map", "posterior", "encoder" if is_vae else "finetune"


def cell(args: argparse.Namespace, run: Path, operator: str, method: str) -> dict[str, object]:
    """What one restoration reached, which is made unless it is there."""
    name = json.loads((run / "config.json").read_text())["name"]
    out = args.out / name / operator.replace("(", "").replace(")", "") / method
    if not (out / "restore.json").exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        asked = ("restore", str(run), "--operator", operator, "--method", method, "--n", str(args.images))
        subprocess.run([sys.executable, "-m", "gvlab", *asked, *METHODS[method], "--out", str(out)], check=True)
    found = json.loads((out / "restore.json").read_text())
    if found["images"] != args.images:
        raise SystemExit(f"{out} has {found['images']} images, and not {args.images}: use another folder.")
    return {
        "run": name,
        "operator": operator,
        "method": found["method"],
        "baseline": found["baseline"]["name"],
        "seconds_per_image": found["seconds_per_image"],
        "measures": {name: found["measures"][name] for name in SHOWN if name in found["measures"]},
        "of_baseline": found["baseline"]["measures"],
    }


def table(cells: list[dict]) -> list[str]:
    """A table of each run: a row for each operator, a column for each method."""
    lines = []
    for run in dict.fromkeys(one["run"] for one in cells):
        of_run = [one for one in cells if one["run"] == run]
        methods = list(dict.fromkeys(one["method"]["type"] for one in of_run))
        lines += [f"`{run}`", "", "| | " + " | ".join(methods) + " | baseline |", "| --- " * (len(methods) + 2) + "|"]
        for operator in dict.fromkeys(one["operator"] for one in of_run):
            row = [one for one in of_run if one["operator"] == operator]
            lines.append(" | ".join([f"| `{operator}`", *(shown(one["measures"]) for one in row),
                                     shown(row[0]["of_baseline"])]) + " |")  # fmt: skip
        lines.append("")
    return lines[:-1]


def shown(measures: dict[str, dict[str, float]]) -> str:
    """PSNR [95 % interval]; class agreement; coverage, where there are draws."""
    psnr = measures["psnr_db"]
    parts = [f"{psnr['mean']:.1f} [{psnr['low']:.1f}, {psnr['high']:.1f}]"]
    parts += [f"{measures[name]['mean']:.2f}" for name in ("class_agreement", "coverage_90") if name in measures]
    return "; ".join(parts)


if __name__ == "__main__":
    main()
