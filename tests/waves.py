"""The golden files' inputs, which are samples of sine waves."""

import numpy as np


def wave(recipe):
    """offset + scale sin(a i + b), in C order, in float64."""
    i = np.arange(np.prod(recipe["shape"], dtype=int))
    return (recipe["offset"] + recipe["scale"] * np.sin(recipe["a"] * i + recipe["b"])).reshape(recipe["shape"])


def waves(inputs):
    """All inputs of an entry that have a recipe, by name; the others as they are."""
    return {name: wave(of) if isinstance(of, dict) and "a" in of else of for name, of in inputs.items()}
