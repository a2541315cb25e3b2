"""What a model's latents do on the test split."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gvlab import config as c
from gvlab import families, metrics
from gvlab.build import Program
from gvlab.evaluate.held_out import Listener, Measure, compiled, test_batches
from gvlab.types import Model, PyTree


def latents(program: Program, state: PyTree, key: jax.Array) -> dict[str, Measure]:
    """What the encoder does with its latents on the test split: how many it uses, and what its KL term is made of."""
    if isinstance(program.experiment.model, c.TRANSLATORS):
        return {}  # whose z is a picture
    encode = compiled(program.model).encode
    assert encode is not None
    pieces = [
        [np.asarray(part)[:counted] for part in encode(state, batch)] for _, counted, batch in test_batches(program)
    ]
    means, logvars = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    shared: dict[str, Any] = {"latents": means.shape[1]}
    model = c.pictured(program.experiment.model)
    if isinstance(getattr(model, "network", None), c.TwoLayerMLP):  # q(h2|x) is no Gaussian there
        shared["posterior"] = "normal, along the mean of the first layer"
    found: dict[str, Measure] = {
        "active_units": {"value": metrics.active_units(means), "stamp": shared | {"threshold": 0.01}}
    }
    if isinstance(model, c.RAE):
        return found  # which gives one point, and no density
    if not isinstance(getattr(model, "posterior", c.DiagonalNormal()), c.INDEPENDENT_NORMALS):
        return found  # whose mean and variance are not the density that the rest is of
    surgery = metrics.elbo_surgery(key, means, logvars)
    saturated = surgery.mutual_information_nats > 0.9 * surgery.log_examples
    full = {"warning": f"near its limit of log({len(means)}) = {surgery.log_examples:.2f} nats"} if saturated else {}
    error = {"standard_error": surgery.standard_error_nats, "stamp": shared | full}
    found["mutual_information_nats"] = {"value": surgery.mutual_information_nats} | error
    if program.model.learned_prior is None:  # a distance from N(0, I) would say nothing of a learned one
        collapsed = int(metrics.collapsed_units(means, logvars).sum())
        all_of_them = collapsed == means.shape[1]
        warning = {"warning": "the posterior has collapsed: no latent depends on x"} if all_of_them else {}
        found["collapsed_units"] = {
            "value": collapsed,
            "stamp": shared | {"epsilon_nats": 0.01, "delta": 0.01} | warning,
        }
        found["marginal_kl_nats"] = {"value": surgery.marginal_kl_nats} | error
    return found


def clusters(program: Program, state: PyTree, listen: Listener) -> dict[str, Measure]:
    """How the components of a mixture prior, each a cluster of examples, agree with the classes that nobody told them
    (`UserError` if there are none)."""
    families.check_clusters(program.experiment, program.dataset)
    of_batch = _clusters(program.model)
    found = np.concatenate(
        [np.asarray(of_batch(state, batch))[:counted] for _, counted, batch in test_batches(program)]
    )
    stamp = {"of": "means of q(z|x)", "classes": program.dataset.num_classes}
    told = {"note": "the networks are given the classes"} if program.experiment.conditional else {}
    prior = getattr(c.pictured(program.experiment.model), "prior", None)
    if isinstance(prior, c.VaDE) and int(state.step) < prior.steps_before(program.experiment.batch_size):
        stamp["warning"] = "the prior was not fitted yet: train beyond its pretraining"
    accuracy = metrics.cluster_accuracy(found, np.asarray(program.dataset.test.y))
    return {
        "cluster_accuracy": {"value": accuracy, "stamp": stamp | told},
        "used_clusters": {"value": len(np.unique(found)), "stamp": {"of": stamp["of"]}},
    }


@functools.lru_cache(maxsize=16)
def _clusters(model: Model) -> Callable[..., Any]:
    """One compiled function per model."""
    assert model.clusters is not None
    return jax.jit(model.clusters)
