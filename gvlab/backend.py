"""How XLA is asked to run on the CPU. Only a program can decide that, so importing gvlab does not."""

import importlib.metadata
import os
import warnings
from pathlib import Path

_NO_YNNPACK = "--xla_cpu_experimental_ynn_fusion_type="


def fast_cpu() -> None:
    """Keeps XLA:CPU on Eigen for products and convolutions; to be called before JAX computes anything.

    jaxlib 0.10 hands them to YNNPACK, with which a train step took 1.3 to 1.6 times as long on 2 cores
    (`experiments/benchmarks/README.md`). The last bits of the results differ. `XLA_FLAGS` is left alone where it speaks
    of this already, and for other versions of jaxlib: an unknown flag would end the process.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if importlib.metadata.version("jaxlib").startswith("0.10.") and _NO_YNNPACK not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_NO_YNNPACK}".strip()


def start(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """As a program begins that is mostly short runs: `fast_cpu`, and what is compiled is kept in the user's cache.

    Args:
        coordinator: HOST:PORT of the first of several processes that train one run on all their devices, or "auto"
            where JAX finds its cluster by itself (SLURM, Open MPI, TPU pods); None for one process.
        processes: how many there are; wanted with HOST:PORT.
        process: the number of this one, from 0.
    """
    import jax

    fast_cpu()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gvlab" / "jax"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    # A cache that cannot be written costs time, not the result.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    if coordinator == "auto":
        jax.distributed.initialize()
    elif coordinator:
        jax.distributed.initialize(coordinator, processes, process)
