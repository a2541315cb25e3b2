"""What the process's surroundings may decide, and what they may not: JAX's variables, XLA's flags, memory, a home."""

import functools
import json
import os
import pwd
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import harness
import jax
import pytest

from gvlab import UserError, backend, data, rng
from gvlab.data import sources
from gvlab.evaluate import features
from gvlab.extractors import weights
from gvlab.extractors.extractor import Extracted, Extractor

EIGEN = "--xla_cpu_experimental_ynn_fusion_type="


def python(program: str, **environment: str) -> str:
    """What a process prints that has no XLA flags yet."""
    inherited = {**os.environ, "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=inherited | environment, capture_output=True, text=True, check=True
    )
    return done.stdout


# --- XLA's flags ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "before", "after"),
    [
        (True, "", EIGEN),
        (True, "--xla_a=1", f"--xla_a=1 {EIGEN}"),
        (True, f"{EIGEN}dot", f"{EIGEN}dot"),
        (True, "a_file_of_flags", "a_file_of_flags"),
        (False, "--xla_a=1", "--xla_a=1"),
        (False, "", ""),
    ],
)
def test_the_flag_is_added_once_and_only_where_it_is_known(known, before, after, monkeypatch):
    monkeypatch.setattr(backend, "knows", lambda flag: known)
    monkeypatch.setenv("XLA_FLAGS", before)
    for _ in range(2):
        backend.fast_cpu()
        assert os.environ["XLA_FLAGS"] == after


def test_jaxlib_is_asked_for_its_flags():
    assert backend.knows("xla_force_host_platform_device_count")
    assert not backend.knows("xla_force_host_platform_device_coun")
    assert not backend.knows("xla_cpu_no_such_flag")


def test_xla_obeys():
    """The compiled product is a plain dot, not a call of YNNPACK."""
    compiled = python(
        "from gvlab import backend; backend.fast_cpu()\n"
        "import jax, jax.numpy as jnp\n"
        "x = jnp.ones((512, 512))\n"
        "print(jax.jit(lambda x: x @ x).lower(x).compile().as_text())"
    )
    assert " dot(" in compiled
    assert "ynn" not in compiled


# --- what a user's profile sets ---------------------------------------------------------------------------------------

EVERYTHING = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_MATMUL_PRECISION": "highest",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
}


def test_jax_settings_of_a_profile_change_no_bit(tmp_path):
    experiment = replace(harness.COMPARED["vae"], steps=4, log_every=1)
    file = harness.experiment_file(tmp_path, experiment)
    made = {}
    for name, variables in (("plain", {}), ("set", EVERYTHING)):
        process = functools.partial(harness.run, env=harness.environment(**variables)) if variables else harness.again
        run = tmp_path / name / "vae" / "seed-0"
        for args in (("train", file, "--out", tmp_path / name), ("evaluate", run)):
            done = process(*args)
            assert done.returncode == 0, done.stderr
            for variable in variables:
                assert (f"gvlab: {variable.lower()} was " in done.stderr) == (variable.lower() in backend.PINNED)
        measured = json.loads((run / "evaluation.json").read_text())
        del measured["measures_sha256"]  # of the speed, too
        for measure in measured["measures"].values():
            measure.pop("points_per_second", None)
        made[name] = (run / "states.jsonl").read_text(), measured
    assert made["plain"] == made["set"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("JAX_PLATFORMS", "cuda", "JAX_PLATFORMS is 'cuda', but here there is only cpu"),
        ("JAX_PLATFORMS", "gup", "JAX_PLATFORMS is 'gup', but here there is only cpu"),
        ("JAX_ENABLE_X64", "maybe", "JAX_ENABLE_X64=maybe"),
        ("JAX_DEFAULT_MATMUL_PRECISION", "bogus", "JAX_DEFAULT_MATMUL_PRECISION=bogus"),
        ("XLA_FLAGS", "--xla_bogus", "Unknown flag in XLA_FLAGS: --xla_bogus"),
        ("XLA_FLAGS", "--xla_force_host_platform_device_count=two", "interpret value two"),
    ],
)
def test_surroundings_that_cannot_be_are_said_in_a_sentence(variable, value, words, tmp_path):
    done = harness.run("compare", "nowhere.py", cwd=tmp_path, env=harness.environment(**{variable: value}))
    harness.assert_refused(done.returncode, done.stdout, done.stderr, words)
    assert list(tmp_path.iterdir()) == []


