"""A trained model taken away: the same bits from a folder, in a process that has no gvlab."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from importlib import util
from pathlib import Path

import flax.linen as nn
import harness
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from harness import assert_refused, call
from programs import IMAGE, program

import gvlab
from gvlab import build, data, export, networks, rng, schema, trained, tree
from gvlab import config as c
from gvlab.config import own as own_classes
from gvlab.evaluate import results
from gvlab.export import agreement, card, onnx_files, programs
from gvlab.files import sha256
from gvlab.types import UserError

OWN = """
from dataclasses import dataclass, replace

import flax.linen as nn
import jax.numpy as jnp

from gvlab import networks
from gvlab.config import GAN, Experiment


class Generator(nn.Module):
    shape: tuple

    @nn.compact
    def __call__(self, z, y=None, *, train):
        z = z * 1.37 + 0.21 * jnp.sin(z)  # fused with the draw of z it would be rounded otherwise
        x = jnp.tanh(nn.Dense(256)(networks.append_label(z, y)))
        return x.reshape(BATCH, *self.shape)


@dataclass(frozen=True)
class Nets:
    def networks(self, shape, classes, axis_name):
        return Generator(shape), networks.MLPDiscriminator(hidden=(4,))


def config():
    return Experiment("own", GAN(Nets(), latent_dim=5, conditional=True), steps=2, batch_size=8, sample_every=100)
"""

PROGRAM = """
import sys

try:
    import gvlab
except ImportError:
    pass
else:
    raise AssertionError("gvlab is here")
import importlib
import pathlib

import numpy as np

root, made = pathlib.Path(sys.argv[1]), {}
given = np.load(root / "given.npz")
for name in ("vae", "gan", "own"):
    sys.path.insert(0, str(root / name))
    sys.modules.pop("load", None)
    load = importlib.import_module("load")
    sys.path.pop(0)
    for n in (1, 7):
        made[f"{name} sample {n}"] = load.sample(n, seed=3)
    made[f"{name} truncated"] = load.sample(7, seed=3, truncation=0.5)
    made[f"{name} decode"] = load.decode(given[name])
    if name == "vae":
        made["vae mean"], made["vae logvar"] = load.encode(given["x"])
    if name == "own":
        made["own sevens"] = load.sample(7, y=7)
        made["own classes"] = load.decode(given["own"], y=given["y"])
        made["own between"] = load.decode(given["own"], y=given["between"])
        try:
            load.sample(7, y=10)
        except IndexError:
            made["own refused"] = True
np.savez(root / "made.npz", **made)
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory) -> tuple[Path, Path]:
    """A run of a conditional GAN whose networks are of an experiment file, and the file."""
    directory = tmp_path_factory.mktemp("own")
    file = directory / "own.py"
    file.write_text(OWN.replace("BATCH", "x.shape[0]"))
    assert call("train", file, "--out", directory) == 0
    return directory / "own" / "seed-0", file


@pytest.fixture(scope="module")
def exported(own, tmp_path_factory) -> Path:
    """A folder with an export of a VAE, of a DCGAN, and of the own one; the runs as they were."""
    root = tmp_path_factory.mktemp("exported") / "not" / "there"  # what an export lies in is made with it
    for name in ("vae", "gan"):
        run = harness.trained(name)
        before = harness.contents(run)
        assert call("export", run, "--out", root / name) == 0
        assert not harness.changed(run, before)
    assert call("export", own[0], "--experiment", own[1], "--out", root / "own") == 0
    assert sorted(path.name for path in root.iterdir()) == ["gan", "own", "vae"]
    return root


PACKAGES = ("flatbuffers", "jax", "jaxlib", "ml_dtypes", "numpy", "numpy.libs", "opt_einsum", "scipy", "scipy.libs")
"""JAX, NumPy, what JAX itself requires, and what `jax.export` reads its files by."""


