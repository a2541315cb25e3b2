"""Training of the small classifiers whose features gvlab measures with; used by the files beside this one.

Only the training split is seen; the test accuracy is measured once, at the end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gvlab import Batch, backend, data, rng
from gvlab.extractors import weights

SHIPPED = Path(__file__).resolve().parents[2] / "gvlab" / "extractors" / "shipped"

Augment = Callable[[jax.Array, jax.Array], jax.Array]


class State(NamedTuple):
    params: Any
    statistics: Any
    optimizer: Any


def shift(pixels: int) -> Augment:
    """Moves each image by up to so many pixels in each direction; what comes in is zero."""

    def augment(key: jax.Array, x: jax.Array) -> jax.Array:
        height, width = x.shape[1:3]
        padded = jnp.pad(x, ((0, 0), (pixels, pixels), (pixels, pixels), (0, 0)))
        corner = jax.random.randint(key, (len(x), 2), 0, 2 * pixels + 1)
        crop = jax.vmap(lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), (height, width, x.shape[-1])))
        return crop(padded, corner)

    return augment


def shift_and_flip(pixels: int) -> Augment:
    """As `shift`, and mirrored left to right with probability 1/2."""
    move = shift(pixels)
    return lambda key, x: data.flip(jax.random.fold_in(key, 1), move(jax.random.fold_in(key, 0), x))


def train(
    name: str,
    network: nn.Module,
    optimizer: Callable[[int], optax.GradientTransformation],
    *,
    epochs: int,
    batch_size: int = 128,
    augment: Augment,
    seed: int = 0,
) -> None:
    """Trains, measures and writes gvlab/extractors/shipped/NAME.safetensors."""
    backend.fast_cpu()
    dataset = data.load(name)
    examples = Batch(jnp.asarray(dataset.train.x), jnp.asarray(dataset.train.y))
    seen = data.to_wave if dataset.modality == data.WAVES else data.to_unit
    steps = epochs * len(dataset.train.x) // batch_size
    transform = optimizer(steps)
    key = rng.root(seed)

    def loss(params: Any, statistics: Any, x: jax.Array, y: jax.Array) -> tuple[jax.Array, Any]:
        (_, logits), new = network.apply({"params": params, **statistics}, x, train=True, mutable=list(statistics))
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), new

    @jax.jit
    def step(state: State, examples: Batch, t: jax.Array) -> tuple[State, jax.Array]:
        drawn = data.batch(examples, key, t, batch_size)
        x = augment(rng.stream(key, rng.AUGMENT, t), seen(drawn.x))
        (value, statistics), gradient = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.statistics, x, drawn.y
        )
        updates, memory = transform.update(gradient, state.optimizer, state.params)
        return State(optax.apply_updates(state.params, updates), statistics, memory), value

    variables = jax.jit(lambda: network.init(rng.stream(key, rng.INIT), jnp.zeros((2, *dataset.shape)), train=False))()
    statistics = {collection: value for collection, value in variables.items() if collection != "params"}
    state = State(variables["params"], statistics, transform.init(variables["params"]))
    for t in range(steps):
        state, value = step(state, examples, jnp.int32(t))
        if (t + 1) % 500 == 0 or t + 1 == steps:
            print(f"{name}: step {t + 1} of {steps}, loss {float(value):.4f}", flush=True)
    trained = {"params": state.params, **state.statistics}
    found = accuracy(network, trained, dataset.test, seen)
    file = SHIPPED / f"{name}.safetensors"
    about = {
        "dataset": name,
        "dataset_sha256": dataset.checksum,
        "test_accuracy": f"{found:.4f}",
        "epochs": str(epochs),
    }
    weights.write_safetensors(file, trained, about)
    print(f"{file.name}: test accuracy {found:.4f}, {file.stat().st_size:,} bytes, sha256 {weights.sha256(file)}")


def accuracy(network: nn.Module, variables: Any, split: data.Split, seen: Callable[[jax.Array], jax.Array]) -> float:
    """The share of the split's examples that are classified right; `seen` makes of stored ones what a network sees."""
    classify = jax.jit(lambda x: network.apply(variables, seen(x), train=False)[1].argmax(-1))
    found = [np.asarray(classify(jnp.asarray(split.x[i : i + 500]))) for i in range(0, len(split.x), 500)]
    return float((np.concatenate(found) == split.y).mean())
