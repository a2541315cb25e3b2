"""The sizes of images that a network can make."""

from collections.abc import Callable


def nearest_sizes(height: int, width: int, works: Callable[[int, int], bool]) -> str:
    """The nearest smaller and larger sizes that work, as HEIGHTxWIDTH, for a sentence.

    They are looked for among multiples of powers of two, which is where strides of two lead.
    """
    sizes = set()
    for unit in (2**n for n in range(1, 12)):
        for y in {height // unit * unit, -(-height // unit) * unit, 4 * unit}:
            for x in {width // unit * unit, -(-width // unit) * unit, 4 * unit}:
                if min(y, x) > 0 and works(y, x):
                    sizes.add((y, x))
    distance = {size: abs(size[0] - height) + abs(size[1] - width) for size in sizes}
    smaller = [size for size in sizes if size[0] <= height and size[1] <= width]
    larger = [size for size in sizes if size[0] >= height and size[1] >= width]
    chosen = [min(some, key=lambda size: (distance[size], size)) for some in (smaller, larger) if some]
    return " and ".join(f"{y}x{x}" for y, x in chosen)