def alone(program: str, directory: Path, *args: object) -> None:
    """Runs it in a process of its own that has no other packages, on the processor as here."""
    for name in PACKAGES:
        if (package := Path(np.__file__).parents[1] / name).exists():
            (directory / name).symlink_to(package)
    variables = {
        "JAX_COMPILATION_CACHE_DIR": jax.config.values["jax_compilation_cache_dir"],
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.1",
        **{name: os.environ[name] for name in ("JAX_PLATFORMS", "XLA_FLAGS")},
    }
    begin = f"import sys\nsys.path.append({str(directory)!r})\n"  # -S: nothing else of what is installed
    command = [sys.executable, "-S", "-I", "-W", "error", "-c", begin + program, *map(str, args)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_the_same_bits_where_there_is_no_gvlab(exported, own, tmp_path):
    root = shutil.copytree(exported, tmp_path / "elsewhere")
    models = {name: gvlab.load(harness.trained(name)) for name in ("vae", "gan")}
    models["own"] = gvlab.load(own[0], own[1])
    z = {name: np.asarray(model.latents(jax.random.key(1), 7)) for name, model in models.items()}
    x = data.load("digits").test.x[:7]
    classes = {"y": np.arange(7)[::-1], "between": np.full((7, 10), 0.1)}
    np.savez(root / "given.npz", x=x, **classes, **z)
    (tmp_path / "packages").mkdir()
    alone(PROGRAM, tmp_path / "packages", root)
    expected = {f"{name} sample {n}": model.sample(n, seed=3) for name, model in models.items() for n in (1, 7)}
    expected |= {f"{name} truncated": model.sample(7, seed=3, truncation=0.5) for name, model in models.items()}
    expected |= {f"{name} decode": model.decode(z[name]) for name, model in models.items()}
    expected["vae mean"], expected["vae logvar"] = models["vae"].encode(x)
    expected["own sevens"] = models["own"].sample(7, y=7)
    expected |= {"own classes": models["own"].decode(z["own"], classes["y"]), "own refused": True}
    expected["own between"] = models["own"].decode(z["own"], classes["between"])
    with np.load(root / "made.npz") as made:
        assert set(made) == set(expected)
        for name, array in expected.items():
            np.testing.assert_array_equal(made[name], array, err_msg=name)


def test_the_loader_has_17_lines_and_four_imports():
    text = Path(export.__file__).with_name("loader.py").read_text().rpartition('"""')[2]
    lines = [line for line in text.splitlines() if line.strip()]
    imports = [line for line in lines if "import " in line]
    assert len(imports) == 4
    assert len(lines) - len(imports) <= 17


@pytest.mark.parametrize("name", ["vae", "gan", "own"])
def test_the_card(exported, own, name):
    folder = exported / name
    known = json.loads((folder / "card.json").read_text())
    schema.check(known, card.Card)
    model = gvlab.load(own[0], own[1]) if name == "own" else gvlab.load(harness.trained(name))
    programs = {"sample", "decode", "encode"} if name == "vae" else {"sample", "decode"}
    files = {f"{program}.jax_export" for program in programs} | {"load.py", "weights.safetensors"}
    assert known["files"] == {file: sha256(folder / file) for file in files}
    assert {file.name for file in folder.iterdir()} == files | {"card.json"}
    assert known["programs"].keys() == programs
    assert all(program["largest_difference"] == 0 for program in known["programs"].values())
    assert known["platforms"] == ["cpu", "cuda", "tpu"]
    assert (known["shape"], known["range"], known["classes"]) == ([16, 16, 1], [0, 1], 10 if name == "own" else 0)
    assert known["experiment"] == json.loads(c.to_json(model.experiment))
    assert known["run"]["state_sha256"] == tree.digest(model.state)
    assert known["run"]["data"]["sha256"] == data.load("digits").checksum
    assert known["evaluation"] is None
    for file in folder.iterdir():
        assert str(Path(gvlab.__file__).parents[1]).encode() not in file.read_bytes(), file


def test_the_names_of_the_weights(exported):
    tensors, about = gvlab.extractors.weights.read_safetensors(exported / "vae" / "weights.safetensors")
    model = gvlab.load(harness.trained("vae"))
    assert about == {"name": "vae"}
    np.testing.assert_array_equal(
        tensors["encoder"]["params"]["mean"]["kernel"], model.params["encoder"]["mean"]["kernel"]
    )
    known = json.loads((exported / "gan" / "card.json").read_text())["weights"]
    assert known["generator.batch_stats.BatchNorm_0.mean"]["path"] == ".ema_stats['BatchNorm_0']['mean']"
    assert not [name for name in known if not name.startswith("generator.")]


def test_a_whole_model_of_ones_own():
    """Nobody says which arrays of its state are weights: they are those that its programs read."""
    theirs = runpy.run_path(str(Path(__file__).parents[2] / "experiments" / "own_model.py"))
    made = program(replace(theirs["MomentMatching"](), hidden=(4,), latent_dim=3), IMAGE)
    model = trained.Trained(made, jax.jit(made.model.init)(rng.root(0), made.first_batch()))
    weights = programs.weights_of(model)
    layers = ("Dense_0", "Dense_1")
    assert weights.paths == {
        f"params.{layer}.{name}": f".params['{layer}']['{name}']" for layer in layers for name in ("bias", "kernel")
    }
    sample = programs.lowered(model, weights)["sample"]
    x = sample.call(weights.arrays, np.int32(3), np.float32(np.inf), np.zeros((7, 0), np.float32))
    np.testing.assert_array_equal(x, model.sample(7, seed=3))
    # Its prior is its own: nobody draws from a truncated normal in its place, neither by Python nor in the program.
    with pytest.raises(UserError, match=r"truncation is 0\.5, but it is of the normal prior, and .* has a prior"):
        model.sample(7, seed=3, truncation=0.5)
    x = sample.call(weights.arrays, np.int32(3), np.float32(0.5), np.zeros((7, 0), np.float32))
    assert np.isnan(x).all()


def test_the_loader_refuses_a_truncation_of_ones_own_prior(exported, tmp_path):
    folder = shutil.copytree(exported / "gan", tmp_path / "gan")
    assert json.loads((folder / "card.json").read_text())["prior"] == "normal"
    harness.edit_json(folder / "card.json", lambda known: known.update(prior="own"))
    loaded = runpy.run_path(str(folder / "load.py"))
    with pytest.raises(ValueError, match=r"truncation is 0\.5, but it is of the normal prior, and this model"):
        loaded["sample"](2, truncation=0.5)
    assert loaded["sample"](2).shape == (2, 16, 16, 1)


def test_measures_and_whose_they_are(tmp_path):
    run = shutil.copytree(harness.trained("vae"), tmp_path / "seed-0")
    model, built = gvlab.load(run), harness.program("vae")
    measures = {"frechet_pixels": {"value": 1.5, "stamp": {"step": 100, "examples": 64}}}
    for state, of_these in ((model.state, True), (model.state.replace(step=model.state.step - 50), False)):
        results.write(run, built, state, measures)
        known = card._evaluation(run, model)
        assert known == {"step": int(state.step), "of_these_weights": of_these, "measures": measures}


def test_exporting_again_gives_the_same_bytes(exported, tmp_path):
    export.write_model(harness.trained("vae"), tmp_path / "again")
    for file in (exported / "vae").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes(), file.name


# --- mistakes ---------------------------------------------------------------------------------------------------------


def test_of_a_run_without_a_checkpoint(tmp_path, capsys):
    run = shutil.copytree(harness.trained("gan"), tmp_path / "gan" / "seed-0")
    shutil.rmtree(run / "checkpoints")
    (run / "status.json").unlink()
    (tmp_path / "made").mkdir()
    code = call("export", run, "--out", tmp_path / "made" / "model")
    assert_refused(code, *capsys.readouterr(), f"{run} has no checkpoint yet: train it first")
    assert list((tmp_path / "made").iterdir()) == []


def test_of_own_parts_without_their_file(own, tmp_path, capsys, monkeypatch):
    for known in ("_SOURCES", "_MODULES"):  # as another process would have it: no file was executed here
        monkeypatch.setattr(own_classes, known, {})
    code = call("export", own[0], "--out", tmp_path / "model")
    assert_refused(code, *capsys.readouterr(), "--experiment")
    assert list(tmp_path.iterdir()) == []


class _Counting(nn.Module):
    @nn.compact
    def __call__(self, z, y=None, *, train):
        return jnp.tanh(nn.Dense(256)(z)).reshape(len(z), 16, 16, 1)


@dataclass(frozen=True)
class _Counts:
    def networks(self, shape, classes, axis_name):
        return _Counting(), networks.MLPDiscriminator(hidden=(4,))


def test_of_own_parts_that_know_no_symbols():
    built = build.program(c.Experiment("counts", c.GAN(_Counts(), latent_dim=4), steps=1), data.load("digits"))
    shapes = jax.eval_shape(built.model.init, rng.root(0), built.first_batch())
    model = trained.Trained(built, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes))
    with pytest.raises(UserError, match=r"sample of counts .* batches of any size .* x.shape\[0\], not len\(x\)"):
        programs.lowered(model, programs.weights_of(model))


