"""Models of sounds that see pictures of them: any model of images, between a spectrogram and the way back.

What it makes is heard, measured and compared as any wave is. Of a wave's likelihood it says nothing, since a
spectrogram without phases is no change of variables: its bounds are those of the picture, and are named so.

Reference: Donahue, McAuley & Puckette, "Adversarial Audio Synthesis", 2019, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import flax.struct
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab.audio.standardised import Frequencies, log_spectrum, wave
from gvlab.data.checks import check_batch
from gvlab.models.base import Labels
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size


@flax.struct.dataclass
class SpectrogramState:
    """The model of pictures, and what turns them into sounds: so a state is complete in itself."""

    pictured: PyTree
    """The state of the model of pictures."""
    frequencies: Frequencies
    """Of the training set."""

    @property
    def step(self) -> PyTree:
        """Of the model of pictures."""
        return self.pictured.step


def of_spectrograms(
    model: Model,
    frequencies: Frequencies,
    *,
    n_fft: int = 128,
    hop: int = 32,
    rounds: int = 60,
    samples: int,
    deviations: float = 1.0,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
) -> Model:
    """A model of waves [samples, 1], made of one of their spectrograms [samples / hop, n_fft / 2, 1].

    Args:
        model: of pictures.
        samples: of a sound.
        frequencies: of the training set (`audio.standardised.frequencies`).
        n_fft, hop, rounds: as of `audio.standardised.log_spectrum` and `wave`.
        deviations: so many standard deviations of a frequency are 1 in a picture; 3 is published for GANs.
        bounds: that a picture is cut to.

    Returns:
        A `Model` with states of type `SpectrogramState`. Held-out terms and those of training are the pictures'; those
        in nats stand under `spectra/`.
    """

    def pictures(known: Frequencies, x: Float[Array, "b samples 1"]) -> Float[Array, "b frames frequencies 1"]:
        scaled = (log_spectrum(x[..., 0], n_fft, hop) - _row(known.mean)) / _row(deviations * known.deviation)
        return jnp.clip(scaled, *bounds)[..., None]

    def seen(state: SpectrogramState, batch: Batch) -> Batch:
        return Batch(pictures(state.frequencies, batch.x), batch.y)

    def heard(known: Frequencies, x: Float[Array, "b frames frequencies 1"]) -> Float[Array, "b samples 1"]:
        logarithms = x[..., 0] * _row(deviations * known.deviation) + _row(known.mean)
        return wave(logarithms, hop, rounds)[..., None]

    def init(key: PRNGKey, batch: Batch) -> SpectrogramState:
        check_batch(batch.x, shape=(samples, 1), low=-1.0, high=1.0)
        known = Frequencies(jnp.asarray(frequencies.mean), jnp.asarray(frequencies.deviation))
        return SpectrogramState(model.init(key, Batch(pictures(known, batch.x), batch.y)), known)

    def train_step(state: SpectrogramState, batch: Batch, key: PRNGKey) -> tuple[SpectrogramState, Info]:
        new, info = model.train_step(state.pictured, seen(state, batch), key)
        return replace(state, pictured=new), _named(info)

    def sample(state: SpectrogramState, key: PRNGKey, n: int, y: Labels = None) -> Float[Array, "n samples 1"]:
        return heard(state.frequencies, model.sample(state.pictured, key, n, y))

    def evaluate(state: SpectrogramState, batch: Batch, key: PRNGKey) -> Info:
        return _named(model.evaluate(state.pictured, seen(state, batch), key))

    def decode(state: SpectrogramState, z: Array, y: Labels = None) -> Float[Array, "n samples 1"]:
        return heard(state.frequencies, model.decode(state.pictured, z, y))

    def encode(state: SpectrogramState, batch: Batch) -> tuple[Array, Array]:
        assert model.encode is not None
        return model.encode(state.pictured, seen(state, batch))

    def watch(state: SpectrogramState, train: Batch, held_out: Batch, key: PRNGKey) -> Info:
        assert model.watch is not None
        return model.watch(state.pictured, seen(state, train), seen(state, held_out), key)

    def standing(state: SpectrogramState, key: PRNGKey, n: Size, batches: int) -> SpectrogramState:
        assert model.standing is not None
        new = model.standing(state.pictured, key, n, batches)
        return replace(state, pictured=new)

    def draw(state: SpectrogramState, key: PRNGKey, n: int, y: Labels = None) -> Float[Array, "n samples 1"]:
        assert model.draw is not None
        return heard(state.frequencies, model.draw(state.pictured, key, n, y))

    def learned_prior(state: SpectrogramState, key: PRNGKey, n: Size) -> Array:
        assert model.learned_prior is not None
        return model.learned_prior(state.pictured, key, n)

    def where(part: Any, function: Callable[..., Any]) -> Any:
        return None if part is None else function

    return Model(
        *(init, train_step, sample, evaluate, model.prior, decode),
        encode=where(model.encode, encode),
        watch=where(model.watch, watch),
        standing=where(model.standing, standing),
        draw=where(model.draw, draw),
        learned_prior=where(model.learned_prior, learned_prior),
    )


def _row(values: Any) -> Float[Array, "1 1 frequencies"]:
    return jnp.asarray(values)[None, None]


def _named(info: Info) -> Info:
    return {f"spectra/{name}" if name.endswith("_nats") else name: term for name, term in info.items()}
