"""The Inception network that FID, KID and the Inception score are defined by, and no other.

It is the TensorFlow graph of 2015-12-05 in the form that PyTorch projects use (1008 classes, average pools that leave
padding out, a maximum pool in the last block), with the published weights. Features depend on how an image is brought
to 299x299 pixels: the three preprocessings that papers used have a function each, and a number must say which.

References: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016; Heusel et al., "GANs
Trained by a Two Time-Scale Update Rule", 2017; Salimans et al., "Improved Techniques for Training GANs", 2016.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, UInt8

from gvlab.extractors import weights
from gvlab.extractors.resize import resize_bicubic, resize_bilinear, resize_tensorflow1
from gvlab.extractors.torch_file import read_torch
from gvlab.types import UserError

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"
)
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

_SIDE = 299
_EPSILON = 1e-3  # of the BatchNorm that `inception_params` folds into the convolutions

Images = Float[Array, "batch _ _ _"]  # height, width and channels, which change from layer to layer


class InceptionFeatures(NamedTuple):
    """What is read off the network: compiled, only what is used of it is computed."""

    pool1: Float[Array, "batch 64"]
    """Means over the image of the first maximum pool."""
    pool2: Float[Array, "batch 192"]
    """Means over the image of the second maximum pool."""
    mixed6: Float[Array, "batch 768"]
    """Means over the image of the block before the auxiliary classifier."""
    pool3: Float[Array, "batch 2048"]
    """The final average pool: the features of FID, KID and of precision and recall."""
    logits_unbiased: Float[Array, "batch 1008"]
    """Class logits without the bias: those of the Inception score."""
    logits: Float[Array, "batch 1008"]
    """Class logits."""


def preprocess_fid(images: UInt8[Array, "batch height width 3"]) -> Float32[Array, "batch 299 299 3"]:
    """TensorFlow 1's bilinear resize, then (x - 128) / 128: the original FID, and torch-fidelity's.

    Args:
        images: intensities 0..255, [batch, height, width, 3].

    Returns:
        The network's input, [batch, 299, 299, 3].

    Raises:
        UserError: for anything but uint8 images of three channels.
    """
    _require_images(images)
    return (resize_tensorflow1(images, (_SIDE, _SIDE)) - 128) / 128


def preprocess_pytorch_fid(images: UInt8[Array, "batch height width 3"]) -> Float32[Array, "batch 299 299 3"]:
    """Bilinear resize between pixel centres without antialiasing, then 2 x / 255 - 1: pytorch-fid's.

    Args, returns and raises as `preprocess_fid`.
    """
    _require_images(images)
    return (resize_bilinear(images, (_SIDE, _SIDE)) - 127.5) / 127.5


def preprocess_clean_fid(images: UInt8[Array, "batch height width 3"]) -> Float32[Array, "batch 299 299 3"]:
    """Antialiased bicubic resize, clipped to 0..255, then (x - 128) / 128: clean-fid's, a number of its own name.

    Args, returns and raises as `preprocess_fid`.

    Reference: Parmar, Zhang & Zhu, "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", 2022.
    """
    _require_images(images)
    return (jnp.clip(resize_bicubic(images, (_SIDE, _SIDE)), 0, 255) - 128) / 128


def _require_images(images: Array) -> None:
    if images.ndim != 4 or images.shape[-1] != 3 or images.dtype != jnp.uint8:
        raise UserError(
            f"The images are {images.dtype}{list(images.shape)}, but the Inception network takes uint8 images [batch, "
            "height, width, 3]: round floats to 0..255, and repeat a single channel three times."
        )


class InceptionV3(nn.Module):
    """The frozen extractor: preprocessed images [batch, 299, 299, 3] in [-1, 1] to `InceptionFeatures`.

    Its parameters come from `load_inception` or `inception_params`, BatchNorm folded into every convolution.
    It computes in full precision on every back-end: in TF32 or bfloat16 the features, and a FID, would be others.
    """

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width 3"]) -> InceptionFeatures:
        x = _Conv(32, (3, 3), stride=2, padding="VALID", name="Conv2d_1a_3x3")(x)
        x = _Conv(32, (3, 3), padding="VALID", name="Conv2d_2a_3x3")(x)
        x = _Conv(64, (3, 3), name="Conv2d_2b_3x3")(x)
        x = _halving_pool(x)
        pool1 = x.mean((1, 2))
        x = _Conv(80, (1, 1), name="Conv2d_3b_1x1")(x)
        x = _Conv(192, (3, 3), padding="VALID", name="Conv2d_4a_3x3")(x)
        x = _halving_pool(x)
        pool2 = x.mean((1, 2))
        x = _BlockA(32, name="Mixed_5b")(x)
        x = _BlockA(64, name="Mixed_5c")(x)
        x = _BlockA(64, name="Mixed_5d")(x)
        x = _BlockB(name="Mixed_6a")(x)
        x = _BlockC(128, name="Mixed_6b")(x)
        x = _BlockC(160, name="Mixed_6c")(x)
        x = _BlockC(160, name="Mixed_6d")(x)
        x = _BlockC(192, name="Mixed_6e")(x)
        mixed6 = x.mean((1, 2))
        x = _BlockD(name="Mixed_7a")(x)
        x = _BlockE(pool=_mean_pool, name="Mixed_7b")(x)
        # A slip in the graph of 2015, which is part of the definition.
        x = _BlockE(pool=_max_pool, name="Mixed_7c")(x)
        pool3 = x.mean((1, 2))
        logits, bias = _Logits(1008, name="fc")(pool3)
        return InceptionFeatures(pool1, pool2, mixed6, pool3, logits, logits + bias[None, :])


class _Conv(nn.Module):
    """Convolution (into which BatchNorm is folded), then ReLU."""

    features: int
    kernel_size: tuple[int, int]
    stride: int = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x: Images) -> Images:
        kernel_shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), kernel_shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        # Without strides, XLA:CPU runs an unpadded convolution 4 times slower than a padded one, which is then cropped.
        crop = self.padding == "VALID" and self.stride == 1
        y = jax.lax.conv_general_dilated(
            x,
            kernel,
            (self.stride, self.stride),
            "SAME" if crop else self.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,
        )
        return nn.relu((y[:, 1:-1, 1:-1] if crop else y) + bias[None, None, None, :])


class _Logits(nn.Module):
    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "batch d"]) -> tuple[Float[Array, "batch features"], Float[Array, " features"]]:
        """Logits without the bias, and the bias."""
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,), jnp.float32)
        return jnp.matmul(x, kernel, precision=jax.lax.Precision.HIGHEST), bias


class _BlockA(nn.Module):
    """35x35 pixels: branches of 1x1, 5x5, twice 3x3, and a pool."""

    pool_features: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        one = _Conv(64, (1, 1), name="branch1x1")(x)
        five = _Conv(48, (1, 1), name="branch5x5_1")(x)
        five = _Conv(64, (5, 5), name="branch5x5_2")(five)
        three = _Conv(64, (1, 1), name="branch3x3dbl_1")(x)
        three = _Conv(96, (3, 3), name="branch3x3dbl_2")(three)
        three = _Conv(96, (3, 3), name="branch3x3dbl_3")(three)
        pool = _Conv(self.pool_features, (1, 1), name="branch_pool")(_mean_pool(x))
        return jnp.concatenate([one, five, three, pool], -1)


class _BlockB(nn.Module):
    """35x35 to 17x17 pixels."""

    @nn.compact
    def __call__(self, x: Images) -> Images:
        three = _Conv(384, (3, 3), stride=2, padding="VALID", name="branch3x3")(x)
        double = _Conv(64, (1, 1), name="branch3x3dbl_1")(x)
        double = _Conv(96, (3, 3), name="branch3x3dbl_2")(double)
        double = _Conv(96, (3, 3), stride=2, padding="VALID", name="branch3x3dbl_3")(double)
        return jnp.concatenate([three, double, _halving_pool(x)], -1)


class _BlockC(nn.Module):
    """17x17 pixels: 7x7 convolutions, each written as 1x7 and 7x1."""

    width: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        one = _Conv(192, (1, 1), name="branch1x1")(x)
        seven = _Conv(self.width, (1, 1), name="branch7x7_1")(x)
        seven = _Conv(self.width, (1, 7), name="branch7x7_2")(seven)
        seven = _Conv(192, (7, 1), name="branch7x7_3")(seven)
        double = _Conv(self.width, (1, 1), name="branch7x7dbl_1")(x)
        double = _Conv(self.width, (7, 1), name="branch7x7dbl_2")(double)
        double = _Conv(self.width, (1, 7), name="branch7x7dbl_3")(double)
        double = _Conv(self.width, (7, 1), name="branch7x7dbl_4")(double)
        double = _Conv(192, (1, 7), name="branch7x7dbl_5")(double)
        pool = _Conv(192, (1, 1), name="branch_pool")(_mean_pool(x))
        return jnp.concatenate([one, seven, double, pool], -1)


class _BlockD(nn.Module):
    """17x17 to 8x8 pixels."""

    @nn.compact
    def __call__(self, x: Images) -> Images:
        three = _Conv(192, (1, 1), name="branch3x3_1")(x)
        three = _Conv(320, (3, 3), stride=2, padding="VALID", name="branch3x3_2")(three)
        seven = _Conv(192, (1, 1), name="branch7x7x3_1")(x)
        seven = _Conv(192, (1, 7), name="branch7x7x3_2")(seven)
        seven = _Conv(192, (7, 1), name="branch7x7x3_3")(seven)
        seven = _Conv(192, (3, 3), stride=2, padding="VALID", name="branch7x7x3_4")(seven)
        return jnp.concatenate([three, seven, _halving_pool(x)], -1)


class _BlockE(nn.Module):
    """8x8 pixels: each 3x3 forks into 1x3 and 3x1."""

    pool: Callable[[Images], Images]

    @nn.compact
    def __call__(self, x: Images) -> Images:
        one = _Conv(320, (1, 1), name="branch1x1")(x)
        three = _Conv(384, (1, 1), name="branch3x3_1")(x)
        three_a = _Conv(384, (1, 3), name="branch3x3_2a")(three)
        three_b = _Conv(384, (3, 1), name="branch3x3_2b")(three)
        double = _Conv(448, (1, 1), name="branch3x3dbl_1")(x)
        double = _Conv(384, (3, 3), name="branch3x3dbl_2")(double)
        double_a = _Conv(384, (1, 3), name="branch3x3dbl_3a")(double)
        double_b = _Conv(384, (3, 1), name="branch3x3dbl_3b")(double)
        pool = _Conv(192, (1, 1), name="branch_pool")(self.pool(x))
        return jnp.concatenate([one, three_a, three_b, double_a, double_b, pool], -1)


# Pools as sums and maxima of shifted images: XLA:CPU runs its own window reductions 5 to 10 times slower.


def _halving_pool(x: Images) -> Images:
    """Maximum over 3x3 pixels, strides of 2, no padding."""
    return _along(_along(x, 1, 2, jnp.maximum), 2, 2, jnp.maximum)


def _max_pool(x: Images) -> Images:
    """Maximum over the 3x3 pixels around each, of those that exist."""
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    return _along(_along(padded, 1, 1, jnp.maximum), 2, 1, jnp.maximum)


def _mean_pool(x: Images) -> Images:
    """Mean over the 3x3 pixels around each, of those that exist: padding doesn't count."""
    sums = _along(_along(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 1, 1, jnp.add), 2, 1, jnp.add)
    rows, columns = (3.0 - np.isin(np.arange(n), [0]) - np.isin(np.arange(n), [n - 1]) for n in x.shape[1:3])
    return sums / jnp.asarray(rows[:, None] * columns[None, :], x.dtype)[None, :, :, None]


