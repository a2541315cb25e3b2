"""What the two players of a GAN minimise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # imported where used: `gvlab --help` must not wait for JAX
    from gvlab.losses import Contest


@dataclass(frozen=True)
class NonSaturating:
    """The game of Goodfellow et al. 2014, in which the generator descends -log D(G(z)) (section 3)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.non_saturating


@dataclass(frozen=True)
class Minimax:
    """The game of Goodfellow et al. 2014 as equation 1 has it: the generator descends log(1 - D(G(z)))."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.minimax


@dataclass(frozen=True)
class Hinge:
    """The discriminator gains nothing beyond a margin of 1 (Lim & Ye 2017; Miyato et al. 2018)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.hinge


@dataclass(frozen=True)
class LeastSquares:
    """Logits are drawn to 1 for real examples and to 0 for generated ones (Mao et al. 2017)."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.least_squares


@dataclass(frozen=True)
class Wasserstein:
    """The difference of the logits (Arjovsky et al. 2017), for a discriminator whose slope something bounds."""

    def contest(self) -> Contest:
        from gvlab import losses

        return losses.wasserstein
