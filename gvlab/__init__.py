"""gvlab: a laboratory for GANs and VAEs in JAX.

The public names are listed here and imported when first used, so that `import gvlab` is fast and starts no back-end.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0"

_HOME = {
    "Batch": "gvlab.types",
    "Model": "gvlab.types",
    "UserError": "gvlab.types",
    "Experiment": "gvlab.config",
    "gan": "gvlab.models",
    "vae": "gvlab.models",
    "config": "gvlab",
    "data": "gvlab",
    "losses": "gvlab",
    "metrics": "gvlab",
    "networks": "gvlab",
    "parallel": "gvlab",
    "rng": "gvlab",
    "tree": "gvlab",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'gvlab' has no attribute {name!r}")
    home = _HOME[name]
    return _import_module(f"gvlab.{name}") if home == "gvlab" else getattr(_import_module(home), name)


def __dir__() -> list[str]:
    return __all__
