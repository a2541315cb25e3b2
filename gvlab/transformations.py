"""What acts on updates and is not in optax: transformations of the field's recipes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gvlab import tree
from gvlab.types import PyTree

Number = float | Float[Array, ""]


def scale_by_moving_adam(
    b1: Number, b2: Callable[[Array], Array], eps: Number
) -> optax.GradientTransformationExtraArgs:
    """Adam's direction with a second decay that is a function of the train step.

    Its bias corrections take the decay of the step for that of all steps before, as the published training does.

    Args:
        b1: decay of the mean of gradients.
        b2: train steps before -> decay of the mean of their squares.
        eps: added to the root.

    Reference: Huang et al., "The GAN is dead; long live the GAN!", 2024, published code (it sets `betas` anew in each
    step).
    """

    def update(
        updates: PyTree, state: PyTree, params: PyTree | None = None, *, step: Array, **extra: Any
    ) -> tuple[PyTree, PyTree]:
        return optax.scale_by_adam(b1, b2(step), eps).update(updates, state, params)

    return optax.GradientTransformationExtraArgs(optax.scale_by_adam(b1, 0.9, eps).init, update)


def into_box(bound: Number) -> optax.GradientTransformation:
    """Cuts updates short where a parameter would leave [-bound, bound]: weight clipping; last in a chain.

    Args:
        bound: of every parameter, biases and gains of normalisations among them.

    Reference: Arjovsky et al., "Wasserstein GAN", 2017, algorithm 1.
    """

    def update(updates: PyTree, state: optax.EmptyState, params: PyTree | None = None) -> tuple[PyTree, PyTree]:
        assert params is not None
        return jax.tree.map(lambda u, p: jnp.clip(p + u, -bound, bound) - p, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def orthogonal_slope(kernel: Float[Array, "*rest out"]) -> Float[Array, "*rest out"]:
    """2 ((W W^T) * (1 - I)) W for W = the kernel as [out, rest]: the gradient of half the squares beside the diagonal.

    Args:
        kernel: of a dense layer or a convolution, its outputs along the last axis.

    Returns:
        What a weight decay would add for a kernel whose outputs are orthogonal: 0 for such a one.

    Reference: Brock et al., "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019, eq. 3, as
    BigGAN-PyTorch adds it (whose 2 is half of what the equation's square has).
    """
    outputs = kernel.reshape(-1, kernel.shape[-1])
    products = outputs.T @ outputs
    return (2 * outputs @ (products - jnp.diag(jnp.diag(products)))).reshape(kernel.shape)


def add_orthogonal_decay(weight: Number) -> optax.GradientTransformation:
    """Draws the outputs of every kernel towards being orthogonal; first in a chain, where gradients come in.

    Kernels are the parameters of that name with at least two axes; vectors, and the shared embedding of BigGAN's
    generator, are left alone, as in its published code.

    Args:
        weight: beta.

    Reference: see `orthogonal_slope`.
    """

    def update(updates: PyTree, state: optax.EmptyState, params: PyTree | None = None) -> tuple[PyTree, PyTree]:
        assert params is not None

        def added(path: Any, gradient: Array, value: Array) -> Array:
            names = [str(getattr(key, "key", key)) for key in path]
            is_kernel = names[-1] == "kernel" and value.ndim >= 2 and "shared" not in names
            return gradient + weight * orthogonal_slope(value) if is_kernel else gradient

        return jax.tree_util.tree_map_with_path(added, updates, params), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


class Skipping(NamedTuple):
    """The state of `skip_from`."""

    inner: PyTree
    """Of the optimizer."""
    in_a_row: Int[Array, ""]
    """Updates left out since the last one that was made."""


def skip_from(
    norm: Number, patience: int, optimizer: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """An optimizer that makes no update, and learns nothing, of gradients from that norm on or with NaN in them.

    After `patience` of them in a row one is made after all, as in `optax.apply_if_finite`: norms that stay above would
    otherwise hold training up for ever, as users of the published code report.

    Args:
        norm: over all parameters.
        patience: updates left out in a row, at most.
        optimizer: what is asked for the others.

    Reference: Child, "Very Deep VAEs Generalize Autoregressive Models and Can Outperform Them on Images", 2021,
    published code (`skip_threshold`).
    """
    inner = optax.with_extra_args_support(optimizer)

    def init(params: PyTree) -> Skipping:
        return Skipping(inner.init(params), jnp.zeros((), jnp.int32))

    def update(updates: PyTree, state: Skipping, params: PyTree | None = None, **extra: Any) -> tuple[PyTree, Skipping]:
        # Of a gradient with NaN the norm is NaN, which is below nothing.
        made = (tree.norm(updates) < norm) | (state.in_a_row >= patience)
        changed, after = inner.update(updates, state.inner, params, **extra)

        def chosen(new: Array, old: Array) -> Array:
            return jnp.where(made, new, old)

        kept = jax.tree.map(chosen, after, state.inner)
        changed = jax.tree.map(lambda leaf: jnp.where(made, leaf, jnp.zeros_like(leaf)), changed)
        return changed, Skipping(kept, jnp.where(made, 0, state.in_a_row + 1))

    return optax.GradientTransformationExtraArgs(init, update)