def test_a_pinned_setting_is_said_and_set(monkeypatch, capsys):
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", False)
    try:
        assert backend.decisive_settings()["jax_threefry_partitionable"] == "False"
        backend.pin()
        assert jax.config.jax_threefry_partitionable is True
        assert "gvlab: jax_threefry_partitionable was False, " in capsys.readouterr().err
        backend.pin()
        assert capsys.readouterr().err == ""
    finally:
        jax.config.update("jax_threefry_partitionable", before)


def test_the_recorded_defaults_are_jax_s_own():
    program = "import json; from gvlab import backend as b; print(json.dumps([b.decisive_settings(), b.DEFAULTS]))"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    settings, defaults = json.loads(done.stdout)
    assert settings == defaults
    assert set(backend.PINNED) <= set(jax.config.values)
    assert set(backend.PINNED) <= {name.lower() for name in EVERYTHING}


def test_the_generator_of_a_run_is_not_the_default_s():
    with jax.default_prng_impl("rbg"):
        assert str(jax.random.key_impl(rng.root(3))) == "threefry2x32"


# --- memory -----------------------------------------------------------------------------------------------------------


def test_kept_memory_spares_page_faults_and_changes_no_bit():
    program = """
import hashlib, resource, sys
from gvlab import backend
if sys.argv[1] == "kept":
    assert backend.keep_memory()
import jax, jax.numpy as jnp, numpy as np

@jax.jit
def step(w):  # its temporaries take 48 MiB: beyond 64 they are given back in any case
    x = jnp.ones((49152, 64))
    return w - 1e-3 * jax.grad(lambda w: jnp.sum(jnp.sin(jnp.cos(x @ w) @ w)))(w)

w, faults = jax.random.normal(jax.random.key(0), (64, 64)), []
for _ in range(20):  # in the first of them the heap grows
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    w = jax.block_until_ready(step(w))
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sorted(faults)[5], hashlib.sha256(np.asarray(w).tobytes()).hexdigest())
"""
    if not hasattr(os, "confstr") or "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        assert not backend.keep_memory()
        pytest.skip("not glibc")
    made = {}
    for form in ("kept", "returned"):
        done = subprocess.run(
            [sys.executable, "-c", program, form], env=harness.environment(), capture_output=True, text=True, check=True
        )
        made[form] = done.stdout.split()
    assert made["kept"][1] == made["returned"][1]
    assert int(made["kept"][0]) < 100
    assert int(made["returned"][0]) > 10_000


@pytest.mark.parametrize("variable", ["MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"])
def test_who_tunes_allocation_is_left_alone(variable, monkeypatch):
    monkeypatch.setenv(variable, "glibc.malloc.trim_threshold=131072")
    assert not backend.keep_memory()


def test_another_c_library_is_left_alone(monkeypatch):
    def unknown(name):
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", unknown)
    assert not backend.keep_memory()


# --- a user without a home --------------------------------------------------------------------------------------------


@pytest.fixture
def nobody(monkeypatch):
    """As in a container that runs with --user 12345."""

    def unknown(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME", "TFDS_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_without_a_home_nothing_is_cached(nobody):
    assert backend.user_cache() is None
    digits = data.load("digits")
    corner = Extractor("corner", lambda x: Extracted(x.reshape(len(x), -1)[:, :3], None), sha256="0" * 64)
    assert features.of_split(corner, digits, "test").features.shape == (300, 3)


def test_without_a_home_a_data_set_has_no_place_and_weights_neither(nobody):
    with pytest.raises(UserError, match="set TFDS_DATA_DIR"):
        sources.prepare("mnist")
    with pytest.raises(UserError, match="set XDG_CACHE_HOME"):
        weights.weights_dir()


def test_a_home_or_a_cache_directory_is_used(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert backend.user_cache() == Path("/home/somebody/.cache/gvlab")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch")
    assert backend.user_cache() == Path("/scratch/gvlab")
