"""The models that the contract tests run: every family and option, small enough to compile in a second or two."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import newer
import numpy as np
import optax
from cases import LATENT, Case, quick_jit

from gvlab import augment, losses, models, networks
from gvlab.losses import penalties, terms
from gvlab.models import observation
from gvlab.types import Batch, Model, PyTree

LAYERS = 3, 1
"""Of the models with two layers of latents, which they call one latent of length `LATENT`."""


def dcgan(shape, axis):
    return (
        networks.DCGANGenerator(shape, width=4, axis_name=axis),
        networks.DCGANDiscriminator(width=4, axis_name=axis),
    )


class NormGenerator(nn.Module):
    """The smallest generator with batch statistics, of vectors."""

    shape: tuple[int, ...] = (2,)
    axis_name: str | None = None

    @nn.compact
    def __call__(self, z, y=None, *, train):
        h = nn.relu(nn.Dense(5)(networks.append_label(z, y)))
        h = nn.BatchNorm(use_running_average=not train, momentum=0.8, axis_name=self.axis_name)(h)
        return nn.Dense(self.shape[0])(h)


class NormDiscriminator(nn.Module):
    """The smallest discriminator with batch statistics, of vectors."""

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = nn.relu(nn.Dense(6)(networks.append_label(x, y)))
        h = nn.BatchNorm(use_running_average=not train, momentum=0.8, axis_name=self.axis_name)(h)
        return nn.Dense(1)(jnp.tanh(h))[:, 0]


def norm_gan(shape, axis):
    return NormGenerator(shape, axis_name=axis), NormDiscriminator(axis_name=axis)


def mlp_gan(shape, axis):
    return networks.MLPGenerator(shape, hidden=(32,)), networks.MLPDiscriminator(hidden=(32,))


def packed_gan(shape, axis):
    generator, discriminator = mlp_gan(shape, axis)
    return generator, networks.Packed(discriminator, 2)


class SpectralDiscriminator(nn.Module):
    """The smallest discriminator with singular vectors, of vectors."""

    @nn.compact
    def __call__(self, x, y=None, *, train):
        h = nn.leaky_relu(networks.SpectralDense(6, train=train)(networks.append_label(x, y)))
        return nn.Dense(1)(h)[:, 0]


def spectral_gan(shape, axis):
    return networks.MLPGenerator(shape, hidden=(8,)), SpectralDiscriminator()


def gan(factory, players, shape, *, size=8, **options) -> Case:
    low = -1.0 if len(shape) == 3 else -float("inf")

    def make(optimizer, axis_name=None):
        return factory(
            *players(shape, axis_name),
            optimizer,
            optimizer,
            latent_dim=LATENT,
            data_range=(low, -low),
            axis_name=axis_name,
            **options,
        )

    return Case(make, shape, options.get("num_classes", 0), size, (-1.0, 1.0) if len(shape) == 3 else None, low)


def article_vae(shape, parameters):
    return networks.ArticleEncoder(LATENT), networks.ArticleDecoder(shape, parameters=parameters)


def mlp_vae(shape, parameters):
    return networks.MLPEncoder(LATENT, hidden=(32,)), networks.MLPDecoder(shape, hidden=(32,), parameters=parameters)


def two_layers(shape, parameters):
    return (
        networks.MLPEncoder(LAYERS[0], hidden=(32,)),
        networks.MLPEncoder(LAYERS[1], hidden=(16,)),
        networks.MLPEncoder(LAYERS[0], hidden=(16,)),
        networks.MLPDecoder(shape, hidden=(32,), parameters=parameters),
    )


def vae(observed, nets, shape, *, factory=models.variational_autoencoder, levels=(0.0, 1.0), **options) -> Case:
    images = len(shape) == 3
    size = {"layers": LAYERS} if nets is two_layers else {"latent_dim": LATENT}

    def make(optimizer, axis_name=None):
        return factory(
            *nets(shape, observed.parameters),
            observed,
            optimizer,
            **size,
            data_range=(0.0, 1.0) if images else (-float("inf"), float("inf")),
            axis_name=axis_name,
            **options,
        )

    low = 0.0 if images else -float("inf")
    return Case(make, shape, options.get("num_classes", 0), levels=levels if images else None, low=low)


IMAGE = (4, 4, 1)

GANS = {
    "mlp gan": gan(models.alternating_gan, mlp_gan, (2,)),
    "mlp gan, 2 discriminator steps": gan(models.alternating_gan, mlp_gan, IMAGE, size=16, discriminator_steps=2),
    "mlp gan, simultaneous": gan(models.simultaneous_gan, mlp_gan, (2,)),
    "mlp gan, relativistic": gan(
        models.simultaneous_gan, mlp_gan, (2,), contest=losses.relativistic(losses.logistic_margin_loss)
    ),
    "norm gan, relativistic average, top half": gan(  # whose losses look at the whole batch
        models.alternating_gan,
        norm_gan,
        (2,),
        contest=losses.top_k(losses.relativistic_average(losses.hinge_margin_loss), 0.5),
    ),
    "mlp gan, relativistic, R1, R2": gan(
        models.alternating_gan,
        mlp_gan,
        (2,),
        contest=losses.relativistic(losses.logistic_margin_loss),
        discriminator_terms=(penalties.r1(0.1), penalties.r2(0.1)),
    ),
    "mlp gan, simultaneous, lazy penalty, LeCam": gan(
        models.simultaneous_gan,
        mlp_gan,
        (2,),
        discriminator_terms=(terms.every(2, penalties.gradient_penalty(0.001)), penalties.lecam(0.01)),
    ),
    "mlp gan, minimax": gan(models.alternating_gan, mlp_gan, (2,), contest=losses.minimax),
    "mlp gan, conditional, no ema": gan(models.alternating_gan, mlp_gan, IMAGE, num_classes=3, ema_decay=0.0),
    "mlp gan, separate, packed, noise": gan(
        models.separate_gan,
        packed_gan,
        (2,),
        size=16,
        augmentation=augment.ramp(augment.instance_noise(0.1), 1.0, 4000),
    ),
    "spectral gan, hinge, consistency": gan(
        models.alternating_gan,
        spectral_gan,
        (2,),
        contest=losses.hinge,
        discriminator_terms=(losses.latent_consistency(0.1),),
    ),
    "dcgan, simultaneous": gan(models.simultaneous_gan, dcgan, (16, 16, 1)),
    "norm gan, simultaneous": gan(models.simultaneous_gan, norm_gan, (2,)),
    "norm gan, conditional, 2 discriminator steps": gan(
        models.alternating_gan, norm_gan, (2,), size=16, num_classes=3, discriminator_steps=2
    ),
}

VAES = {
    "mlp vae": vae(observation.bernoulli(), mlp_vae, IMAGE),
    "mlp vae, conditional, 2 samples, warm-up": vae(
        observation.bernoulli(), mlp_vae, IMAGE, num_classes=3, num_samples=2, kl_warmup_steps=4, beta=0.5
    ),
    "vector vae, gaussian": vae(observation.gaussian(0.04), mlp_vae, (3,)),
    "vector vae, learned gaussian": vae(observation.learned_gaussian(), mlp_vae, (3,)),
    "mlp vae, discretized logistic": vae(observation.discretized_logistic(), mlp_vae, IMAGE, levels=(0.2, 0.8)),
    "mlp vae, categorical": vae(observation.categorical(4), mlp_vae, IMAGE),
    "article vae": vae(observation.bernoulli(), article_vae, (8, 8, 1)),
    "normalised vae": Case(newer.normalised_vae, IMAGE, levels=(0.0, 1.0)),
    "mlp iwae, conditional, 5 samples": vae(
        observation.bernoulli(),
        mlp_vae,
        IMAGE,
        factory=models.importance_weighted_autoencoder,
        num_classes=3,
        num_samples=5,
    ),
}

TWO_LAYERS = {
    "two-layer vae": vae(observation.bernoulli(), two_layers, IMAGE, factory=models.two_layer_variational_autoencoder),
    "two-layer iwae, conditional, 5 samples": vae(
        observation.bernoulli(),
        two_layers,
        IMAGE,
        factory=models.two_layer_importance_weighted_autoencoder,
        num_classes=3,
        num_samples=5,
    ),
}

VAES |= TWO_LAYERS


POSITIONS = 4


def vq_vae(quantizer, features, shape, *, start=None, **options) -> Case:
    """`quantizer` makes it, given an axis."""

    def make(optimizer, axis_name=None):
        module = quantizer(axis_name)
        return models.vector_quantized_autoencoder(
            networks.CodeMLPEncoder(POSITIONS, features, (32,)),
            module,
            networks.CodeMLPDecoder(shape, 1, (32,)),
            observation.bernoulli(),
            optimizer,
            latent_shape=(POSITIONS, features),
            start=start and partial(start, module),
            axis_name=axis_name,
            **options,
        )

    return Case(make, shape, options.get("num_classes", 0), levels=(0.0, 1.0))


def revived(axis):
    return networks.EMAVectorQuantizer(3, 0.9, 0.1, axis_name=axis)


def binary_vae(estimator, shape, **options) -> Case:
    """`estimator` makes it."""

    def make(optimizer, axis_name=None):
        return models.binary_autoencoder(
            networks.MLPEncoder(LATENT // 2, hidden=(32,)),
            networks.MLPDecoder(shape, hidden=(32,)),
            observation.bernoulli(),
            optimizer,
            estimator=estimator(),
            latent_dim=LATENT,
            axis_name=axis_name,
            **options,
        )

    return Case(make, shape, options.get("num_classes", 0), levels=(0.0, 1.0))


def nvil():
    return models.binary.nvil(networks.MLPDiscriminator((8,)), 0.8)


CODES = {
    "binary vae, conditional, NVIL": binary_vae(nvil, IMAGE, num_classes=3),
    "vq vae, conditional, k-means, revival": vq_vae(revived, 2, IMAGE, num_classes=3, start=networks.kmeans_start),
}


def hierarchy(observed, network, shape, objective, **options) -> Case:
    """A case whose network is made by a function of what the likelihood wants and an axis."""

    def make(optimizer, axis_name=None):
        made = network(*observed.made_for(shape), axis_name)
        return models.hierarchical_autoencoder(
            made, observed, optimizer, layers=made.layers, objective=objective, axis_name=axis_name, **options
        )

    return Case(make, shape, levels=(0.0, 1.0))


def ladder(shape, parameters, axis):
    return networks.LadderMLP(shape, parameters, latents=(LATENT - 2, 2), hidden=(32, 16), axis_name=axis)


def vdvae(shape, parameters, axis):
    return networks.VDVAE(shape, parameters, ((4, 4),), ((1, 0), (4, 1)), features=8, latents=2, bottleneck=0.5)


HIERARCHIES = {
    "ladder vae, warm-up": hierarchy(
        observation.bernoulli(), ladder, IMAGE, models.objectives.evidence_lower_bound(kl_warmup_steps=4)
    ),
    "vdvae, 2 samples": hierarchy(
        observation.bernoulli(), vdvae, IMAGE, models.objectives.importance_weighted, num_samples=2
    ),
}
"""Of latents that no encoder tells of as one normal distribution."""

ALL = GANS | VAES | CODES | HIERARCHIES | newer.OTHERS


def examples(case: Case, seed: int = 0) -> Batch:
    """A batch of distinct random examples; the labels go round."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(case.size, *case.shape))
    if case.levels is not None:
        x = np.where(x < 0, *case.levels)
    labels = np.arange(case.size, dtype=np.int32) % case.classes if case.classes else None
    return jax.tree.map(jnp.asarray, Batch(x.astype(np.float32), labels))


