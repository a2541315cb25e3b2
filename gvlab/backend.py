"""How JAX and XLA are asked to run. Only a program can decide that, so importing gvlab does not."""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import mmap
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from gvlab import onednn
from gvlab.errors import UserError

_PINNED_BITS: dict[str, Any] = {
    "jax_default_prng_impl": "threefry2x32",
    "jax_threefry_partitionable": True,
    "jax_random_seed_offset": 0,
    "jax_enable_x64": False,
    "jax_default_matmul_precision": None,
}
PINNED = _PINNED_BITS | {"jax_numpy_dtype_promotion": "standard"}
"""JAX's settings that decide bits, or whether a program runs at all, and what `start` gives them: the values that JAX
comes with. A user's profile cannot change them on the command line; from Python whoever calls decides. Forbidding the
promotion of ranks decides nothing: gvlab obeys it."""

_LEFT_ALONE: dict[str, Any] = {
    "jax_disable_jit": False,
    "jax_disable_most_optimizations": False,
    "jax_exec_time_optimization_effort": 0.0,
    "jax_high_dynamic_range_gumbel": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_softmax_custom_jvp": False,
    "jax_threefry_gpu_kernel_lowering": False,
    "jax_use_direct_linearize": True,
    "jax_use_shardy_partitioner": True,
}
"""Others that may decide bits, and what JAX comes with: who sets these means it."""

DEFAULTS = {name: str(value) for name, value in (_PINNED_BITS | _LEFT_ALONE).items()}
"""What `decisive_settings` gives for each name where nobody has set anything."""

CONVOLUTIONS = "convolutions"
"""The name under which records have whose convolutions a program's are; where they lack it, XLA's."""

_EIGEN = "xla_cpu_experimental_ynn_fusion_type"


def decisive_settings() -> dict[str, str]:
    """JAX's settings that bits depend on, as they are now, under the names of `jax.config`.

    What the installed JAX does not have is as in `DEFAULTS`, and so is what a record from before this function lacks.
    Of convolutions that are not XLA's it says which they are.
    """
    others = {CONVOLUTIONS: onednn.choice()} if onednn.choice() != onednn.XLA else {}
    return DEFAULTS | {name: str(value) for name, value in _settings(DEFAULTS).items()} | others


def _settings(names: Any) -> dict[str, Any]:
    """The current values of those names that the installed JAX has; of an enumeration its value."""
    import jax

    values = jax.config.values
    return {name: getattr(values[name], "value", values[name]) for name in names if name in values}


def fast_cpu() -> None:
    """Keeps XLA:CPU on Eigen for products and convolutions; to be called before JAX computes anything.

    Since 0.10 jaxlib hands them to YNNPACK, with which a train step of MNIST's DCGAN takes up to twice as long on 2
    cores; small networks gain by it (`experiments/benchmarks/README.md`). The last bits of the results differ.
    `XLA_FLAGS` is left alone where it speaks of this already, where it names a file, and where the installed jaxlib
    does not know the flag, which would end the process.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    names_a_file = flags and not flags.startswith("-")
    if _EIGEN not in flags and not names_a_file and knows(_EIGEN):
        os.environ["XLA_FLAGS"] = f"{flags} --{_EIGEN}=".strip()


def knows(flag: str) -> bool:
    """Whether the installed jaxlib has the XLA flag of that name, which stands in its library, closed by a NUL.

    The library is the only thing to ask: jaxlib exposes no list of flags (its `DebugOptions` has a tenth of them), a
    version number says what was true of the versions that somebody looked at, and a process that tries the flag takes
    half a second. This takes 10 to 50 ms where the flag is there, since the strings stand before the code, and some
    0.4 s where it is not.
    """
    jaxlib = importlib.util.find_spec("jaxlib")
    for directory in (jaxlib and jaxlib.submodule_search_locations) or ():
        for library in Path(directory).glob("*jax_common.*"):
            with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as strings:
                if strings.find(flag.encode() + b"\0") >= 0:
                    return True
    return False


def check_flags() -> None:
    """Refuses what XLA would end the process for: an unknown flag in `XLA_FLAGS`, or a value that it cannot take.

    XLA itself is asked, in a process of its own (half a second), and only where the user has set something.

    Raises:
        UserError: with XLA's reason.
    """
    flags = " ".join(flag for flag in os.environ.get("XLA_FLAGS", "").split() if flag != f"--{_EIGEN}=")
    if flags and (reason := _refusal(flags)):
        raise UserError(f"XLA refuses XLA_FLAGS={flags} ({reason}): correct the variable, or unset it.")


@functools.cache
def _refusal(flags: str) -> str | None:
    """What XLA says of flags before it ends its process; None if it takes them."""
    program = (
        "try:\n    from jaxlib.xla_client import CompileOptions\n"
        "except ImportError:\n    pass\n"  # another jaxlib: nothing can be known
        "else:\n    CompileOptions().executable_build_options.debug_options\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        env=os.environ | {"XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        errors="replace",
    )
    if not done.returncode:
        return None
    return next(iter(done.stderr.splitlines()), "it gives no reason").rpartition("] ")[2].rstrip(". ")


def keep_memory() -> bool:
    """Asks glibc to keep what is freed for the next allocation instead of giving it back to the kernel.

    XLA:CPU allocates a step's temporaries and frees them at its end. By its own thresholds glibc returns all that is
    large, and the next step meets every page anew: 10,000 page faults in a step of MNIST's DCGAN. The process holds on
    to the most memory that it has used; bits don't change. What it gains depends on the machine
    (`experiments/benchmarks/surroundings.py memory` measures it).

    Returns:
        Whether it was done: not without glibc, nor where the user has tuned its allocation by the environment.
    """
    try:
        os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):  # not Unix; another C library
        return False
    if any(name.startswith("MALLOC_") for name in os.environ) or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # M_... in malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    # Before 2.35 the first may be 32 MiB at most. The second is an int, of which this is the largest.
    large = mallopt(mmap_threshold, 2**30) or mallopt(mmap_threshold, 2**25)
    return bool(large and mallopt(trim_threshold, 2**31 - 1) and mallopt(top_pad, 2**28))


def fast_convolutions() -> bool:
    """Takes oneDNN's convolutions on the CPU where gvlab[onednn] is installed, or what `GVLAB_CONVOLUTIONS` says.

    An extra that cannot be used is said once, and XLA's convolutions are as good, but slower. Where there are several
    CPU devices they are taken only if they are asked for: XLA does not know how to share them out, so that every device
    would compute the whole batch.

    Returns:
        Whether they are oneDNN's from here on.

    Raises:
        UserError: the variable is neither xla nor onednn, or asks for an extra that cannot be used.
    """
    import jax

    asked = _asked_convolutions()
    if asked == "xla" or not (asked or (onednn.is_installed() and jax.device_count() == 1)):
        return False
    cache = user_cache()
    try:
        onednn.use(onednn.load(cache and cache / "onednn", cpu_threads() or 1))
    except onednn.Unavailable as error:
        if asked:
            raise UserError(f"GVLAB_CONVOLUTIONS is onednn, but {error}: mend that, or unset the variable.") from error
        print(f"gvlab: oneDNN cannot be used, since {error}: XLA's convolutions are taken.", file=sys.stderr)
        return False
    return True


def _asked_convolutions() -> str:
    asked = os.environ.get("GVLAB_CONVOLUTIONS", "")
    if asked not in ("", "xla", "onednn"):
        raise UserError(f"GVLAB_CONVOLUTIONS is {asked!r}, but must be xla or onednn: correct it, or unset it.")
    return asked


def keep_convolutions(name: str) -> None:
    """Goes on with those convolutions, if they are here and `GVLAB_CONVOLUTIONS` does not say otherwise.

    Args:
        name: that `decisive_settings` had for what is continued or repeated now.
    """
    if _asked_convolutions() in ("", "onednn" if name != onednn.XLA else name):
        onednn.use(name)


def cpu_threads() -> int | None:
    """How many threads XLA:CPU works with, by its own rule; for another number bits differ."""
    for name in ("PJRT_NPROC", "NPROC"):
        if os.environ.get(name, "").strip().isdecimal():
            return int(os.environ[name])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def user_cache() -> Path | None:
    """The directory for what this user's programs can make again; None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gvlab"
    except RuntimeError:
        return None


