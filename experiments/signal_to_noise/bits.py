"""How noisy and how wrong the gradients of estimators for bits are, all at the same parameters of a run by DisARM.

    gvlab train experiments/mnist_binary_vae.py --steps 1000 --out early
    gvlab train experiments/mnist_binary_vae.py
    python experiments/signal_to_noise/bits.py --run early/mnist_binary_vae/seed-0 runs/mnist_binary_vae/seed-0 \
--out signal

Of the gradient g of one image's loss over the encoder's parameters, by many draws, and then the mean over the images:

    variance   tr Cov g
    bias       |E g - true| / |true|, where true is E g of ARM and DisARM, which both have none

of which squares are estimated without bias, so that a bias too small to be seen can come out negative ("unseen"). The
shorter run's last state is one that the longer passes through. VIMCO follows another bound, that of its draws together,
so it has no bias to speak of here; nor have NVIL and REINFORCE been measured, whose variance depends on what they have
learned by themselves.

Cost: 5 CPU minutes for two runs, 4 images and 4,096 draws.
Reached: `results/bits.md` (docs/which_vae.md).
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import AT_ONCE, gradients, square, variance

from gvlab import backend, build, rng
from gvlab.config import ARM, SGD, VIMCO, DisARM, GumbelSoftmax, StraightThrough
from gvlab.train import loop, origin

ESTIMATORS = {
    "DisARM": DisARM(),
    "ARM": ARM(),
    "VIMCO, 2 draws": VIMCO(2),
    "Gumbel-softmax, temperature 2/3": GumbelSoftmax(),
    "Gumbel-softmax, temperature 0.1": GumbelSoftmax(0.1),
    "straight through, temperature 2/3": StraightThrough(),
}
UNBIASED = ("DisARM", "ARM")
OF_ANOTHER_BOUND = ("VIMCO, 2 draws",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, nargs="+", required=True, help="of mnist_binary_vae.py by DisARM")
    parser.add_argument("--images", type=int, default=4, help="of the test split, the first (default: 4)")
    parser.add_argument("--draws", type=int, default=4096, help=f"of each gradient, a multiple of {AT_ONCE}")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    args = parser.parse_args()
    backend.start()
    found = {}
    for run in args.run:
        step, measured = of_run(run, args.images, args.draws)
        found[step] = measured
        print(step, measured, flush=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "bits.json").write_text(json.dumps(found, indent=1) + "\n")
    (args.out / "bits.md").write_text("\n".join(table(found)) + "\n")


def of_run(run: Path, images: int, draws: int) -> tuple[int, dict[str, dict[str, float]]]:
    """The run's step, and by estimator `variance`, `square` of the true gradient and `bias`, squared."""
    program = origin.program_of(run)
    state = loop.restore(program, run)
    seen = program.preprocess(program.dataset.test.x[:images], rng.stream(rng.root(0), rng.EVALUATE))
    means, variances = {}, {}
    for seed, (name, estimator) in enumerate(ESTIMATORS.items()):  # of their own, so that their noises are independent
        changed = replace(program.experiment.model, estimator=estimator, optimizer=SGD(1.0))
        model = build.program(replace(program.experiment, model=changed), program.dataset).model
        mean, lengths = gradients(model, state.params, seen, draws, seed)
        means[name], variances[name] = mean["encoder"], variance(mean["encoder"], lengths["encoder"], draws)
    return int(state.step), {name: errors(name, means, variances, draws) for name in ESTIMATORS}


def errors(
    name: str, means: dict[str, list[np.ndarray]], variances: dict[str, list[float]], draws: int
) -> dict[str, float]:
    """Means over the images. The true gradient is that of the unbiased estimators other than this one."""
    others = [other for other in UNBIASED if other != name]
    noise = np.mean([variances[other] for other in others], axis=0) / len(others) / draws  # of their mean
    true = [np.mean([means[other][i] for other in others], axis=0) for i in range(len(noise))]
    signal = [square(one) - of for one, of in zip(true, noise, strict=True)]
    bias = [
        square(one - of) - own / draws - rest
        for one, of, own, rest in zip(means[name], true, variances[name], noise, strict=True)
    ]
    return {
        "variance": float(np.mean(variances[name])),
        "square": float(np.mean(signal)),
        "bias": float(np.mean(bias)),
    }


def table(found: dict[int, dict[str, dict[str, float]]]) -> list[str]:
    heads = " | ".join(f"step {step:,}: variance | bias" for step in found)
    lines = [f"| encoder | {heads} |", "| --- " + "| ---: " * (2 * len(found)) + "|"]
    for name in ESTIMATORS:
        cells = [cell for of in found.values() for cell in (f"{of[name]['variance']:.3g}", shown(name, of[name]))]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def shown(name: str, of: dict[str, float]) -> str:
    """The bias as a share of the true gradient's length."""
    if name in OF_ANOTHER_BOUND:
        return "of another bound"
    return f"{math.sqrt(of['bias'] / of['square']):.2g}" if of["bias"] > 0 else "unseen"


if __name__ == "__main__":
    main()
