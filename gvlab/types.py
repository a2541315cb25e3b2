"""The types that every floor shares: batches, the `Model` contract, and the errors that are said to the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
from jaxtyping import Array, Float, Int, Key, Num, Shaped

from gvlab.errors import Diverged as Diverged
from gvlab.errors import UserError as UserError

PRNGKey: TypeAlias = Key[Array, ""]
PyTree: TypeAlias = Any
Json: TypeAlias = dict[str, Any]
"""An object as JSON has it."""
Size: TypeAlias = Any
"""How many examples: a Python integer or, where a function is exported for any number, a symbol of `jax.export`."""
Info: TypeAlias = dict[str, jax.Array]
"""A flat dict of arrays with units in the names: `elbo_nats`, `grad_norm/generator`."""


class Batch(NamedTuple):
    """Examples `x`, in the data range or as stored (uint8), and integer labels where there are any."""

    x: Shaped[Array, "batch *shape"]
    y: Int[Array, " batch"] | None = None


class Judged(NamedTuple):
    """What a discriminator says of examples, where that is more than logits."""

    logits: Float[Array, " batch"]
    """Of "real"."""
    classes: Float[Array, "batch classes"] | None = None
    """Of an auxiliary classifier: the logits of the classes."""
    embedding: Float[Array, "batch features"] | None = None
    """A vector of each example, of which the direction alone means something."""
    proxy: Float[Array, "batch features"] | None = None
    """The vector, as learned, of the class that each example is said to be of."""
    scores: Float[Array, "batch classes_and_one"] | None = None
    """Of one classifier for all: the logits of the classes and, last, of "generated"."""


class Model(NamedTuple):
    """A generative model as a tuple of pure functions, in the manner of an optax transformation.

    `State` is a frozen dataclass of arrays with the field `step`; `n` and `k` are Python integers. Every function is
    pure and may be transformed by `jax.jit`, `jax.vmap` (over stacked states and keys), `jax.pmap` or a mesh.
    """

    init: Callable[[PRNGKey, Batch], PyTree]
    """(key, batch) -> State. Refuses shapes that the networks cannot make and, unless transformed, values that
    are not finite or outside the data range (`UserError`)."""
    train_step: Callable[[PyTree, Batch, PRNGKey], tuple[PyTree, Info]]
    """(state, batch, key) -> (State, Info of scalars)."""
    sample: Callable[..., Float[Array, "n *shape"]]
    """(state, key, n, y=None) -> x [n, *shape] in the data range. For a VAE: the mean of p(x|z)."""
    evaluate: Callable[[PyTree, Batch, PRNGKey], Info]
    """(state, batch, key) -> held-out terms, each of shape [batch]."""
    prior: Callable[[PRNGKey, Size], Float[Array, "n latent"]]
    """(key, n) -> latents z [n, latent], integers where they are codes; refuses (`UserError`) where the prior is
    learned: see `latents`."""
    decode: Callable[..., Float[Array, "n *shape"]]
    """(state, z, y=None) -> x [n, *shape]: the generator, or the mean of the decoder."""
    encode: Callable[..., tuple[Float[Array, "n latent"], Float[Array, "n latent"]]] | None = None
    """(state, batch) -> (mean, logvar) of q(z|x); None for a model without an encoder."""
    log_likelihood: Callable[[PyTree, Batch, jax.Array], Float[Array, "k batch"]] | None = None
    """(state, batch, z [k, batch, latent]) -> log p(x|z) in nats; None without an observation model."""
    log_weights: Callable[..., Float[Array, "k batch"]] | None = None
    """(state, batch, key, k) -> log p(x, z_k) - log q(z_k | x), z_k ~ q(z|x), in nats; None without a likelihood."""
    watch: Callable[[PyTree, Batch, Batch, PRNGKey], Info] | None = None
    """(state, training examples, held-out examples, key) -> Info of scalars, how training goes; None without any."""
    standing: Callable[[PyTree, PRNGKey, Size, int], PyTree] | None = None
    """(state, key, n, batches) -> State whose samples are normalised by standing statistics of so many batches of n;
    None without such a layer to normalise by."""
    draw: Callable[..., Float[Array, "n *shape"]] | None = None
    """(state, key, n, y=None) -> x [n, *shape] drawn from p(x|z), of the latents that `sample` decodes for that key;
    None without an observation model that can be drawn from."""
    learned_prior: Callable[[PyTree, PRNGKey, Size], Float[Array, "n latent"]] | None = None
    """(state, key, n) -> latents z [n, latent], where the prior is part of what is learned; None: it is `prior`."""
    codes: Callable[[PyTree, Batch], Int[Array, "batch positions"]] | None = None
    """(state, batch) -> the latents of examples where these are integers, int32 [batch, positions]; None: they are
    real numbers. Such a model has no `encode`."""
    code_sizes: tuple[int, ...] | None = None
    """How many codes there are at each position, where there are codes."""
    unsampled: str | None = None
    """Why there are no samples, nor latents of a prior, in a sentence to the user; None: there are."""
    truncated: Callable[..., Float[Array, "n *shape"]] | None = None
    """(state, z, y, psi) -> x as `decode` gives it, of styles drawn towards their mean; None without styles."""
    clusters: Callable[[PyTree, Batch], Int[Array, " batch"]] | None = None
    """(state, batch) -> the component of the prior that each example's mean of q(z|x) is most likely of; None where the
    prior is no mixture."""

    def latents(self, state: PyTree, key: PRNGKey, n: Size) -> Num[Array, "n latent"]:
        """Draws from the prior, learned or not."""
        return self.prior(key, n) if self.learned_prior is None else self.learned_prior(state, key, n)
