"""The networks of BigGAN: latents that reach every block, a shared embedding of the class, orthogonal weights.

Reference: Brock, Donahue & Simonyan, "Large Scale GAN Training for High Fidelity Natural Image Synthesis", 2019,
appendix B, and the first author's BigGAN-PyTorch; sizes are those of StudioGAN. The discriminator is the residual one
with attention.
"""

from collections.abc import Callable, Sequence
from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.networks.attention import SelfAttention
from gvlab.networks.conditional import ConditionalBatchNorm
from gvlab.networks.residual import Layers, Layout, ResidualDiscriminator, UpBlock, scaled, spectral
from gvlab.networks.sizes import middle, side_for
from gvlab.types import UserError

ORTHOGONAL = nn.initializers.orthogonal()
"""A kernel is a matrix of a column per output, with orthonormal columns or rows (Saxe et al. 2014)."""
FIRST = 4
"""Pixels a side of the first maps."""


def embedded(y: Float[Array, "batch classes"], features: int) -> Float[Array, "batch features"]:
    """The vectors of the classes, which all blocks share and no spectral norm divides; the caller is their parent."""
    return nn.Dense(features, use_bias=False, kernel_init=ORTHOGONAL, name="shared")(y)


class BigGANGenerator(nn.Module):
    """The latent in equal parts: one as the first maps, and one, beside the class' vector, as each block's condition.

    Without classes, which is not published, a part of the latent alone is the condition. The images may be smaller
    than what the last block makes, whose middle is taken then (28x28 of 32x32).

    Attributes:
        shape: (height, width, channels) of the images.
        widths: channels of the first maps and after each block.
        attention: after which block, counted from 1, the pixels attend to each other; None for after none.
        embedding: length of the class' vector.
        layers: `plain` or `spectral`, of `train`; the conditions' layers are of them, the class' vectors aren't.
        epsilon: of BatchNorm.
        axis_name: the mapped axis over which the batch's statistics are averaged.
    """

    shape: tuple[int, ...]
    widths: Sequence[int]
    attention: int | None
    embedding: int = 128
    layers: Callable[[bool], Layers] = spectral
    epsilon: float = 1e-4
    axis_name: str | None = None

    @nn.compact
    def __call__(
        self, z: Float[Array, "batch latent"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, "batch height width channel"]:
        """Images in [-1, 1] from latents `z` and, for a conditional network, one-hot classes `y`.

        Raises `UserError` for latents that don't come in so many equal parts as there are widths.
        """
        layers = self.layers(train)
        dense, conv = (partial(layer, kernel_init=ORTHOGONAL) for layer in (layers.dense, layers.conv))
        norm = partial(ConditionalBatchNorm, train, dense, epsilon=self.epsilon, axis_name=self.axis_name)
        first, *conditions = self._parts(z)
        if y is not None:
            shared = embedded(y, self.embedding)
            conditions = [jnp.concatenate([shared, part], axis=-1) for part in conditions]
        x = dense(FIRST**2 * self.widths[0], name="first")(first).reshape(-1, FIRST, FIRST, self.widths[0])
        for block, (features, condition) in enumerate(zip(self.widths[1:], conditions, strict=True), 1):
            x = UpBlock(features, dense, conv, norm, name=f"block{block}")(x, condition)
            if block == self.attention:
                x = SelfAttention(dense, name="attention")(x)
        x = nn.relu(norm(name="norm")(x))
        return middle(jnp.tanh(conv(self.shape[-1], name="image")(x)), self.shape)

    def _parts(self, z: Float[Array, "batch latent"]) -> list[Float[Array, "batch part"]]:
        count = len(self.widths)
        if z.shape[-1] % count:
            raise UserError(
                f"BigGAN shares the latents equally among {count} places, but latent_dim is {z.shape[-1]}: use a "
                f"multiple of {count}."
            )
        return jnp.split(z, count, axis=-1)


LAYOUTS = {
    32: Layout(FIRST, (4, 4, 4, 4), (2, 2, 2, 2), 2),
    64: Layout(FIRST, (16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 4),
}


def biggan_networks(
    shape: tuple[int, ...], width: int = 96, axis_name: str | None = None
) -> tuple[BigGANGenerator, ResidualDiscriminator]:
    """BigGAN, for images of 32 and 64 pixels a side, with attention at half of the side.

    Args:
        shape: (height, width, channels) of the images, up to 7 pixels a side fewer than that.
        width: a quarter of the generator's channels at 32 pixels, those of its last block at 64. StudioGAN's are 96
            (CIFAR-10) and 80 (Tiny ImageNet).
        axis_name: the mapped axis over which the batch's statistics are averaged.

    Raises:
        UserError: for other sizes.
    """
    side = side_for("BigGAN", shape, tuple(LAYOUTS))
    layout = LAYOUTS[side]
    made, judged = scaled(layout.generator, width), scaled(layout.discriminator, width)
    return (
        BigGANGenerator(shape, made, attention=len(made) - 2, axis_name=axis_name),
        ResidualDiscriminator(
            side, judged, judged, layout.halvings, attention=1, dense_init=ORTHOGONAL, conv_init=ORTHOGONAL
        ),
    )