def test_places_that_are_not_new(tmp_path, capsys):
    run = harness.trained("gan")
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").touch()
    before = harness.contents(tmp_path)
    for name in ("file", "full"):
        code = call("export", run, "--out", tmp_path / name)
        assert_refused(code, *capsys.readouterr(), f"{tmp_path / name} is there already and not an empty folder")
    code = call("export", run, "--out", tmp_path / "file" / "model")
    assert_refused(code, *capsys.readouterr(), "The file system refuses", "Not a directory")
    code = call("export", tmp_path / "no_run", "--out", tmp_path / "missing" / "model")
    assert_refused(code, *capsys.readouterr(), "There is no")
    code = call("export", tmp_path, "--out", tmp_path / "model")
    assert_refused(code, *capsys.readouterr(), f"{tmp_path} is not a run directory")
    assert harness.contents(tmp_path) == before


def test_the_empty_folder_where_one_is(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export.write_model(harness.trained("vae"), ".")
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (exported / "vae").iterdir()}


def test_of_a_full_disk_nothing_is_left(tmp_path, capsys, monkeypatch):
    def full(*args, **options):
        raise OSError(28, "No space left on device", str(tmp_path / "weights.safetensors"))

    monkeypatch.setattr(gvlab.extractors.weights, "write_safetensors", full)
    code = call("export", harness.trained("gan"), "--out", tmp_path / "model")
    assert_refused(code, *capsys.readouterr(), "No space left on device", "make room")
    assert list(tmp_path.iterdir()) == []