def check_variables() -> None:
    """Imports JAX, which reads its environment variables.

    Raises:
        UserError: it cannot take one of them.
    """
    try:
        import jax  # noqa: F401
    except ValueError as error:
        given = ", ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("JAX_"))
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"JAX refuses one of {given} ({reason}): correct the variable, or unset it.") from error


def pin() -> None:
    """Gives `PINNED` its values; what was set otherwise, by a variable or an experiment file, is said."""
    import jax

    for name, value in _settings(PINNED).items():
        if value != PINNED[name]:
            jax.config.update(name, PINNED[name])
            print(f"gvlab: {name} was {value}, but numbers must not depend on it: {PINNED[name]}.", file=sys.stderr)


def start(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """As a program begins that is mostly short runs: settings, flags, memory and convolutions as above, and what is
    compiled is kept in the user's cache.

    Args:
        coordinator: HOST:PORT of the first of several processes that train one run on all their devices, or "auto"
            where JAX finds its cluster by itself (SLURM, Open MPI, TPU pods); None for one process.
        processes: how many there are; wanted with HOST:PORT.
        process: the number of this one, from 0.

    Raises:
        UserError: JAX or XLA cannot take what the environment sets, or a platform that it names is not here.
    """
    check_variables()
    _asked_convolutions()
    import jax

    pin()
    check_flags()
    fast_cpu()
    keep_memory()
    cache = user_cache()
    if cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", str(cache / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
    # A cache that cannot be written costs time, not the result.
    warnings.filterwarnings("ignore", message="Error (reading|writing) persistent compilation cache")
    if coordinator == "auto":
        jax.distributed.initialize()
    elif coordinator:
        jax.distributed.initialize(coordinator, processes, process)
    _check_platforms()
    if jax.default_backend() == "cpu":
        fast_convolutions()


def _check_platforms() -> None:
    """Starts JAX's back-end; `UserError` with the platforms that there are if those that the user names are not."""
    import jax

    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # JAX asserts that CUDA is there
        asked = jax.config.values["jax_platforms"] or jax.config.values["jax_platform_name"]
        if not asked:
            raise UserError(f"JAX finds no device ({' '.join(str(error).split())}).") from error
        jax.config.update("jax_platforms", "")
        jax.config.update("jax_platform_name", "")
        here = sorted({"cpu", jax.devices()[0].platform})
        raise UserError(
            f"JAX_PLATFORMS is {asked!r}, but here there is only {' and '.join(here)}: name that, or unset it."
        ) from error
