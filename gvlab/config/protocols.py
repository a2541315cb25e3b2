"""What a part of a model must be able to do: gvlab's own parts do it, and so may a class of an experiment file.

A part is a frozen dataclass of numbers, truth values, texts and tuples of them, with one method that makes what is
trained. Its fields are options of the command line, can be swept and, where they are floats, batched over runs. The
method imports what it needs when it is called, makes the same every time, and draws nothing at random: what is random
in a training comes from keys. Its arguments come by position, so that a class may name them as it likes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    import flax.linen as nn
    import optax

    from gvlab.augment import Augmentation
    from gvlab.data import Dataset
    from gvlab.losses import Contest, Term
    from gvlab.models import Observation
    from gvlab.types import Model


@runtime_checkable
class OwnData(Protocol):
    """Examples from wherever Python gets them."""

    def data(self) -> Dataset:
        """The data set, the same every time; `gvlab.data.from_arrays` makes one. Its name is `Data.name`."""
        ...


@runtime_checkable
class OwnModel(Protocol):
    """A whole model, where no part of a GAN or a VAE would do.

    Three attributes say more of it, fields or not, and may be left out: `conditional` (False), `data_range` of its
    images, (0.0, 1.0) or (-1.0, 1.0) (the former), and `likelihood`, one of gvlab's (none), which its nats are of.
    """

    def model(self, shape: tuple[int, ...], classes: int, axis_name: str | None, /) -> Model:
        """The model as pure functions, as `gvlab.Model` describes them.

        Args:
            shape: of one example: (height, width, channels) or (length,).
            classes: 0, or the number of classes of a conditional model.
            axis_name: the mapped axis over which gradients and the batch's statistics are averaged, or None.
        """
        ...


@runtime_checkable
class OwnNetworks(Protocol):
    """The two networks of a GAN."""

    def networks(self, shape: tuple[int, ...], classes: int, axis_name: str | None, /) -> tuple[nn.Module, nn.Module]:
        """The generator and the discriminator, as `gvlab.networks` describes them.

        Args:
            shape: of one example: (height, width, channels) or (length,).
            classes: 0, or the number of classes whose one-hot labels the networks are given.
            axis_name: for BatchNorm: the mapped axis over which the batch's statistics are averaged, or None.
        """
        ...


@runtime_checkable
class OwnCoders(Protocol):
    """The two networks of a VAE."""

    def coders(
        self, shape: tuple[int, ...], latent_dim: int, parameters: int, classes: int, axis_name: str | None, /
    ) -> tuple[nn.Module, ...]:
        """The encoder and the decoder, as `gvlab.networks` describes them.

        Args:
            shape: of one example: (height, width, channels) or (length,); of MixtureOfLogistics (height, width, 1),
                since its parameters are a pixel's.
            latent_dim: length of z.
            parameters: numbers that the decoder gives per channel, the likelihood's.
            classes: 0, or the number of classes whose one-hot labels the networks are given.
            axis_name: for BatchNorm: the mapped axis over which the batch's statistics are averaged, or None.
        """
        ...


@runtime_checkable
class OwnContest(Protocol):
    """What the players of a GAN minimise."""

    def contest(self) -> Contest:
        """Two functions (real logits [batch], fake logits [batch]) -> loss [batch]."""
        ...


@runtime_checkable
class OwnTerm(Protocol):
    """What is added to the loss of a GAN's discriminator."""

    def term(self) -> Term:
        """(`gvlab.losses.Round`, memory) -> (loss [batch], memory of the next step), with a name."""
        ...


@runtime_checkable
class OwnAugmentation(Protocol):
    """What is done to examples before a GAN's discriminator sees them."""

    def augmentation(self) -> Augmentation:
        """A `gvlab.augment.Transform` and how often it is done; `gvlab.augment.constant` makes one of the other."""
        ...


@runtime_checkable
class OwnObservation(Protocol):
    """The likelihood of a VAE."""

    def observation(self) -> Observation:
        """The likelihood and the meaning of the decoder's output."""
        ...


@runtime_checkable
class OwnOptimizer(Protocol):
    """What becomes of a gradient."""

    def transformation(self, updates_per_step: int, /) -> optax.GradientTransformation:
        """A transformation of optax's, whose `update` is given the train step, too, if it takes `step`.

        Args:
            updates_per_step: that are made in one train step, for schedules that count updates.
        """
        ...


@runtime_checkable
class OwnSchedule(Protocol):
    """How a learning rate changes."""

    def schedule(self) -> optax.Schedule:
        """Train step, from 0 -> factor on the learning rate."""
        ...
