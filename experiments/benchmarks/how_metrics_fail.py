"""Bad "models" of MNIST that some measures praise: which measure sees what.

    python experiments/benchmarks/how_metrics_fail.py        (2 minutes on 2 CPU cores; needs MNIST)

Each "model" is a recipe that makes 5,000 images from MNIST itself, so that what is wrong with it is known. All are
compared with the same 5,000 test images. `docs/metrics.md` has the table that this printed.
"""

import numpy as np

from gvlab import data
from gvlab.evaluate import distances
from gvlab.evaluate.features import extract
from gvlab.evaluate.of_sets import Sets
from gvlab.extractors import catalogue

N = 5_000
MEASURES = ("frechet", "kernel", "prdc", "inception_score", "authenticity", "memorisation", "vendi")


def blurred(x: np.ndarray) -> np.ndarray:
    """The mean of each pixel and its eight neighbours."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    moved = [padded[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3)]
    return np.round(np.mean(moved, axis=0)).astype(np.uint8)


def noisy(x: np.ndarray) -> np.ndarray:
    """Uniform noise of up to a tenth of the range, hardly visible."""
    noise = np.random.RandomState(0).randint(-25, 26, x.shape)
    return np.clip(x.astype(np.int64) + noise, 0, 255).astype(np.uint8)


def main() -> None:
    mnist = data.load("mnist")
    order = np.random.RandomState(0).permutation(len(mnist.test.x))
    real, held_out = mnist.test.x[order[:N]], mnist.test.x[order[N:]]
    train = np.random.RandomState(1).permutation(len(mnist.train.x))
    x, y = mnist.train.x[train], mnist.train.y[train]
    one_each = np.stack([x[y == digit][0] for digit in range(10)])
    models = {
        "other real images (held out)": held_out,
        "a copy of training images": x[:N],
        "digits 0 to 4 only": x[y < 5][:N],
        "ten images, repeated": one_each[np.arange(N) % 10],
        "blurred": blurred(held_out),
        "noise of 10 %": noisy(held_out),
    }
    for name in ("pixels", "mnist"):
        extractor = catalogue.extractor(name)
        measures = [m for m in MEASURES if name != "pixels" or m != "inception_score"]
        training = extract(extractor, np.array_split(x[:20_000], 40))
        reference = extract(extractor, np.array_split(real, 10))
        head: list[str] = []
        for model, images in models.items():
            generated = extract(extractor, np.array_split(images, 10))
            sets = Sets(extractor, generated, reference, lambda training=training: training, mnist)
            found = distances.measure(sets, measures)
            if not head:
                head = [measure.replace(f"_{extractor.name}", "") for measure in found]
                print(f"\n| on {extractor.name} | {' | '.join(head)} |\n| --- | {'---: | ' * len(head)}")
            cells = " | ".join(f"{one['value']:.3g}" for one in found.values())
            print(f"| {model} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
