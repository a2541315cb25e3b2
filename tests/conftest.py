"""Strict settings for every test: shapes and types checked at run time, four CPU devices, warnings are errors."""

import atexit
import os
import shutil
import tempfile

# Compiling is most of what the tests do: all processes of a session share what they compiled, and nothing outlives it.
if "GVLAB_TESTS_CACHE" not in os.environ:
    os.environ["GVLAB_TESTS_CACHE"] = tempfile.mkdtemp(prefix="gvlab-tests-cache-")
    atexit.register(shutil.rmtree, os.environ["GVLAB_TESTS_CACHE"], ignore_errors=True)

# Before JAX starts its back-end.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=4").strip()

from jaxtyping import install_import_hook

# The numeric tower: where a float is declared an integer will do, as for every type checker.
install_import_hook("gvlab", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import jax  # noqa: E402, because the hook must be there before anything imports gvlab

from gvlab import backend  # noqa: E402

backend.fast_cpu()  # as the command line does

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", os.path.join(os.environ["GVLAB_TESTS_CACHE"], "gvlab", "jax"))
jax.config.update("jax_disable_most_optimizations", True)  # the models are too small to gain from LLVM's passes
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
