"""The experiment: frozen dataclasses, checked when made, equal to their JSON.

Schedules are stated in absolute steps, so that `steps` only says when to stop: the first n steps of a run are the same
whatever `steps` is, and a finished run can be continued by asking for more.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from gvlab.types import UserError


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise UserError(f"{owner}.{name} is {value}, but must be a positive number.")


def _fraction(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UserError(f"{owner}.{name} is {value}, but must be at least 0 and below 1.")


def _layers(owner: str, **layers: tuple[int, ...]) -> None:
    for name, widths in layers.items():
        if not widths:
            raise UserError(f"{owner}.{name} is empty, but needs at least one layer.")
        for units in widths:
            _positive(owner, **{name: units})


@dataclass(frozen=True)
class Data:
    """What is trained on, and what happens to a batch inside the compiled step."""

    name: str = "digits"
    """One of `gvlab data list`."""
    flip: bool = False
    """Mirror each image left to right with probability 1/2."""
    quantization: Literal["none", "binarize", "dequantize"] = "none"
    """binarize: each pixel is drawn from the Bernoulli of its intensity, anew at every step (Salakhutdinov & Murray
    2008). dequantize: (255 x + u) / 256 with u uniform in [0, 1), which makes a density of 8-bit images meaningful."""


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015); the learning rate is multiplied by `drop_factor` at each of `drop_steps`."""

    learning_rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-8
    drop_steps: tuple[int, ...] = ()
    drop_factor: float = 0.1

    def __post_init__(self) -> None:
        _positive("Adam", learning_rate=self.learning_rate, eps=self.eps, drop_factor=self.drop_factor)
        _fraction("Adam", b1=self.b1, b2=self.b2)
        for step in self.drop_steps:
            _positive("Adam", drop_steps=step)


@dataclass(frozen=True)
class DCGAN:
    """Generator and discriminator of Radford, Metz & Chintala 2016."""

    width: int = 64
    """Channels of the layers nearest the image; they double with every resampling."""

    def __post_init__(self) -> None:
        _positive("DCGAN", width=self.width)


@dataclass(frozen=True)
class Article:
    """The four networks of the article that the project grew out of."""


@dataclass(frozen=True)
class MLP:
    """Fully connected networks; for a VAE with tanh and mirrored in the decoder, as in Burda et al. 2016."""

    hidden: tuple[int, ...] = (200, 200)
    """Units of the hidden layers, from the data to the latents."""

    def __post_init__(self) -> None:
        _layers("MLP", hidden=self.hidden)


@dataclass(frozen=True)
class TwoMLPs:
    """Fully connected generator and discriminator of a GAN, with ReLU and each with its own hidden layers."""

    generator: tuple[int, ...] = (128, 128)
    """Units of the generator's hidden layers, from the latents to the data."""
    discriminator: tuple[int, ...] = (128,)
    """Units of the discriminator's, from the data on."""

    def __post_init__(self) -> None:
        _layers("TwoMLPs", generator=self.generator, discriminator=self.discriminator)


@dataclass(frozen=True)
class MaxoutMLP:
    """A fully connected generator with BatchNorm against a maxout discriminator, as in Lin et al. 2018 (PacGAN)."""

    generator: tuple[int, ...] = (400, 400, 400, 400)
    """Units of the generator's hidden layers, from the latents to the data."""
    discriminator: tuple[int, ...] = (200, 200, 200)
    """Units of the discriminator's, from the data on."""
    pieces: int = 5
    """Linear units of which each of the discriminator's is the largest."""

    def __post_init__(self) -> None:
        _layers("MaxoutMLP", generator=self.generator, discriminator=self.discriminator)
        _positive("MaxoutMLP", pieces=self.pieces)


@dataclass(frozen=True)
class ReluMLP:
    """Fully connected networks of a VAE with ReLU, mirrored in the decoder, and Flax's initial weights (LeCun's)."""

    hidden: tuple[int, ...] = (500,)
    """Units of the hidden layers, from the data to the latents."""

    def __post_init__(self) -> None:
        _layers("ReluMLP", hidden=self.hidden)


