"""Times every face of gvlab's convolutions beside XLA's own: what automatic differentiation makes of `lax` and Flax.

    python experiments/benchmarks/convolutions.py [--rounds N]

A face is the layer itself or its gradient with respect to its input or its kernel; all three do the same number of
multiplications. The two sides take turns, one call at a time. Cost: about 3 minutes on 2 CPU cores. The results go to
`results/convolutions.json`.
"""

import argparse
import datetime
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from worker import cpu, threads

from gvlab import networks


class Layer(NamedTuple):
    """A convolution of square images, or a transposed one."""

    transposed: bool
    batch: int
    side: int
    channels: int
    features: int
    kernel: int
    stride: int

    @property
    def out_side(self) -> int:
        return self.side * self.stride if self.transposed else -(-self.side // self.stride)

    @property
    def gigaflop(self) -> float:
        small = min(self.side, self.out_side)
        return 2e-9 * self.batch * small**2 * self.kernel**2 * self.channels * self.features

    def __str__(self) -> str:
        name = "conv_transpose" if self.transposed else "conv"
        return (
            f"{name} {self.channels}->{self.features}, {self.kernel}x{self.kernel} s{self.stride}, "
            f"{self.side}->{self.out_side}, batch {self.batch}"
        )


LAYERS = (
    # the DCGAN of 28 pixels
    Layer(True, 64, 7, 128, 64, 5, 2),
    Layer(True, 64, 14, 64, 1, 5, 2),
    Layer(False, 64, 28, 1, 64, 5, 2),
    Layer(False, 64, 14, 64, 128, 5, 2),
    # TensorFlow's tutorial has one more
    Layer(True, 64, 7, 256, 128, 5, 1),
    # the article's networks, and the DCGAN of 16 and 32 pixels
    Layer(True, 64, 4, 128, 64, 5, 2),
    Layer(True, 64, 4, 256, 128, 5, 2),
    Layer(True, 64, 14, 64, 32, 5, 2),
    Layer(False, 64, 8, 128, 256, 5, 2),
    Layer(False, 64, 7, 128, 256, 5, 2),
    Layer(True, 64, 16, 64, 3, 5, 2),
    # the VAE of Keras' guide
    Layer(False, 128, 28, 1, 32, 3, 2),
    Layer(False, 128, 14, 32, 64, 3, 2),
    Layer(True, 128, 7, 64, 64, 3, 2),
    Layer(True, 128, 14, 64, 32, 3, 2),
    Layer(True, 128, 28, 32, 1, 3, 1),
)


def ours(layer: Layer) -> Callable:
    function = networks.conv_transpose if layer.transposed else networks.conv
    return lambda x, kernel: function(x, kernel, (layer.stride, layer.stride))


def theirs(layer: Layer) -> Callable:
    kind = nn.ConvTranspose if layer.transposed else nn.Conv
    module = kind(layer.features, (layer.kernel,) * 2, (layer.stride,) * 2, use_bias=False)
    return lambda x, kernel: module.apply({"params": {"kernel": kernel}}, x)


def faces(function: Callable) -> dict[str, Callable]:
    """Compiled functions of (x, kernel, cotangent of the output)."""
    return {
        "forward": jax.jit(lambda x, kernel, out: function(x, kernel)),
        "input gradient": jax.jit(lambda x, kernel, out: jax.vjp(lambda x: function(x, kernel), x)[1](out)[0]),
        "kernel gradient": jax.jit(lambda x, kernel, out: jax.vjp(lambda k: function(x, k), kernel)[1](out)[0]),
    }


def measure(layer: Layer, rounds: int) -> dict[str, dict[str, list[float]]]:
    """face -> side -> seconds of a call in each round."""
    generator = np.random.default_rng(0)

    def draw(*shape: int) -> jax.Array:
        return jax.numpy.asarray(generator.standard_normal(shape, np.float32))

    x = draw(layer.batch, layer.side, layer.side, layer.channels)
    out = draw(layer.batch, layer.out_side, layer.out_side, layer.features)
    kernel = draw(layer.kernel, layer.kernel, layer.channels, layer.features)
    # The other side's layout: that of the convolution of which the layer is the adjoint.
    our_kernel = kernel[::-1, ::-1].swapaxes(2, 3) if layer.transposed else kernel

    seconds: dict[str, dict[str, list[float]]] = {}
    our_faces, their_faces = faces(ours(layer)), faces(theirs(layer))
    for face in our_faces:
        calls = {"gvlab": (our_faces[face], our_kernel), "xla": (their_faces[face], kernel)}
        seconds[face] = {side: [] for side in calls}
        results = {side: np.asarray(function(x, k, out)) for side, (function, k) in calls.items()}
        if layer.transposed and face == "kernel gradient":
            results["gvlab"] = results["gvlab"][::-1, ::-1].swapaxes(2, 3)
        np.testing.assert_allclose(*results.values(), rtol=1e-3, atol=1e-3 * np.abs(results["xla"]).max())
        for _ in range(rounds):
            for side, (function, k) in calls.items():
                start = time.perf_counter()
                jax.block_until_ready(function(x, k, out))
                seconds[face][side].append(time.perf_counter() - start)
    return seconds


def rows(layer: Layer, seconds: dict[str, dict[str, list[float]]]) -> list[str]:
    """Markdown: the medians, our speed, and XLA's time over ours."""
    lines = []
    for face, sides in seconds.items():
        mine, other = (statistics.median(sides[side]) for side in ("gvlab", "xla"))
        lines.append(
            f"| {layer} | {face} | {1e3 * mine:.2f} | {layer.gigaflop / mine:.0f} | {1e3 * other:.2f} "
            f"| {other / mine:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print("| layer | face | gvlab, ms | GFLOP/s | XLA's own, ms | ratio |\n| --- | --- | --- | --- | --- | --- |")
    measured = {}
    load = [os.getloadavg()[0]]
    for layer in LAYERS:
        measured[str(layer)] = measure(layer, args.rounds)
        print("\n".join(rows(layer, measured[str(layer)])), flush=True)
    load.append(os.getloadavg()[0])
    results = Path(__file__).resolve().parent / "results"
    results.mkdir(exist_ok=True)
    facts = {
        "date": datetime.date.today().isoformat(),
        "cpu": cpu(),
        "threads": threads(),
        "load_before_and_after": load,
        "jax": jax.__version__,
    }
    text = json.dumps(facts | {"seconds": measured}, indent=1)
    (results / "convolutions.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
