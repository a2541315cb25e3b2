"""Disentanglement by `evaluate`: known codes score what they must, and where nothing can be compared it is said."""

from __future__ import annotations

import functools
from dataclasses import replace

import harness
import jax.numpy as jnp
import numpy as np
import pytest
from measured import with_evaluation

from gvlab import build, data, evaluate, rng
from gvlab import config as c
from gvlab.data import ground_truth
from gvlab.evaluate import disentanglement, kinds
from gvlab.types import UserError

NAMES = (
    *("mig", "modularity", "irs", "explicitness", "sap", "dci_disentanglement", "dci_completeness"),
    *("dci_informativeness", "beta_vae_score", "factor_vae_score", "gaussian_tc_nats", "wasserstein_correlation"),
)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A quick protocol."""
    for name, count in {"FITTED": 150, "JUDGED": 80, "BATCH_SIZE": 16, "VARIANCE_EXAMPLES": 150}.items():
        monkeypatch.setattr(disentanglement, name, count)


def drawn(table, factors):
    """An image of three pixels' columns, each of a grey that tells one factor: (n, 4, 4, 1)."""
    greys = table[factors]
    last = greys[:, :1]
    stack = np.concatenate if isinstance(factors, np.ndarray) else jnp.concatenate
    return stack([greys, last], axis=1)[:, None, :, None].repeat(4, axis=1)


@functools.cache
def world() -> data.GroundTruth:
    greys = (np.arange(4) * 60).astype(np.uint8)
    names, sizes = ("hue", "size", "shape"), (4, 3, 2)
    return data.GroundTruth("tiny", names, sizes, (4, 4, 1), "shape", ("a", "b"), lambda: greys, drawn)


@functools.cache
def program(latent_dim: int = 3) -> build.Program:
    numbers = np.arange(len(world()), dtype=np.int32)
    y = world().factors_of(numbers)[:, 2]
    splits = [
        data.Split(data.Rendered(world().table(), rows, world()), y[rows]) for rows in (numbers[:20], numbers[20:])
    ]
    dataset = data.Dataset("tiny", *splits, 2, data.fingerprint(*splits), truth=world())
    model = c.VAE(c.MLP(hidden=(4,)), latent_dim=latent_dim)
    return build.program(c.Experiment("e", model, 10, batch_size=4), dataset)


def with_codes(codes) -> build.Program:
    """A model whose latents are a function of the three greys."""

    def means(state, batch):
        return codes(batch.x[:, 0, :3, 0]), jnp.zeros((len(batch.x), 3))

    return replace(program(), model=program().model._replace(encode=means))


TURNED = jnp.array([[1.0, 1.0, 1.0], [1.0, -1.0, 0.5], [1.0, 0.5, -1.0]])


def values(codes) -> dict[str, float]:
    return {name: measure["value"] for name, measure in disentanglement.disentangled(with_codes(codes), None).items()}


def test_codes_that_are_the_factors_score_full_marks_and_mixed_ones_less():
    own, mixed = values(lambda greys: greys * jnp.array([[1.0, -2.0, 3.0]])), values(lambda greys: greys @ TURNED)
    assert tuple(own) == NAMES
    for name in ("mig", "modularity", "irs", *NAMES[5:10]):
        assert own[name] == pytest.approx(1, abs=0.08), name
    assert own["explicitness"] > 0.9
    assert own["gaussian_tc_nats"] == pytest.approx(0, abs=0.05)
    assert own["wasserstein_correlation"] == pytest.approx(0, abs=0.05)
    for name in ("mig", "modularity", "irs", "sap", "dci_disentanglement", "dci_completeness", "factor_vae_score"):
        assert mixed[name] < own[name] - 0.05, name
    assert mixed["gaussian_tc_nats"] > 0.05


def test_codes_that_say_nothing_are_no_error():
    found = values(lambda greys: 0 * greys)
    assert found["mig"] == found["gaussian_tc_nats"] == found["wasserstein_correlation"] == 0
    assert found["factor_vae_score"] == 0


def test_codes_are_those_of_the_examples():
    """The metrics see what the encoder gives of the images that were drawn, in the order of their numbers."""
    made = program()
    params = made.model.init(rng.root(0), made.first_batch())
    codes = disentanglement._codes(made, params, world())
    images = np.asarray(world().render(world().factors_of(np.arange(len(world())))))
    batch = ground_truth.Rendered(world().table(), np.arange(len(world())), world())[:]
    np.testing.assert_array_equal(images, batch)
    wanted, _ = made.model.encode(params, made.first_batch()._replace(x=data.to_unit(jnp.asarray(images))))
    np.testing.assert_allclose(codes, wanted, rtol=1e-5, atol=1e-6)


def test_it_is_measured_where_it_is_asked_for_and_says_how():
    made = program()
    params = made.model.init(rng.root(0), made.first_batch())
    heard = []
    asked = with_evaluation(made, measures=("disentanglement",), k=2)
    found = evaluate.evaluate(asked, params, [], lambda *of: heard.append(of))
    assert {name for name in found if name in NAMES} == set(NAMES)
    assert not [name for name in found if name.startswith(("frechet", "kernel"))]
    assert heard == [("disentanglement", number, 10) for number in range(1, 11)]
    stamp = found["dci_completeness"]["stamp"]
    assert (stamp["examples"], stamp["fitted_to"], stamp["classifier"]) == (80, 150, "gradient-boosted trees")
    assert stamp["factors"] == {"hue": 4, "size": 3, "shape": 2}
    assert (stamp["dataset"], stamp["split"], stamp["factor_seed"]) == ("tiny", "all combinations of factors", 0)
    assert "likelihood" not in stamp
    for name in NAMES[:10]:
        assert kinds.kind_of(name)[1:3] == ("higher", "latents")
    others = evaluate.evaluate(with_evaluation(made, measures=("kernel",), samples=4, k=2), params)
    assert not set(NAMES) & set(others)


def test_where_nothing_can_be_compared_it_is_refused():
    def refused(program, why):
        with pytest.raises(UserError, match=why):
            evaluate.check_ahead(with_evaluation(program, measures=("disentanglement",)), [])

    refused(
        harness.program("vae"),
        r"^The factors that digits was made from are not known, so disentanglement cannot be measured on it: leave "
        r"disentanglement out, or train on gvsprites or gvrooms\.$",
    )
    refused(harness.program("gan"), r"^gan has no encoder whose latents disentanglement could be measured of: leave ")
    refused(program(latent_dim=1), r"^e has 1 latent, but disentanglement compares at least 2: leave ")
