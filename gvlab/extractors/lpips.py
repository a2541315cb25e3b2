"""LPIPS, the learned perceptual distance of two images, given the weights of its backbone.

The linear heads (version 0.1) are part of this package, `lpips_v0.1_lin.npz`, with their licence beside it. The
backbones, ImageNet classifiers of 5 to 550 MB, are torchvision's files, which the user names.

Reference: Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", 2018.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gvlab.extractors import weights
from gvlab.extractors.torch_file import read_torch
from gvlab.types import UserError

Images = Float[Array, "batch _ _ _"]  # height, width and channels, which change from layer to layer
Distance = Callable[[Images, Images], Float[Array, " batch"]]

_HEADS = Path(__file__).with_name("lpips_v0.1_lin.npz")


def load_lpips_alex(path: Path) -> Distance:
    """LPIPS on AlexNet, the authors' choice for comparing images.

    Args:
        path: torchvision's `alexnet-owt-*.pth`.

    Returns:
        A pure function of two batches of images in [-1, 1], [batch, height, width, 3]: their distances [batch].

    Raises:
        UserError: if the file cannot be read, or holds another network.
    """
    return _load("alex", AlexNetFeatures(), path)


def load_lpips_vgg(path: Path) -> Distance:
    """LPIPS on VGG-16, the authors' choice as a training loss; arguments and result as `load_lpips_alex`.

    Args:
        path: torchvision's `vgg16-*.pth`.
    """
    return _load("vgg", VGG16Features(), path)


def load_lpips_squeeze(path: Path) -> Distance:
    """LPIPS on SqueezeNet 1.1, the smallest; arguments and result as `load_lpips_alex`.

    Args:
        path: torchvision's `squeezenet1_1-*.pth`.
    """
    return _load("squeeze", SqueezeNetFeatures(), path)


def lpips(
    features: Callable[[Images], Sequence[Images]],
    heads: Sequence[Float[Array | np.ndarray, " _"]],
    x: Images,
    y: Images,
) -> Float[Array, " batch"]:
    """The sum over layers of the mean over pixels of head . (u(x) - u(y))^2, where u is the features at unit length.

    Args:
        features: images, shifted and scaled as the backbones want them, to the feature maps of each layer.
        heads: for each layer the non-negative weights of its channels.
        x: images in [-1, 1], [batch, height, width, 3].
        y: images of the same shape.

    Returns:
        Distances, [batch], without units: 0 (but for rounding, 1e-15) for equal images.

    Raises:
        UserError: if the images differ in shape, haven't three channels, or are too small for the backbone.

    Reference: Zhang et al., 2018, eq. 1.
    """
    if x.shape != y.shape or x.ndim != 4 or x.shape[-1] != 3:
        raise UserError(f"LPIPS compares images [batch, height, width, 3], but these are {x.shape} and {y.shape}.")
    distance = jnp.zeros(x.shape[0], x.dtype)
    for head, a, b in zip(heads, features(_scaled(x)), features(_scaled(y)), strict=True):
        if 0 in a.shape:
            raise UserError(f"Images of {x.shape[1:3]} pixels are too small for LPIPS: give 64x64 or more.")
        squares = (_unit(a) - _unit(b)) ** 2
        distance += jnp.tensordot(squares, jnp.asarray(head), 1, precision=_PRECISION).mean((1, 2))
    return distance


_PRECISION = jax.lax.Precision.HIGHEST  # the same distance on every back-end


def _scaled(x: Images) -> Images:
    """From [-1, 1] to ImageNet's channels of mean 0 and variance 1, with the constants of the authors' code."""
    shift, scale = jnp.array([-0.030, -0.088, -0.188], x.dtype), jnp.array([0.458, 0.448, 0.450], x.dtype)
    return (x - shift[None, None, None, :]) / scale[None, None, None, :]


def _unit(x: Images) -> Images:
    """Each pixel's vector of channels, at length 1."""
    # The square root has no gradient at 0, where all channels of a ReLU may be: as if the length there were constant.
    squares = (x**2).sum(-1, keepdims=True)
    positive = squares > 0
    return x / (jnp.where(positive, jnp.sqrt(jnp.where(positive, squares, 1.0)), 0.0) + 1e-10)


class AlexNetFeatures(nn.Module):
    """torchvision's AlexNet up to its fifth convolution: scaled images to five feature maps, each after its ReLU."""

    @nn.compact
    def __call__(self, x: Images) -> tuple[Images, ...]:
        one = nn.relu(_conv(64, 11, stride=4, padding=2, name="features_0")(x))
        two = nn.relu(_conv(192, 5, padding=2, name="features_3")(_max_pool(one, 3)))
        three = nn.relu(_conv(384, 3, padding=1, name="features_6")(_max_pool(two, 3)))
        four = nn.relu(_conv(256, 3, padding=1, name="features_8")(three))
        five = nn.relu(_conv(256, 3, padding=1, name="features_10")(four))
        return one, two, three, four, five


