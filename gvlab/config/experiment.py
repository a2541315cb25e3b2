"""The experiment: what is trained on what, how it is measured, and its JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gvlab.config.binary import BinaryVAE
from gvlab.config.categorical import CategoricalVAE
from gvlab.config.checks import check_directory_name, check_positive, check_size
from gvlab.config.densities import Density
from gvlab.config.fields import decode, to_dict
from gvlab.config.gan import GAN
from gvlab.config.hierarchy import HierarchicalVAE
from gvlab.config.likelihoods import Categorical, DiscretizedLogistic, MixtureOfLogistics
from gvlab.config.plain import settle
from gvlab.config.priors import Mixture, VaDE
from gvlab.config.protocols import OwnData, OwnModel
from gvlab.config.regularised import RAE
from gvlab.config.second_stage import SecondStage
from gvlab.config.sources import Arrays, Folder, Text, Tfds, Waves
from gvlab.config.spectrograms import Spectrograms
from gvlab.config.terms import check_differences
from gvlab.config.translation import CycleGAN, Pix2Pix
from gvlab.config.vae import VAE
from gvlab.config.vqvae import VQVAE
from gvlab.errors import UserError
from gvlab.schema import parse

FAMILIES = (
    GAN,
    VAE,
    VQVAE,
    BinaryVAE,
    CategoricalVAE,
    RAE,
    HierarchicalVAE,
    Density,
    SecondStage,
    Spectrograms,
    Pix2Pix,
    CycleGAN,
)
"""Models of gvlab's own."""
AnyModel: TypeAlias = (
    GAN
    | VAE
    | VQVAE
    | BinaryVAE
    | CategoricalVAE
    | RAE
    | HierarchicalVAE
    | Density
    | SecondStage
    | Spectrograms
    | Pix2Pix
    | CycleGAN
    | OwnModel
)


@dataclass(frozen=True)
class Data:
    """What is trained on, and what happens to a batch inside the compiled step."""

    name: str = "digits"
    """One of `gvlab data list`; with a source, the name that the set gets there."""
    flip: bool = False
    """Mirror each image left to right with probability 1/2."""
    quantization: Literal["none", "binarize", "dequantize"] = "none"
    """binarize: each pixel is drawn from the Bernoulli of its intensity, anew at every step (Salakhutdinov & Murray
    2008). dequantize: (255 x + u) / 256 with u uniform in [0, 1), which makes a density of 8-bit images meaningful."""
    source: Folder | Arrays | Tfds | Text | Waves | OwnData | None = None
    """What the set is made of where it is not there yet; None: it is there, or in the catalogue."""
    share: float = 1.0
    """Of the training examples, those that are trained on: the same ones in every run, and of each class alike."""

    def __post_init__(self) -> None:
        settle(self)
        if not 0 < self.share <= 1:
            raise UserError(f"Data.share is {self.share}, but must be above 0 and at most 1.")


@dataclass(frozen=True)
class Evaluation:
    """How `gvlab evaluate` measures; it has no influence on training."""

    samples: int = 0
    """Generated examples for the distances between distributions, or of text. 0: the usual number, which is 10,000, and
    26,000 for stacked_mnist as in the literature."""
    split: Literal["test", "train"] = "test"
    """The split that they are compared with, the whole of it."""
    features: tuple[str, ...] = ()
    """What distances are measured on: pixels, a classifier of gvlab's (mnist, ...), inception. Empty: the pixels and,
    where there is one, the data set's own classifier."""
    measures: tuple[str, ...] = ()
    """Which distances (`gvlab evaluate --help` lists them). Empty: the usual ones."""
    k: int = 50
    """Samples of the importance-weighted bound on log p(x)."""
    ais_variance: float = 0.01
    """Of the Gaussian noise that annealed importance sampling adds to what a GAN makes, which has no likelihood
    otherwise; in squared units of images in [0, 1], or of points as they are. A VAE has its own likelihood."""
    decoded: Literal["mean", "draw"] = "mean"
    """What of p(x|z) is compared with the data, of a model that has one: its mean, which pictures show, or draws."""
    standing: int = 0
    """Batches by which a GAN's generator estimates the statistics of its BatchNorm anew before it is measured (Brock et
    al. 2019, "standing statistics"), each as large as the training's; 0: its running averages."""

    def __post_init__(self) -> None:
        settle(self)
        check_positive("Evaluation", k=self.k, ais_variance=self.ais_variance)
        if self.samples < 0 or self.samples == 1:
            raise UserError(
                f"Evaluation.samples is {self.samples}, but a distribution needs at least 2 (0: the usual number)."
            )
        if self.standing < 0:
            raise UserError(f"Evaluation.standing is {self.standing}, but is a number of batches (0: none).")
        for name, value in (("k", self.k), ("samples", self.samples), ("standing", self.standing)):
            if value > 1_000_000:
                raise UserError(f"Evaluation.{name} is {value}, but at most 1000000 are of use: take fewer.")


