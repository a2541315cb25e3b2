"""Compares gvlab's metrics with the published implementations on fresh random arrays, and times them in turn.

    pip install -e '.[bench]'
    pip install --no-deps torch-fidelity==0.4.0 pytorch-fid==0.3.0 prdc==0.2 POT==0.9.7.post1
    python experiments/benchmarks/metrics_agreement.py [--seed N] [--rounds N]

The second line goes without dependencies, because those packages ask for torchvision, whose usual wheels bring CUDA:
what they import of it is never used here, and is replaced by an empty module. Inception runs with the weights that a
formula gives (the same for both), so its features can be compared without the published file.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from gvlab import backend

backend.fast_cpu()

import jax  # noqa: E402, because the flag must be set before
import jax.numpy as jnp  # noqa: E402

from gvlab import metrics  # noqa: E402
from gvlab.extractors import inception  # noqa: E402

HERE = Path(__file__).resolve().parent


def without_torchvision() -> None:
    """Lets torch-fidelity and pytorch-fid be imported; whatever they take from torchvision is an empty stand-in."""
    for name in ("", ".datasets", ".transforms", ".transforms.functional", ".models"):
        sys.modules.setdefault(f"torchvision{name}", mock.MagicMock())


def relative(ours: object, theirs: object) -> float:
    """The largest difference, relative to the largest value."""
    a, b = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    return float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-300))


def in_turn(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> tuple[float, float, list[float]]:
    """(our median seconds, theirs, their time over ours in each round), after one call of each that is not counted."""
    ours(), theirs()
    seconds: list[tuple[float, float]] = []
    for turn in range(rounds):
        pair = {}
        for name in ("ours", "theirs") if turn % 2 else ("theirs", "ours"):
            start = time.perf_counter()
            (ours if name == "ours" else theirs)()
            pair[name] = time.perf_counter() - start
        seconds.append((pair["ours"], pair["theirs"]))
    mine, yours = zip(*seconds, strict=True)
    return statistics.median(mine), statistics.median(yours), [b / a for a, b in seconds]


def formula_tensors() -> dict[str, np.ndarray]:
    """Every tensor of the FID network, each drawn from a generator that its own name seeds."""
    tensors = {}
    for name, shape in sorted(inception._torch_shapes(inception._inception_shapes()).items()):
        random = np.random.RandomState(zlib.crc32(name.encode()) & 0xFFFFFFFF)
        if name.endswith("running_var"):
            value = 0.5 + random.random_sample(shape)
        elif name.endswith("conv.weight"):
            value = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
        elif name == "fc.weight":
            value = random.standard_normal(shape) * np.sqrt(1 / 2048)
        else:
            value = 0.1 * random.standard_normal(shape) + (name.endswith("bn.weight"))
        tensors[name] = value.astype(np.float32)
    return tensors


def arithmetic(random: np.random.RandomState) -> list[tuple[str, str, float]]:
    """(measure, implementation, relative difference) on fresh features, in float64."""
    import ot
    import pytorch_fid.fid_score as pytorch_fid
    import sklearn.metrics.pairwise as pairwise
    import torch_fidelity.metric_fid as tf_fid
    import torch_fidelity.metric_isc as tf_isc
    import torch_fidelity.metric_kid as tf_kid
    import torch_fidelity.metric_prc as tf_prc
    from prdc import compute_prdc

    width = 24
    x = random.standard_normal((900, width))
    y = random.standard_normal((800, width)) @ (np.eye(width) + 0.2 * random.standard_normal((width, width))) + 0.2
    few, fewer = np.maximum(random.standard_normal((40, 64)), 0), np.maximum(random.standard_normal((50, 64)), 0)
    torch = sys.modules["torch"]
    rows = []
    for label, a, b in (("", x, y), (", fewer examples than features", few, fewer)):
        ours = metrics.frechet_distance(metrics.moments(a), metrics.moments(b))
        statistics_a, statistics_b = ({"mu": s.mean(0), "sigma": np.cov(s, rowvar=False)} for s in (a, b))
        theirs = tf_fid.fid_statistics_to_metric(statistics_a, statistics_b, False)["frechet_inception_distance"]
        rows.append((f"Fréchet distance{label}", "torch-fidelity", relative(ours, theirs)))
        theirs = pytorch_fid.calculate_frechet_distance(*statistics_a.values(), *statistics_b.values())
        rows.append((f"Fréchet distance{label}", "pytorch-fid", relative(ours, theirs)))

    mean, deviation = metrics.polynomial_mmd2_subsets(x, y, subsets=20, size=300, seed=2020)
    options = {"kid_subsets": 20, "kid_subset_size": 300, "rng_seed": 2020, "verbose": False}
    theirs = tf_kid.kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **options)
    rows.append(
        ("kernel MMD^2, subsets: mean", "torch-fidelity", relative(mean, theirs["kernel_inception_distance_mean"]))
    )
    rows.append(
        ("kernel MMD^2, subsets: std", "torch-fidelity", relative(deviation, theirs["kernel_inception_distance_std"]))
    )
    kernel = [pairwise.polynomial_kernel(a, b, degree=3) for a, b in ((x, x), (y, y), (x, y))]
    n, m = len(x), len(y)
    theirs = (
        (kernel[0].sum() - np.trace(kernel[0])) / (n * (n - 1))
        + (kernel[1].sum() - np.trace(kernel[1])) / (m * (m - 1))
        - 2 * kernel[2].mean()
    )
    rows.append(("kernel MMD^2, all pairs", "scikit-learn's kernel", relative(metrics.polynomial_mmd2(x, y), theirs)))

    logits = 3 * random.standard_normal((1003, 10))
    theirs = tf_isc.isc_features_to_metric(torch.from_numpy(logits), 7, False)
    ours = metrics.inception_score(logits, 7)
    rows.append(("Inception score: mean", "torch-fidelity", relative(ours[0], theirs["inception_score_mean"])))
    rows.append(("Inception score: std", "torch-fidelity", relative(ours[1], theirs["inception_score_std"])))

    theirs = compute_prdc(x, y, 5)
    for name, value in metrics.prdc(x, y)._asdict().items():
        rows.append((name, "prdc", relative(value, theirs[name])))
    theirs = tf_prc.prc_features_to_metric(
        torch.from_numpy(y),
        torch.from_numpy(x),
        prc_neighborhood=3,
        prc_batch_size=10_000,
        save_cpu_ram=False,
        verbose=False,
    )
    for name, value in metrics.improved_precision_recall(x, y)._asdict().items():
        rows.append((f"improved {name}", "torch-fidelity", relative(value, theirs[name])))

    directions = metrics.random_projections(width, 64, seed=1)
    theirs = ot.sliced_wasserstein_distance(x, y, projections=directions)
    rows.append(("sliced W2", "POT", relative(metrics.sliced_wasserstein2(x, y, directions), theirs)))
    return rows


def speed(random: np.random.RandomState, rounds: int) -> list[tuple[str, str, float, float, list[float]]]:
    """(what, beside what, our median seconds, theirs, ratios) on the same arrays, one after the other in each round."""
    import torch
    import torch_fidelity.metric_fid as tf_fid
    from prdc import compute_prdc
    from torch_fidelity import feature_extractor_inceptionv3 as tf_inception

    rows = []
    x, y = random.standard_normal((2, 10_000, 64)).astype(np.float32)
    rows.append(
        (
            "PRDC, 10,000 x 10,000 x 64",
            "prdc",
            *in_turn(lambda: metrics.prdc(x, y), lambda: compute_prdc(x, y, 5), rounds),
        )
    )

    a, b = (np.maximum(random.standard_normal((10_000, 2048)), 0).astype(np.float32) for _ in range(2))
    features = torch.from_numpy(a), torch.from_numpy(b)

    def theirs() -> object:
        statistics = [tf_fid.fid_features_to_statistics(f) for f in features]
        return tf_fid.fid_statistics_to_metric(*statistics, False)

    def ours() -> object:
        return metrics.frechet_distance(metrics.moments(a), metrics.moments(b))

    rows.append(("Fréchet distance from 10,000 x 2048 features", "torch-fidelity", *in_turn(ours, theirs, rounds)))

    tensors = formula_tensors()
    state = {name: torch.from_numpy(value) for name, value in tensors.items()}
    with mock.patch.object(tf_inception, "load_state_dict_from_url", return_value=state):
        network = tf_inception.FeatureExtractorInceptionV3("inception", ["2048"]).eval()
    params = jax.device_put(inception.inception_params(tensors))
    images = random.randint(0, 256, (32, 32, 32, 3)).astype(np.uint8)
    apply = jax.jit(lambda p, x: inception.InceptionV3().apply({"params": p}, inception.preprocess_fid(x)).pool3)
    batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())

    def reference() -> object:
        with torch.no_grad():
            return network(batch)

    difference = relative(apply(params, jnp.asarray(images)), reference()[0].numpy())
    print(f"Inception pool3, float32, against torch-fidelity: relative difference {difference:.1e}")
    timed = in_turn(lambda: jax.block_until_ready(apply(params, jnp.asarray(images))), reference, rounds)
    rows.append(("Inception pool3 of 32 images 32x32", "torch-fidelity", *timed))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the arrays (default: the clock)")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    without_torchvision()
    random = np.random.RandomState(args.seed)
    print(f"seed {args.seed}\n\n| measure | implementation | relative difference |\n| --- | --- | ---: |")
    agreement = arithmetic(random)
    for measure, implementation, difference in agreement:
        print(f"| {measure} | {implementation} | {difference:.1e} |")
    print()
    timings = speed(random, args.rounds)
    print("\n| what | beside | gvlab, s | peer, s | peer's time over gvlab's: median (min..max) |")
    print("| --- | --- | ---: | ---: | --- |")
    for what, peer, ours, theirs, ratios in timings:
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f})"
        print(f"| {what} | {peer} | {ours:.2f} | {theirs:.2f} | {spread} |")
    packages = ("jax", "numpy", "torch", "torch-fidelity", "pytorch-fid", "prdc", "POT", "scikit-learn")
    result = {
        "date": datetime.date.today().isoformat(),
        "seed": args.seed,
        "threads": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "versions": {name: importlib.metadata.version(name) for name in packages},
        "agreement": agreement,
        "seconds": timings,
    }
    (HERE / "results" / "metrics_agreement.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
