"""From a configuration to data, networks and a `Model`: its parts make themselves, nothing is registered."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gvlab import config as c
from gvlab import data, families, networks, own_augmentations, own_labels, own_parts, rng, sizes
from gvlab.audio.standardised import Frequencies
from gvlab.config import own
from gvlab.config.experiment import AnyModel
from gvlab.data import mapped
from gvlab.own_parts import made
from gvlab.types import Batch, Model, PRNGKey, UserError

Shape = tuple[int, ...]
UNBOUNDED = (-float("inf"), float("inf"))


def dataset(config: c.Data) -> data.Dataset:
    """The data set that an experiment names, or its part; one with a source is made first, unless it is there.

    Raises:
        UserError: there is none of that name, or it is another than the source says, or cannot be made.
    """
    whole = _whole_dataset(config)
    return whole if config.share == 1 else data.part(whole, config.share)


def _whole_dataset(config: c.Data) -> data.Dataset:
    match config.source:
        case None:
            pass
        case c.Folder() | c.Arrays() | c.Text() | c.Waves() | c.Tfds():
            add(config.name, config.source)
        case _:
            return _own_dataset(config.name, cast(Hashable, config.source))
    return data.load(config.name)


@functools.cache
def _own_dataset(name: str, source: Hashable) -> data.Dataset:
    """What a source of one's own gives, checked and hashed like any arrays."""
    found = made(source, "data")
    if found.name != name:
        raise UserError(
            f"{own_parts.where(source, 'data')} gives the data set {found.name!r}, but Data.name is {name!r}: give "
            "both one name."
        )
    train, test = found.train, found.test
    if found.truth is not None:  # nothing that is stored could be checked
        return found
    return data.from_arrays(name, train.x, test.x, train.y, test.y, found.class_names, found.alphabet, found.rate)


def add(
    name: str,
    source: c.Folder | c.Arrays | c.Text | c.Waves | c.Tfds,
    listen: Callable[[int, int], None] = lambda done, total: None,
) -> data.Own:
    """Makes a data set of one's own, unless it is there: `gvlab data add`; `listen` as of `data.add_folder`.

    Raises:
        UserError: the name or the source is refused, or a set of that name was made otherwise.
    """
    match source:
        case c.Folder():
            return data.add_folder(
                name,
                source.path,
                size=_pair(source.size),
                fit=source.fit,
                test=source.test,
                test_path=source.test_path or None,
                labels=source.labels,
                background=_colour(source.background),
                unreadable=source.unreadable,
                listen=listen,
            )
        case c.Arrays():
            return data.add_arrays(name, source.path, layout=source.layout, value_range=source.range, test=source.test)
        case c.Text():
            return data.add_text(
                name,
                source.path,
                level=source.level,
                length=source.length,
                symbols=source.symbols,
                test=source.test,
            )
        case c.Waves():
            return data.add_waves(
                name,
                source.path,
                samples=source.samples,
                peak=source.peak,
                labels=source.labels,
                test=source.test,
                test_names=source.test_names,
                listen=listen,
            )
        case c.Tfds():
            return data.add_builder(name, source.builder, size=_pair(source.size), fit=source.fit, test=source.test)


def _pair(size: tuple[int, ...]) -> tuple[int, int] | None:
    return (size[0], size[1]) if size else None


def _colour(background: tuple[int, ...]) -> tuple[int, int, int] | None:
    return (background[0], background[1], background[2]) if background else None


def data_range(config: AnyModel, shape: Shape) -> tuple[float, float]:
    """The values that the model's examples take: images in the model's range, waves from -1 to 1, vectors
    unbounded."""
    return data.modality_of_shape(shape).data_range(c.image_range(config))


def model(
    config: AnyModel,
    shape: Shape,
    num_classes: int,
    axis_name: str | None = None,
    data_mean: np.ndarray | None = None,
    precision: str = "float32",
    examples: int | None = None,
    levels: int = 0,
    frequencies: Frequencies | None = None,
) -> Model:
    """The model for data of the shape [*shape].

    Args:
        config: of the model.
        shape: of one example.
        num_classes: of the data; used where the model is conditional.
        axis_name: of the `pmap` axis, if the train step is to be `pmap`ped.
        data_mean: of the training examples in [0, 1], [*shape]; wanted by `output_bias="data_mean"`.
        precision: of the networks' activations and products, float32 or bfloat16.
        examples: of the whole training set; wanted by TotalCorrelation.
        levels: of sentences, the integers that a symbol may be; 0: the data are none.
        frequencies: of the training sounds, for Spectrograms; None: where a trained state holds them.

    Raises:
        UserError: the networks cannot make this shape, or the likelihood does not fit the data.
    """
    classes = _classes(config, num_classes)
    setting = families.Setting(
        shape,
        classes,
        data_range(config, shape),
        axis_name,
        PRECISIONS[precision],
        examples,
        data_mean,
        levels,
        frequencies,
    )
    return _of(config, setting, functools.partial(_first_model, shape, num_classes, examples))