def _along(x: Images, axis: int, stride: int, combine: Callable[[Array, Array], Array]) -> Images:
    """Combines every `stride`-th run of three neighbours along an axis."""
    last = (x.shape[axis] - 3) // stride * stride + 1
    first, second, third = (jax.lax.slice_in_dim(x, i, i + last, stride, axis) for i in range(3))
    return combine(combine(first, second), third)


def inception_params(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Parameters of `InceptionV3` from tensors by PyTorch's names, each BatchNorm folded into its convolution.

    With the running mean m and variance v, gamma (W x - m) / sqrt(v + eps) + beta is one convolution again. It is
    folded in float64; the features then agree with the unfolded network's as well as two float32 runs do.

    Args:
        tensors: `NAME.conv.weight` (OIHW), `NAME.bn.{weight,bias,running_mean,running_var}`, `fc.{weight,bias}`.

    Returns:
        What `InceptionV3().apply({"params": ...}, x)` takes, in float32 NumPy arrays.

    Raises:
        UserError: if a tensor is missing or unknown, of another shape, or not finite.
    """
    tensors = {name: tensor for name, tensor in tensors.items() if not name.endswith(".num_batches_tracked")}
    shapes = _inception_shapes()
    weights.require_shapes(tensors, _torch_shapes(shapes), origin="The Inception file")
    params = {"fc.kernel": weights.kernel_from_torch(tensors["fc.weight"]), "fc.bias": tensors["fc.bias"]}
    for name in (name.removesuffix(".kernel") for name in shapes if name.endswith(".kernel") and name != "fc.kernel"):
        scale, shift, mean, variance = (
            tensors[f"{name}.bn.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + _EPSILON)
        params[f"{name}.kernel"] = weights.kernel_from_torch(tensors[f"{name}.conv.weight"]) * gain
        params[f"{name}.bias"] = shift - mean * gain
    return weights.unflatten({name: params[name].astype(np.float32) for name in shapes})


def load_inception(path: Path | None = None) -> dict[str, Any]:
    """The published parameters of `InceptionV3`.

    Converted once, and kept as safetensors in the user's cache directory.

    Args:
        path: `pt_inception-2015-12-05-6726825d.pth` (or torch-fidelity's copy of it, of another name); by default the
            file is downloaded, once. No other file is taken: any safetensors file can claim to be a conversion of it.

    Returns:
        What `InceptionV3().apply({"params": ...}, x)` takes. They are the published ones, or there is an error: what is
        computed with them may be called FID, KID and Inception score.

    Raises:
        UserError: if the file cannot be read or fetched, or isn't the published one.
    """
    converted = weights.weights_dir() / f"inception-{INCEPTION_SHA256[:8]}.safetensors"
    if path is None and converted.is_file():
        return _read_converted(converted)
    if path is None:
        path = weights.download(INCEPTION_URL, converted.with_suffix(".pth"), INCEPTION_SHA256)
    weights.require_sha256(path, INCEPTION_SHA256, origin=str(path))
    params = inception_params(read_torch(path))
    weights.write_safetensors(
        converted, params, {"source_sha256": INCEPTION_SHA256, "params": weights.fingerprint(params)}
    )
    return params


def _read_converted(path: Path) -> dict[str, Any]:
    params, about = weights.read_safetensors(path)
    weights.require_shapes(weights.flatten(params), _inception_shapes(), origin=str(path))
    if about != {"source_sha256": INCEPTION_SHA256, "params": weights.fingerprint(params)}:
        raise UserError(
            f"{path} was not made from the published Inception weights: move it away and name the .pth file."
        )
    return params


def _inception_shapes() -> dict[str, tuple[int, ...]]:
    return weights.parameter_shapes(InceptionV3().init, jnp.zeros((1, _SIDE, _SIDE, 3)))


def _torch_shapes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The tensors of the published file, by name: every convolution has a BatchNorm, and the kernels are OIHW."""
    expected: dict[str, tuple[int, ...]] = {}
    for kernel, shape in shapes.items():
        name, part = kernel.rsplit(".", 1)
        if name == "fc":
            expected |= {"fc.weight": shape[::-1]} if part == "kernel" else {"fc.bias": shape}
        elif part == "kernel":
            expected[f"{name}.conv.weight"] = (shape[3], shape[2], *shape[:2])
        else:
            expected |= {f"{name}.bn.{part}": shape for part in ("weight", "bias", "running_mean", "running_var")}
    return expected
