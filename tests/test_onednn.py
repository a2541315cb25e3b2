"""Convolutions by oneDNN: XLA's numbers, the same bits each time, and a choice that is recorded, kept and never in an
export."""

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import UserError, backend, build, config, data, export, networks, onednn, parallel
from gvlab.compare import marks, programs, units
from gvlab.networks import grouped
from gvlab.networks.convolution import conv, conv_transpose, kernel_gradient
from gvlab.runs import directory as rundir
from gvlab.runs import environment
from gvlab.train import train
from gvlab.train.engines import alone

READY = onednn.is_installed() and any(map(shutil.which, ("c++", "g++")))
needs_onednn = pytest.mark.skipif(not READY, reason="pip install 'gvlab[onednn]', and a C++ compiler on the path")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("onednn")


@pytest.fixture(scope="module")
def compiled(cache):
    """The foreign function, compiled once."""
    return onednn.load(cache, threads=2)


@pytest.fixture
def in_use(compiled):
    assert onednn.use(compiled)
    yield compiled
    onednn.use(onednn.XLA)


def by_xla(function, *arguments):
    with onednn.unused():
        return jax.jit(function)(*arguments)


def close(found, expected):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, atol=1e-5 * float(jnp.abs(b).max()))


def normal(*shape):
    return jax.random.normal(jax.random.key(sum(shape)), shape)


