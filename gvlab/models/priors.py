"""What the latents of an autoencoder are drawn from: learned mixtures of normals, VampPrior, flows; and the sphere."""

from __future__ import annotations

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gvlab.losses import normal_mixture_log_joint, normal_mixture_log_prob, sphere_log_area, standard_normal_log_prob
from gvlab.models.latents import Apply, Prior
from gvlab.types import PRNGKey, Size

_NOTHING = 0
"""Width of what a network of parameters alone is given."""


def mixture(components: nn.Module) -> Prior:
    """A mixture of normal distributions whose weights, means and variances are parameters.

    Args:
        components: makes them, such as `networks.NormalMixture`: (nothing [rows, 0], y, train=) -> (logits [c],
            mean [c, latent], logvar [c, latent]).
    """

    def found(apply: Apply) -> tuple[Array, Array, Array]:
        return apply("prior", jnp.zeros((1, _NOTHING)), None)

    def component(apply: Apply, z: Float[Array, "*batch latent"]) -> Int[Array, "*batch"]:
        return normal_mixture_log_joint(z, *found(apply)).argmax(-1).astype(jnp.int32)

    return Prior({"prior": components}, {"prior": _NOTHING}, *_of_components(found), component=component)


def vamp(pseudo_inputs: nn.Module) -> Prior:
    """The mean of the posteriors of learned examples, p(z) = 1/c sum_i q(z|u_i); both share the encoder.

    The model's gradient reaches the encoder through the prior, too.

    Args:
        pseudo_inputs: makes the examples, such as `networks.PseudoInputs`: (nothing [rows, 0], y, train=) -> u
            [c, *shape].

    Reference: Tomczak & Welling, "VAE with a VampPrior", 2018, eq. 9.
    """

    def found(apply: Apply) -> tuple[Array, Array, Array]:
        u = apply("pseudo_inputs", jnp.zeros((1, _NOTHING)), None)
        return jnp.zeros(len(u)), *apply("encoder", u, None)

    return Prior(
        {"pseudo_inputs": pseudo_inputs}, {"pseudo_inputs": _NOTHING}, *_of_components(found), shares_encoder=True
    )


def flow(bijection: nn.Module, latent_dim: int) -> Prior:
    """What a bijection makes of standard normal noise: log p(z) = log N(f(z); 0, I) + log |det df/dz|.

    Args:
        bijection: f, such as `networks.RealNVP`: (z [rows, latent], y, train=) -> (noise [rows, latent], log |det|
            [rows]), with the method `inverse` from noise to z.
        latent_dim: of z.

    Reference: Rezende & Mohamed, "Variational Inference with Normalizing Flows", 2015; as a prior in Chen et al.,
    "Variational Lossy Autoencoder", 2017, section 3.2.
    """

    def log_prob(apply: Apply, z: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
        noise, log_det = apply("prior", z.reshape(-1, z.shape[-1]), None)
        return (standard_normal_log_prob(noise) + log_det).reshape(z.shape[:-1])

    def draw(apply: Apply, key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        return apply("prior", jax.random.normal(key, (n, latent_dim)), None, method="inverse")

    return Prior({"prior": bijection}, {"prior": latent_dim}, log_prob, draw)


@functools.cache  # one for all, so that a posterior knows the prior that its KL is from
def on_sphere(latent_dim: int) -> Prior:
    """The uniform distribution on the sphere of vectors of length 1; densities are with respect to its area.

    Args:
        latent_dim: of z, one more than the sphere's own.

    Reference: Davidson et al., "Hyperspherical Variational Auto-Encoders", 2018, section 3.
    """

    def log_prob(apply: Apply, z: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
        return jnp.full(z.shape[:-1], -sphere_log_area(latent_dim))

    def draw(apply: Apply, key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        return onto(jax.random.normal(key, (n, latent_dim)))

    def onto(z: Float[Array, "n latent"]) -> Float[Array, "n latent"]:
        return z / jnp.maximum(jnp.linalg.norm(z, axis=-1, keepdims=True), 1e-12)

    return Prior({}, {}, log_prob, draw, onto=onto)


def _of_components(found: Callable[[Apply], tuple[Array, Array, Array]]) -> tuple[Callable, Callable]:
    """`log_prob` and `draw` of the mixture whose (logits, mean, logvar) are found so."""

    def log_prob(apply: Apply, z: Float[Array, "*batch latent"]) -> Float[Array, "*batch"]:
        return normal_mixture_log_prob(z, *found(apply))

    def draw(apply: Apply, key: PRNGKey, n: Size) -> Float[Array, "n latent"]:
        logits, mean, logvar = found(apply)
        which, noise = jax.random.split(key)
        component = jax.random.categorical(which, logits, shape=(n,))
        standard = jax.random.normal(noise, (n, mean.shape[-1]))
        return mean[component] + jnp.exp(0.5 * logvar[component]) * standard

    return log_prob, draw