def _of(config: AnyModel, setting: families.Setting, first: Callable[[Any, str], Model]) -> Model:
    setting.check_family(config)
    match config:
        case c.GAN():
            return families.gan(config, setting)
        case c.VAE():
            return families.vae(config, setting)
        case c.VQVAE():
            return families.vqvae(config, setting)
        case c.HierarchicalVAE():
            return families.hierarchical_vae(config, setting)
        case c.Density():
            return families.density(config, setting)
        case c.SecondStage():
            return families.second_stage(config, setting, first)
        case c.Spectrograms():
            return families.spectrograms(config, setting, functools.partial(_of, first=first))
        case c.RAE():
            return families.rae(config, setting)
        case c.Pix2Pix() | c.CycleGAN():
            return families.translator(config, setting)
        case c.BinaryVAE():
            return families.binary_vae(config, setting)
        case c.CategoricalVAE():
            return families.categorical_vae(config, setting)
        case _:
            return made(config, "model", setting.shape, setting.classes, setting.axis_name)


def _first_model(shape: Shape, num_classes: int, examples: int | None, config: AnyModel, precision: str) -> Model:
    """A first stage, whose parameters are restored: so of the data's mean nothing is wanted."""
    mean = np.full(shape, 0.5)
    return model(config, shape, num_classes, data_mean=mean, precision=precision, examples=examples)


PRECISIONS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "float32": lambda network: network,
    "bfloat16": networks.InBfloat16,
}


def _classes(config: Any, num_classes: int) -> int:
    """Of those of the data, how many the model is given: all, or none."""
    if c.is_conditional(config) and not num_classes:
        raise UserError("The model is conditional, but the data set has no classes: use conditional=False.")
    return num_classes if c.is_conditional(config) else 0


@dataclass(frozen=True)
class Program:
    """An experiment made ready: everything but the seed, which enters with the key."""

    experiment: c.Experiment
    dataset: data.Dataset
    model: Model
    built: Model | None = None
    """What `program` built of the configuration; with another `model`, or without this, the model is one's own."""

    @property
    def own_model(self) -> bool:
        """Whether the model is not known to be the configuration's, or is of classes that no experiment file has."""
        return self.model is not self.built or "" in own.files(self.experiment)

    @property
    def latent_dim(self) -> int:
        """Numbers that the prior gives of one example or, where there is none, the encoder."""
        key = rng.root(0)
        if self.model.learned_prior is None and not self.model.unsampled:
            return int(jax.eval_shape(lambda: self.model.prior(key, 1)).shape[-1])
        state = jax.eval_shape(lambda: self.model.init(key, self.first_batch()))
        if self.model.unsampled and self.model.encode is not None:
            return int(jax.eval_shape(self.model.encode, state, self.first_batch())[0].shape[-1])
        return int(jax.eval_shape(lambda state: self.model.latents(state, key, 1), state).shape[-1])

    @property
    def has_normal_prior(self) -> bool:
        """Whether the latents are standard normal, as those of all GANs, and of VAEs unless their prior is learned; of
        a whole own model nobody knows."""
        known = isinstance(c.pictured(self.experiment.model), c.GAN | c.VAE | c.HierarchicalVAE)
        return known and self.model.learned_prior is None

    @property
    def data_range(self) -> tuple[float, float]:
        return self.dataset.modality.data_range(c.image_range(self.experiment.model))

    def first_batch(self) -> Batch:
        """Two zero examples in the shape that the model sees, to ask it for the shapes of its state."""
        labels = jnp.zeros(2, jnp.int32) if self.dataset.labelled else None
        return Batch(jnp.zeros((2, *self.dataset.shape), self.dataset.modality.seen), labels)

    def draw(self, arrays: Batch, key: PRNGKey, step: Array) -> Batch:
        """The training batch of a step, as a pure function of the run's key and the step."""
        return self.augmented(data.batch(arrays, key, step, self.experiment.examples_per_step), key, step)

    def augmented(self, batch: Batch, key: PRNGKey, step: Array) -> Batch:
        """What becomes of the stored examples of a step before the model sees them."""
        augment = rng.stream(key, rng.AUGMENT, step)
        x = batch.x
        if self.experiment.data.flip:
            x = data.flip(jax.random.fold_in(augment, 0), x)
        return Batch(self.preprocess(x, jax.random.fold_in(augment, 1)), batch.y)

    def preprocess(self, x: Array, key: PRNGKey) -> Array:
        """Stored examples as the model sees them, in training and in evaluation alike."""
        if not self.dataset.modality.bounded:
            return x
        if self.dataset.modality == data.WAVES:
            return data.to_wave(x)
        if self.data_range == (-1.0, 1.0):
            return data.to_symmetric(x)
        return QUANTIZATIONS[self.experiment.data.quantization](key, data.to_unit(x))

    def to_unit(self, x: Array) -> Array:
        """What the model makes, as images in [0, 1]; all else is left alone."""
        of_images = self.dataset.modality == data.IMAGES
        return (x + 1) / 2 if of_images and self.data_range == (-1.0, 1.0) else x