@needs_onednn
@pytest.mark.parametrize(
    ("large", "kernel", "strides"),
    [
        ((2, 9, 11, 3), (4, 4, 3, 8), (2, 2)),
        ((2, 8, 8, 16), (3, 3, 16, 24), (1, 1)),
        ((2, 5, 5, 8), (5, 5, 8, 8), (3, 2)),  # an output smaller than the kernel
        ((2, 7, 6, 1), (3, 3, 1, 32), (1, 2)),  # few channels: a product of its own
        ((2, 1, 64, 4), (1, 25, 4, 6), (1, 4)),  # along time
    ],
)
def test_the_three_faces_are_those_of_xla(in_use, large, kernel, strides):
    def faces(x, k, small):
        back = conv_transpose(small, k, strides)
        return conv(x, k, strides), back, kernel_gradient(x, small, strides, kernel[:2])

    small = (large[0], *(-(-n // s) for n, s in zip(large[1:3], strides, strict=True)), kernel[3])
    arguments = normal(*large), normal(*kernel), normal(*small)
    close(jax.jit(faces)(*arguments), by_xla(faces, *arguments))
    assert "gvlab_convolution" in jax.jit(faces).lower(*arguments).as_text()


@needs_onednn
@pytest.mark.parametrize(("channels", "features", "groups"), [(8, 12, 4), (32, 32, 2)])
def test_groups_are_those_of_xla(in_use, channels, features, groups):
    def faces(x, k, out):
        made, back = jax.vjp(partial(grouped.grouped_conv, groups=groups), x, k)
        return made, back(out)

    arguments = normal(2, 6, 5, channels), normal(3, 3, channels // groups, features), normal(2, 6, 5, features)
    close(jax.jit(faces)(*arguments), by_xla(faces, *arguments))


def penalty(x, k, last):
    """R1 of a critic of two convolutions: a gradient of a gradient goes through all faces."""

    def critic(x):
        return jnp.tanh(conv(jnp.tanh(conv(x, k, (2, 2))), last, (2, 2))).sum()

    return jnp.sum(jax.grad(critic)(x) ** 2)


@needs_onednn
def test_second_derivatives_repeat_to_the_bit_and_are_those_of_xla(in_use):
    arguments = normal(4, 8, 8, 3), normal(4, 4, 3, 16), normal(4, 4, 16, 8)
    gradient = jax.jit(jax.grad(penalty, (0, 1, 2)))
    first, second = gradient(*arguments), gradient(*arguments)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    close(first, by_xla(jax.grad(penalty, (0, 1, 2)), *arguments))


@needs_onednn
def test_under_vmap_and_on_a_mesh_of_devices(in_use):
    x, k = normal(3, 4, 6, 6, 2), normal(3, 3, 3, 2, 4)
    both = jax.vmap(partial(conv, strides=(1, 1)))
    close(jax.jit(both)(x, k), by_xla(both, x, k))
    mesh = parallel.data_mesh(jax.devices()[:2])
    split = jax.device_put(x[0], parallel.split(mesh)), jax.device_put(k[0], parallel.replicated(mesh))
    gradient = jax.grad(lambda x, k: jnp.sum(conv(x, k, (2, 2)) ** 3), (0, 1))
    close(jax.device_get(jax.jit(gradient)(*split)), by_xla(gradient, x[0], k[0]))


@needs_onednn
def test_activations_of_bfloat16_are_left_to_xla(in_use):
    x, k = normal(1, 4, 4, 2).astype(jnp.bfloat16), normal(3, 3, 2, 2).astype(jnp.bfloat16)
    assert "gvlab_convolution" not in jax.jit(partial(conv, strides=(1, 1))).lower(x, k).as_text()


@needs_onednn
def test_a_training_by_it_is_another_program_and_says_so(compiled):
    experiment = config.Experiment("digits", config.VAE(config.Article(), 2), steps=1)
    program = build.program(experiment, data.load("digits"))
    before = programs.identity(program)
    assert backend.CONVOLUTIONS not in before["settings"]  # as it was before there was a choice
    onednn.use(compiled)
    other, noted, flops = programs.identity(program), environment.environment(), programs.flops_per_step(program)
    onednn.use(onednn.XLA)
    assert other["settings"] == before["settings"] | {"convolutions": compiled}
    assert other["program"]["step"] != before["program"]["step"]
    assert noted["convolutions"] == compiled
    assert flops == programs.flops_per_step(program)  # of the operations none is lost
    assert programs.identity(program) == before


@needs_onednn
def test_what_goes_on_keeps_its_convolutions(in_use, tmp_path, monkeypatch):
    monkeypatch.delenv("GVLAB_CONVOLUTIONS")

    def after(recorded, asked=None):
        (tmp_path / "environment.json").write_text(json.dumps(recorded))
        onednn.use(in_use)
        environment.keep_convolutions([tmp_path / "has_not_begun", tmp_path])
        return onednn.choice()

    assert after({"jax": "0.10.2"}) == "xla"  # of before there was a choice
    assert after({"convolutions": in_use}) == in_use
    assert after({"convolutions": "oneDNN 1999.1"}) == in_use  # which is not here: a sentence tells of it later
    monkeypatch.setenv("GVLAB_CONVOLUTIONS", "onednn")
    assert after({"convolutions": "xla"}) == in_use


@needs_onednn
def test_what_does_not_fit_is_refused_and_what_is_empty_is_left_to_xla(in_use):
    with pytest.raises(Exception, match="the channels of the images and of the kernel do not fit"):
        jax.block_until_ready(onednn.down(normal(1, 4, 4, 4), normal(3, 3, 2, 6), (1, 1)))
    assert not onednn.takes(jnp.zeros((0, 4, 4, 1)))
    assert not onednn.takes(jnp.zeros((1, 4, 4, 0)), jnp.zeros((3, 3, 0, 2)))


@needs_onednn
def test_it_is_in_no_export(in_use, tmp_path):
    experiment = config.Experiment("digits", config.VAE(config.Article(), 2), steps=1)
    run = train(alone(build.program(experiment, data.load("digits"))), tmp_path, seed=0)
    assert json.loads((run / "environment.json").read_text())["convolutions"] == in_use
    folder = export.write_model(run, tmp_path / "exported")
    assert all(b"gvlab_convolution" not in file.read_bytes() for file in folder.glob("*.jax_export"))
    assert onednn.choice() == in_use


@needs_onednn
def test_a_unit_goes_on_with_its_own_and_a_new_one_with_those_of_the_others(in_use, tmp_path, monkeypatch):
    monkeypatch.delenv("GVLAB_CONVOLUTIONS")
    experiments = [config.Experiment("e", config.VAE(config.MLP((2,)), 2), steps=1, seed=seed) for seed in range(3)]
    for experiment, convolutions in zip(experiments[:2], ("xla", in_use), strict=True):
        run = rundir.path(units.directory(tmp_path), experiment)
        run.mkdir(parents=True)
        (run / "environment.json").write_text(json.dumps({"convolutions": convolutions}))

    def chosen_for(experiment):
        units.keep_convolutions(tmp_path, [experiment, *experiments])
        return onednn.choice()

    assert [chosen_for(experiment) for experiment in experiments] == ["xla", in_use, "xla"]


@needs_onednn
def test_the_name_says_what_else_decides_bits(monkeypatch, tmp_path):
    before = onednn._name()
    source = tmp_path / "onednn.cc"
    monkeypatch.setattr(onednn, "_SOURCE", source)
    text = Path(onednn.__file__).with_suffix(".cc").read_text()
    source.write_text("// another remark\n" + text)
    assert onednn._name() == before
    source.write_text(text.replace("<= 2 * kernel[3]", "<= 3 * kernel[3]"))
    assert onednn._name() != before
    source.write_text(text)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("ONEDNN_VERBOSE", "0")
    assert onednn._name() == f"{before}, ONEDNN_MAX_CPU_ISA=AVX2"


def test_units_of_other_convolutions_are_marked():
    one = {"program": {"step": "a"}, "versions": {}, "settings": {}}
    other = one | {"settings": {"convolutions": "oneDNN 1"}}
    assert marks.of_training(one, other) == "trained with other convolutions (xla)"
    assert marks.of_training(other, one) == "trained with other convolutions (oneDNN 1)"


# --- where it cannot be used ------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(monkeypatch):
    """As in a process that has not loaded it."""
    monkeypatch.setattr(onednn, "_loaded", None)
    monkeypatch.delenv("GVLAB_CONVOLUTIONS")


def test_an_extra_that_cannot_be_used_is_said_once(fresh, monkeypatch, capsys):
    def broken(cache, threads):
        raise onednn.Unavailable("there is no C++ compiler")

    monkeypatch.setattr(onednn, "load", broken)
    monkeypatch.setattr(onednn, "is_installed", lambda: False)
    assert not backend.fast_convolutions()
    assert capsys.readouterr().err == ""  # whoever has not asked for it hears nothing
    monkeypatch.setattr(onednn, "is_installed", lambda: True)
    assert not backend.fast_convolutions()  # there are four devices
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(jax, "device_count", lambda: 1)
    assert not backend.fast_convolutions()
    assert capsys.readouterr().err == (
        "gvlab: oneDNN cannot be used, since there is no C++ compiler: XLA's convolutions are taken.\n"
    )
    monkeypatch.setenv("GVLAB_CONVOLUTIONS", "onednn")
    with pytest.raises(UserError, match="GVLAB_CONVOLUTIONS is onednn, but there is no C\\+\\+ compiler: mend that"):
        backend.fast_convolutions()
    monkeypatch.setenv("GVLAB_CONVOLUTIONS", "mkl")
    with pytest.raises(UserError, match="is 'mkl', but must be xla or onednn"):
        backend.fast_convolutions()


@needs_onednn
def test_why_it_cannot_be_compiled(fresh, monkeypatch, tmp_path):
    def refused(match):
        with pytest.raises(onednn.Unavailable, match=match):
            onednn.load(tmp_path / "cache", threads=1)

    source = tmp_path / "broken.cc"
    source.write_text("int main( {")
    monkeypatch.setattr(onednn, "_SOURCE", source)
    refused("cannot compile its function .*error")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    refused("there is no C\\+\\+ compiler")
    monkeypatch.setattr(onednn.platform, "machine", lambda: "riscv64")
    refused("it is for Linux on x86-64")


@needs_onednn
@pytest.mark.usefixtures("compiled")
def test_a_library_that_is_damaged_in_the_cache_is_compiled_again(cache, tmp_path, monkeypatch):
    (library,) = cache.glob("*.so")
    asked = []

    def compiled_again(onednn, headers, target):
        asked.append(target)
        shutil.copyfile(library, target)
        return target

    monkeypatch.setattr(onednn, "_compiled", compiled_again)
    assert onednn._open(cache)
    assert not asked
    shutil.copytree(cache, tmp_path / "cache")
    damaged = tmp_path / "cache" / library.name
    for content in (b"", library.read_bytes()[:5000]):
        damaged.unlink()  # the one before is mapped
        damaged.write_bytes(content)
        assert onednn._open(tmp_path / "cache").gvlab_convolution
        assert damaged.read_bytes() == library.read_bytes()
    assert len(asked) == 2
    (tmp_path / "file").touch()
    assert onednn._open(tmp_path / "file" / "cache").gvlab_convolution  # which cannot be written
    assert onednn._open(None).gvlab_convolution
    assert not asked[-1].exists()


@needs_onednn
@pytest.mark.usefixtures("compiled")
def test_fewer_threads_than_are_asked_for_are_refused(cache):
    program = f"from pathlib import Path; from gvlab import onednn; onednn.load(Path({str(cache)!r}), 2)"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"OMP_THREAD_LIMIT": "1"}, capture_output=True, text=True
    )
    assert "OpenMP gives it 1 threads and not 2" in done.stderr


def test_layers_ask_before_they_leave_xla():
    assert onednn.choice() == onednn.XLA
    layer = networks.Conv(2, (3, 3))
    shapes = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((1, 4, 4, 1)))
    text = jax.jit(layer.apply).lower(shapes, jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)).as_text()
    assert "gvlab_convolution" not in text
