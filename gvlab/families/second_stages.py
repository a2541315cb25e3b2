"""Second stages of a configuration, and the runs of their first stages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

import jax
import jax.numpy as jnp
import numpy as np

from gvlab import config as c
from gvlab import data, models, parallel, rng, tree
from gvlab.config import own
from gvlab.families.densities import density
from gvlab.families.setting import Setting
from gvlab.families.vaes import vae
from gvlab.files import read_json
from gvlab.models import second_stage as stages
from gvlab.runs import directory as rundir
from gvlab.types import Batch, Model, PyTree, UserError

_UNBOUNDED = (-float("inf"), float("inf"))


def resolved(experiment: c.Experiment) -> c.Experiment:
    """The experiment with what its second stage stands on, as it is now in the run of the first; any other as it is.

    Raises:
        UserError: there is no such run, it has no checkpoint, or its model is none that a second stage could stand on.
    """
    config = experiment.model
    if not isinstance(config, c.SecondStage) or config.first is not None:
        return experiment
    if not config.on:
        raise UserError(
            f"SecondStage.on of {experiment.name} is empty: name the run of the first stage with --on runs/NAME/seed-0."
        )
    run = Path(config.on)
    first = rundir.read_config(run)
    _check_first(run, first)
    states, origin = rundir.read_states(run), read_json(run / "origin.json", _Origin)
    if not states:
        raise UserError(f"{run} has no checkpoint yet: train the first stage first.")
    if origin is None:
        raise UserError(f"{run} does not say which data it was trained on (origin.json): train the first stage anew.")
    step = max(states)
    known = c.First(states[step], step, origin["data"]["sha256"], c.to_json(first))
    return replace(experiment, model=replace(config, first=known))


class _Data(TypedDict):
    sha256: str


class _Origin(TypedDict):
    """Of the first's origin.json, what is read here."""

    data: _Data


def _check_first(run: Path, first: c.Experiment) -> None:
    model = first.model
    name = type(model).__name__
    if parts := [name for name, _ in own.parts(first) if name.startswith("model")]:
        raise UserError(
            f"{run} has parts of its own ({parts[0]}), of which a second stage could keep no copy: put it on a run of "
            "gvlab's own parts."
        )
    if isinstance(model, c.Spectrograms):
        raise UserError(
            f"{run} is a run of Spectrograms, on which no second stage stands: name a run of a VAE of the data."
        )
    if isinstance(model, c.TRANSLATORS):
        raise UserError(
            f"{run} is a run of a {name}, whose z are pictures that it is given, but a second stage wants latents of "
            "an encoder: name a run of a VAE or an RAE."
        )
    if isinstance(model, c.GAN | c.Density | c.SecondStage):
        raise UserError(f"{run} is a run of a {name}, which encodes nothing, but a second stage wants a VAE: name one.")
    if isinstance(model, c.BinaryVAE | c.CategoricalVAE):
        raise UserError(
            f"{run} is a run of a {name}, whose q(z|x) has more than one code, but a second stage takes codes for "
            "certain: name a run of a VQVAE, or of a VAE."
        )
    if isinstance(model, c.VAE) and isinstance(model.network, c.TwoLayerMLP):
        raise UserError(
            f"{run} is a run of a VAE with two layers of latents, but a second stage wants one: name one with another "
            "network."
        )
    if isinstance(model, c.VAE) and not isinstance(model.posterior, c.DiagonalNormal):
        raise UserError(
            f"{run} is a run of a VAE whose posterior is {type(model.posterior).__name__}, but a second stage draws "
            "latents from independent normals: name one with DiagonalNormal."
        )


def check_data(experiment: c.Experiment, dataset: data.Dataset) -> None:
    """Raises UserError if a second stage would be trained on other data than its first was."""
    config = experiment.model
    if not isinstance(config, c.SecondStage) or config.first is None or isinstance(dataset, data.Absent):
        return
    if config.first.dataset_sha256 != dataset.checksum:
        first = config.first_experiment
        assert first is not None
        raise UserError(
            f"{experiment.name} is a second stage on {dataset.name} (SHA-256 {dataset.checksum[:12]}), but its first, "
            f"{config.on}, was trained on {first.data.name} ({config.first.dataset_sha256[:12]}): use the same data."
        )