@dataclass(frozen=True)
class TwoLayerMLP:
    """Fully connected networks of a VAE with two layers of latents and tanh, as in Burda et al. 2016.

    `VAE.latent_dim` counts the latents of both layers.
    """

    hidden: tuple[int, ...] = (200, 200)
    """Units of the hidden layers between the data and the first latents, and mirrored."""
    first: int = 100
    """Latents of the layer next to the data."""
    top_hidden: tuple[int, ...] = (100, 100)
    """Units of the hidden layers between the first latents and the top ones, and mirrored."""

    def __post_init__(self) -> None:
        _layers("TwoLayerMLP", hidden=self.hidden, top_hidden=self.top_hidden)
        _positive("TwoLayerMLP", first=self.first)


@dataclass(frozen=True)
class GAN:
    """A generative adversarial network (Goodfellow et al. 2014)."""

    network: DCGAN | Article | MLP | TwoMLPs | MaxoutMLP = DCGAN()
    latent_dim: int = 100
    generator_loss: Literal["non_saturating", "minimax"] = "non_saturating"
    update: Literal["alternating", "simultaneous"] = "alternating"
    """alternating: `discriminator_steps` updates of the discriminator, then one of the generator against the new one.
    simultaneous: both from the same generated batch, which costs one generator pass less."""
    discriminator_steps: int = 1
    ema_decay: float = 0.999
    """Decay per step of the generator's average, which `sample` uses; 0 switches the average off."""
    conditional: bool = False
    """Give the class label to both networks (Mirza & Osindero 2014)."""
    generator_optimizer: Adam = Adam(learning_rate=2e-4, b1=0.5)
    discriminator_optimizer: Adam = Adam(learning_rate=2e-4, b1=0.5)

    def __post_init__(self) -> None:
        _positive("GAN", latent_dim=self.latent_dim, discriminator_steps=self.discriminator_steps)
        _fraction("GAN", ema_decay=self.ema_decay)
        if self.update == "simultaneous" and self.discriminator_steps != 1:
            raise UserError(
                f"GAN.discriminator_steps is {self.discriminator_steps}, but simultaneous updates take exactly 1: "
                "use update='alternating'."
            )


@dataclass(frozen=True)
class Bernoulli:
    """Pixels in [0, 1] as probabilities of a coin; a likelihood of the data only where they are 0 or 1."""


@dataclass(frozen=True)
class Gaussian:
    """Independent normal pixels of one fixed variance."""

    variance: float = 0.01

    def __post_init__(self) -> None:
        _positive("Gaussian", variance=self.variance)


@dataclass(frozen=True)
class LearnedGaussian:
    """Independent normal pixels; the decoder gives mean and log-variance of each."""


@dataclass(frozen=True)
class DiscretizedLogistic:
    """8-bit pixels under a logistic density integrated over each level (Kingma et al. 2016; Salimans et al. 2017)."""


@dataclass(frozen=True)
class Categorical:
    """Each pixel's level drawn from a softmax over `levels` equally spaced ones in [0, 1]."""

    levels: int = 256

    def __post_init__(self) -> None:
        if self.levels < 2:
            raise UserError(f"Categorical.levels is {self.levels}, but must be at least 2.")


@dataclass(frozen=True)
class VAE:
    """A variational autoencoder (Kingma & Welling 2014) with a standard normal prior and a diagonal posterior."""

    network: Article | MLP | ReluMLP | TwoLayerMLP = Article()
    latent_dim: int = 32
    """Length of z."""
    objective: Literal["elbo", "importance_weighted"] = "elbo"
    """importance_weighted: the tighter bound on log p(x) by `num_samples` weights (Burda et al. 2016, equation 8)."""
    likelihood: Bernoulli | Gaussian | LearnedGaussian | DiscretizedLogistic | Categorical = Bernoulli()
    output_bias: Literal["zeros", "data_mean"] = "zeros"
    """data_mean: fully connected networks with Bernoulli pixels begin with the mean of the training data (Burda et al.
    2016)."""
    beta: float = 1.0
    """Weight of the KL term (Higgins et al. 2017)."""
    kl_warmup_steps: int = 0
    """The weight rises linearly from 0 to `beta` over so many steps (Sønderby et al. 2016)."""
    num_samples: int = 1
    """Monte-Carlo samples of the latent per example and step."""
    conditional: bool = False
    """Give the class label to both networks (Sohn et al. 2015)."""
    optimizer: Adam = Adam()

    def __post_init__(self) -> None:
        _positive("VAE", latent_dim=self.latent_dim, num_samples=self.num_samples)
        if not (self.beta >= 0 and math.isfinite(self.beta)):
            raise UserError(f"VAE.beta is {self.beta}, but must be a finite number of at least 0.")
        if self.output_bias == "data_mean" and not (
            isinstance(self.network, MLP | ReluMLP | TwoLayerMLP) and isinstance(self.likelihood, Bernoulli)
        ):
            raise UserError(
                f"VAE.output_bias is 'data_mean', which is for MLP with Bernoulli and its kind, not "
                f"{type(self.network).__name__} with {type(self.likelihood).__name__}: use 'zeros'."
            )
        if self.kl_warmup_steps < 0:
            raise UserError(f"VAE.kl_warmup_steps is {self.kl_warmup_steps}, but must be at least 0.")
        if self.objective == "importance_weighted" and (self.beta != 1 or self.kl_warmup_steps):
            raise UserError(
                f"VAE.beta is {self.beta} and VAE.kl_warmup_steps {self.kl_warmup_steps}, but the importance-weighted "
                "bound has no KL term to weigh: use 1 and 0, or objective='elbo'."
            )
        if isinstance(self.network, TwoLayerMLP) and self.latent_dim <= self.network.first:
            raise UserError(
                f"VAE.latent_dim is {self.latent_dim}, but counts the latents of both layers, of which the first has "
                f"{self.network.first}: use more, or a smaller network.first."
            )


