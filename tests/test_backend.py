import importlib.metadata
import os
import subprocess
import sys

import pytest

from gvlab import backend


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.10.2", "", "--xla_cpu_experimental_ynn_fusion_type="),
        ("0.10.0", "--xla_a=1", "--xla_a=1 --xla_cpu_experimental_ynn_fusion_type="),
        ("0.10.2", "--xla_cpu_experimental_ynn_fusion_type=X", "--xla_cpu_experimental_ynn_fusion_type=X"),
        ("0.11.0", "--xla_a=1", "--xla_a=1"),
        ("0.9.1", "", ""),
    ],
)
def test_the_flag_is_added_once_and_only_where_it_is_known(version, before, after, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    monkeypatch.setenv("XLA_FLAGS", before)
    for _ in range(2):
        backend.fast_cpu()
        assert os.environ["XLA_FLAGS"] == after


def test_xla_obeys():
    """The compiled product is a plain dot, not a call of YNNPACK."""
    program = (
        "from gvlab import backend; backend.fast_cpu()\n"
        "import jax, jax.numpy as jnp\n"
        "x = jnp.ones((512, 512))\n"
        "print(jax.jit(lambda x: x @ x).lower(x).compile().as_text())"
    )
    environment = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert " dot(" in done.stdout
    assert "ynn" not in done.stdout