class VGG16Features(nn.Module):
    """torchvision's VGG-16 (without BatchNorm): scaled images to the last feature map before each pool."""

    @nn.compact
    def __call__(self, x: Images) -> tuple[Images, ...]:
        maps: list[Images] = []
        stages = [(64, (0, 2)), (128, (5, 7)), (256, (10, 12, 14)), (512, (17, 19, 21)), (512, (24, 26, 28))]
        for width, layers in stages:
            x = _max_pool(x, 2) if maps else x
            for layer in layers:
                x = nn.relu(_conv(width, 3, padding=1, name=f"features_{layer}")(x))
            maps.append(x)
        return tuple(maps)


class SqueezeNetFeatures(nn.Module):
    """torchvision's SqueezeNet 1.1: scaled images to seven feature maps."""

    @nn.compact
    def __call__(self, x: Images) -> tuple[Images, ...]:
        one = nn.relu(_conv(64, 3, stride=2, name="features_0")(x))
        x = _Fire(16, 64, name="features_3")(_ceil_pool(one))
        two = _Fire(16, 64, name="features_4")(x)
        x = _Fire(32, 128, name="features_6")(_ceil_pool(two))
        three = _Fire(32, 128, name="features_7")(x)
        four = _Fire(48, 192, name="features_9")(_ceil_pool(three))
        five = _Fire(48, 192, name="features_10")(four)
        six = _Fire(64, 256, name="features_11")(five)
        seven = _Fire(64, 256, name="features_12")(six)
        return one, two, three, four, five, six, seven


class _Fire(nn.Module):
    """Few channels, then many, by 1x1 and by 3x3."""

    squeeze: int
    expand: int

    @nn.compact
    def __call__(self, x: Images) -> Images:
        x = nn.relu(_conv(self.squeeze, 1, name="squeeze")(x))
        one, three = _conv(self.expand, 1, name="expand1x1")(x), _conv(self.expand, 3, padding=1, name="expand3x3")(x)
        return nn.relu(jnp.concatenate([one, three], -1))


def _conv(features: int, side: int, *, stride: int = 1, padding: int = 0, name: str) -> nn.Conv:
    return nn.Conv(features, (side, side), stride, padding, precision=_PRECISION, name=name)


def _max_pool(x: Images, side: int) -> Images:
    """Strides of 2; windows that don't fit are left out."""
    return nn.max_pool(x, (side, side), (2, 2))


def _ceil_pool(x: Images) -> Images:
    """Strides of 2 and 3x3 pixels; a last window that only fits in part counts, by what is in it."""
    ends = [-(n - 3) % 2 for n in x.shape[1:3]]
    return nn.max_pool(x, (3, 3), (2, 2), [(0, ends[0]), (0, ends[1])])


def _load(name: str, backbone: nn.Module, path: Path) -> Distance:
    params = backbone_params(backbone, read_torch(path), origin=str(path))
    features: Callable[..., Any] = partial(backbone.apply, {"params": params})
    return partial(lpips, features, lpips_heads(name))


def lpips_heads(name: str) -> list[Float[np.ndarray, " _"]]:
    """The published non-negative weights, version 0.1, of the channels of every layer of "alex", "vgg" or "squeeze"."""
    with np.load(_HEADS) as file:
        layers = sorted(key for key in file if key.startswith(f"{name}."))  # lin0 to lin6
        return [file[key].reshape(-1) for key in layers]


def backbone_params(backbone: nn.Module, tensors: dict[str, np.ndarray], origin: str) -> dict[str, Any]:
    """Parameters of one of the backbones above from torchvision's tensors; those of its classifier are ignored.

    Raises:
        UserError: if a tensor is missing or unknown, of another shape, or not finite; `origin` is where it came from.
    """
    shapes = weights.parameter_shapes(backbone.init, jnp.zeros((1, 64, 64, 3)))
    # Linen allows no dots in names: `features_3.squeeze.kernel` is torchvision's `features.3.squeeze.weight`.
    names = {name: name.replace("features_", "features.").replace("kernel", "weight") for name in shapes}
    expected = {
        names[name]: (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape for name, shape in shapes.items()
    }
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith("classifier.")}
    weights.require_shapes(tensors, expected, origin)
    params = {
        name: weights.kernel_from_torch(tensors[torch]) if name.endswith("kernel") else tensors[torch]
        for name, torch in names.items()
    }
    return weights.unflatten(params)
