"""Terms of a discriminator's loss against published implementations and closed forms."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import rng
from gvlab.losses import penalties, terms
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "penalties.json").read_text())
ALPHA = np.array([0.15, 0.4, 0.65, 0.9])
SHAPES = {
    "c1.weight": (5, 3, 3, 3), "c1.bias": (5,), "c2.weight": (7, 5, 3, 3), "c2.bias": (7,),
    "l.weight": (1, 28), "l.bias": (1,),
}  # fmt: skip


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(np.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


PARAMS = {
    name: arr(shape, scale, k)
    for k, ((name, shape), scale) in enumerate(zip(SHAPES.items(), [0.4, 0.1, 0.3, 0.1, 0.5, 0.1], strict=True))
}
REAL, FAKE = arr((4, 3, 8, 8), 0.9, 1), arr((4, 3, 8, 8), 0.8, 2)


def discriminator(params, x):
    """The one of the golden values, of images with their channels first."""

    def conv(x, name):
        layout = ("NCHW", "OIHW", "NCHW")
        x = jax.lax.conv_general_dilated(x, params[f"{name}.weight"], (2, 2), [(1, 1)] * 2, dimension_numbers=layout)
        return x + params[f"{name}.bias"][None, :, None, None]

    h = jnp.tanh(conv(jax.nn.leaky_relu(conv(x, "c1"), 0.2), "c2"))
    return (h.reshape(len(x), -1) @ params["l.weight"].T)[:, 0] + params["l.bias"][0]


def round_of(critic, real=REAL, fake=FAKE, step=0, **options):
    real, fake = jnp.asarray(real), jnp.asarray(fake)
    known = {"on_real": critic(real), "on_fake": critic(fake)} | options
    z = jnp.zeros((len(real), 2))
    return terms.Round(jnp.int32(step), jax.random.key(0), real, fake, z, critic, lambda z: fake, **known)


@pytest.fixture
def drawn(monkeypatch):
    """Noise as it was given to the published implementations, instead of random."""

    def draws(**given):
        for name, arrays in given.items():
            left = iter(arrays)
            monkeypatch.setattr(rng, name, lambda key, shape, axis_name, left=left: jnp.asarray(next(left)))

    return draws


def value_and_gradient(term):
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, PARAMS)

        def loss(params):
            this = round_of(lambda x: discriminator(params, x))
            return term.value(this, term.init())[0].mean()

        return jax.jit(jax.value_and_grad(loss))(params)


R1 = "R1 per example, no 1/2 (R3GAN's penalty), mean, real"
R2 = "R2 per example, no 1/2 (R3GAN's penalty), mean, fake"
AGREE = {
    "wgan_gp (StudioGAN), two-sided, target 1": penalties.gradient_penalty(1.0),
    "r1 (StudioGAN: 0.5 * mean squared norm, real)": penalties.r1(1.0),
    R1: penalties.r1(2.0),
    R2: penalties.r2(2.0),
    "zero-centred GP on interpolates, mean squared norm [formula]": penalties.zero_centred(1.0),
    "one-sided GP max(0, norm-1)^2 with images scaled by 1, target 0.05 [formula: mean relu(norm-0.05)^2]": (
        penalties.one_sided_gradient_penalty(1.0, target=0.05)
    ),
}


@pytest.mark.parametrize(("name", "term"), AGREE.items(), ids=AGREE)
def test_penalties_agree_with_the_reference(name, term, drawn):
    drawn(uniform=[ALPHA])
    value, gradient = value_and_gradient(term)
    agree(GOLDEN["penalties"][name], value, gradient)


def agree(golden, value, gradient):
    np.testing.assert_allclose(value, golden["value"], rtol=1e-9)
    for name, expected in golden.get("grad", {}).items():
        expected = 0 if expected is None else np.reshape(expected["values"], expected["shape"])  # None: takes no part
        np.testing.assert_allclose(gradient[name], expected, rtol=1e-6, atol=1e-9)


def test_dragan_agrees_with_the_reference_which_takes_the_unbiased_deviation(drawn):
    u = np.modf(0.7548776662466927 * np.arange(REAL.size) + 0.137)[0].reshape(REAL.shape)
    drawn(uniform=[ALPHA, u * np.sqrt(REAL.size / (REAL.size - 1))])
    agree(GOLDEN["penalties"]["dragan (StudioGAN)"], *value_and_gradient(penalties.dragan(1.0)))


def test_compare_gans_dragan_agrees_with_the_reference(drawn):
    """Of images in [-1, 1]; those of the reference are these in [0, 1]."""
    drawn(uniform=[np.modf(0.7548776662466927 * np.arange(REAL.size) + 0.137)[0].reshape(REAL.shape)])

    @jax.jit
    def found(real):
        this = round_of(lambda x: discriminator(PARAMS, (x + 1) / 2), real)
        return penalties.clipped_dragan(1.0).value(this, {})[0].mean()

    value = found(0.8 * REAL)
    name = "compare_gan dragan_penalty (images 0.5+0.4*real, clipped to [0,1])"
    np.testing.assert_allclose(value, GOLDEN["penalties_tf"][name]["value"], rtol=1e-4)  # of float32


def test_tf_gan_lets_alpha_weight_the_fake(drawn):
    name = next(name for name in GOLDEN["penalties_tf"] if "one_sided=False target=1.0" in name)
    drawn(uniform=[1 - ALPHA])
    value, _ = value_and_gradient(penalties.gradient_penalty(1.0))
    np.testing.assert_allclose(value, GOLDEN["penalties_tf"][name]["value"], rtol=1e-5)  # of float32


def test_penalties_are_of_single_examples():
    with jax.enable_x64(True):

        @jax.jit
        def both():
            this = round_of(lambda x: discriminator(PARAMS, x))
            return [term.value(this, {})[0] for term in (penalties.r1(2.0), penalties.r2(2.0))]

        for name, found in zip((R1, R2), both(), strict=True):
            np.testing.assert_allclose(found, GOLDEN["penalties"][name]["per_example"], rtol=1e-9)


def test_finite_differences_agree_with_the_reference(drawn):
    drawn(normal=[arr(REAL.shape, 1, 6)])
    value, _ = value_and_gradient(penalties.r1_finite_difference(2.0))
    np.testing.assert_allclose(value, GOLDEN["finite_difference"], rtol=1e-6)


def test_finite_differences_are_the_penalty_on_average():
    this = round_of(lambda x: jnp.tanh(x @ jnp.array([0.3, -0.2])), np.ones((2, 2), np.float32), np.zeros((2, 2)))
    for difference, exact in (
        (penalties.r1_finite_difference(3.0), penalties.r1(3.0)),
        (penalties.r2_finite_difference(3.0), penalties.r2(3.0)),
    ):
        draw = jax.jit(jax.vmap(lambda key, term=difference: term.value(this._replace(key=key), {})[0]))
        found = np.asarray(draw(jax.random.split(jax.random.key(1), 4000)), np.float64)
        error = found.std(0) / np.sqrt(len(found))
        assert (np.abs(found.mean(0) - exact.value(this, {})[0]) < 5 * error).all()


@pytest.mark.parametrize(
    "make",
    [
        penalties.gradient_penalty,
        penalties.one_sided_gradient_penalty,
        penalties.dragan,
        penalties.clipped_dragan,
        penalties.r1,
    ],
)
def test_a_flat_discriminator_gives_no_nan(make):
    def loss(scale):
        term = make(1.0)
        return term.value(round_of(lambda x: scale * x.sum(axis=(1, 2, 3))), {})[0].mean()

    assert np.isfinite(jax.jit(jax.value_and_grad(loss))(0.0)).all()


def test_a_linear_discriminator_has_its_slope_everywhere():
    """||grad|| = 5: R1 is 25 / 2, the penalty of a target of 2 is 9, and one-sided nothing below the target."""
    expected = {
        penalties.r1(1.0): 12.5,
        penalties.zero_centred(1.0): 25.0,
        penalties.gradient_penalty(1.0, target=2.0): 9.0,
        penalties.one_sided_gradient_penalty(1.0, target=4.0): 1.0,
        penalties.one_sided_gradient_penalty(1.0, target=6.0): 0.0,
        penalties.dragan(1.0): 16.0,
    }

    @jax.jit
    def found():
        this = round_of(lambda x: x @ jnp.array([3.0, 4.0]), np.ones((2, 2)), np.zeros((2, 2)))
        return [term.value(this, {})[0] for term in expected]

    for of_each, value in zip(found(), expected.values(), strict=True):
        np.testing.assert_allclose(of_each, [value, value], rtol=1e-6)


def logits(scale, k):
    return scale * np.sin(0.37 * np.arange(7) + 0.1 + 0.7 * k)


def of_logits(real, fake, step=0):
    return round_of(lambda x: x[:, 0], real[:, None], fake[:, None], step)


def test_lecam_agrees_with_the_reference():
    term, golden = penalties.lecam(1.0, decay=1.0, start=1), GOLDEN["lecam"]["regulariser"]
    with jax.enable_x64(True):
        memory = {"real": jnp.array(0.35), "fake": jnp.array(-0.25)}

        def loss(real, fake):
            return term.value(of_logits(real, fake, step=1), memory)[0].mean()

        value, gradients = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(logits(1.9, 1), logits(1.6, 3))
    np.testing.assert_allclose(value, golden["value"], rtol=1e-9)
    for found, name in zip(gradients, ("grad_real", "grad_fake"), strict=True):
        np.testing.assert_allclose(found, golden[name], rtol=1e-9, atol=1e-12)


def test_lecam_remembers_what_the_reference_remembers():
    term = penalties.lecam(1.0, decay=0.99, start=2)
    with jax.enable_x64(True):
        memory = {"real": jnp.array(0.3), "fake": jnp.array(0.3)}
        value = jax.jit(lambda real, fake, step, memory: term.value(of_logits(real, fake, step), memory))
        for row in GOLDEN["lecam"]["ema"]:
            t = row["step"]
            loss, memory = value(logits(1.9, 20 + t) + 0.5, logits(1.6, 40 + t) - 0.4, t, memory)
            assert (np.asarray(loss) != 0).any() == (t >= 2)
            np.testing.assert_allclose(memory["real"], row["ema_real"], rtol=1e-7)
            np.testing.assert_allclose(memory["fake"], row["ema_fake"], rtol=1e-7)


def test_centring_pulls_the_offset_alone():
    this = of_logits(jnp.array([1.0, 2.0]), jnp.array([-1.0, 1.0]))
    np.testing.assert_allclose(penalties.centring(0.5).value(this, {})[0], [0.0, 4.5])


# Sums of terms -------------------------------------------------------------------------------------------------------


def test_a_sum_names_its_terms_and_keeps_their_memories():
    both = [penalties.centring(1.0), penalties.lecam(1.0)]
    memory = terms.memories(both)
    assert memory == {"centring": {}, "lecam": {"real": 0, "fake": 0}}
    this = of_logits(jnp.array([1.0, 2.0]), jnp.array([-1.0, 1.0]), step=5)
    total, means, after = terms.summed(both, this, memory)
    assert list(means) == ["centring", "lecam"]
    np.testing.assert_allclose(total, means["centring"] + means["lecam"])
    np.testing.assert_allclose(after["lecam"]["real"], 0.01 * 1.5, rtol=1e-5)
    assert terms.summed([], this, {})[0] == 0


def test_terms_draw_apart():
    first, second = penalties.dragan(1.0), penalties.dragan(1.0)._replace(name="again")

    @jax.jit
    def found():
        this = round_of(lambda x: jnp.sin(3 * x).sum(axis=(1, 2, 3)))
        return terms.summed([first, second], this, terms.memories([first, second]))[1]

    means = found()
    assert means["dragan"] != means["again"]


def test_a_term_is_given_once():
    with pytest.raises(UserError, match="The term r1 was given 2 times"):
        terms.memories([penalties.r1(1.0), penalties.r1(2.0)])


def test_a_lazy_term_has_its_whole_weight_in_a_few_steps():
    lazy, term = terms.every(4, penalties.lecam(1.0)), penalties.lecam(1.0)
    memory, found = lazy.init(), []

    @jax.jit
    def both(memory, step):
        this = of_logits(jnp.stack([jnp.float32(1), 2.0 + step]), jnp.array([-1.0, 1.0]), step=step)
        return lazy.value(this, memory), term.value(this, memory["of"])

    for step in range(9):
        before = memory
        (loss, memory), (expected, after) = jax.device_get(both(memory, step))
        np.testing.assert_allclose(loss, 4 * expected if step % 4 == 0 else [0, 0])
        assert memory["of"] == (after if step % 4 == 0 else before["of"])
        found.append(float(loss.mean()))
    assert [step for step, loss in enumerate(found) if loss] == [0, 4, 8]


def test_the_curve_of_a_lazy_term_is_what_it_was_when_last_computed():
    lazy, term = terms.every(4, penalties.lecam(1.0)), penalties.lecam(1.0)
    memory, alone = terms.memories([lazy]), term.init()

    @jax.jit
    def both(memory, alone, step):
        this = of_logits(jnp.stack([jnp.float32(1), 2.0 + step]), jnp.array([-1.0, 1.0]), step=step)
        return terms.summed([lazy], this, memory), term.value(this, alone)

    for step in range(6):
        (loss, curves, memory), of_all = jax.device_get(both(memory, alone, step))
        if step % 4 == 0:
            value, alone = of_all
            np.testing.assert_allclose(loss, 4 * value.mean(), rtol=1e-6)
        else:
            assert loss == 0
        np.testing.assert_allclose(curves["lecam"], value.mean(), rtol=1e-6)


@pytest.mark.parametrize("steps", [0, -1])
def test_every_of_nothing_is_refused(steps):
    with pytest.raises(UserError, match=rf"every {steps}-th step was asked for: every\(\) takes a whole number"):
        terms.every(steps, penalties.r1(1.0))
