"""Strict settings for every test: shapes and types checked at run time, four CPU devices, warnings are errors."""

import atexit
import functools
import gc
import os
import shutil
import tempfile
from pathlib import Path

# Compiling is most of what the tests do: all processes of a session share what they compiled, and nothing outlives it.
if "GVLAB_TESTS_CACHE" not in os.environ:
    os.environ["GVLAB_TESTS_CACHE"] = tempfile.mkdtemp(prefix="gvlab-tests-cache-")
    atexit.register(shutil.rmtree, os.environ["GVLAB_TESTS_CACHE"], ignore_errors=True)
# Where runs and comparisons lie that one process trains and all look at; of one session, since they are of its code.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["GVLAB_TESTS_SHARED"] = tempfile.mkdtemp(prefix="gvlab-tests-shared-")
    atexit.register(shutil.rmtree, os.environ["GVLAB_TESTS_SHARED"], ignore_errors=True)

# Before JAX starts its back-end. XLA's convolutions, whether the other ones are installed or not.
os.environ["GVLAB_CONVOLUTIONS"] = "xla"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4").strip()

from beartype import BeartypeConf
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

# Types are checked at every call: by beartype alone, which takes a tenth of the time, in the files of functions that
# name no arrays; elsewhere by jaxtyping, which knows shapes, looks at a configuration when its own checks are done, and
# lets pass what is imported for mypy alone. The numeric tower: where a float is declared an integer will do.
PACKAGE = Path(__file__).parents[1] / "gvlab"
NOT_ALONE = ("jaxtyping", "TYPE_CHECKING", "NamedTuple", "@dataclass")
JAXTYPED = [
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py" and any(word in path.read_text() for word in NOT_ALONE)
]
beartype_package("gvlab", conf=BeartypeConf(is_pep484_tower=True))
install_import_hook(JAXTYPED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import jax  # noqa: E402, because the hook must be there before anything imports gvlab
import pytest  # noqa: E402
from jax._src.interpreters import mlir  # noqa: E402, private: no public name leads to what is cached below

from gvlab import backend  # noqa: E402

backend.fast_cpu()  # as the command line does

# With jaxlib 0.10 it compiles in a fifth of the time by the emitters that it had before, and without threads for code.
# Newer ones have one kind of emitters. The processes that the tests start get the flags, too, for the same bits.
if "GVLAB_TESTS_XLA_FLAGS" not in os.environ:
    quick = {"xla_cpu_use_fusion_emitters": "false", "xla_cpu_parallel_codegen_split_count": "1"}
    known = [f"--{flag}={value}" for flag, value in quick.items() if backend.knows(flag)]
    os.environ["GVLAB_TESTS_XLA_FLAGS"] = " ".join(known)
    os.environ["XLA_FLAGS"] += f" {os.environ['GVLAB_TESTS_XLA_FLAGS']}"

# A context of MLIR is where a program is written down before it is compiled. JAX makes one for each program, whose
# dialects take most of the time of writing a small one, and whose memory stays until the garbage is looked through:
# the tests of networks and losses held 3.5 GB by it, and 1 GB with one context for all, in a fifth less time.
if hasattr(mlir, "make_ir_context"):
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", os.path.join(os.environ["GVLAB_TESTS_CACHE"], "gvlab", "jax"))
jax.config.update("jax_disable_most_optimizations", True)  # the models are too small to gain from LLVM's passes
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
jax.config.update("jax_traceback_in_locations_limit", 0)  # nobody reads where in the code an operation came from: 6 %

# Waiting for the disk guards against a power cut, which no test survives to look: of a killed process nothing is
# lost that it has written. So within the tests' own processes nothing waits (6 ms each time on two busy cores, and a
# unit of a comparison waits 27 times); a closed file is still an error. `gvlab` in processes of its own does wait.
os.fsync = os.fstat

TESTS = Path(__file__).parent
FAST = {"losses", "metrics", "statistics", "config", "data", "test_floors.py", "test_rng.py", "test_tree.py"}
"""The folders and files of the fast tier: what compiles nothing to speak of."""
NOT_FAST = {
    "data/test_sources.py",
    "losses/test_bounds.py",
    "metrics/test_ais.py",
    "metrics/test_disentanglement.py",
}
"""Those of its files that take long all the same: they prepare MNIST, compile, or fit trees."""
LONG = ("train", "runs", "test_notebooks.py", "data/test_sources.py", "compare/test_launch.py", "compare/test_loop.py")
"""What takes longest, and much of it in processes of its own: begun first, so that no process is left with it."""


def pytest_collection_finish():
    """What is there before the first test stays, and the rest is looked through rarely: that was 15 % of the tests'
    time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items):
    """Marks the fast tier, and gives each test its group: the tests of one group share a process and what it compiled.

    That is the file, unless a test says otherwise by `xdist_group`: the parts of a long file may run side by side.
    """
    for item in items:
        file = item.path.relative_to(TESTS)
        if file.parts[0] in FAST and file.as_posix() not in NOT_FAST:
            item.add_marker(pytest.mark.fast)
        if not any(item.iter_markers("xdist_group")):
            item.add_marker(pytest.mark.xdist_group(file.as_posix()))
    items.sort(key=lambda item: not item.path.relative_to(TESTS).as_posix().startswith(LONG))
