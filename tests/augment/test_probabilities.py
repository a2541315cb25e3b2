"""How often a transform is done: against the published controllers and schedules."""

import json
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import augment
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "augment.json").read_text())
CONTROLLER = GOLDEN["ada_controller"]
TRANSFORM = augment.apa()


def verdict(on_real, step=0, images=0):
    return augment.Verdict(jnp.float32(images), jnp.asarray(on_real, jnp.float32))


def logits(mean: float, batches: int, batch: int) -> np.ndarray:
    """Of both signs, the mean of which is exactly so, in batches of different means."""
    count = batches * batch
    positive = round((1 + mean) * count / 2)
    return np.where(np.arange(count) < positive, 0.3, -20.0).reshape(batches, batch)


@pytest.mark.parametrize("case", CONTROLLER["cases"], ids=lambda case: f"{case['kimg']} {case['clip_at_1']}")
def test_p_goes_where_the_published_controller_goes(case):
    """With batches of 100, of which whole numbers have the golden means, and as many more images for a change of 1."""
    images = case["kimg"] * 1000 * 100 / case["batch"]
    controller = augment.adaptive(
        TRANSFORM, case["target"], images, case["interval"], limit=1.0 if case["clip_at_1"] else math.inf
    )
    assert controller.by_sign
    update = jax.jit(controller.update)
    memory = controller.init() | {"p": jnp.float32(case["p0"])}
    for mean, p in zip(CONTROLLER["signs"], case["p"], strict=True):
        before = controller.p(memory)
        for i, batch in enumerate(logits(mean, case["interval"], 100)):
            if i:
                assert controller.p(memory) == before
            memory = update(memory, verdict(batch))
        np.testing.assert_allclose(controller.p(memory), p, rtol=1e-5, atol=1e-7)
    assert [float(memory[name]) for name in ("signs", "logits", "updates")] == [0, 0, 0]


def test_a_logit_of_0_has_no_sign():
    controller = augment.adaptive(TRANSFORM, target=0.5, images=100, interval=1)
    memory = controller.update(controller.init(), verdict([5.0, 0.0]))
    assert controller.p(memory) == 0
    memory = controller.update(memory, verdict([5.0, 5.0]))
    assert controller.p(memory) == jnp.float32(0.02)


@pytest.mark.parametrize("preset", GOLDEN["r3gan_schedules"])
def test_the_ramp_agrees_with_r3gan(preset):
    golden = GOLDEN["r3gan_schedules"][preset]
    ramp = augment.ramp(TRANSFORM, golden["end"], golden["images"])
    assert not ramp.by_sign
    assert ramp.p(ramp.init()) == 0
    seen = jnp.array([images for images, _ in golden["p"]], jnp.float32)
    found = jax.vmap(lambda images: ramp.p({"images": images}))(seen)
    np.testing.assert_allclose(found, [p for _, p in golden["p"]], rtol=1e-5)


def test_the_ramp_counts_the_images_that_were_seen():
    ramp = augment.ramp(TRANSFORM, 0.0, 100, begin=1.0)
    for before, p in ((0, (1 + np.cos(np.pi / 4)) / 2), (25, 0.5), (75, 0.0), (900, 0.0)):
        memory = ramp.update(ramp.init(), verdict(np.zeros(25), images=before))
        np.testing.assert_allclose(ramp.p(memory), p, atol=1e-6)


def test_a_constant_remembers_nothing():
    constant = augment.constant(TRANSFORM, 0.3)
    assert constant.update(constant.init(), verdict([1.0])) == {}
    assert constant.p({}) == jnp.float32(0.3)
    assert augment.constant(TRANSFORM).p({}) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda number: augment.constant(TRANSFORM, number),
        lambda number: augment.adaptive(TRANSFORM, number, 100 * number, interval=2, limit=number),
        lambda number: augment.ramp(TRANSFORM, number, 100 * number, begin=number),
    ],
    ids=["constant", "adaptive", "ramp"],
)
def test_numbers_may_be_traced_and_a_memory_keeps_its_types(make):
    def after(number):
        augmentation = make(number)
        memory = augmentation.init()
        for _ in range(2):
            memory = augmentation.update(memory, verdict([1.0, -1.0]))
        return memory, augmentation.p(memory)

    memory, p = jax.eval_shape(jax.vmap(after), jax.ShapeDtypeStruct((3,), jnp.float32))
    expected = jax.eval_shape(make(0.5).init)
    assert jax.tree.map(lambda x: (x.shape[1:], x.dtype), memory) == jax.tree.map(
        lambda x: (x.shape, x.dtype), expected
    )
    assert (p.shape, p.dtype) == ((3,), jnp.float32)


@pytest.mark.parametrize("interval", [0, -4])
def test_no_interval_is_refused(interval):
    with pytest.raises(UserError, match=rf"adjusted every {interval} updates: adaptive\(\) takes an interval of at"):
        augment.adaptive(TRANSFORM, interval=interval)