class Ready(NamedTuple):
    """A model with its functions compiled once for all tests. `step` donates nothing, so states may be used again."""

    name: str
    case: Case
    model: Model
    state: PyTree
    """As `init` gives it."""
    batch: Batch
    init: Callable[..., Any]
    step: Callable[..., Any]
    traces: list[None]
    """One entry per trace of `step`."""
    sample: Callable[..., Any]
    evaluate: Callable[..., Any]


@cache
def ready(name: str) -> Ready:
    """The model of that name under Adam."""
    case = ALL[name]
    model = case.make(optax.adam(1e-2))
    batch = examples(case)
    traces: list[None] = []

    def step(state, batch, key):
        traces.append(None)
        return model.train_step(state, batch, key)

    init = quick_jit(model.init)
    return Ready(
        name=name,
        case=case,
        model=model,
        state=init(jax.random.key(0), batch),
        batch=batch,
        init=init,
        step=quick_jit(step),
        traces=traces,
        sample=quick_jit(model.sample, static_argnums=2),
        evaluate=quick_jit(model.evaluate),
    )


@jax.jit
def step_key(step: int):
    """The key of a step of `train`; eagerly, keys would take as long as the steps."""
    return jax.random.fold_in(jax.random.key(1), step)


def train(name: str, steps: int, keep: Callable[[PyTree, PyTree], PyTree] = lambda old, new: new):
    """(state, info of every step) after so many steps on the one batch; `keep` may put parts of the old state back."""
    of = ready(name)
    state, infos = of.state, []
    for step in range(steps):
        new, info = of.step(state, of.batch, step_key(step))
        state = keep(state, new)
        infos.append(info)
    return state, infos


@cache
def trained(name: str):
    """`train` for 50 steps, shared by the tests that look at a state that has moved."""
    return train(name, 50)
