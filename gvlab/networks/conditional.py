"""How a class, or any vector, reaches the maps of a network: conditional BatchNorm and the projection."""

import math
from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.channels import by_channel, channel_means
from gvlab.networks.layers import refuse_single_values, unrounded


class ConditionalBatchNorm(nn.Module):
    """BatchNorm whose gain 1 + W_g c and shift W_b c depend on a condition c; learned constants where that is None.

    The batch is normalised by its own variance; the running average, of which evaluation normalises, is of the
    unbiased one, as in PyTorch and unlike in Flax. In training it is averaged where `batch_stats` is mutable. Of
    bfloat16 all is computed in float32, and rounded at the end.

    Attributes:
        train: whether the batch's own statistics normalise it, and are averaged.
        dense: makes the layers W_g and W_b, given `features`, `use_bias` and `name`; without weights by default, so
            that a network begins as an unconditional one.
        momentum: share of the running averages that a step keeps.
        epsilon: what is added to the variance: 1e-4 in StudioGAN; 1e-5 in BigGAN-PyTorch, mimicry and PyTorch.
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Reference: Dumoulin et al., "A Learned Representation for Artistic Style", 2017, eq. 5; de Vries et al.,
    "Modulating early visual processing by language", 2017; with linear layers in Brock et al., "Large Scale GAN
    Training for High Fidelity Natural Image Synthesis", 2019, appendix B.
    """

    train: bool
    dense: Callable[..., nn.Module] = partial(nn.Dense, kernel_init=nn.initializers.zeros_init())
    momentum: float = 0.9
    epsilon: float = 1e-4
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape feature"], condition: Float[Array, "batch units"] | None = None
    ) -> Float[Array, "batch *shape feature"]:
        """Raises `UserError` where a step of training would normalise one value per feature."""
        given = x.dtype
        x = x.astype(jnp.promote_types(given, jnp.float32))
        mean, var = self._statistics(x)
        x = (x - by_channel(mean, x.shape)) * by_channel(jax.lax.rsqrt(var + self.epsilon), x.shape)
        features = x.shape[-1]
        if condition is None:
            scale = self.param("scale", nn.initializers.ones_init(), (features,), jnp.float32)
            bias = self.param("bias", nn.initializers.zeros_init(), (features,), jnp.float32)
            return (x * by_channel(scale, x.shape) + by_channel(bias, x.shape)).astype(given)
        gain = 1 + self.dense(features, use_bias=False, name="gain")(condition)
        shift = self.dense(features, use_bias=False, name="shift")(condition)
        between = (1,) * (x.ndim - 2)
        return (x * gain.reshape(-1, *between, features) + shift.reshape(-1, *between, features)).astype(given)

    def _statistics(self, x: Array) -> tuple[Float[Array, " feature"], Float[Array, " feature"]]:
        """Mean and variance to normalise by."""
        average = self.variable("batch_stats", "mean", jnp.zeros, x.shape[-1:], jnp.float32)
        spread = self.variable("batch_stats", "var", jnp.ones, x.shape[-1:], jnp.float32)
        if not self.train:
            return average.value, spread.value
        if not self.is_initializing():
            refuse_single_values(x, self.axis_name)
        mean = _over_devices(channel_means(x), self.axis_name)
        var = _over_devices(channel_means(jnp.square(x - by_channel(mean, x.shape))), self.axis_name)
        if self.is_mutable_collection("batch_stats") and not self.is_initializing():
            count = math.prod(x.shape[:-1]) * (jax.lax.psum(1, self.axis_name) if self.axis_name else 1)
            keep = self.momentum
            average.value = keep * average.value + (1 - keep) * mean
            spread.value = keep * spread.value + (1 - keep) * var * (count / (count - 1))
        return mean, var


def _over_devices(x: Array, axis_name: str | None) -> Array:
    return jax.lax.pmean(x, axis_name) if axis_name else x


class ProjectionHead(nn.Module):
    """The logit w^T h + b + e(y)^T h, where h sums ReLU of the last maps over their pixels, and e(y) embeds the class.

    Without a class the product with it is left out. It is a sum, since with a mean the gradients would be a pixel's
    share of the published ones.

    Attributes:
        dense: makes the layer of w and b, given `features` and `name`.
        embed: makes the table of e, given `features` and `name`.

    Reference: Miyato & Koyama, "cGANs with Projection Discriminator", 2018, eq. 3 and figure 14.
    """

    dense: Callable[..., nn.Module] = nn.Dense
    embed: Callable[..., nn.Module] = partial(nn.Dense, use_bias=False)

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"], y: Float[Array, "batch classes"] | None = None
    ) -> Float[Array, " batch"]:
        h = unrounded(nn.relu(x).sum((1, 2)))
        logits = self.dense(1, name="logit")(h)[:, 0]
        return logits if y is None else logits + jnp.sum(self.embed(x.shape[-1], name="embedding")(y) * h, axis=-1)
