"""Values of options that are absurd, and options that would have no effect: one sentence, and nothing made."""

from __future__ import annotations

import functools
import io
import os
import socket
import sys
from dataclasses import replace

import harness
import jax
import pytest
from harness import EXPERIMENTS, assert_refused, call, experiment_file

from gvlab import build, data, memory, sizes
from gvlab import config as c

HUGE = str(10**9)
LARGEST = str(2**31 - 1)

REFUSED = {
    # --- sizes, by arithmetic ---
    "samples beyond any picture": (
        ["sample", "VAE", "--n", HUGE, "--out", "a.png"],
        ["--n is 1000000000", "pixels", "fewer"],
    ),
    "samples beyond 32 bits": (
        ["sample", "VAE", "--n", str(2**40), "--out", "a.png"],
        ["--n is", "at most 2147483647"],
    ),
    "walks": (
        ["interpolate", "GAN", "--rows", HUGE, "--columns", HUGE, "--out", "a.png"],
        ["--rows 1000000000", "pixels"],
    ),
    "neighbours": (["neighbours", "VAE", "--k", HUGE, "--out", "a.png"], ["--k 1000000000", "pixels"]),
    "values of a traversal": (["traverse", "VAE", "--columns", HUGE, "--out", "a.png"], ["--columns is 1000000000"]),
    "reconstructions": (["reconstruct", "VAE", "--n", "301", "--out", "a.png"], ["--n is 301", "digits has only 300"]),
    "neighbours beyond the data": (
        ["neighbours", "VAE", "--n", "1", "--k", "1500", "--out", "a.png"],
        ["1500", "1497"],
    ),
    "latents": (["train", "FILE", "--model.latent-dim", HUGE], ["latent_dim = 1000000000", "GiB of memory", "smaller"]),
    "latents beyond 32 bits": (["train", "FILE", "--model.latent-dim", str(2**31)], ["latent_dim", "2147483647"]),
    "latents beyond 64 bits": (["train", "FILE", "--model.latent-dim", str(10**30)], ["latent_dim", str(10**30)]),
    "samples per step": (["train", "FILE", "--model.num-samples", LARGEST], ["num_samples = 2147483647", "GiB"]),
    "units": (["train", "FILE", "--model.network.hidden", HUGE, HUGE], ["network.hidden = 1000000000", "GiB"]),
    "of a comparison": (["compare", "FILE", "vae.model.latent-dim=1000000000"], ["latent_dim = 1000000000", "GiB"]),
    "of a sweep": (["compare", "FILE", "--sweep", "latent_dim=4,1000000000"], ["latent_dim = 1000000000", "GiB"]),
    "samples to measure": (["evaluate", "VAE", "--samples", HUGE], ["samples is 1000000000", "at most 1000000"]),
    "bound": (["evaluate", "VAE", "--k", HUGE], ["k is 1000000000", "at most 1000000"]),
    # --- values that are none ---
    "endless rate": (["train", "FILE", "--model.optimizer.learning-rate", "1e999"], ["learning_rate", "inf"]),
    "no log": (["train", "FILE", "--log-every", "0"], ["log_every is 0"]),
    "log backwards": (["train", "FILE", "--log-every", "-1"], ["log_every is -1"]),
    "no name": (["train", "FILE", "--name", ""], ["after --name is empty"]),
    "no directory": (["train", "FILE", "--out", ""], ["after --out is empty"]),
    "NUL in a path": (["train", "FILE", "--out", "a\0b"], [r"'a\x00b'", "NUL"]),
    "NUL in a name": (["train", "FILE", "--name", "a\0b"], [r"'a\x00b'", "NUL"]),
    "nothing at all": ([""], ["after gvlab is empty"]),
    "name of a parent": (["train", "FILE", "--name", ".."], ["name is '..'"]),
    "name of a path": (["train", "FILE", "--name", "a/b"], ["name is 'a/b'"]),
    "name beyond a file system": (["train", "FILE", "--name", "a" * 256], ["256 letters", "255 bytes"]),
    "no seed": (["sample", "VAE", "--seed", "-1", "--out", "a.png"], ["--seed is -1"]),
    "no noise": (["evaluate", "GAN", "--metrics", "ais", "--ais-variance", "nan"], ["ais_variance is nan"]),
    "samples of another kind": (
        ["sample", "VAE", "--n", "5", "--out", "a.jpg"],
        ["--out is a.jpg", ".png, .npz, .npy or .txt", "folder"],
    ),
    "latents of another kind": (["decode", "VAE", "--latents", "z.npz", "--out", "a.jpg"], ["a.jpg", ".png, .npz"]),
    "samples without a name": (["sample", "VAE", "--n", "5", "--out", ".png"], ["--out is .png", ".png, .npz"]),
    "a picture without a name": (["interpolate", "VAE", "--out", ".png"], ["--out is .png", "end in .png"]),
    "a picture in no folder": (["interpolate", "VAE", "--out", "no/a.png"], ["(no/a.png)", "make the directory first"]),
    "a pattern": (["train", "FILE", "--out", "a**b"], ["'**'"]),
    "no command before an option": (["--verison"], ["--verison"]),
    "a run in a file": (["sample", "FILE", "--out", "a.png"], ["vae.py is a file", "a run directory is wanted"]),
    "a comparison in nothing": (["report", "nosuch"], ["nosuch is no directory of a comparison", "no such directory:"]),
    "a plan in nothing": (["compare", "nosuch/plan.json"], ["There is no plan nosuch/plan.json"]),
    "features of other data": (["train", "FILE", "--evaluation.features", "cifar10"], ["cifar10"]),
    "steps of five thousand digits": (["train", "FILE", "--steps", "9" * 5000], ["--steps", "5000 digits"]),
    "units of five thousand digits": (["train", "FILE", "--model.network.hidden", "9" * 5000], ["hidden", "999..."]),
    "samples of five thousand digits": (["sample", "VAE", "--out", "a.png", "--n", "9" * 5000], ["--n", "999..."]),
    "a setting of five thousand digits": (["compare", "FILE", f"vae.steps={'9' * 5000}"], ["steps", "5000 digits"]),
    # --- without effect ---
    "weights of pixels": (["neighbours", "VAE", "--weights", "w.npz", "--out", "a.png"], ["--weights w.npz", "pixels"]),
    "weights of digits": (
        ["neighbours", "VAE", "--features", "digits", "--weights", "w", "--out", "a.png"],
        ["--weights w", "digits"],
    ),
    "weights of no features": (["evaluate", "VAE", "--weights", "w.npz"], ["--weights w.npz"]),
    "a bound of a GAN": (["evaluate", "GAN", "--k", "3"], ["--k", "GAN", "leave it out"]),
    "noise that nothing adds": (["evaluate", "GAN", "--ais-variance", "0.1"], ["--ais-variance is 0.1", "ais_gap"]),
    "samples of no distribution": (
        ["evaluate", "VAE", "--metrics", "ais", "--samples", "3"],
        ["--samples would have no effect", "ais"],
    ),
    "features of no distribution": (
        ["evaluate", "VAE", "--metrics", "ais", "ais_gap", "--features", "pixels"],
        ["--features would have no effect", "ais and ais_gap"],
    ),
    # --- what papers call them ---
    **{
        f"paper's {name}": (["evaluate", "VAE", "--metrics", name], [f"'{name}'", asked])
        for name, asked in (
            ("fid", "frechet with --features inception"),
            ("FID", "frechet with --features inception"),
            ("fid-infinity", "frechet_infinity with --features inception"),
            ("KID", "kernel with --features inception"),
            ("recall", "prdc"),
        )
    },
}