@dataclass(frozen=True)
class Evaluation:
    """How `gvlab evaluate` measures; it has no influence on training."""

    samples: int = 0
    """Generated examples for the distances between distributions. 0: the usual number, which is 10,000, and 26,000 for
    stacked_mnist as in the literature."""
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

    def __post_init__(self) -> None:
        _positive("Evaluation", k=self.k, ais_variance=self.ais_variance)
        if self.samples < 0 or self.samples == 1:
            raise UserError(
                f"Evaluation.samples is {self.samples}, but a distribution needs at least 2 (0: the usual number)."
            )
        for name, value in (("k", self.k), ("samples", self.samples)):
            if value > 1_000_000:
                raise UserError(f"Evaluation.{name} is {value}, but at most 1000000 are of use: take fewer.")


@dataclass(frozen=True)
class Experiment:
    """All that determines a run. `seed` and the step number determine every random number in it."""

    name: str
    model: GAN | VAE
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

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise UserError(f"Experiment.name is {self.name!r}, but must be a plain directory name.")
        for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every"):
            _positive("Experiment", **{name: getattr(self, name)})
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
        if isinstance(self.model, GAN) and self.data.quantization != "none":
            raise UserError(
                f"Data.quantization is {self.data.quantization!r}, but a GAN has no likelihood to serve: use 'none'."
            )
        if isinstance(self.model, VAE):
            _check_levels(self.model.likelihood, self.data.quantization)

    @property
    def examples_per_step(self) -> int:
        """Examples that one train step takes: a batch for every update of a discriminator, or one for a VAE."""
        return self.batch_size * (self.model.discriminator_steps if isinstance(self.model, GAN) else 1)


def _check_levels(likelihood: Any, quantization: str) -> None:
    """Raises UserError if a likelihood of discrete levels would see values that are none of its levels."""
    match likelihood:
        case DiscretizedLogistic():
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


WITHOUT_INFLUENCE = ("steps", "evaluation")
"""The fields that don't change what a given step of training computes."""

_TAGGED = (
    *(GAN, VAE),
    *(DCGAN, Article, MLP, TwoMLPs, MaxoutMLP, ReluMLP, TwoLayerMLP),
    *(Bernoulli, Gaussian, LearnedGaussian, DiscretizedLogistic, Categorical),
)
_CLASSES = {cls.__name__: cls for cls in _TAGGED}

Json: TypeAlias = dict[str, Any]


def to_dict(config: Any) -> Json:
    """The dataclass as a dict of plain values; members of a union carry their class under `type`."""
    out: Json = {"type": type(config).__name__} if isinstance(config, _TAGGED) else {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        out[f.name] = to_dict(value) if dataclasses.is_dataclass(value) else value
    return out


def to_json(experiment: Experiment) -> str:
    """The experiment as JSON text; `from_json` gives back an equal one."""
    return json.dumps(to_dict(experiment), indent=2) + "\n"


def from_json(text: str) -> Experiment:
    """The experiment of a `config.json`.

    Raises:
        UserError: the text is not JSON, or a field is unknown, missing or of the wrong type.
    """
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"The configuration is not valid JSON ({error}).") from error
    return _decode(Experiment, values, "")


