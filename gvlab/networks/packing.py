"""A discriminator that sees several images at once, so that it also sees how they differ."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.types import UserError


class Packed(nn.Module):
    """A discriminator of packs: m examples of one source, one after the other, are one with m times the channels.

    Each example is given the logit of its pack, so that a mean over the batch is one over the packs. In evaluation the
    last pack of a batch is completed by its first examples. A batch of B examples makes B / m packs, where the paper
    draws m B examples for B packs: its batch size is that of ours over m.

    Attributes:
        discriminator: of one pack, (x [packs, *shape, m channel], None, train=) -> logits [packs].
        m: examples of a pack.

    Raises:
        UserError: in training, for a batch that m does not divide; for classes, since those of a pack may differ.

    Reference: Lin et al., "PacGAN: The power of two samples in generative adversarial networks", 2018, section 2.
    """

    discriminator: nn.Module
    m: int

    couples = True  # a term that takes one logit's slope for each example would take that of a pack m times

    @nn.compact
    def __call__(
        self, x: Float[Array, "batch *shape channel"], y: Float[Array, "batch classes"] | None = None, *, train: bool
    ) -> Float[Array, " batch"]:
        """Logits of "real" for examples `x`, each that of its pack."""
        if y is not None:
            raise UserError(
                "Packed shows a discriminator several examples at once, but one class per pack would be needed: use "
                "conditional=False, or packing=1."
            )
        count = len(x)
        if train and count % self.m and not self.is_initializing():
            raise UserError(
                f"A discriminator's batch has {count} examples (per device), which packs of {self.m} cannot share "
                "equally: use a batch_size that is a multiple."
            )
        if count % self.m:
            x = x[jnp.arange(count + -count % self.m) % count]
        packs = jnp.moveaxis(x.reshape(-1, self.m, *x.shape[1:]), 1, -2)
        packs = packs.reshape(*packs.shape[:-2], self.m * x.shape[-1])
        return jnp.repeat(self.discriminator(packs, None, train=train), self.m)[:count]