@dataclass(frozen=True)
class Experiment:
    """All that determines a run. `seed` and the step number determine every random number in it."""

    name: str
    model: AnyModel
    steps: int
    data: Data = Data()
    batch_size: int = 64
    seed: int = 0
    log_every: int = 50
    """Steps between two lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between two sample pictures."""
    checkpoint_every: int = 500
    """Steps between two checkpoints; the last two are kept."""
    keep_every: int = 0
    """Steps between two checkpoints that are kept for good, a multiple of `checkpoint_every`; 0 keeps none."""
    evaluation: Evaluation = field(default_factory=Evaluation)
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the networks' activations and products; parameters, statistics, logits and losses are of float32 always."""
    watched: bool = False
    """Log how stable training is, at each logged step but the first: curves `watch/...` of a GAN's verdicts, its
    overfitting, spread and modes."""

    def __post_init__(self) -> None:
        settle(self)
        check_directory_name("Experiment", self.name)
        check_size("Experiment", batch_size=self.batch_size)
        for name in ("steps", "log_every", "sample_every", "checkpoint_every"):
            check_positive("Experiment", **{name: getattr(self, name)})
        if not 0 <= self.seed < 2**31:
            raise UserError(f"Experiment.seed is {self.seed}, but must be from 0 to 2147483647.")
        if self.keep_every < 0 or self.keep_every % self.checkpoint_every:
            raise UserError(
                f"Experiment.keep_every is {self.keep_every}, but must be 0 or a multiple of checkpoint_every "
                f"({self.checkpoint_every})."
            )
        if self.steps * self.examples_per_step >= 2**32:
            raise UserError(
                f"Experiment.steps x batch_size is {self.steps * self.examples_per_step} examples, but the order of "
                "examples is defined up to 4294967295: ask for fewer steps."
            )
        if self.image_range not in ((-1.0, 1.0), (0.0, 1.0)):
            raise UserError(
                f"{type(self.model).__name__}.data_range is {self.image_range!r}, but must be (0.0, 1.0) or "
                "(-1.0, 1.0)."
            )
        if self.image_range != (0.0, 1.0) and self.data.quantization != "none":
            kind = "a GAN" if isinstance(self.model, GAN) else f"{type(self.model).__name__} of images in [-1, 1]"
            raise UserError(
                f"Data.quantization is {self.data.quantization!r}, but {kind} has no likelihood to serve: use 'none'."
            )
        if self.precision != "float32" and isinstance(self.model, Density | SecondStage):
            raise UserError(
                f"Experiment.precision is {self.precision!r}, but {type(self.model).__name__} has exact densities, "
                "which want all digits: use 'float32'."
            )
        if self.precision != "float32" and isinstance(self.model, VAE | GAN) and self.model.writes:
            raise UserError(
                f"Experiment.precision is {self.precision!r}, but networks of sentences compute in float32: use "
                "'float32'."
            )
        if self.precision != "float32" and not isinstance(self.model, FAMILIES):
            raise UserError(
                f"Experiment.precision is {self.precision!r}, but {type(self.model).__name__}, a model of one's own, "
                "says itself how it computes: use 'float32'."
            )
        trained = pictured(self.model)
        if isinstance(trained, GAN) and trained.half_life and trained.half_life.images < self.batch_size:
            raise UserError(
                f"HalfLife.images is {trained.half_life.images}, but a batch has {self.batch_size}, so the average "
                "would be of hardly more than one step: use more images, or half_life=None with ema_decay=0."
            )
        if isinstance(trained, GAN) and self.precision != "float32":
            check_differences(trained.discriminator_terms, self.precision)
        if isinstance(trained, VAE | SecondStage):
            trained.check_batch(self.batch_size)
        if isinstance(trained, GAN) and self.batch_size % trained.packing:
            raise UserError(
                f"Experiment.batch_size is {self.batch_size}, which packs of GAN.packing = {trained.packing} cannot "
                "share equally: use a multiple."
            )
        if "cluster_accuracy" in self.evaluation.measures and not isinstance(
            getattr(trained, "prior", None), Mixture | VaDE
        ):
            raise UserError(
                f"The measure cluster_accuracy is of a mixture prior, but {self.name} has none: use Mixture or VaDE, "
                "or leave it out."
            )
        if isinstance(self.model, SecondStage) and (first := self.model.first_experiment):
            _check_same_pixels(first.data, self.data)
        if isinstance(self.model, VAE | VQVAE | BinaryVAE | CategoricalVAE | HierarchicalVAE | SecondStage):
            _check_levels(self.model.likelihood, self.data.quantization)

    @property
    def conditional(self) -> bool:
        """Whether the model is given the classes."""
        return is_conditional(self.model)

    @property
    def image_range(self) -> tuple[float, float]:
        """The values that the model's images take."""
        return image_range(self.model)

    @property
    def examples_per_step(self) -> int:
        """Examples that one train step takes: a batch for every update of a GAN that has its own, or one for a VAE."""
        trained = pictured(self.model)
        return self.batch_size * (trained.batches if isinstance(trained, GAN | VAE | SecondStage) else 1)