def nearest(name: str, names: Iterable[str]) -> str:
    """' (did you mean ...?)' for the name most like `name`, or nothing."""
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else ""


def _decode(hint: Any, value: Any, where: str) -> Any:
    """`value`, as read from JSON, as an instance of the type `hint`; `where` names the field in errors."""
    wrong = UserError(f"The field {where or 'of the experiment'} is {value!r}, but must be of type {_name(hint)}.")
    origin = typing.get_origin(hint)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise wrong
        return value
    if origin is types.UnionType or origin is typing.Union:
        members = {cls.__name__: cls for cls in typing.get_args(hint)}
        if not isinstance(value, dict) or value.get("type") not in list(members):  # a list, since it may be unhashable
            raise wrong
        return _decode(members[value["type"]], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong
        return tuple(_decode(typing.get_args(hint)[0], item, where) for item in value)
    if dataclasses.is_dataclass(hint):
        return _decode_fields(hint, value, where, wrong)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not hint:
        raise wrong
    return value


def _decode_fields(cls: Any, value: Any, where: str, wrong: UserError) -> Any:
    if not isinstance(value, dict):
        raise wrong
    hints = typing.get_type_hints(cls)
    prefix = f"{where}." if where else ""
    given = {name: item for name, item in value.items() if name != "type" or cls not in _TAGGED}
    for name in given:
        if name not in hints:
            raise UserError(f"The field {prefix}{name} does not exist{nearest(name, hints)}.")
    for f in dataclasses.fields(cls):
        # A field that came after the file was written has a default under which nothing changes.
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and f.name not in given:
            raise UserError(f"The field {prefix}{f.name} is missing.")
    return cls(**{name: _decode(hints[name], item, prefix + name) for name, item in given.items()})


def _name(hint: Any) -> str:
    members = typing.get_args(hint)
    if typing.get_origin(hint) is Literal:
        return " or ".join(repr(m) for m in members)
    if typing.get_origin(hint) is tuple:
        return f"list of {_name(members[0])}"
    return " or ".join(_name(m) for m in members) if members else getattr(hint, "__name__", str(hint))


def difference(a: Any, b: Any, ignore: tuple[str, ...] = (), where: str = "") -> tuple[str, Any, Any] | None:
    """The first field in which two configurations differ, as (dotted name, value in a, value in b); None if equal."""
    if type(a) is not type(b) or not dataclasses.is_dataclass(a):
        return None if a == b else (where, a, b)
    for f in dataclasses.fields(a):
        if f.name not in ignore:
            found = difference(getattr(a, f.name), getattr(b, f.name), (), f"{where}.{f.name}".lstrip("."))
            if found:
                return found
    return None


def value(config: Any, name: str) -> Any:
    """The value of a field by its dotted name, such as `model.optimizer.learning_rate`.

    Raises:
        UserError: there is no such field.
    """
    found = config
    for part in name.split("."):
        if not dataclasses.is_dataclass(found) or part not in {f.name for f in dataclasses.fields(found)}:
            raise UserError(f"There is no field {name}{nearest(name, leaves(config))}.")
        found = getattr(found, part)
    return found


def leaves(config: Any, prefix: str = "") -> list[str]:
    """The dotted names of all fields that hold plain values."""
    names = []
    for f in dataclasses.fields(config):
        item = getattr(config, f.name)
        names += leaves(item, f"{prefix}{f.name}.") if dataclasses.is_dataclass(item) else [prefix + f.name]
    return names


def with_value(experiment: Experiment, name: str, new: Any) -> Experiment:
    """A copy in which the field of that dotted name has another value, as JSON would give it.

    Raises:
        UserError: the value is of another type than the field, or the field refuses it.
    """
    made = to_dict(experiment)
    *outer, last = name.split(".")
    inner = made
    for part in outer:
        inner = inner[part]
    inner[last] = new
    return from_json(json.dumps(made))


def with_traced(config: Any, values: dict[str, Any]) -> Any:
    """A copy with numbers that JAX is tracing, by dotted name: nothing is checked, since they have no values yet."""
    for name, new in values.items():
        first, _, rest = name.partition(".")
        changed = copy.copy(config)
        object.__setattr__(changed, first, with_traced(getattr(config, first), {rest: new}) if rest else new)
        config = changed
    return config