def test_what_computes_something_else_is_not_exported(tmp_path, monkeypatch):
    assert agreement.largest_difference([1.0, 2.0], [1.0, 2.001]) == pytest.approx(0.001)
    for wrong in ([1.0, 2.1], [1.0], [np.nan, 2.0]):
        with pytest.raises(RuntimeError, match="computes something else"):
            agreement.largest_difference(wrong, [1.0, 2.0])


# --- ONNX -------------------------------------------------------------------------------------------------------------


def test_onnx_that_is_not_installed(tmp_path, monkeypatch):
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name, *args: None if name == "jax2onnx" else find(name, *args))
    with pytest.raises(UserError, match=r"--onnx needs jax2onnx, .* pip install 'gvlab\[onnx\]'"):
        export.write_model(tmp_path, tmp_path / "model", onnx=True)
    assert list(tmp_path.iterdir()) == []


MODELS = {
    "dcgan": c.GAN(c.DCGAN(width=32), latent_dim=8),  # some of its convolutions are sums of products on CPU
    "conditional dcgan": c.GAN(c.DCGAN(width=4), latent_dim=8, conditional=True),
    "vae": c.VAE(c.MLP(hidden=(16,)), latent_dim=4),
    "two layers": c.VAE(c.TwoLayerMLP(), latent_dim=150),
}


@pytest.mark.parametrize("name", MODELS)
def test_onnx_gives_the_same_numbers(name, tmp_path):
    for package in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(package, reason="pip install 'gvlab[onnx]'")
    built = build.program(c.Experiment("any", MODELS[name], steps=1), data.load("digits"))
    model = trained.Trained(built, built.model.init(rng.root(0), built.first_batch()))
    about = onnx_files.write(model, tmp_path)
    assert about.keys() == ({"decode", "encode"} if isinstance(MODELS[name], c.VAE) else {"decode"})
    assert max(file["largest_difference"] for file in about.values()) < 1e-5
    z = np.asarray(model.latents(rng.root(1), 7))  # another number than it was compared with
    y = {"y": np.eye(10, dtype=np.float32)[:7]} if model.classes else {}
    (x,) = onnx_files._run(tmp_path / "decode.onnx", {"z": z} | y)
    np.testing.assert_allclose(x, model.decode(z, y.get("y")), atol=1e-5)