@pytest.mark.parametrize(("args", "words"), REFUSED.values(), ids=REFUSED)
def test_one_sentence_and_nothing_made(args, words, tmp_path, monkeypatch, capsys):
    file = experiment_file(tmp_path, EXPERIMENTS["vae"])
    monkeypatch.chdir(tmp_path)
    names = {"FILE": file, "VAE": harness.trained("vae"), "GAN": harness.trained("gan")}
    runs = [harness.contents(names["VAE"]), harness.contents(names["GAN"])]
    code = call(*(names.get(arg, arg) for arg in args))
    out, err = capsys.readouterr()
    assert_refused(code, out, err, *words)
    assert len(err) < 600
    assert [path for path in tmp_path.iterdir() if path.name != "__pycache__"] == [file]
    assert [harness.contents(names["VAE"]), harness.contents(names["GAN"])] == runs


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_what_tyro_refuses_is_one_sentence_on_any_terminal(encoding, tmp_path, monkeypatch):
    file, errors = experiment_file(tmp_path, EXPERIMENTS["vae"]), io.BytesIO()
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(errors, encoding, write_through=True))
    assert call("train", file, "--steps", "many", "--log-every", "3") == 2
    expected = "gvlab: Error parsing --steps: 'many' is no whole number (see gvlab train"
    assert errors.getvalue().decode().startswith(expected)
    assert "---" not in errors.getvalue().decode()


@pytest.mark.parametrize(
    "model",
    [
        c.VAE(c.MLP((8,)), latent_dim=10**9),
        c.VAE(c.MLP((2**31 - 1, 2**31 - 1))),
        c.VAE(c.MLP((8,)), num_samples=2**31 - 1),
        c.VAE(latent_dim=2**31 - 1),
        c.VAE(c.TwoLayerMLP(first=10**9), latent_dim=2 * 10**9),
        c.GAN(latent_dim=2**31 - 1),
        c.GAN(c.DCGAN(width=10**6)),
        c.GAN(c.DCGAN(width=2**31 - 1)),
        c.GAN(c.TwoMLPs(generator=(10**7, 10**7))),
        c.GAN(c.MaxoutMLP(pieces=2**31 - 1)),
    ],
    ids=str,
)
def test_a_model_that_no_memory_holds(model):
    with pytest.raises(build.UserError, match=r"needs at least .* GiB of memory, but there are .* GiB: use"):
        build.program(c.Experiment("a", model, 1), data.load("digits"))