def check_beginning(experiment: c.Experiment) -> None:
    """Raises UserError if a second stage is to begin, and its first is not there any more as it was."""
    config = experiment.model
    if isinstance(config, c.SecondStage) and (config.first is None or not _is_there(config.on, config.first)):
        raise UserError(
            f"{experiment.name} stands on {config.on} at step {config.first and config.first.step}, which is not there "
            "any more as it was: restore it from a copy, or train under another --out on what is there."
        )


def _is_there(on: str, first: c.First) -> bool:
    states = rundir.read_states(Path(on))
    return bool(states) and states[max(states)] == first.state_sha256


def second_stage(config: c.SecondStage, setting: Setting, build: Callable[[Any, str], Model]) -> Model:
    """The second stage on its first.

    Args:
        config: with its `first`.
        setting: of the data, which both stages share.
        build: (configuration of a model, precision) -> the model of these data.

    Raises:
        UserError: the first has no latents for a second, or these are none for this second.
    """
    known = config.first_experiment
    assert known is not None
    assert config.first is not None
    first = build(known.model, known.precision)
    if first.encode is None and first.codes is None:
        raise UserError(
            f"The first stage, {config.on}, is a {type(known.model).__name__}, of which z is not known: put the second "
            "on a VAE."
        )
    inner = setting._replace(values=_UNBOUNDED, classes=0, data_mean=None)
    example = Batch(jnp.zeros((2, *setting.shape)), jnp.zeros(2, jnp.int32) if setting.classes else None)
    shapes = jax.eval_shape(first.init, rng.root(0), example)
    if first.codes is not None:
        if isinstance(config.second, c.VAE):
            raise UserError(
                f"SecondStage.second is a VAE of vectors, but the first stage, {config.on}, has codes: use Density "
                "with CausalTransformer or GatedPixelCNN."
            )
        assert first.code_sizes is not None
        second = density(config.second, inner._replace(shape=(len(first.code_sizes),)), first.code_sizes)
    else:
        assert first.encode is not None
        latents = jax.eval_shape(first.encode, shapes, example)[0].shape[1:]
        inner = inner._replace(shape=latents)
        if isinstance(config.second, c.VAE):
            second = stages.drawn(vae(config.second, inner), latents[0])
        else:
            second = density(config.second, inner)
    state = _without_memory(_state_of(config, shapes))
    return models.latent_model(first, state, second, data_range=setting.values, axis_name=setting.axis_name)


def _state_of(config: c.SecondStage, shapes: PyTree) -> PyTree:
    """What the first's run holds; where it is not there any more as it was, of NaN: a second stage's own checkpoint
    has what is needed, and none begins without (`check_beginning`)."""
    assert config.first is not None
    try:
        return _read(config.on, config.first, _Shapes(shapes))
    except LookupError:
        return jax.tree.map(_unknown, shapes)


def _unknown(leaf: Any) -> np.ndarray:
    return np.full(leaf.shape, np.nan if jnp.issubdtype(leaf.dtype, jnp.floating) else 0, leaf.dtype)


class _Shapes:
    """Shapes that the cache below takes for given: the configuration has them."""

    def __init__(self, tree: PyTree) -> None:
        self.tree = tree

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shapes)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=8)
def _read(on: str, first: c.First, shapes: _Shapes) -> PyTree:
    """The first's state on the host; `LookupError` if it is not there any more as it was."""
    from gvlab.runs import checkpoint  # orbax takes long to import

    if not _is_there(on, first):
        raise LookupError(on)
    where = parallel.replicated(parallel.data_mesh(jax.local_devices()[:1]))
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), shapes.tree)
    state, _ = checkpoint.read(Path(on), like)
    if state is None or tree.digest(state) != first.state_sha256:
        raise LookupError(on)
    return jax.device_get(state)


def _without_memory(state: PyTree) -> PyTree:
    """Without what only training reads, which is twice as large as the rest."""
    assert isinstance(state, models.VAEState | models.CodesState)  # the firsts that `_check_first` leaves
    return replace(state, optimizer=())
