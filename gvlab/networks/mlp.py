"""Multi-layer perceptrons, for vectors and for small images (which they flatten)."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab.networks.layers import append_label, unrounded

_glorot = nn.initializers.glorot_uniform()


class MLPEncoder(nn.Module):
    """Dense layers; heads for the mean and the log-variance of a diagonal normal distribution.

    Attributes:
        latent_dim: length of the latent.
        hidden: widths of the hidden layers.
        activation: after each hidden layer.
        kernel_init: of every layer.

    Reference: Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, section 5: 784-200-200-50,
    with Glorot's initialization.
    """

    latent_dim: int = 50
    hidden: tuple[int, ...] = (200, 200)
    activation: Callable[[Array], Array] = jnp.tanh
    kernel_init: Initializer = _glorot

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """(mean, logvar) of q(z|x), or of q(z|x, y). The network is the same in training and out of it."""
        x = append_label(x.reshape(x.shape[0], -1), y)
        for features in self.hidden:
            x = self.activation(nn.Dense(features, kernel_init=self.kernel_init)(x))
        mean = nn.Dense(self.latent_dim, kernel_init=self.kernel_init, name="mean")(x)
        logvar = nn.Dense(self.latent_dim, kernel_init=self.kernel_init, name="logvar")(x)
        return mean, logvar


class MLPDecoder(nn.Module):
    """Dense layers, then the likelihood's raw parameters.

    Attributes:
        shape: of one example: (height, width, channels), or (D,).
        hidden: widths of the hidden layers.
        parameters: how many numbers the likelihood wants for every entry of the example.
        output_bias_init: makes the last layer's bias; see `bernoulli_bias`.
        activation: after each hidden layer.
        kernel_init: of every layer.

    Reference: Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, section 5.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (200, 200)
    parameters: int = 1
    output_bias_init: Initializer = nn.initializers.zeros_init()
    activation: Callable[[Array], Array] = jnp.tanh
    kernel_init: Initializer = _glorot

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch *raw_shape"]:
        """[batch, *shape[:-1], shape[-1] * parameters]. The network is the same in training and out of it."""
        h = append_label(z, y)
        for features in self.hidden:
            h = self.activation(nn.Dense(features, kernel_init=self.kernel_init)(h))
        width = math.prod(self.shape) * self.parameters
        h = nn.Dense(width, kernel_init=self.kernel_init, bias_init=self.output_bias_init)(h)
        return h.reshape(-1, *self.shape[:-1], self.shape[-1] * self.parameters)


def bernoulli_bias(mean: Float[np.ndarray, "*shape"]) -> Initializer:
    """The initializer of a Bernoulli decoder's last bias that makes it begin with the mean of the training data.

    The mean is kept within [0.001, 0.999], so that a pixel which never changes can be unlearned.

    Args:
        mean: of the training examples, in [0, 1].

    Reference: Burda, Grosse & Salakhutdinov, "Importance Weighted Autoencoders", 2016, the authors' code.
    """
    bounded = np.clip(mean.astype(np.float64), 0.001, 0.999)
    logits = np.log(bounded / (1 - bounded)).astype(np.float32)
    return lambda key, shape, dtype=jnp.float32: jnp.asarray(logits, dtype).reshape(shape)


class MLPGenerator(nn.Module):
    """Dense layers with ReLU; the output is linear for vectors, and tanh for images.

    Attributes:
        shape: of one example: (height, width, channels), or (D,).
        hidden: widths of the hidden layers.
    """

    shape: tuple[int, ...]
    hidden: tuple[int, ...] = (128, 128)

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch *shape"]:
        """Examples [batch, *shape], images in [-1, 1]. The network is the same in training and out of it."""
        h = append_label(z, y)
        for features in self.hidden:
            h = nn.relu(nn.Dense(features)(h))
        out = nn.Dense(math.prod(self.shape))(h).reshape(-1, *self.shape)
        return jnp.tanh(out) if len(self.shape) == 3 else out


class MLPDiscriminator(nn.Module):
    """Dense layers, then one logit.

    Attributes:
        hidden: widths of the hidden layers.
        activation: after each hidden layer.
    """

    hidden: tuple[int, ...] = (128, 128)
    activation: Callable[[Array], Array] = nn.relu

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, " batch"]:
        """Logits of "real" for examples `x`. The network is the same in training and out of it."""
        h = append_label(x.reshape(x.shape[0], -1), y)
        for features in self.hidden:
            h = self.activation(nn.Dense(features)(h))
        return nn.Dense(1)(unrounded(h))[:, 0]
