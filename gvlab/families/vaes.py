"""VAEs of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gvlab import config as c
from gvlab import data, models, networks
from gvlab.families.setting import Setting
from gvlab.own_parts import made
from gvlab.types import Model, UserError


def vae(config: c.VAE, setting: Setting) -> Model:
    """The VAE, or `UserError` if its networks cannot make such data, or its likelihood is of other data."""
    setting.check_network(config.network)
    setting.check_likelihood(config.likelihood)
    observed = _observation(config, setting)
    decoded, parameters = observed.made_for(setting.shape)
    modules = made(config.network, "coders", decoded, config.latent_dim, parameters, setting.classes, setting.axis_name)
    posterior = config.posterior.posterior(config.latent_dim)
    if posterior is not None:
        wide = config.latent_dim + posterior.extra
        encoder, *_ = made(config.network, "coders", decoded, wide, parameters, setting.classes, setting.axis_name)
        modules = (encoder, *modules[1:])
    if config.output_bias == "data_mean":
        if setting.data_mean is None:
            raise UserError("VAE.output_bias is 'data_mean', but no data_mean was given: pass the training mean.")
        bias: Any = networks.bernoulli_bias(setting.data_mean)
        modules = (*modules[:-1], modules[-1].clone(output_bias_init=bias))
    if observed.shared:
        modules = (*modules[:-1], networks.WithShared(modules[-1], observed.shared))
    if isinstance(config.posterior, c.NormalisedMeans):
        modules = (config.posterior.encoder(modules[0], setting.axis_name), *modules[1:])
    modules = tuple(map(setting.precise, modules))
    optimizer = made(config.optimizer, "transformation", 1)
    options = setting.options() | {
        "examples": setting.examples,
        "num_samples": config.num_samples,
        "objective": _objective(config),
    }
    factory: Callable[..., Model] = models.autoencoder
    if isinstance(config.network, c.TwoLayerMLP):
        factory = models.two_layer_autoencoder
        options["layers"] = (config.network.first, config.latent_dim - config.network.first)
    else:
        options["latent_dim"] = config.latent_dim
        if isinstance(config.objective, c.Factor | c.Adversarial):
            options["critic"] = config.objective.critic(made(config.objective.optimizer, "transformation", 1))
        options["posterior"] = posterior
        options["prior"] = config.prior.prior(setting.shape, config.latent_dim, setting.values)
    if isinstance(config.prior, c.VaDE):
        options["noise_weight"] = models.pretraining.after(config.prior.pretraining)
    if isinstance(config.inference, c.Aggressive):
        return models.aggressive.in_turns(
            lambda optimizer: factory(*modules, observed, optimizer, **options),
            optimizer,
            most=config.inference.most,
            window=config.inference.window,
            until=config.inference.until,
        )
    model = factory(*modules, observed, optimizer, **options)
    if isinstance(config.prior, c.VaDE):
        steps = config.prior.pretraining
        return models.pretraining.pretrained(model, optimizer, steps=steps, axis_name=setting.axis_name)
    if not isinstance(config.objective, c.LearnedSimilarity):
        return model
    setting.check_images("LearnedSimilarity")
    critic = config.objective.image_critic(made(config.objective.optimizer, "transformation", 1), setting.axis_name)
    critic = critic._replace(network=setting.precise(critic.network))
    encoder, decoder = modules
    return models.vae_gan(
        model,
        encoder,
        decoder,
        observed,
        optimizer,
        critic,
        latent_dim=config.latent_dim,
        num_classes=setting.classes,
        axis_name=setting.axis_name,
    )


def _observation(config: c.VAE, setting: Setting) -> models.Observation:
    if isinstance(config.likelihood, c.Sentences):
        return config.likelihood.observation(setting.shape[0], setting.levels)
    return made(config.likelihood, "observation")


def check_clusters(experiment: c.Experiment, dataset: data.Dataset) -> None:
    """Raises UserError if the accuracy of clusters is asked for, but the data have no classes that they could be."""
    asked = "cluster_accuracy" in experiment.evaluation.measures
    if asked and not isinstance(dataset, data.Absent) and (not dataset.num_classes or dataset.test.y is None):
        raise UserError(f"The measure cluster_accuracy is of classes, but {dataset.name} has none: leave it out.")


def _objective(config: c.VAE) -> models.objectives.Objective:
    if isinstance(config.objective, c.LearnedSimilarity):  # of which `models.vae_gan` makes the steps
        return models.objectives.evidence_lower_bound()
    if not isinstance(config.objective, c.ELBO):
        return made(config.objective, "objective")
    if isinstance(config.prior, c.VaDE):
        return models.objectives.evidence_lower_bound(
            config.beta, schedule=models.pretraining.after(config.prior.pretraining)
        )
    constant = isinstance(config.kl_schedule, c.Constant)
    schedule = None if constant else made(config.kl_schedule, "schedule")
    return models.objectives.evidence_lower_bound(config.beta, config.kl_warmup_steps, schedule)
