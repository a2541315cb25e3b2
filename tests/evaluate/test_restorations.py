"""Restorations as measures: how they are named, that all models see the same, and what is refused."""

from __future__ import annotations

import typing
from dataclasses import replace

import harness
import jax.numpy as jnp
import numpy as np
import pytest
from measured import state, with_evaluation, with_seed

from gvlab import config as c
from gvlab import data, evaluate, restore, rng
from gvlab.config.restoration import MAP, AnyOperator, Block, Blur, Downsample, Grey, Half, Mask, Noise, Projection
from gvlab.evaluate import held_out, restorations
from gvlab.evaluate.restorations import restoration
from gvlab.types import UserError


@pytest.mark.fast
@pytest.mark.parametrize(
    ("measure", "name", "what", "noise"),
    [
        ("restore:block10", "block10", Block(10), 0.1),
        ("restore:mask0.50", "mask0.5", Mask(0.5), 0.1),
        ("restore:half", "half", Half(), 0.1),
        ("restore:blur1.0", "blur1", Blur(1.0), 0.1),
        ("restore:noise0.5", "noise0.5", Noise(), 0.5),
        ("restore:noise", "noise", Noise(), 0.1),
        ("restore:projection50", "projection50", Projection(50), 0.1),
    ],
)
def test_a_name_says_the_operator_and_its_number(measure, name, what, noise):
    assert restoration(measure) == (name, what, noise)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("measure", "words"),
    [
        ("restore:blok10", r"no measure 'restore:blok10': .*\(did you mean restore:block10\?\)"),
        ("restore:", "There is no measure 'restore:': choose one like restore:mask0.5"),
        ("restore:mask(nan)", "There is no measure"),
        ("restore:half3", "The measure restore:half3 has a number, but half has none"),
        ("restore:block2.5", r"Block.size is 2.5, but must be of type int"),
        ("restore:mask2", "Mask.share is 2.0"),
        ("restore:noise0", "The noise of restore:noise0 is 0, but must be from"),
    ],
)
def test_a_name_that_says_none_is_refused(measure, words):
    with pytest.raises(UserError, match=words):
        evaluate.check(c.Evaluation(measures=(measure,)))


def test_a_restoration_is_what_the_command_restores_and_the_same_for_every_seed(monkeypatch):
    monkeypatch.setattr(restorations, "IMAGES", 5)
    program, trained = harness.program("vae"), state("vae")
    found = restorations.restored(program, trained, "restore:block6")
    operator, true = Block(6).operator((16, 16, 1)), np.asarray(program.dataset.test.x[:5], np.float32) / 255
    y = operator.observed(rng.stream(rng.root(0), rng.OBSERVATION), jnp.asarray(true), 0.1)
    method = MAP(restarts=2, steps=100, rate=0.1)
    searcher = restore.searcher_of(program, operator, method, 0.1)
    by_hand = restore.restore(program, trained, operator, y, method, 0.1, 0, searcher=searcher)
    psnr = restore.measured(by_hand.x, true)["psnr_db"]
    np.testing.assert_allclose(found["restored_psnr_db_block6"]["value"], psnr.mean(), rtol=1e-6)
    error = psnr.std(ddof=1) / np.sqrt(5)
    np.testing.assert_allclose(found["restored_psnr_db_block6"]["standard_error"], error, rtol=1e-5)
    assert 0 <= found["restored_class_agreement_block6"]["value"] <= 1
    stamp = found["restored_error_per_pixel_block6"]["stamp"]
    assert (stamp["examples"], stamp["noise"], stamp["restore_seed"]) == (5, 0.1, 0)
    assert stamp["operator"] == {"type": "Block", "size": 6}
    assert stamp["method"] == {"type": "MAP", "restarts": 2, "steps": 100, "rate": 0.1}
    baseline = ((by_hand.baseline - true) ** 2).mean()
    np.testing.assert_allclose(stamp["of_baseline"], baseline, rtol=1e-5)
    searchers = restorations._searcher.cache_info().misses
    assert restorations.restored(with_seed(program, 7), trained, "restore:block6") == found
    assert restorations._searcher.cache_info().misses == searchers  # compiled once


@pytest.mark.fast
def test_the_operators_are_the_configurations():
    x = jnp.linspace(0.0, 1.0, 192).reshape(8, 8, 3)
    assert set(restorations._OPERATORS) == set(typing.get_args(AnyOperator))
    for what in (Mask(0.3, 2), Block(3), Half(), Downsample(4), Blur(0.7), Grey(), Noise(), Projection(5, 3)):
        made = restorations._OPERATORS[type(what)]((8, 8, 3), **vars(what))
        np.testing.assert_array_equal(made.apply(x), what.operator((8, 8, 3)).apply(x))


def test_where_restorations_alone_are_asked_for_no_distributions_are_compared(monkeypatch):
    monkeypatch.setattr(restorations, "IMAGES", 3)
    monkeypatch.setitem(restorations.OF_RESTORATIONS, "restore", lambda program, state, name: {
        f"restored_psnr_db_{restoration(name).name}": {"value": 1.0, "stamp": {"quantization": "none"}}
    })  # fmt: skip
    monkeypatch.setattr(held_out, "held_out", lambda *args: {})
    program = with_evaluation(harness.program("gan"), measures=("restore:half", "restore:mask0.5"))
    measures = evaluate.evaluate(program, state("gan"))
    assert set(measures) == {"restored_psnr_db_half", "restored_psnr_db_mask0.5"}
    stamp = measures["restored_psnr_db_half"]["stamp"]
    assert (stamp["quantization"], stamp["dataset"]) == ("none", "digits")
    assert evaluate.kind_of("restored_psnr_db_mask0.5")[1:3] == ("higher", "restoration")
    assert evaluate.title_of("restored_psnr_db_mask0.5") == "PSNR of restored images, dB (mask0.5)"


def test_what_cannot_be_restored_is_refused_before_anything_is_computed():
    program = harness.program("vae")
    points = data.from_arrays("points", np.zeros((8, 2), np.float32), np.zeros((8, 2), np.float32))
    for where, measure, words in (
        (replace(program, dataset=points), "restore:half", "restore:half is of images, but points has "),
        (replace(program, model=program.model._replace(learned_prior=lambda *args: None)), "restore:half",
         "searches latents of a standard normal prior, but vae has others: leave it out"),
        (program, "restore:downsample3", "The factor 3 does not divide"),
        (program, "restore:grey", "the images have 1 channel"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words):
            restorations.check(where, (measure,))
    restorations.check(program, ("frechet", "restore:half"))
