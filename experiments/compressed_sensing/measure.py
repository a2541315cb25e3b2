"""Compressed sensing with a generative model, as in Bora et al. 2017, on MNIST: error per pixel against measurements.

Their protocol (section 6.1 and the published code): rows of independent N(0, 1 / m), noise of expected length 0.1 (so
of deviation 0.1 / sqrt(m) in each measurement), 10 restarts of 1,000 steps of Adam at 0.01 from N(0, I), a weight of
0.1 on the latents' squared length, and of the restarts the one of the least objective. Beside it Lasso in pixels, whose
strength is chosen for each m on 16 training images (theirs is fixed), the encoder's reconstruction of the true image
(about what the model can show at all), and the mean training image. Differences: the VAE has tanh units where theirs
has softplus, and one matrix is drawn for each m.

    gvlab train experiments/compressed_sensing/mnist_vae.py
    python experiments/compressed_sensing/measure.py runs/csgm_mnist_vae/seed-0 --images 100 --out compressed

Cost: 21 minutes by the clock for all nine rows of 100 images, on two CPU cores that were shared with other work; the
VAE takes 55 to 310 seconds a row, Lasso with the choice of its strength 1 to 26.
Reached: `results/errors.md`. With 25 measurements the VAE errs by 0.018 per pixel, for which Lasso needs between 300
and 400: 12 to 16 times as many (the paper says 5 to 10). From 100 on it hardly gets better: 0.0063, and 0.0056 with
750, which is what it can show at all; from 500 on Lasso is better. So both halves of their finding come out.

The rows of the table that are there already are kept, so it may be stopped and goes on where it was.

Reference: Bora, Jalal, Price & Dimakis, "Compressed Sensing using Generative Models", 2017, figure 1a.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from gvlab import backend

MEASUREMENTS = (10, 25, 50, 100, 200, 300, 400, 500, 750)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="of mnist_vae.py, beside this file")
    parser.add_argument("--images", type=int, default=100, help="of the test split, the first (default: 100)")
    parser.add_argument("--measurements", type=int, nargs="+", default=MEASUREMENTS)
    parser.add_argument("--restarts", type=int, default=10)
    parser.add_argument("--steps", type=int, default=1_000)
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    args = parser.parse_args()
    backend.start()
    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "errors.json"
    try:
        found = begun(file, {name: getattr(args, name) for name in ("images", "restarts", "steps")})
    except ValueError as error:
        parser.error(str(error))
    found |= references(args.run, args.images)
    for m in args.measurements:
        if str(m) not in found["rows"]:
            found["rows"][str(m)] = row(args, m)
            print(m, json.dumps(found["rows"][str(m)]), flush=True)
            file.write_text(json.dumps(found, indent=1) + "\n")
    (args.out / "errors.md").write_text(table(found))
    figure(found, args.out / "errors.png")


def begun(file: Path, asked: dict[str, int]) -> dict:
    """What the file has of these numbers, or the beginning of it (`ValueError` if it has others: rows of one table are
    alike)."""
    found = json.loads(file.read_text()) if file.exists() else asked | {"rows": {}}
    for name, value in asked.items():
        if found.get(name) != value:
            known = found.get(name, "unknown")
            raise ValueError(f"{file} has {name} = {known}, and not {value}: ask for as many, or for another folder")
    return found


def references(run: Path, images: int) -> dict[str, float]:
    """What takes no measurements: errors of the encoder's reconstructions and of the mean image."""
    import jax
    import numpy as np

    from gvlab.data import mapped
    from gvlab.types import Batch

    program, state, true = of_run(run, images)
    encode, decode = jax.jit(program.model.encode), jax.jit(program.model.decode)
    rebuilt = np.asarray(decode(state, encode(state, Batch(true))[0]))
    mean = mapped.mean(program.dataset.train.x) / 255
    return {
        "encoder": float(((rebuilt - true) ** 2).mean()),
        "mean_image": float(((mean - true) ** 2).mean()),
    }