def test_the_generous_estimates_are_no_smaller_than_the_exact_ones():
    """Otherwise a model that doesn't fit would pass."""
    key = jax.eval_shape(jax.random.key, 0)
    for model in (c.GAN(), c.GAN(c.Article()), c.GAN(c.MLP()), c.GAN(c.MaxoutMLP()), c.VAE(), c.VAE(c.MLP((7, 700)))):
        program = build.program(c.Experiment("a", model, 1), data.load("digits"))
        state = jax.eval_shape(program.model.init, key, program.first_batch())
        shape = program.dataset.shape
        assert memory.size(state) <= sizes._most_of_state(model, shape) < 1000 * memory.size(state)
        sample = program.model.sample
        with_one, with_more = (memory.least(functools.partial(sample, n=n), state, key) for n in (1, 101))
        assert (with_more - with_one) / 100 <= 2 * sizes._most_of_example(model, shape)


UNSAMPLED = [c.RAE(c.MLP((4,)), latent_dim=2), c.Pix2Pix(c.Half(), c.UNet(1), 1, 1)]


@pytest.mark.parametrize("model", UNSAMPLED, ids=lambda model: type(model).__name__)
def test_of_models_without_samples_what_they_decode_is_counted(model):
    program = build.program(c.Experiment("a", model, 1), data.load("digits"))
    state = jax.eval_shape(program.model.init, jax.eval_shape(jax.random.key, 0), program.first_batch())
    sizes.check_sampling(program.experiment, program.model, state, 3, program.dataset.shape, "3 latents")
    with pytest.raises(build.UserError, match=r"^Many latents, which generates .* needs at least .*: ask for fewer"):
        sizes.check_sampling(program.experiment, program.model, state, 10**10, program.dataset.shape, "Many latents")


def test_what_is_counted_of_a_computation():
    x, w = jax.ShapeDtypeStruct((10, 20), "float32"), jax.ShapeDtypeStruct((20, 30), "float32")
    ends = 4 * (10 * 20 + 20 * 30 + 10)
    assert memory.least(lambda x, w: (x @ w).sum(1), x, w) == ends + 4 * 10 * 30
    assert memory.least(jax.jit(lambda x, w: (x @ w).sum(1)), x, w) == ends + 4 * 10 * 30  # however deep it stands
    assert 2**28 < memory.limit() < 2**50


def test_the_limit_is_said(monkeypatch):
    monkeypatch.setattr(memory, "limit", lambda: 3 * 2**30)
    memory.check("Something", 3 * 2**30, "use less")
    with pytest.raises(
        build.UserError, match=r"^Something needs at least 4.5 GiB of memory, but there are 3.0 GiB: use"
    ):
        memory.check("Something", 9 * 2**29, "use less")


def test_a_batch_that_is_too_large_for_a_small_memory(monkeypatch):
    digits, large = data.load("digits"), c.GAN(c.DCGAN(width=32))
    build.program(c.Experiment("a", large, 1, batch_size=1000), digits)
    monkeypatch.setattr(memory, "limit", lambda: 8 * 2**20)
    build.program(c.Experiment("a", large, 1, batch_size=4), digits)
    with pytest.raises(build.UserError, match=r"A step of a on 1000 examples .* smaller batch_size"):
        build.program(c.Experiment("a", large, 1, batch_size=1000), digits)


@pytest.mark.parametrize("what", ["directory", "null", "zero", "loop", "socket", "pipe", "nothing", ""])
@pytest.mark.parametrize(
    "args",
    [
        ["train", "PATH"],
        ["compare", "PATH"],
        ["sample", "PATH", "--out", "a.png"],
        ["evaluate", "PATH"],
        ["evaluate", "--images", "PATH", "--against", "digits"],
        ["evaluate", "VAE", "--features", "inception", "--weights", "PATH"],
        ["neighbours", "VAE", "--features", "inception", "--weights", "PATH", "--out", "a.png"],
        ["report", "PATH"],
        ["verify", "PATH"],
        ["unit", "PATH", "a/seed-0"],
        ["reproduce", "PATH"],
        ["data", "prepare", "PATH"],
    ],
    ids=" ".join,
)
def test_a_path_to_something_else(args, what, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    path = {"null": "/dev/null", "zero": "/dev/zero", "": ""}.get(what, tmp_path / what)
    if what == "directory":
        (tmp_path / what).mkdir()
    if what == "loop":
        (tmp_path / what).symlink_to(tmp_path / what)
    if what == "pipe":
        os.mkfifo(tmp_path / what)
    with socket.socket(socket.AF_UNIX) as bound:
        if what == "socket":
            bound.bind(what)
        names = {"PATH": path, "VAE": harness.trained("vae")}
        assert_refused(call(*(names.get(arg, arg) for arg in args)), *capsys.readouterr())
    assert {one.name for one in tmp_path.iterdir()} <= {what}


def test_a_network_that_normalises_over_the_batch_wants_two_examples():
    for network in (c.MaxoutMLP(), c.Article()):
        experiment = c.Experiment("a", c.GAN(network), 1, batch_size=1)
        with pytest.raises(build.UserError, match=r"Experiment.batch_size is 1, but .* use at least 2"):
            build.program(experiment, data.load("digits"))
        build.program(replace(experiment, batch_size=2), data.load("digits"))
