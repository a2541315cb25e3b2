"""Layers whose weights are divided by their spectral norm, which power iteration follows from step to step.

Reference: Miyato, Kataoka, Koyama & Yoshida, "Spectral Normalization for Generative Adversarial Networks", 2018,
algorithm 1; the details are those of PyTorch's `spectral_norm`.

The weights are a matrix W of a row per output. The vectors u, of an entry per row, and v, per column, lie in the
collection `spectral`. A forward pass in training advances them by v = W^T u / |W^T u| and u = W v / |W v|, then the
layer computes with W / sigma, sigma = u^T W v. To a gradient u and v are constants and sigma is not. They advance where
`train` is true and the collection is mutable, so whoever applies the network says which passes advance them: not those
of penalties, nor the generator's step through the discriminator. All other passes use the stored ones.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Initializer
from jaxtyping import Array, Float

from gvlab.networks.channels import by_channel
from gvlab.networks.convolution import conv, conv_transpose
from gvlab.networks.layers import default_kernel_init

EPSILON = 1e-12
"""Least length that a vector is divided by: PyTorch's; StudioGAN's is 1e-6."""

_zeros = nn.initializers.zeros_init()


def _unit(x: Float[Array, " n"], epsilon: float) -> Float[Array, " n"]:
    return x / jnp.maximum(jnp.linalg.norm(x), epsilon)


class _Spectral(nn.Module):
    """What the layers share: the vectors of the power iteration, and the division."""

    def divided(self, weights: Float[Array, "..."], axis: int, train: bool, epsilon: float) -> Float[Array, "..."]:
        """`weights` / sigma; `axis` is that of the outputs."""
        matrix = jnp.moveaxis(weights, axis, 0).reshape(weights.shape[axis], -1)
        still = jax.lax.stop_gradient(matrix)

        def drawn() -> Float[Array, " n"]:
            return _unit(jax.random.normal(self.make_rng("params"), still.shape[:1], still.dtype), epsilon)

        u = self.variable("spectral", "u", drawn)
        v = self.variable("spectral", "v", lambda: _unit(still.T @ u.value, epsilon))
        if train and self.is_mutable_collection("spectral") and not self.is_initializing():
            v.value = _unit(still.T @ u.value, epsilon)
            u.value = _unit(still @ v.value, epsilon)
        u_now, v_now = jax.lax.stop_gradient((u.value, v.value))
        sigma = u_now @ matrix @ v_now  # of float32, as the vectors are, also where the weights are of bfloat16
        return (weights / sigma).astype(weights.dtype)


class SpectralDense(_Spectral):
    """A dense layer with a spectral norm of 1, as far as the power iteration has come.

    Attributes:
        features: of the output.
        use_bias: whether to add a bias to every one.
        kernel_init: makes [inputs, features].
        bias_init: makes [features].
        train: whether a pass advances u [features] and v [inputs], where `spectral` is mutable.
        epsilon: least length that they are divided by.
    """

    features: int
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = _zeros
    train: bool = False
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, x: Float[Array, "*batch inputs"]) -> Float[Array, "*batch features"]:
        """As of `nn.Dense`; on images a convolution of single pixels."""
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features), jnp.float32)
        x = x @ self.divided(kernel, -1, self.train, self.epsilon)
        return _add_bias(self, x) if self.use_bias else x


class SpectralEmbed(_Spectral):
    """A table of a vector for each class, divided by its spectral norm as the matrix [classes, features].

    Attributes:
        features: length of the vectors.
        kernel_init: makes [classes, features].
        train: whether a pass advances u [classes] and v [features], where `spectral` is mutable.
        epsilon: least length that they are divided by.
    """

    features: int
    kernel_init: Initializer = nn.initializers.lecun_normal()
    train: bool = False
    epsilon: float = EPSILON

    @nn.compact
    def __call__(self, y: Float[Array, "*batch classes"]) -> Float[Array, "*batch features"]:
        """The vectors of classes `y`, one-hot or weights of all, which mix the vectors."""
        kernel = self.param("kernel", self.kernel_init, (y.shape[-1], self.features), jnp.float32)
        return y @ self.divided(kernel, 0, self.train, self.epsilon)


class SpectralConv(_Spectral):
    """A convolution whose kernel, as the matrix [features, the rest], has a spectral norm of 1.

    That bounds the norm of the convolution as a map of images by the square root of the kernel's pixels, not by 1.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the kernel.
        strides: by how much the height and the width shrink.
        use_bias: whether to add a bias to every channel.
        kernel_init: makes [kernel_height, kernel_width, channel, features].
        bias_init: makes [features].
        train: whether a pass advances u [features] and v [kernel_height * kernel_width * channel], where `spectral` is
            mutable.
        epsilon: least length that they are divided by.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.lecun_normal()
    bias_init: Initializer = _zeros
    train: bool = False
    epsilon: float = EPSILON

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        kernel = self.param("kernel", self.kernel_init, (*self.kernel_size, x.shape[-1], self.features), jnp.float32)
        x = conv(x, self.divided(kernel, -1, self.train, self.epsilon), self.strides)
        return _add_bias(self, x) if self.use_bias else x


class SpectralConvTranspose(_Spectral):
    """A transposed convolution whose kernel, as the matrix [features, the rest], has a spectral norm of 1.

    Attributes:
        features: channels of the output.
        kernel_size: height and width of the kernel.
        strides: by how much the height and the width grow.
        use_bias: whether to add a bias to every channel.
        kernel_init: makes [kernel_height, kernel_width, features, channel], as of `ConvTranspose`.
        bias_init: makes [features].
        train: whether a pass advances u [features] and v [kernel_height * kernel_width * channel], where `spectral` is
            mutable.
        epsilon: least length that they are divided by.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    use_bias: bool = True
    kernel_init: Initializer = default_kernel_init
    bias_init: Initializer = _zeros
    train: bool = False
    epsilon: float = EPSILON

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch height width channel"]
    ) -> Float[Array, "batch out_height out_width features"]:
        kernel = self.param("kernel", self.kernel_init, (*self.kernel_size, self.features, x.shape[-1]), jnp.float32)
        x = conv_transpose(x, self.divided(kernel, -2, self.train, self.epsilon), self.strides)
        return _add_bias(self, x) if self.use_bias else x


def _add_bias(
    layer: SpectralDense | SpectralConv | SpectralConvTranspose, x: Float[Array, "*batch features"]
) -> Float[Array, "*batch features"]:
    bias = layer.param("bias", layer.bias_init, (layer.features,), jnp.float32)
    return x + by_channel(bias, x.shape)
