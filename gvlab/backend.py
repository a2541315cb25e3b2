"""How XLA is asked to run on the CPU. Only a program can decide that, so importing gvlab does not."""

import importlib.metadata
import os

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
