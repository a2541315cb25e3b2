"""Named streams and noise: pinned to numbers, because every published result depends on them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import rng

NAMES = (
    "init",
    "order",
    "augment",
    "train",
    "terms",
    "observation",
    "noise",
    "critic",
    "codebook",
    "mixture",
    "inference",
    "words",
    "sides",
    "view",
    "picture",
    "evaluate",
)

# Key data of stream(root(0), name, step) at the steps 0, 1 and 1000. They may never change: runs would not continue.
GOLDEN = {
    "init": [[517294207, 118925294], [111001630, 4008298360], [1465721035, 1694936089]],
    "order": [[3525746968, 2852714522], [4015091507, 3024637096], [205675095, 221219774]],
    "augment": [[2405535642, 3689800880], [1274910171, 1140707263], [3056901897, 946823735]],
    "train": [[941276958, 1067884796], [285370441, 3749159135], [2184947839, 3921049149]],
    "terms": [[4011367205, 2530300984], [872184795, 2328841682], [2394345473, 534206129]],
    "observation": [[2106086829, 1418633823], [543587916, 2984552608], [4159319149, 1111061428]],
    "noise": [[2670349292, 2116203143], [2801698208, 2366611331], [776381429, 2515197090]],
    "critic": [[2116908531, 958611526], [2997744192, 2710514678], [1648124017, 1485190445]],
    "codebook": [[4193289033, 1125248514], [290931941, 276887814], [3981830218, 3092868684]],
    "mixture": [[779872679, 843858867], [426083009, 1450558058], [301452547, 752051807]],
    "inference": [[4152631945, 3269512783], [2475424019, 1908909962], [3879838293, 2221595907]],
    "words": [[3243078494, 1321956916], [750148208, 3613510406], [4119502849, 3016197923]],
    "sides": [[564141155, 709959237], [946107579, 2218212373], [224276374, 1181840329]],
    "view": [[1699290648, 975069639], [2364505180, 3259996788], [67890764, 4031441536]],
    "picture": [[1180698599, 3149375792], [2413195108, 1558096337], [1167137292, 1999273575]],
    "evaluate": [[2663125534, 4243750677], [3941641099, 1868450463], [4036509480, 615337904]],
}


def data(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def test_the_names_of_the_streams():
    """A new one belongs here and in GOLDEN."""
    names = {value for name, value in vars(rng).items() if name.isupper()}
    assert names == set(NAMES)


def test_root_is_the_key_of_the_seed():
    assert data(rng.root(7)) == data(jax.random.key(7))
    assert str(jax.random.key_impl(rng.root(0))) == "threefry2x32"


@pytest.mark.parametrize("name", NAMES)
def test_streams_equal_their_golden_numbers(name):
    assert [data(rng.stream(rng.root(0), name, step)) for step in (0, 1, 1000)] == GOLDEN[name]


def test_the_step_defaults_to_zero():
    assert data(rng.stream(rng.root(0), rng.INIT)) == GOLDEN["init"][0]


def test_noise_equals_its_golden_numbers():
    noise = rng.normal(rng.stream(rng.root(0), rng.TRAIN, 3), (2, 2))
    golden = [[-1.4202218055725098, 0.5703443288803101], [0.8771548867225647, -1.4283782243728638]]
    # Keys are integers and exact; the inverse error function may differ in its last bits from back-end to back-end.
    np.testing.assert_allclose(noise, golden, rtol=1e-6)


def test_seeds_names_and_steps_give_different_keys():
    @jax.jit
    def keys(seeds, steps):
        def of(seed, step):
            return jnp.stack([jax.random.key_data(rng.stream(jax.random.key(seed), name, step)) for name in NAMES])

        return jax.vmap(jax.vmap(of, (None, 0)), (0, None))(seeds, steps)

    found = np.asarray(keys(jnp.arange(20), jnp.arange(50))).reshape(-1, 2)
    assert len(found) == 20 * 50 * len(NAMES)
    assert len(np.unique(found, axis=0)) == len(found)


def test_a_traced_step_gives_the_key_of_the_number():
    traced = jax.jit(lambda step: jax.random.key_data(rng.stream(rng.root(0), rng.TRAIN, step)))
    assert np.asarray(traced(jnp.int32(1000))).tolist() == GOLDEN["train"][2]


def test_streams_are_uncorrelated():
    draws = np.stack([jax.random.normal(rng.stream(rng.root(0), name), (4000,)) for name in NAMES])
    for a, b in itertools.combinations(draws, 2):
        assert abs(np.mean(a * b)) < 5 / np.sqrt(4000)  # five standard errors of a mean of products


# normal ------------------------------------------------------------------------------------------------------------

DEVICES = 4


def test_noise_without_devices_is_that_of_jax():
    key = rng.root(3)
    np.testing.assert_array_equal(rng.normal(key, (5, 2)), jax.random.normal(key, (5, 2)))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("adapter", ["pmap", "vmap"])
def test_each_device_takes_its_slice_of_the_global_noise(adapter, axis):
    """Any number of devices gives the noise of one, in the order of the global batch."""
    key, share = rng.root(3), [3, 3]
    share[axis] = 2

    def noise(_):
        return rng.normal(key, tuple(share), "data", axis=axis)

    if adapter == "pmap":
        slices = jax.pmap(noise, axis_name="data")(jnp.arange(DEVICES))
    else:
        slices = jax.jit(jax.vmap(noise, axis_name="data"))(jnp.arange(DEVICES))
    whole = list(share)
    whole[axis] *= DEVICES
    np.testing.assert_array_equal(np.concatenate(list(slices), axis=axis), rng.normal(key, tuple(whole)))
