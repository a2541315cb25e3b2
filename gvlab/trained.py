"""A trained model in the hand: samples, latents and reconstructions of a run, without the data it was trained on."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt
from jaxtyping import Array, Float, Int, Num

from gvlab import config as c
from gvlab import models, rng, sizes
from gvlab.arguments import as_stored, check_count, check_seed, check_weights
from gvlab.build import Program
from gvlab.data import Split
from gvlab.models import truncation as styles
from gvlab.runs import directory as rundir
from gvlab.train import loop, origin
from gvlab.types import Batch, Diverged, PRNGKey, PyTree, UserError

Latents: TypeAlias = Float[Array, "n latent"]

BATCH = 500
"""Examples per call of the device in `Trained.stored`, as in `gvlab.evaluate`: it generates the same ones."""


def load(run: Path | str, experiment: Path | str | None = None) -> Trained:
    """The model of a run directory, with the parameters of its newest checkpoint.

    Nothing but the run is read; the training data need not be here. A run of before its data were recorded
    (origin.json) needs them.

    Args:
        run: a directory that `gvlab train` or `gvlab compare` made, `.../seed-<k>`.
        experiment: the experiment file, where classes of its own were trained with: it is executed, and its copy in the
            run only if that is named.

    Raises:
        UserError: it is no run, it has no checkpoint yet, its model was given from Python, or `experiment` is missing
            or another version of the file.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import gvlab
        >>> from gvlab import build, config, data
        >>> from gvlab.train import train
        >>> from gvlab.train.engines import alone
        >>> experiment = config.Experiment("digits", config.VAE(config.MLP((8,)), 2), steps=2)
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     run = train(alone(build.program(experiment, data.load("digits"))), Path(directory), seed=0)
        ...     model = gvlab.load(run)
        >>> model.sample(3).shape
        (3, 16, 16, 1)
    """
    run = Path(run)
    rundir.open_parts(run, None if experiment is None else Path(experiment))
    program = origin.program_without_data(run)
    return Trained(program, loop.restore(program, run))


@dataclass(frozen=True, eq=False, repr=False)
class Trained:
    """A trained model and its state. Images go in and come out in [0, 1] (or go in as uint8), points as they are."""

    program: Program
    state: PyTree

    @property
    def experiment(self) -> c.Experiment:
        """As config.json of the run has it."""
        return self.program.experiment

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example: (height, width, channel), or (d,)."""
        return self.program.dataset.shape

    @property
    def classes(self) -> int:
        """Of which a conditional model makes examples; 0 for an unconditional one."""
        return self.program.dataset.num_classes if self.experiment.conditional else 0

    @property
    def has_normal_prior(self) -> bool:
        """As of its program."""
        return self.program.has_normal_prior

    @property
    def params(self) -> PyTree:
        """What `sample`, `encode` and `decode` compute with: an average, if there is one; a GAN's generator's."""
        state = self.state.pictured if isinstance(self.state, models.SpectrogramState) else self.state
        averaged = isinstance(state, models.GANState | models.HierarchyState)
        return state.ema_params if averaged else state.params

    def __repr__(self) -> str:
        experiment, step = self.experiment, int(self.state.step)
        classes = f", {self.classes} class{'es' * (self.classes > 1)}" if self.classes else ""
        return f"<{experiment.name}, seed {experiment.seed}, step {step}: examples {self.shape}{classes}>"

    def sample(
        self, n: int, seed: int = 0, y: npt.ArrayLike | None = None, truncation: float | None = None
    ) -> Num[Array, "n *shape"]:
        """New examples: latents from the prior, decoded. A VAE gives the mean of p(x|z); of sentences, draws.

        Args:
            n: how many.
            seed: of the latents; with 0 and without the others these are the samples of `gvlab sample`.
            y: as for `decode`.
            truncation: the latents' entries are drawn again until they lie within it (Brock et al. 2019, section 3.1);
                less variety for more typical examples. Of the normal prior: a whole own model has none.

        Raises:
            UserError: `n` or `truncation` is no positive number, `seed` is no seed, the prior is the model's own and
                `truncation` given, so many do not fit into the memory, or as `decode`.
        """
        check_count(n)
        check_seed(seed)
        self.check_size(n, f"n = {n}")
        if self.writes:
            return self._written(rng.stream(rng.root(seed), rng.PICTURE), n, self.labels(y, n), truncation)
        return self.decode(self.latents(rng.stream(rng.root(seed), rng.PICTURE), n, truncation), y)

    def truncated(self, psi: float) -> Trained:
        """The same model, whose styles w are mean + psi (w - mean) wherever it makes examples (Karras et al. 2019).

        Args:
            psi: from 0 to 1, which changes nothing.

        Raises:
            UserError: `psi` is another number, or the model has no styles, as a StyleGAN2 has.
        """
        return replace(self, program=replace(self.program, model=styles.with_psi(self.program.model, psi)))

    def check_size(self, n: int, asked: str) -> None:
        """Raises `UserError` unless n examples can be made at once; `asked` is what asked for them."""
        sizes.check_sampling(self.experiment, self.program.model, self.state, n, self.shape, asked)

    @property
    def writes(self) -> bool:
        """Whether its examples are sentences, integers [n, length], which `texts` reads."""
        return self.program.dataset.alphabet is not None

    def texts(self, x: npt.ArrayLike) -> list[str]:
        """The text of sentences, as `sample` and `decode` give them (`UserError` if these, or those, are none)."""
        alphabet = self.program.dataset.alphabet
        if alphabet is None:
            raise UserError(f"{self.experiment.name} makes {self.program.dataset.modality.shown}, which are no text.")
        return alphabet.decode(np.asarray(x))

    def _written(self, key: PRNGKey, n: int, y: Array | None, truncation: float | None) -> Array:
        """Sentences, by `Model.sample`, which draws their latents itself and so truncates none (`UserError`)."""
        if truncation is not None:
            raise UserError(
                f"truncation is {truncation}, but {self.experiment.name} makes sentences, whose latents are all of the "
                "prior: leave it out."
            )
        return self._sample(self.state, key, n, y)

    @property
    def has_codes(self) -> bool:
        """Whether its latents are codes, integers [n, positions]; `codes` has those of examples, and not `encode`."""
        return self.program.model.codes is not None

    def check_encoder(self) -> None:
        """Raises `UserError` for a model without one."""
        if self.program.model.encode is None and not self.has_codes:
            family = type(self.experiment.model).__name__
            raise UserError(f"{self.experiment.name} is a {family}, which has no encoder: encoding needs a VAE.")

    def latents(self, key: PRNGKey, n: int, truncation: float | None = None) -> Num[Array, "n latent"]:
        """Of the prior; `truncation` as for `sample`."""
        if truncation is None:
            return self.program.model.latents(self.state, key, n)
        if not (truncation > 0 and math.isfinite(truncation)):
            raise UserError(f"truncation is {truncation}, but must be a positive, finite number.")
        if not self.has_normal_prior:
            raise UserError(
                f"truncation is {truncation}, but it is of the normal prior, and {self.experiment.name} has a prior of "
                "its own: leave it out."
            )
        shape = jax.eval_shape(lambda key: self.program.model.prior(key, n), key).shape
        return jax.random.truncated_normal(key, -truncation, truncation, shape)

    def decode(self, z: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Num[Array, "n *shape"]:
        """Examples of latents [n, latent], or of codes [n, positions].

        Args:
            z: the latents.
            y: for a conditional model its classes: one number for all, integers [n], or weights [n, classes], at least
                0 and of the sum 1, which may lie between classes; by default the classes in turn.

        Raises:
            UserError: `z` has another shape or is not finite; the model has no classes, or not that one; other shapes
                of `y`, or other weights.
        """
        checked = self.checked(z)
        return self._decode(self.state, checked, self.labels(y, len(checked)))

    def checked(self, z: npt.ArrayLike) -> Num[Array, "n latent"]:
        """The latents, or `UserError` as `check_latents`."""
        self.check_latents(z)
        return jnp.asarray(z, jnp.int32 if self.has_codes else jnp.float32)

    def check_latents(self, z: npt.ArrayLike) -> None:
        """Raises `UserError` if they have another shape or are not finite."""
        latents, width = np.asarray(z), self.program.latent_dim
        if latents.ndim != 2 or latents.shape[1] != width or not len(latents):
            raise UserError(f"The latents have shape {latents.shape}, but [n, {width}] is wanted.")
        if self.has_codes:
            self._check_codes(latents)
            return
        if not np.issubdtype(latents.dtype, np.floating):
            raise UserError(f"The latents have type {latents.dtype}, but floats are wanted: convert them.")
        if not np.isfinite(latents).all():
            raise UserError("The latents have values that are NaN or infinite: leave such latents out.")

    def _check_codes(self, codes: np.ndarray) -> None:
        if not np.issubdtype(codes.dtype, np.integer):
            raise UserError(f"The latents have type {codes.dtype}, but are codes, and integers wanted: convert them.")
        sizes_of = np.asarray(self.program.model.code_sizes)
        wrong = (codes < 0) | (codes >= sizes_of)
        if wrong.any():
            row, position = np.argwhere(wrong)[0]
            raise UserError(
                f"The code {codes[row, position]} at position {position} does not exist: there are "
                f"{sizes_of[position]}, from 0 on."
            )

    def encode(self, x: npt.ArrayLike, y: npt.ArrayLike | None = None) -> tuple[Latents, Latents]:
        """Mean and log-variance of q(z|x), each [n, latent].

        Args:
            x: images in [0, 1] or as uint8 [n, height, width, channel], or points [n, d]. A model of binarised images
                sees them binarised, always in the same way.
            y: as for `decode`; without it a conditional model is given the classes in turn.

        Raises:
            UserError: the model has no encoder, or the examples have another shape or range.
        """
        self.check_encoder()
        if self.has_codes:
            raise UserError(
                f"The latents of {self.experiment.name} are codes, without mean and variance: use codes(x)."
            )
        stored = self._stored(x)
        return self._encode(self.state, stored, self.labels(y, len(stored)))

    def codes(self, x: npt.ArrayLike, y: npt.ArrayLike | None = None) -> Int[Array, "n positions"]:
        """The codes of examples, where the latents are codes; `x` and `y` as for `encode`.

        Raises:
            UserError: the latents are no codes, or the examples have another shape or range.
        """
        if not self.has_codes:
            instead = "use another run" if self.program.model.encode is None else "use encode(x)"
            raise UserError(f"{self.experiment.name} has no codes, as a VQVAE or a BinaryVAE has: {instead}.")
        stored = self._stored(x)
        return self._codes(self.state, stored, self.labels(y, len(stored)))

    def labels(self, y: npt.ArrayLike | None, n: int, first: int = 0) -> Array | None:
        """The labels of n examples, as `decode` has them: integers [n] or weights [n, classes]; None without classes.

        Where none are given: the classes in turn, the example number `first` being of class `first` modulo their
        number.
        """
        if not self.classes:
            if y is not None:
                raise UserError(f"{self.experiment.name} is unconditional, but y is given: leave it out.")
            return None
        if y is None:
            return (first + jnp.arange(n)) % self.classes
        labels = np.asarray(y)
        if np.issubdtype(labels.dtype, np.integer) and labels.shape in ((), (n,)):
            wrong = labels[(labels < 0) | (labels >= self.classes)]
            if wrong.size:
                raise UserError(f"y is {wrong.flat[0]}, but the classes are numbered from 0 to {self.classes - 1}.")
            return jnp.broadcast_to(jnp.asarray(labels, jnp.int32), (n,))
        if labels.dtype.kind in "biuf" and labels.shape == (n, self.classes):  # whole numbers: one-hot
            check_weights(labels)
            return jnp.asarray(labels, jnp.float32)
        raise UserError(
            f"y has type {labels.dtype} and shape {labels.shape}, but integers, one or [{n}], or weights "
            f"[{n}, {self.classes}] are wanted."
        )

    def stored(
        self, n: int, seed: int | None = None, y: int | None = None, truncation: float | None = None
    ) -> Iterator[Split]:
        """As many samples as one likes, in batches on the host, as a data set would store them: images in 8 bits.

        Args:
            n: how many in all.
            seed: of the latents. By default the run's own, and then, without the other arguments, the first of these
                are those that `gvlab evaluate` measures.
            y: the class of all of them, for a conditional model; by default the classes in turn.
            truncation: as for `sample`.

        Returns:
            x [batch, *shape], of at most `BATCH` examples, and their classes y [batch] or None.

        Raises:
            UserError: as `sample`.
            Diverged: a value is not finite.
        """
        check_count(n)
        size = min(BATCH, n)
        key = rng.stream(rng.root(self.experiment.seed if seed is None else seed), rng.EVALUATE, 0)
        key = jax.random.fold_in(key, 2)
        for number, start in enumerate(range(0, n, size)):
            labels, of_batch = self.labels(y, size, first=start), jax.random.fold_in(key, number)
            if self.writes:
                x = self._written(of_batch, size, labels, truncation)
                yield Split(np.asarray(x)[: n - start], None if labels is None else np.asarray(labels)[: n - start])
                continue
            z = self.latents(of_batch, size, truncation)
            yield self._split(z, labels, kept=min(size, n - start))

    def decoded(
        self, z: Num[np.ndarray, "n latent"], y: Num[np.ndarray, "n *classes"] | None = None
    ) -> Iterator[Split]:
        """As `stored`, of latents that are given; `y` as for `decode`, with an entry for each."""
        size = min(BATCH, len(z))
        for start in range(0, len(z), size):
            rows = np.minimum(np.arange(start, start + size), len(z) - 1)  # the last batch is filled up
            given = None if y is None else y[rows]
            kept = min(size, len(z) - start)
            yield self._split(self.checked(z[rows]), self.labels(given, size, first=start), kept)

    def _split(self, z: Array, y: Array | None, kept: int) -> Split:
        """The examples of a batch of latents, as stored, the first `kept` of them."""
        x, finite = self._as_stored(self.state, z, y)
        if not finite:
            raise Diverged(f"At step {int(self.state.step)} a generated value is not finite.")
        classes = None if y is None or y.ndim > 1 else np.asarray(y, np.int32)[:kept]
        return Split(np.asarray(x)[:kept], classes)

    @functools.cached_property
    def _sample(self) -> Any:
        return jax.jit(self.program.model.sample, static_argnums=2)

    @functools.cached_property
    def _decode(self) -> Any:
        return jax.jit(functools.partial(examples_of, self.program))

    @functools.cached_property
    def _as_stored(self) -> Any:
        modality = self.program.dataset.modality

        def as_stored(state: PyTree, z: Array, y: Array | None) -> tuple[Array, Array]:
            x = self.program.model.decode(state, z, y)
            finite = jnp.isfinite(x).all()
            return modality.as_stored(x, self.program.data_range)[0], finite

        return jax.jit(as_stored)

    @functools.cached_property
    def _encode(self) -> Any:
        return jax.jit(functools.partial(posterior_of, self.program))

    @functools.cached_property
    def _codes(self) -> Any:
        return jax.jit(functools.partial(codes_of, self.program))

    def _stored(self, x: npt.ArrayLike) -> Array:
        return as_stored(x, self.shape, self.program.dataset.modality, self.program.dataset.alphabet)


def examples_of(program: Program, state: PyTree, z: Num[Array, "n latent"], y: Array | None) -> Num[Array, "n *shape"]:
    """What `Trained.decode` computes: examples of latents, images in [0, 1]."""
    return program.to_unit(program.model.decode(state, z, y))


def posterior_of(program: Program, state: PyTree, stored: Array, y: Array | None) -> tuple[Latents, Latents]:
    """What `Trained.encode` computes: mean and log-variance of q(z|x) of stored examples, images as uint8."""
    assert program.model.encode is not None
    x = program.preprocess(stored, rng.stream(rng.root(0), rng.EVALUATE))
    return program.model.encode(state, Batch(x, y))


def codes_of(program: Program, state: PyTree, stored: Array, y: Array | None) -> Int[Array, "n positions"]:
    """What `Trained.codes` computes: the codes of stored examples, images as uint8."""
    assert program.model.codes is not None
    x = program.preprocess(stored, rng.stream(rng.root(0), rng.EVALUATE))
    return program.model.codes(state, Batch(x, y))