QUANTIZATIONS: dict[str, Callable[[PRNGKey, Array], Array]] = {
    "none": lambda key, x: x,
    "binarize": data.binarize,
    "dequantize": data.dequantize,
}


_NORMALISED = (c.MaxoutMLP, c.Article)
"""Networks of GANs with BatchNorm over vectors; over images it sees many pixels of one example."""


def program(experiment: c.Experiment, dataset: data.Dataset) -> Program:
    """The experiment on its data, checked against them where they are here.

    Raises:
        UserError: what the experiment asks for does not fit the data.
    """
    experiment = families.resolved(experiment)
    families.check_data(experiment, dataset)
    families.check_clusters(experiment, dataset)
    if own_ones := [part for name, part in own.parts(experiment) if name.startswith("model")]:
        _check_own(experiment, dataset, own_ones)
    model = _model_on(experiment, dataset)
    built = Program(experiment, dataset, model, model)
    if own_ones:
        own_parts.check_repeats(own_ones, (model, _model_on(experiment, dataset)), _step_of(built))
    if experiment.watched and model.watch is None:
        raise UserError(
            f"Experiment.watched is True, but {type(experiment.model).__name__} says nothing of its stability: use "
            "False."
        )
    if isinstance(dataset, data.Absent):
        return built
    trained = c.pictured(experiment.model)
    if experiment.examples_per_step > len(dataset.train.x):
        aggressive = isinstance(getattr(trained, "inference", None), c.Aggressive)
        raise UserError(
            f"A step takes {experiment.examples_per_step} examples, but {dataset.name} has only "
            f"{len(dataset.train.x)}: use a smaller batch_size{' or Aggressive.most' if aggressive else ''}."
        )
    network = getattr(trained, "network", None)
    if experiment.batch_size == 1 and isinstance(trained, c.GAN) and isinstance(network, _NORMALISED):
        raise UserError(
            f"Experiment.batch_size is 1, but {type(network).__name__} normalises its units over the batch, which "
            "makes 0 of one example whatever it is: use at least 2."
        )
    if dataset.modality != data.IMAGES and (experiment.data.flip or experiment.data.quantization != "none"):
        raise UserError(
            f"Data.flip and Data.quantization are for images, but {dataset.name} has {dataset.modality.name}."
        )
    sizes.check_training(experiment, built.model, built.first_batch())
    return built


def _check_own(experiment: c.Experiment, dataset: data.Dataset, parts: list[Any]) -> None:
    """Raises UserError if the experiment's own parts are not here, or do not fit; says it if they don't read labels."""
    for part in parts:
        if isinstance(part, own.Unopened):
            part.refuse()
        if not own.file_sha256(type(part)):
            own.note_class(type(part))
    config, classes = experiment.model, _classes(experiment.model, dataset.num_classes)
    own_parts.check_shapes(experiment, dataset.shape, classes)
    for name, part in own.parts(config):
        if name == "augmentation" and isinstance(config, c.GAN):
            own_augmentations.check(part, dataset.shape)
    if classes and own.is_own(type(getattr(config, "network", config))):
        _say(own_labels.unread_labels(config, dataset.shape, classes))


@functools.cache  # one program is built many times
def _say(sentence: str | None) -> None:
    if sentence:
        print(sentence, file=sys.stderr)


def _step_of(program: Program) -> Batch:
    """Zero examples for one train step, whatever its batch size: as few as there are updates, and packs."""
    updates = program.experiment.examples_per_step // program.experiment.batch_size
    count = 2 * updates * getattr(program.experiment.model, "packing", 1)
    return jax.tree.map(lambda leaf: jnp.zeros((count, *leaf.shape[1:]), leaf.dtype), program.first_batch())


def with_values(program: Program, values: dict[str, Array]) -> Program:
    """The program with numbers of its configuration replaced by arrays, such as those that JAX is tracing.

    Args:
        program: to be changed.
        values: by dotted name: {"model.optimizer.learning_rate": ...}.
    """
    experiment = c.with_traced(program.experiment, values)
    return Program(experiment, program.dataset, _model_on(experiment, program.dataset))


def _model_on(experiment: c.Experiment, dataset: data.Dataset) -> Model:
    mean, absent = None, isinstance(dataset, data.Absent)
    if isinstance(experiment.model, c.VAE) and experiment.model.output_bias == "data_mean":
        # Where the data are absent, what was learned from the mean on is restored.
        mean = np.full(dataset.shape, 0.5) if absent else mapped.mean(dataset.train.x) / 255
    examples = 1 if absent else len(dataset.train.x)  # an absent set is not trained on
    images = experiment.batch_size * getattr(experiment.model, "discriminator_steps", 1)
    return model(
        c.in_steps(experiment.model, images),
        dataset.shape,
        dataset.num_classes,
        data_mean=mean,
        precision=experiment.precision,
        examples=examples,
        levels=dataset.alphabet.levels if dataset.alphabet else 0,
        frequencies=families.frequencies(experiment.model, dataset),
    )
