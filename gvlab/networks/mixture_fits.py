"""Mixtures of normal distributions fitted to rows by expectation and maximisation, as functions and in a network."""

from __future__ import annotations

from typing import TypeAlias

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.losses import normal_mixture_log_joint
from gvlab.networks.codebooks import kmeans_codebook, nearest_code
from gvlab.networks.mixtures import NormalMixture
from gvlab.types import PRNGKey, UserError

STARTS = 10
"""Fits from different means of k-means, of which the best is taken."""
ITERATIONS = 100
"""Of expectation and maximisation, from each start."""
ADDED_VARIANCE = 1e-6
"""To that of every component, so that none shrinks to a point; scikit-learn's default."""

ENCODINGS = "encodings"
"""The statistic of a `FittedMixture` that holds its rows."""

Components: TypeAlias = tuple[
    Float[Array, " components"], Float[Array, "components latent"], Float[Array, "components latent"]
]
"""(logits of the weights, mean, logvar)."""


def em_mixture(x: Float[Array, "rows latent"], begin: Components, iterations: int) -> Components:
    """A mixture after so many steps of expectation and maximisation, each of which raises the rows' likelihood.

    Args:
        x: what it is fitted to.
        begin: (logits, mean, logvar) to begin at.
        iterations: how many.

    Reference: Dempster et al., "Maximum Likelihood from Incomplete Data via the EM Algorithm", 1977, example 4.3.
    """

    def step(_: Int[Array, ""], components: Components) -> Components:
        return _maximised(x, jax.nn.softmax(normal_mixture_log_joint(x, *components), axis=-1))

    return jax.lax.fori_loop(0, iterations, step, begin)


def fitted_mixture(key: PRNGKey, x: Float[Array, "rows latent"], components: int) -> Components:
    """A mixture fitted to rows: the likeliest of `STARTS` fits, each of which begins at the means of k-means.

    Args:
        key: of the rows at which k-means starts.
        x: what it is fitted to.
        components: how many.

    Raises:
        UserError: there are fewer rows than components.

    Reference: Jiang et al., "Variational Deep Embedding", 2017, section 4.2 (how the prior is initialised).
    """
    if components > len(x):
        raise UserError(f"{components} components cannot be fitted to {len(x)} rows: use fewer, or more rows.")

    def fit(key: PRNGKey) -> tuple[Components, Float[Array, ""]]:
        book = kmeans_codebook(key, x, components)
        nearest = jax.nn.one_hot(nearest_code(x, book.sums / book.counts[:, None]), components)
        found = em_mixture(x, _maximised(x, nearest), ITERATIONS)
        return found, jax.nn.logsumexp(normal_mixture_log_joint(x, *found), axis=-1).mean()

    fits, likelihoods = jax.lax.map(fit, jax.random.split(key, STARTS))  # in turn: a tenth of the memory
    return jax.tree.map(lambda leaf: leaf[likelihoods.argmax()], fits)


class FittedMixture(NormalMixture):
    """A `NormalMixture` that keeps rows to be fitted to, as a statistic; whoever trains it fills them.

    Attributes:
        rows: how many.
    """

    rows: int = 1

    @nn.compact
    def __call__(
        self, nothing: Float[Array, "rows zero"], y: Float[Array, "rows classes"] | None = None, *, train: bool
    ) -> Components:
        """(logits, mean, logvar), whatever it is given."""
        if self.is_mutable_collection("batch_stats"):  # only training has a use for them
            self.variable("batch_stats", ENCODINGS, jnp.zeros, (self.rows, self.latent_dim), jnp.float32)
        return super().__call__(nothing, y, train=train)


def _maximised(x: Float[Array, "rows latent"], shares: Float[Array, "rows components"]) -> Components:
    """The likeliest mixture, if each row belongs to the components by these shares."""
    # As if each component had a little of a row: where one has none nothing is divided by 0.
    counts = shares.sum(0) + 10 * jnp.finfo(x.dtype).eps
    mean = jnp.matmul(shares.T, x, precision=jax.lax.Precision.HIGHEST) / counts[:, None]
    # Of deviations: the mean square less the squared mean would lose the digits of a narrow component far from 0.
    squares = (x[:, None] - mean[None]) ** 2
    variance = (shares[:, :, None] * squares).sum(0) / counts[:, None] + ADDED_VARIANCE
    return jnp.log(counts / counts.sum()), mean, jnp.log(variance)