def of_run(run: Path, images: int):
    """The program, its newest state and the first test images in [0, 1]."""
    import numpy as np

    from gvlab.train import loop, origin

    program = origin.program_of(run)
    return program, loop.restore(program, run), np.asarray(program.dataset.test.x[:images], np.float32) / 255


def row(args: argparse.Namespace, m: int) -> dict[str, object]:
    """Errors per pixel of both at so many measurements, with their intervals over the images."""
    import jax.numpy as jnp
    import numpy as np

    from gvlab import restore, rng
    from gvlab.config.restoration import Optimise, Projection
    from gvlab.restoration import classical

    program, state, true = of_run(args.run, args.images)
    operator, noise = Projection(m).operator(true.shape[1:]), 0.1 / m**0.5
    train = np.asarray(program.dataset.train.x[: classical.TRAINING], np.float32) / 255
    y, y_train = (
        operator.observed(rng.stream(rng.root(0), rng.OBSERVATION, number), jnp.asarray(x), noise)
        for number, x in enumerate((true, train))
    )
    start = time.perf_counter()
    method = Optimise(restarts=args.restarts, steps=args.steps)
    made = restore.restore(program, state, operator, y, method, noise, 0)
    vae_seconds = time.perf_counter() - start
    training = classical.Training(train, np.asarray(y_train), train.mean(0))
    lasso = classical.restored("lasso", operator, np.asarray(y), training)
    errors = {name: ((x - true) ** 2).mean((1, 2, 3)) for name, x in (("vae", made.x), ("lasso", lasso.x))}
    summaries = restore.summary(errors)
    return {
        **{name: {key: of[key] for key in ("mean", "low", "high")} for name, of in summaries.items()},
        "lasso_strength": lasso.strength,
        "seconds": {"vae": round(vae_seconds, 1), "both": round(time.perf_counter() - start, 1)},
    }


def table(found: dict) -> str:
    """The errors as Markdown."""
    lines = [
        f"Squared error per pixel [95 % interval over the first {found['images']} test images].",
        "",
        "| m | VAE | Lasso, pixels | its strength |",
        "| ---: | --- | --- | ---: |",
    ]
    for m, of in sorted(found["rows"].items(), key=lambda item: int(item[0])):
        shown = [" ".join(numbers(of[name])) for name in ("vae", "lasso")]
        lines.append(f"| {m} | {shown[0]} | {shown[1]} | {of['lasso_strength']:g} |")
    rest = (
        f"Without measurements: the encoder's reconstruction of the true image {found['encoder']:.4f}, the mean image"
    )
    return "\n".join([*lines, "", f"{rest} {found['mean_image']:.4f}."]) + "\n"


def numbers(of: dict[str, float]) -> tuple[str, str]:
    """The mean and its interval, with three digits."""
    return f"{of['mean']:.3g}", f"[{of['low']:.3g}, {of['high']:.3g}]"


def figure(found: dict, target: Path) -> None:
    """Errors against measurements, with their intervals (extra: figures)."""
    import matplotlib
    import numpy as np

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6), dpi=120, layout="constrained")
    rows = sorted(found["rows"].items(), key=lambda item: int(item[0]))
    where = [int(m) for m, _ in rows]
    for name, label, colour in (("vae", "VAE (Bora et al. 2017)", "#0072b2"), ("lasso", "Lasso, pixels", "#d55e00")):
        mean, low, high = ([of[name][key] for _, of in rows] for key in ("mean", "low", "high"))
        axes.plot(where, mean, "o-", color=colour, label=label, markersize=4)
        axes.fill_between(where, np.maximum(low, 1e-5), high, color=colour, alpha=0.2, linewidth=0)
    axes.axhline(found["encoder"], color="grey", linestyle="--", linewidth=1, label="encoder's reconstruction")
    axes.axhline(found["mean_image"], color="grey", linestyle=":", linewidth=1, label="mean image")
    axes.set(xlabel="measurements", ylabel="squared error per pixel", xscale="log", yscale="log")
    axes.set_xticks(where, ["" if m == 400 else str(m) for m in where])  # it would run into that of 500
    axes.minorticks_off()
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(target)


if __name__ == "__main__":
    main()
