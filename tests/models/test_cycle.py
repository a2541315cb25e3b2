"""CycleGAN: a step by the paper's equations in NumPy, sides without pairs, the history, the published networks."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import dataset
from zoo import quick_jit

from gvlab import build, models, networks, restore, rng
from gvlab import config as c
from gvlab.config import restoration
from gvlab.evaluate import latents, ranking, stamps
from gvlab.models import cycle
from gvlab.networks.residual_translator import instance_norm, mirrored
from gvlab.types import Batch, UserError

SHAPE = (2, 3, 1)
CYCLE, IDENTITY, RATES = 3.0, 0.4, (0.05, 0.1)


class Line(nn.Module):
    """s x + b of every pixel, as generator or, without the channel, as critic."""

    slope: float
    judges: bool = False

    @nn.compact
    def __call__(self, x, y=None, *, train):
        s = self.param("s", nn.initializers.constant(self.slope), ())
        b = self.param("b", nn.initializers.constant(0.1), ())
        return (s * x + b)[..., 0] if self.judges else s * x + b


def seen(x):
    return 0.5 - x * x


def tiny(pool, axis_name=None):
    return models.cycle_translator(
        cycle.Pair(Line(0.8), Line(-0.6)), cycle.Pair(Line(0.7, True), Line(-0.4, True)),
        tuple(map(optax.sgd, RATES)), seen, shape=SHAPE, cycle_weight=CYCLE, identity_weight=IDENTITY, pool=pool,
        axis_name=axis_name,
    )  # fmt: skip


def slopes(value, p):
    """The gradient by central differences, in float64."""
    steps = 1e-6 * np.eye(len(p))
    return np.array([(value(p + step) - value(p - step)) / 2e-6 for step in steps])


X = 0.8 * np.sin(1.7 * np.arange(48.0)).reshape(8, *SHAPE)


@pytest.fixture(scope="module")
def stepped():
    """The first step, and the same over two devices."""
    model, key = tiny(3), rng.root(1)
    state = model.init(rng.root(0), Batch(jnp.asarray(X, jnp.float32)))

    @quick_jit
    def found(state, x):
        shared = jax.vmap(
            lambda state, x: tiny(3, "data").train_step(state, Batch(x), key), (None, 0), axis_name="data"
        )
        after, info = model.train_step(state, Batch(x), key)
        both = shared(state, x.reshape(2, 4, *SHAPE))[0]
        return after, info, jax.tree.map(lambda leaf: leaf[0], both)

    return state, *found(state, jnp.asarray(X, jnp.float32)), key


def test_a_step_descends_the_papers_losses(stepped):
    """Generators first, each critic then on what they had made: eq. 1 by least squares, 2, 3 and section 5.2."""
    state, after, info, _, key = stepped
    x, other = (np.asarray(side, np.float64) for side in cycle.sides(rng.stream(key, rng.SIDES), jnp.asarray(X)))
    a = seen(other)
    # Of the parameters: s and b of G (pictures to images), then of F (images to pictures).
    p = np.array([0.8, 0.1, -0.6, 0.1])
    d_x, d_a = np.array([0.7, 0.1]), np.array([-0.4, 0.1])

    def line(sb, x):
        return sb[0] * x + sb[1]

    def of_generators(p):
        g, f = p[:2], p[2:]
        verdicts = ((line(d_x, line(g, a)) - 1) ** 2).mean() + ((line(d_a, line(f, x)) - 1) ** 2).mean()
        cycles = np.abs(line(f, line(g, a)) - a).mean() + np.abs(line(g, line(f, x)) - x).mean()
        same = np.abs(line(g, x) - x).mean() + np.abs(line(f, a) - a).mean()
        return verdicts, cycles, same

    def total(p):
        verdicts, cycles, same = of_generators(p)
        return verdicts + CYCLE * cycles + CYCLE * IDENTITY * same

    np.testing.assert_allclose([info["g_loss"], info["cycle"], info["identity"]], of_generators(p), rtol=1e-5)
    moved = p - RATES[0] * slopes(total, p)
    ours = [after.params[side][name] for side in ("images", "pictures") for name in ("s", "b")]
    np.testing.assert_allclose(ours, moved, rtol=2e-5)
    for side, d, real, fake in (("images", d_x, x, line(p[:2], a)), ("pictures", d_a, a, line(p[2:], x))):
        # The history holds three, and the fourth may be shown as one of them.
        fake = np.asarray(cycle.exchanged(
            cycle.history(3, SHAPE), jnp.asarray(fake), rng.stream(key, rng.CRITIC, int(side == "pictures"))
        )[0], np.float64)  # fmt: skip

        def of_critic(d, real=real, fake=fake):
            return (((line(d, real) - 1) ** 2).mean() + (line(d, fake) ** 2).mean()) / 2

        np.testing.assert_allclose(info[f"critic_loss/{side}"], of_critic(d), rtol=1e-5)
        ours = [after.critic[side].params[name] for name in ("s", "b")]
        np.testing.assert_allclose(ours, d - RATES[1] * slopes(of_critic, d), rtol=2e-5)
    assert (after.step, state.step) == (1, 0)
    kinds = [jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), one) for one in (state, after)]
    assert kinds[0] == kinds[1]  # so that a step compiles once
    of_critics = {f"critic_{term}/{side}" for term in ("loss", "real", "fake") for side in ("images", "pictures")}
    assert set(info) == {"g_loss", "cycle", "identity", "grad_norm"} | of_critics


def test_two_devices_step_as_one(stepped):
    _, after, _, both, _ = stepped
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6), both, after)


def test_no_picture_is_of_an_image_that_it_is_shown_with():
    x = jnp.arange(9.0)[:, None]
    first, second = (np.asarray(side).ravel() for side in cycle.sides(rng.root(0), x))
    assert len(first) == len(second) == 4
    assert len({*first, *second}) == 8
    orders = {tuple(np.asarray(cycle.sides(rng.root(seed), x)).ravel()) for seed in range(5)}
    assert len(orders) == 5
    halves = jax.vmap(lambda x: cycle.sides(rng.root(0), x, "data"), axis_name="data")(x[:8].reshape(2, 4, 1))
    np.testing.assert_array_equal(np.reshape(halves, (2, 4)), np.reshape(cycle.sides(rng.root(0), x[:8]), (2, 4)))
    with pytest.raises(UserError, match="The batch has 1 example"):
        cycle.sides(rng.root(0), x[:1])


def test_the_history_is_the_published_one():
    """`ImagePool.query` of pytorch-CycleGAN-and-pix2pix, by the same coins."""
    held, pool, size = cycle.history(5, (1,)), [], 5
    exchanged = quick_jit(cycle.exchanged)
    shown_earlier = 0
    for call in range(4):
        images, key = np.arange(4 * call, 4 * call + 4, dtype=np.float32)[:, None] + 1, rng.root(call)
        coins, places = jax.random.split(key)
        stays = jax.random.bernoulli(coins, 0.5, (4,))
        expected = []
        for image, stay, place in zip(images, stays, jax.random.randint(places, (4,), 0, size), strict=True):
            if len(pool) < size:
                pool.append(image)
                expected.append(image)
            elif stay:
                expected.append(image)
            else:
                expected.append(pool[place])
                pool[place] = image
        shown, held = exchanged(held, images, key)
        np.testing.assert_array_equal(shown, expected)
        np.testing.assert_array_equal(held["images"][: len(pool)], pool)
        assert held["count"] == len(pool)
        shown_earlier += int((np.asarray(expected) != images).sum())
    assert shown_earlier > 2


def test_the_published_networks_have_as_many_weights():
    """junyanz/pytorch-CycleGAN-and-pix2pix says 11.378 M and 2.765 M for 256x256 pixels."""
    x = jnp.zeros((1, 256, 256, 3))
    made = networks.ResidualTranslator(3), networks.InstancePatchDiscriminator()
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(lambda n=n: n.init(rng.root(0), x, train=True)))) / 1e6
        for n in made
    ]
    np.testing.assert_allclose(counts, [11.378, 2.765], atol=5e-4)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (20, 29, 3)])
def test_a_translator_keeps_the_size(shape):
    network, x = networks.ResidualTranslator(shape[-1], 2, 1), jnp.zeros((2, *shape))
    assert jax.eval_shape(lambda: network.init_with_output(rng.root(0), x, train=True)[0]).shape == x.shape


def test_each_image_is_normalised_by_itself():
    x = np.sin(np.arange(72.0)).reshape(2, 3, 4, 3)
    expected = (x - x.mean((1, 2), keepdims=True)) / np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(instance_norm(jnp.asarray(x)), expected, atol=1e-6)
    np.testing.assert_array_equal(
        mirrored(jnp.asarray(x), 2)[0, :, 2, 0], np.float32(x[0, [2, 1, 0, 1, 2, 1, 0], 0, 0])
    )


def program(model, shape=(16, 16, 1)):
    return build.program(c.Experiment("e", model, steps=1, batch_size=4), dataset(shape))


SMALL = c.CycleGAN(c.Half(), c.ResidualTranslator(2, 1), 2, 1, pool=3)


def test_what_is_built_of_a_configuration():
    made = program(SMALL)
    state = jax.eval_shape(lambda: made.model.init(rng.root(0), made.first_batch()))
    assert state.critic["pool"]["images"]["images"].shape == (3, 16, 16, 1)
    assert tiny(0).init(rng.root(0), Batch(jnp.asarray(X, jnp.float32))).critic["pool"] == {}
    assert latents.latents(made, None, rng.root(0)) == {}
    assert stamps.of_likelihood(made) == {"seen": c.member_to_dict(c.Half())}
    assert not ranking.can_be_ranked(made)
    with pytest.raises(UserError, match="translates the pictures that it was trained on, and restores no others"):
        restore.check(made, restoration.Encoder(), 0.1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: c.ResidualTranslator(blocks=10_000), "ResidualTranslator.blocks is 10000"),
        (lambda: c.CycleGAN(critic_layers=0), "CycleGAN.critic_layers is 0"),
        (lambda: c.CycleGAN(cycle_weight=-1.0), "CycleGAN.cycle_weight is -1.0"),
        (lambda: c.CycleGAN(pool=-1), "CycleGAN.pool is -1"),
        (lambda: program(c.CycleGAN(), (3,)), "CycleGAN is of images"),
        (lambda: program(c.CycleGAN(), (7, 9, 1)), "have 7x9 pixels: use some of 8 a side or more"),
        (lambda: build.program(c.Experiment("e", SMALL, 1, batch_size=1), dataset((16, 16, 1))), "has 1 example"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
