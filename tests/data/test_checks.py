import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab.data import check_batch
from gvlab.types import UserError

SHAPE = (4, 4, 1)


def check(x, shape=SHAPE, low=0.0, high=1.0):
    check_batch(x, shape=shape, low=low, high=high)


def test_passes_what_is_as_declared():
    check(jnp.zeros((2, *SHAPE)))
    check(np.ones((2, *SHAPE), np.float32))
    check(jnp.full((3, 5), -7.0), shape=(5,), low=-np.inf, high=np.inf)
    check(jnp.zeros((0, *SHAPE)))


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 4, 4, 3), (4, 4, 1), (2, 5, 4, 1), ()])
def test_refuses_the_wrong_rank_or_size(shape):
    with pytest.raises(UserError, match=r"have shape .* but \[batch, 4, 4, 1\] is declared"):
        check(jnp.zeros(shape))


def test_refuses_integers():
    with pytest.raises(UserError, match=r"type uint8, .* scale them into \[0, 1\]"):
        check(jnp.zeros((2, *SHAPE), jnp.uint8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(value):
    x = np.zeros((2, *SHAPE), np.float32)
    x[1, 2, 3, 0] = value
    with pytest.raises(UserError, match=r"1 of the 32 values .* NaN or infinite"):
        check(jnp.asarray(x))


@pytest.mark.parametrize(
    ("value", "words"),
    [(255.0, "reach 255.0, .*divide by 255"), (-1.0, "go down to -1.0, .*rescale"), (1.5, "reach 1.5, ")],
)
def test_names_the_value_outside_the_range(value, words):
    with pytest.raises(UserError, match=words):
        check(jnp.zeros((2, *SHAPE)).at[0, 0, 0, 0].set(value))


def test_a_tracer_is_checked_for_what_it_has():
    x = jnp.full((2, *SHAPE), 255.0)
    jax.jit(lambda x: check(x))(x)
    with pytest.raises(UserError, match="type int32"):
        jax.jit(lambda x: check(x))(x.astype(jnp.int32))
    with pytest.raises(UserError, match="have shape"):
        jax.jit(lambda x: check(x))(x[0])
