"""gvrooms: a room in three hues with one object in it, seen by ray casting. It is not 3D Shapes.

The factors are those of 3D Shapes (Burgess & Kim, 2018), the hues of floor, wall and object, and the object's scale and
shape and the camera's azimuth, and so is the number of images; but every image is another one, drawn by the formulas
below, so numbers on gvrooms are no numbers on 3D Shapes.
"""

from __future__ import annotations

import colorsys
import functools
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float64, Int, UInt8

from gvlab.data.ground_truth import GroundTruth

SIDE, RAYS = 64, 4
"""Pixels of an image's side, and rays of a pixel's."""
_CLASSES = ("cube", "cylinder", "sphere", "capsule")
_SIZES = (10, 10, 10, 8, 4, 15)
_LIGHT = np.array([0.4, 0.8, 0.45]) / np.linalg.norm([0.4, 0.8, 0.45])
"""Where the light comes from; y is up."""

Numbers: TypeAlias = np.ndarray | np.float64
"""One for each ray, or one for all."""


@functools.cache
def gvrooms() -> GroundTruth:
    """480,000 RGB images 64x64: 10 hues each of floor, wall and object, 8 scales, 4 shapes, 15 azimuths.

    It is not 3D Shapes. All images differ. Hue is circular: the hues 9 and 0 are neighbours.
    """
    factors = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
    return GroundTruth("gvrooms", factors, _SIZES, (SIDE, SIDE, 3), "shape", _CLASSES, table, drawn)


PALETTE = np.array(
    [[int(255 * value + 0.5) for value in colorsys.hsv_to_rgb(hue / 10, 0.75, 1.0)] for hue in range(10)], np.uint32
)
"""Red, green and blue of each hue."""


