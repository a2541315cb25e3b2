"""Adaptive discriminator augmentation: all of its transformations, and the published choices of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gvlab.augment.base import Number, Transform, chain
from gvlab.augment.colours import colours
from gvlab.augment.geometry import geometry
from gvlab.augment.pixels import filtering, holes, noising
from gvlab.spelling import nearest
from gvlab.types import UserError

_BLIT = ("xflip", "rotate90", "xint")
_GEOM = ("scale", "rotate", "aniso", "xfrac")
_COLOUR = ("brightness", "contrast", "lumaflip", "hue", "saturation")
_ALL = (*_BLIT, *_GEOM, *_COLOUR, "imgfilter", "noise", "cutout")

PRESETS: dict[str, dict[str, float]] = {
    name: dict.fromkeys(names, 1.0)
    for name, names in {
        "blit": _BLIT,
        "geom": _GEOM,
        "color": _COLOUR,
        "filter": ("imgfilter",),
        "noise": ("noise",),
        "cutout": ("cutout",),
        "bg": (*_BLIT, *_GEOM),
        "bgc": (*_BLIT, *_GEOM, *_COLOUR),
        "bgcf": (*_BLIT, *_GEOM, *_COLOUR, "imgfilter"),
        "bgcfn": (*_BLIT, *_GEOM, *_COLOUR, "imgfilter", "noise"),
        "bgcfnc": _ALL,
    }.items()
} | {"r3gan": dict.fromkeys((*_BLIT, *_GEOM, "cutout"), 1.0) | dict.fromkeys(_COLOUR, 0.5)}
"""Multipliers of `ada`, by the names of the published code; r3gan is what R3GAN's code asks for."""


def ada(multipliers: Mapping[str, Number]) -> Transform:
    """The transformations of adaptive discriminator augmentation, in the published order.

    Each is done to an image with its multiplier times p; what is not named is neither done nor drawn. Images of one
    channel are neither rotated in hue nor saturated. The geometric ones mirror an image as far as can be and look at it
    twice as large, which takes memory of 36 images.

    Args:
        multipliers: by name, such as `ADA_PRESETS["bgc"]`: xflip, rotate90, xint (shift by whole pixels), scale,
            rotate, aniso, xfrac (shift by parts of pixels); brightness, contrast, lumaflip, hue, saturation;
            imgfilter; noise; cutout.

    Raises:
        UserError: a name is unknown; from `check`: colours of images of neither one nor three channels, or filters of
            images with a side below 22 pixels.

    Reference: Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.
    """
    for name in multipliers:
        if name not in _ALL:
            raise UserError(f"ada() has no transformation {name}{nearest(name, _ALL)}: it has {', '.join(_ALL)}.")
    groups: dict[tuple[str, ...], Callable[[dict[str, Number]], Transform]] = {
        (*_BLIT, *_GEOM): geometry,
        _COLOUR: colours,
        ("imgfilter",): lambda of_group: filtering(of_group["imgfilter"]),
        ("noise",): lambda of_group: noising(of_group["noise"]),
        ("cutout",): lambda of_group: holes(of_group["cutout"]),
    }
    transforms = []
    for names, make in groups.items():
        of_group = {name: multipliers[name] for name in names if name in multipliers}
        if of_group:
            transforms.append(make(of_group))
    return chain(*transforms)._replace(name="ada")
