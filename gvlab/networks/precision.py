"""Networks that compute in bfloat16 what they keep in float32."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gvlab.types import PyTree


class InBfloat16(nn.Module):
    """A network whose activations and products are of bfloat16, and nothing else.

    Its parameters and inputs are rounded to bfloat16 when it is applied, so that every layer computes in it. Parameters
    are kept, and their gradients given, in float32, as are its outputs and every other collection: BatchNorm's and
    spectral norm's statistics are computed in float32 from rounded activations and weights. Its variables are those of
    the network itself.

    The last layer of gvlab's discriminators multiplies its rounded weights and inputs in float32, so that logits are
    not rounded. What they are made of is: a difference of two that are nearly equal, as in a penalty by finite
    differences, is wrong all the same.

    Attributes:
        network: any of `gvlab.networks`, or one's own whose layers take the type of what they are given.

    Reference: Micikevicius et al., "Mixed Precision Training", 2018 (of float16; bfloat16 needs no scaled losses).
    """

    network: nn.Module

    @property
    def draws(self) -> bool:
        """Whether the network draws random numbers in training."""
        return getattr(self.network, "draws", False)

    @property
    def couples(self) -> bool:
        """Whether it sees several examples at once."""
        return getattr(self.network, "couples", False)

    @property
    def styled(self) -> bool:
        """Whether it has its two halves as methods."""
        return getattr(self.network, "styled", False)

    def init(self, *args: Any, **options: Any) -> Any:
        """The variables of the network, in float32."""
        return self.network.init(*args, **options)

    def init_with_output(self, *args: Any, **options: Any) -> Any:
        return self.network.init_with_output(*args, **options)

    def apply(self, variables: Any, *args: Any, mutable: Any = False, **options: Any) -> Any:
        """What the network gives, in float32."""
        rounded = {**variables, "params": _floats_to(jnp.bfloat16, variables["params"])}
        found = self.network.apply(rounded, *_floats_to(jnp.bfloat16, args), mutable=mutable, **options)
        return _floats_to(jnp.float32, found)


def _floats_to(dtype: Any, values: PyTree) -> PyTree:
    """All floating-point arrays of a tree in one type; the rest as it is."""

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if jnp.issubdtype(jnp.result_type(leaf), jnp.floating) else leaf

    return jax.tree.map(cast, values)