def drawn(layers: Any, factors: Any) -> Any:
    """The mixture of the hues by the layers of a view, rounded to nearest: [n, 64, 64, 3]."""
    scale, shape, orientation = (factors[:, j] for j in (3, 4, 5))
    view = layers[(scale * _SIZES[4] + shape) * _SIZES[5] + orientation].astype(np.uint32)
    palette = PALETTE if isinstance(factors, np.ndarray) else jnp.asarray(PALETTE)
    colour = palette[factors[:, :3]]
    mixed = sum(view[..., k, None] * colour[:, None, None, k] for k in range(3))
    return ((mixed + np.uint32(127)) // np.uint32(255)).astype(np.uint8)


@functools.cache
def table() -> UInt8[np.ndarray, "views 64 64 3"]:
    """Every scale, shape and azimuth, in this order: 480 views, each of the shaded layers of floor, wall and object.

    A layer is the mean over a pixel's rays of the shade of what they hit, where that is the layer's. In float64, which
    another platform's sine may round to another side: by one level, in few pixels.
    """
    scales, shapes, azimuths = _SIZES[3:]
    views = np.empty((scales, shapes, azimuths, SIDE, SIDE, 3), np.uint8)
    with np.errstate(divide="ignore", invalid="ignore"):  # of rays along a surface, which miss it
        for azimuth, degrees in enumerate(np.linspace(-30, 30, azimuths)):
            rays = _rays(np.deg2rad(degrees))
            empty = _nearest(_room(rays), len(rays.towards))
            for scale, size in enumerate(np.linspace(0.75, 1.25, scales)):
                near = np.flatnonzero(_meets(rays, 0.9 * 0.85 * size, 1.6 * 0.85 * size))  # around any of the objects
                close = _Rays(rays.eye, rays.towards[near])
                for shape in range(shapes):
                    views[scale, shape, azimuth] = _layers(empty, near, _object(close, shape, 0.85 * size))
    flat = views.reshape(-1, SIDE, SIDE, 3)
    flat.flags.writeable = False
    return flat


class _Rays(NamedTuple):
    eye: Float64[np.ndarray, "3"]
    towards: Float64[np.ndarray, "rays 3"]

    def at(self, distance: Float64[np.ndarray, " rays"]) -> Float64[np.ndarray, "rays 3"]:
        return self.eye + distance[:, None] * self.towards


class _Hit(NamedTuple):
    """What a surface is to each ray."""

    region: int
    """0 floor, 1 wall, 2 object."""
    distance: Float64[np.ndarray, " rays"]
    """Infinity where it isn't hit."""
    shade: Numbers


class _Seen(NamedTuple):
    """The nearest surface of each ray."""

    distance: Float64[np.ndarray, " rays"]
    region: Int[np.ndarray, " rays"]
    shade: Float64[np.ndarray, " rays"]


def _rays(azimuth: float) -> _Rays:
    """From the camera through the image, row by row, 256 x 256, by the half field of view of 22 degrees."""
    eye = np.array([6 * np.sin(azimuth), 2.6, 6 * np.cos(azimuth)])
    forward = np.array([0.0, 0.75, 0.0]) - eye
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    offset = ((np.arange(SIDE * RAYS) + 0.5) / (SIDE * RAYS) * 2 - 1) * np.tan(np.deg2rad(22))
    return _Rays(eye, (forward + offset[None, :, None] * right - offset[:, None, None] * up).reshape(-1, 3))


def _room(rays: _Rays) -> Iterator[_Hit]:
    """The floor and three walls, unbounded upwards."""
    for region, axis, place, inward in ((0, 1, 0.0, 1.0), (1, 2, -4.0, 1.0), (1, 0, -4.0, 1.0), (1, 0, 4.0, -1.0)):
        yield _Hit(region, (place - rays.eye[axis]) / rays.towards[:, axis], _shade(_axis(axis, inward)))


def _object(rays: _Rays, shape: int, r: float) -> Iterator[_Hit]:
    """The surfaces of the object of radius r, which stands on the floor in the middle of the room."""
    match _CLASSES[shape]:
        case "cube":
            yield from _box(rays, 0.9 * r, 1.8 * r)
        case "cylinder":
            yield _tube(rays, r, 0.0, 1.8 * r)
            yield _disc(rays, r, 1.8 * r)
        case "sphere":
            yield _sphere(rays, r, r)
        case "capsule":
            q = 0.62 * r
            yield _tube(rays, q, q, 2.4 * r - q)
            yield _sphere(rays, q, q)
            yield _sphere(rays, 2.4 * r - q, q)


def _box(rays: _Rays, half: float, top: float) -> Iterator[_Hit]:
    low, high = (-half, 0.0, -half), (half, top, half)
    for axis, place in ((0, half), (0, -half), (2, half), (2, -half), (1, top)):
        distance = (place - rays.eye[axis]) / rays.towards[:, axis]
        points = rays.at(distance)
        inside = [(points[:, a] >= low[a]) & (points[:, a] <= high[a]) for a in range(3) if a != axis]
        distance = np.where(inside[0] & inside[1], distance, np.inf)
        yield _Hit(2, distance, _shade(_axis(axis, np.sign(place))))


def _tube(rays: _Rays, radius: float, low: float, high: float) -> _Hit:
    (x, _, z), (dx, _, dz) = rays.eye, rays.towards.T
    distance = _root(dx**2 + dz**2, dx * x + dz * z, x**2 + z**2 - radius * radius)
    points = rays.at(distance)
    inside = (points[:, 1] >= low) & (points[:, 1] <= high)
    return _Hit(2, np.where(inside, distance, np.inf), _shade(points / radius * np.array([1.0, 0.0, 1.0])))


def _disc(rays: _Rays, radius: float, height: float) -> _Hit:
    distance = (height - rays.eye[1]) / rays.towards[:, 1]
    points = rays.at(distance)
    inside = points[:, 0] ** 2 + points[:, 2] ** 2 <= radius * radius
    return _Hit(2, np.where(inside, distance, np.inf), _shade(_axis(1, 1.0)))


def _sphere(rays: _Rays, height: float, radius: float) -> _Hit:
    centre = np.array([0.0, height, 0.0])
    distance = _root(*_quadratic(rays, centre, radius))
    return _Hit(2, distance, _shade((rays.at(distance) - centre) / radius))


def _meets(rays: _Rays, height: float, radius: float) -> Bool[np.ndarray, " rays"]:
    """Which rays meet a sphere."""
    a, b, c = _quadratic(rays, np.array([0.0, height, 0.0]), radius)
    return np.asarray(b * b - a * c > 0)


def _quadratic(rays: _Rays, centre: np.ndarray, radius: float) -> tuple[Numbers, Numbers, float]:
    """Of a ray's distance t to the sphere: a t^2 + 2 b t + c = 0."""
    offset, towards = rays.eye - centre, rays.towards
    return _dot(towards, towards), _dot(towards, offset), float(_dot(offset, offset)) - radius * radius


def _root(a: Numbers, b: Numbers, c: float) -> Float64[np.ndarray, " rays"]:
    """The smaller t of a t^2 + 2 b t + c = 0; infinity where there is none."""
    discriminant = b * b - a * c
    root = (-b - np.sqrt(np.where(discriminant > 0, discriminant, np.nan))) / a
    return np.where(discriminant > 0, root, np.inf)


def _axis(axis: int, sign: float) -> Float64[np.ndarray, "3"]:
    return np.eye(3)[axis] * sign


def _shade(normal: Float64[np.ndarray, "*rays 3"]) -> Numbers:
    return 0.4 + 0.6 * np.maximum(0.0, _dot(normal, _LIGHT))


def _dot(a: np.ndarray, b: np.ndarray) -> Numbers:
    """Written out: the order of a matrix product's sums is the library's."""
    return a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1] + a[..., 2] * b[..., 2]


def _nearest(hits: Iterator[_Hit], count: int, behind: _Seen | None = None) -> _Seen:
    """What each of so many rays sees first: of the hits, or of what was seen `behind` them."""
    if behind is None:
        behind = _Seen(np.full(count, np.inf), np.zeros(count, np.int64), np.zeros(count))
    distance, region, shade = behind
    for hit in hits:
        first = (hit.distance > 0) & (hit.distance < distance)
        distance = np.where(first, hit.distance, distance)
        region, shade = np.where(first, hit.region, region), np.where(first, hit.shade, shade)
    return _Seen(distance, region, shade)


def _layers(empty: _Seen, near: Int[np.ndarray, " close"], hits: Iterator[_Hit]) -> UInt8[np.ndarray, "64 64 3"]:
    """Of the room with an object, of which the rays `near` it alone can see anything."""
    seen = _nearest(hits, len(near), _Seen(*(of[near] for of in empty)))
    region, shade = empty.region.copy(), empty.shade.copy()
    region[near], shade[near] = seen.region, seen.shade
    layers = np.where(region[:, None] == np.arange(3), shade[:, None], 0.0).reshape(SIDE, RAYS, SIDE, RAYS, 3)
    total = np.zeros((SIDE, SIDE, 3))
    for down in range(RAYS):
        for right in range(RAYS):
            total += layers[:, down, :, right]
    return np.floor(255 * (total / RAYS**2) + 0.5).astype(np.uint8)