def pictured(model: Any) -> Any:
    """What is trained on pictures of the data, if these are what a model sees; any other model as it is."""
    return model.pictured if isinstance(model, Spectrograms) else model


def is_conditional(model: Any) -> bool:
    """Whether a model is given the classes."""
    return bool(getattr(model, "conditional", False))


def image_range(model: Any) -> tuple[float, float]:
    """The values that a model's images take: [-1, 1] (tanh) for a GAN, [0, 1] for a VAE, its own for another."""
    return (-1.0, 1.0) if isinstance(model, GAN) else getattr(model, "data_range", (0.0, 1.0))


def _check_same_pixels(first: Data, second: Data) -> None:
    """Raises UserError if a second stage would show its first other pixels than that was trained on."""
    if first.quantization != second.quantization:
        raise UserError(
            f"Data.quantization is {second.quantization!r}, but the first stage was trained with "
            f"{first.quantization!r}: use that."
        )


def _check_levels(likelihood: Any, quantization: str) -> None:
    """Raises UserError if a likelihood of discrete levels would see values that are none of its levels."""
    match likelihood:
        case DiscretizedLogistic() | MixtureOfLogistics():
            fits = "none"
        case Categorical(levels=2):
            fits = "binarize"
        case Categorical(levels=256):
            fits = "none"
        case Categorical(levels=levels):
            raise UserError(
                f"Categorical.levels is {levels}, but 8-bit images have 256, and binarised ones 2: use those."
            )
        case _:
            return
    if quantization != fits:
        raise UserError(
            f"Data.quantization is {quantization!r}, but {likelihood} is a likelihood of other values: use {fits!r}."
        )


CADENCE = ("log_every", "sample_every", "checkpoint_every", "keep_every", "watched")
"""The fields that say what is written down, and at which steps."""

WITHOUT_INFLUENCE = ("steps", "evaluation", *CADENCE)
"""The fields that don't change what a given step of training computes."""


def to_json(experiment: Experiment) -> str:
    """The experiment as JSON text; `from_json` gives back an equal one."""
    return json.dumps(to_dict(experiment), indent=2) + "\n"


def from_json(text: str) -> Experiment:
    """The experiment of a `config.json`.

    Raises:
        UserError: the text is not JSON, or a field is unknown, missing or of the wrong type.
    """
    try:
        values = parse(text.encode(errors="surrogatepass"), Any)
    except ValueError as error:
        raise UserError(f"The configuration is not valid JSON ({error}).") from error
    return from_dict(values)


def from_dict(values: Any) -> Experiment:
    """The experiment of the object in a `config.json`.

    Raises:
        UserError: a field is unknown, missing or of the wrong type.
    """
    return decode(Experiment, values, "")


def with_value(experiment: Experiment, name: str, new: Any) -> Experiment:
    """A copy in which the field of that dotted name has another value, as JSON would give it.

    Raises:
        UserError: the value is of another type than the field, or the field refuses it.
    """
    fields = json.loads(to_json(experiment))
    *outer, last = [int(part) if part.isdecimal() else part for part in name.split(".")]
    inner = fields
    for part in outer:
        inner = inner[part]
    inner[last] = new
    return from_json(json.dumps(fields))
