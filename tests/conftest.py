"""Strict settings for every test: shapes and types checked at run time, four CPU devices, warnings are errors."""

import os

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
