"""gvlab: a laboratory for GANs and VAEs in JAX.

The public names are listed here and imported when first used, so that `import gvlab` is fast and starts no back-end.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

_TYPES = ("Batch", "Model", "UserError")
_TRAINED = ("load",)
_MODULES = (
    "augment",
    "backend",
    "build",
    "compare",
    "config",
    "data",
    "evaluate",
    "export",
    "extractors",
    "files",
    "losses",
    "metrics",
    "models",
    "networks",
    "parallel",
    "pictures",
    "reproduce",
    "rng",
    "runs",
    "statistics",
    "train",
    "tree",
)
__all__ = [*_TYPES, *_TRAINED, *_MODULES]


def __getattr__(name: str) -> object:
    if name in _TYPES:
        return getattr(_import_module("gvlab.types"), name)
    if name in _TRAINED:
        return getattr(_import_module("gvlab.trained"), name)
    if name in _MODULES:
        return _import_module(f"gvlab.{name}")
    raise AttributeError(f"module 'gvlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
