"""Annealed importance sampling: log p(x) of a decoder with an explicit observation model and a standard normal prior.

The path of distributions is f_b(z) = p(z) p(x|z)^b from the prior (b = 0) to the posterior (b = 1), and the transitions
between them are Hamiltonian. The procedure has three steps:

    betas = sigmoid_schedule(1000)
    pilot = tune_step_sizes(key_0, log_likelihood, x, betas, chains=8, batch=100, latent_dim=50)
    ahead = forward_chains(key_1, log_likelihood, x, betas, pilot.step_sizes, chains=16, latent_dim=50)
    back = reverse_chains(key_2, log_likelihood, x, betas, pilot.step_sizes, z)  # where x was made from z
    importance_weighted_bound(ahead.log_weights), reverse_bound(back.log_weights)

The first bound lies below log p(x) in expectation and the second above: their gap says how far to trust the first
(bidirectional Monte Carlo). For real data only the first exists; the gap is taken on data that the model made.

`log_likelihood(z, x)` gives log p(x|z) in nats, [chains, batch], for z [chains, batch, latent]; `x` is any pytree, so
parameters belong in it: (state, batch). What is compiled is kept by the identity of `log_likelihood`: give the same
function for all batches. These functions compile what they run, so they need no `jax.jit` around them.

References: Neal, "Annealed importance sampling", 2001; Wu et al., "On the Quantitative Analysis of Decoder-Based
Generative Models", 2017; Grosse et al., "Sandwiching the marginal likelihood using bidirectional Monte Carlo", 2015.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from gvlab.losses import gaussian_log_prob
from gvlab.metrics._hamiltonian import Dynamics, LogLikelihood, Position, position_at, transition
from gvlab.types import PRNGKey, PyTree, UserError

# How fast a step size follows the acceptance: the pilot's chains leave noise of about 0.1 in an acceptance, so 5 % in
# a step size, and one that is 30 times too large is mended in 11 temperatures.
_GAIN = 0.5
# Near the best one for a normal distribution of some 50 dimensions: what the prior takes.
_FIRST_STEP_SIZE = 1.0


class Pilot(NamedTuple):
    """Step sizes that were found by adaptation, to be used as constants."""

    step_sizes: Float[Array, "transitions batch"]
    """The largest: each trajectory takes a uniform share of it."""
    acceptance: Float[Array, "transitions batch"]
    """Mean acceptance probability over the pilot's chains."""


class Chains(NamedTuple):
    """What a run of annealed chains leaves."""

    log_weights: Float[Array, "chains batch"]
    """Nats. Forward: exp has the expectation p(x). Reverse: exp of the negative has the expectation 1 / p(x)."""
    acceptance: Float[Array, "transitions batch"]
    """Mean acceptance probability over the chains, from b = 0 to b = 1 in both directions."""
    z: Float[Array, "chains batch latent"]
    """The last latents: forward, approximate samples of p(z|x), to be weighed by `log_weights`."""


Step: TypeAlias = Callable[[Dynamics, PyTree, Any, Any], tuple[Any, Any]]
"""(dynamics, x, carry, inputs of one temperature) -> (carry, output), as in `lax.scan`."""
Loop: TypeAlias = Callable[[Step, Dynamics, PyTree, Any, Any], tuple[Any, Any]]
"""(step, dynamics, x, carry, inputs of all temperatures) -> (carry, stacked outputs)."""


def sigmoid_schedule(transitions: int, sharpness: float = 4.0) -> Float[np.ndarray, " temperatures"]:
    """Inverse temperatures from 0 to 1, dense at both ends.

    b_t is proportional to sigmoid(sharpness (2 t / transitions - 1)), moved and scaled to b_0 = 0 and b_T = 1.

    Args:
        transitions: how many transitions are made, at least 1.
        sharpness: more makes the ends denser; positive.

    Returns:
        Strictly increasing, float64, shape [transitions + 1].

    Raises:
        UserError: if an argument is out of range.

    Reference: Wu et al. 2017 (sharpness 4).
    """
    if transitions < 1:
        raise UserError(f"transitions is {transitions}, but annealing needs at least 1.")
    if not 0.0 < sharpness <= 30.0:
        raise UserError(f"sharpness is {sharpness}, but must be above 0 and at most 30.")
    values = 1.0 / (1.0 + np.exp(-sharpness * np.linspace(-1.0, 1.0, transitions + 1)))
    return (values - values[0]) / (values[-1] - values[0])


def gaussian_observation(decode: Callable[[PyTree, Array], Array], variance: float) -> LogLikelihood:
    """The likelihood of a generator with Gaussian noise of one stated variance, which makes a GAN's log p(x) exist.

    The number depends on the variance: state it beside every result.

    Args:
        decode: (state, z [n, latent]) -> [n, *shape].
        variance: of the noise, in squared units of x; positive.

    Returns:
        The log-likelihood of (z, (state, x [batch, *shape])), in nats and in the units of x.

    Raises:
        UserError: if the variance is not positive and finite.

    Reference: Wu et al. 2017.
    """
    if not 0.0 < variance < math.inf:
        raise UserError(f"variance is {variance}, but an observation model needs a positive one.")
    logvar = math.log(variance)

    def log_likelihood(z: Array, given: tuple[PyTree, Array]) -> Array:
        state, x = given
        decoded = decode(state, z.reshape(-1, z.shape[-1]))
        return gaussian_log_prob(decoded.reshape(*z.shape[:2], *decoded.shape[1:]), logvar, x)

    return log_likelihood


@functools.partial(jax.jit, static_argnums=(0, 1))
def scan_temperatures(step: Step, dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any) -> tuple[Any, Any]:
    """All temperatures in one `lax.scan`: one dispatch. For matrix products everywhere, and for all on accelerators."""
    return jax.lax.scan(functools.partial(step, dynamics, x), carry, inputs)


def loop_temperatures(step: Step, dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any) -> tuple[Any, Any]:
    """One dispatch per temperature, without any loop in it: for convolutions on CPU, which XLA slows in loops.

    The leapfrog steps are unrolled, so compiling takes `leapfrog_steps` times as long as in `scan_temperatures`.
    """
    dynamics = dynamics._replace(unroll=dynamics.leapfrog_steps)
    outputs = []
    for number in range(len(jax.tree.leaves(inputs)[0])):
        carry, output = _one_temperature(step, dynamics, x, carry, inputs, number)
        outputs.append(output)
    # Stacked on the host: as one compiled operation of a thousand operands it would take longer than the chains.
    return carry, jax.tree.map(lambda *each: jnp.asarray(np.stack(each)), *outputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _one_temperature(
    step: Step, dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any, number: Any
) -> tuple[Any, Any]:
    return step(dynamics, x, carry, jax.tree.map(lambda each: each[number], inputs))


def tune_step_sizes(
    key: PRNGKey,
    log_likelihood: LogLikelihood,
    x: PyTree,
    betas: Real[np.ndarray | Array, " temperatures"],
    *,
    chains: int,
    batch: int,
    latent_dim: int,
    leapfrog_steps: int = 10,
    target: float = 0.65,
    loop: Loop = scan_temperatures,
) -> Pilot:
    """A pilot run that adapts a step size for each example and temperature to the wanted acceptance.

    Chains whose step size follows their own past no longer leave f_b invariant, and their weights are no longer
    unbiased. So the adaptation has a run of its own, whose weights are not used, and the runs that count take the
    result as constants. A few chains (4 to 16) are enough for it.

    Args:
        key: of the pilot alone.
        log_likelihood: (z [chains, batch, latent], x) -> nats [chains, batch].
        x: what `log_likelihood` is given.
        betas: inverse temperatures, strictly increasing from 0 to 1, shape [temperatures].
        chains: chains per example, whose mean acceptance steers.
        batch: examples in x.
        latent_dim: length of z.
        leapfrog_steps: of each transition.
        target: the acceptance wanted, between 0 and 1.
        loop: `scan_temperatures`, or `loop_temperatures` for convolutions on CPU.

    Returns:
        Pilot with step sizes and acceptance, each [temperatures - 1, batch].

    Raises:
        UserError: if an argument is out of range, or the likelihood has the wrong shape or is not finite.

    Reference: Wu et al. 2017 (acceptance 0.65).
    """
    if not 0.0 < target < 1.0:
        raise UserError(f"target is {target}, but an acceptance lies between 0 and 1.")
    schedule, dynamics = _checked_betas(betas), Dynamics(log_likelihood, leapfrog_steps)
    start_key, key = jax.random.split(key)
    position = _prior(start_key, dynamics, x, (chains, batch, latent_dim))
    inputs = (
        jax.random.split(key, len(schedule) - 1),
        schedule[1:],
        np.full(len(schedule) - 1, target, schedule.dtype),
    )
    carry = (position, np.full(batch, math.log(_FIRST_STEP_SIZE), schedule.dtype))
    return Pilot(*loop(_tune, dynamics, x, carry, inputs)[1])


def forward_chains(
    key: PRNGKey,
    log_likelihood: LogLikelihood,
    x: PyTree,
    betas: Real[np.ndarray | Array, " temperatures"],
    step_sizes: Float[np.ndarray | Array, "transitions batch"],
    *,
    chains: int,
    latent_dim: int,
    leapfrog_steps: int = 10,
    loop: Loop = scan_temperatures,
) -> Chains:
    """Chains from the prior to the posterior. The mean of their weights is an unbiased estimate of p(x).

    So `gvlab.losses.importance_weighted_bound(log_weights)` is a lower bound on log p(x) in expectation, and above it
    by c nats only with probability exp(-c).

    Args:
        key: of this run, not the pilot's.
        log_likelihood: (z [chains, batch, latent], x) -> nats [chains, batch].
        x: what `log_likelihood` is given.
        betas: inverse temperatures, strictly increasing from 0 to 1, shape [temperatures].
        step_sizes: of each transition and example, from `tune_step_sizes`, shape [temperatures - 1, batch].
        chains: independent chains per example.
        latent_dim: length of z.
        leapfrog_steps: of each transition; as in the pilot.
        loop: `scan_temperatures`, or `loop_temperatures` for convolutions on CPU.

    Returns:
        Chains with log-weights [chains, batch] in nats.

    Raises:
        UserError: if an argument is out of range, or the likelihood has the wrong shape or is not finite.

    References: Neal 2001; Wu et al. 2017, algorithm 1.
    """
    schedule, dynamics = _checked_betas(betas), Dynamics(log_likelihood, leapfrog_steps)
    _check_step_sizes(step_sizes, schedule)
    start_key, key = jax.random.split(key)
    position = _prior(start_key, dynamics, x, (chains, step_sizes.shape[1], latent_dim))
    inputs = (jax.random.split(key, len(schedule) - 1), schedule[:-1], schedule[1:], step_sizes)
    carry = (position, np.zeros(position.log_likelihood.shape, position.log_likelihood.dtype))
    (position, log_weights), acceptance = loop(_weigh_and_move, dynamics, x, carry, inputs)
    return Chains(log_weights, acceptance, position.z)


def reverse_chains(
    key: PRNGKey,
    log_likelihood: LogLikelihood,
    x: PyTree,
    betas: Real[np.ndarray | Array, " temperatures"],
    step_sizes: Float[np.ndarray | Array, "transitions batch"],
    z: Float[Array, "chains batch latent"],
    *,
    leapfrog_steps: int = 10,
    loop: Loop = scan_temperatures,
) -> Chains:
    """Chains from exact samples of the posterior to the prior: the same path backwards. For `reverse_bound`.

    An exact sample is at hand where the model made x: draw z from the prior, then x from p(x|z). Chains of one example
    may share their start.

    Args:
        key: of this run.
        log_likelihood: (z [chains, batch, latent], x) -> nats [chains, batch].
        x: what `log_likelihood` is given.
        betas: as in the forward run: strictly increasing from 0 to 1, shape [temperatures].
        step_sizes: as in the forward run, shape [temperatures - 1, batch].
        z: samples of p(z|x), shape [chains, batch, latent].
        leapfrog_steps: as in the forward run.
        loop: `scan_temperatures`, or `loop_temperatures` for convolutions on CPU.

    Returns:
        Chains with log-weights [chains, batch] in nats.

    Raises:
        UserError: if an argument is out of range, or the likelihood has the wrong shape or is not finite.

    Reference: Grosse et al. 2015.
    """
    schedule, dynamics = _checked_betas(betas), Dynamics(log_likelihood, leapfrog_steps)
    _check_step_sizes(step_sizes, schedule)
    if z.shape[1] != step_sizes.shape[1]:
        raise UserError(f"z has {z.shape[1]} examples, but step_sizes {step_sizes.shape[1]}: give both for one batch.")
    position = _start(dynamics, x, z)
    keys = jax.random.split(key, len(schedule) - 1)
    inputs = (keys, schedule[:-1][::-1], schedule[1:][::-1], step_sizes[::-1])
    carry = (position, np.zeros(position.log_likelihood.shape, position.log_likelihood.dtype))
    (position, log_weights), acceptance = loop(_move_and_weigh, dynamics, x, carry, inputs)
    return Chains(log_weights, acceptance[::-1], position.z)


def reverse_bound(log_weights: Float[Array, "chains *batch"]) -> Float[Array, "*batch"]:
    """-log of the mean of the inverse weights of reverse chains: an upper bound on log p(x) in expectation.

    Args:
        log_weights: of `reverse_chains`, in nats, shape [chains, *batch].

    Returns:
        Nats, shape [*batch].

    Reference: Grosse et al. 2015.
    """
    return math.log(log_weights.shape[0]) - jax.nn.logsumexp(-log_weights, axis=0)


def effective_sample_size(log_weights: Float[Array, "k *batch"]) -> Float[Array, "*batch"]:
    """(sum w)^2 / sum w^2: how many equally weighted samples the k samples are worth, from 1 to k.

    Near 1 one sample carries the whole estimate, and the bound may be far below log p(x).

    Args:
        log_weights: shape [k, *batch].

    Returns:
        Shape [*batch].

    Reference: Kong, Liu & Wong, "Sequential Imputations and Bayesian Missing Data Problems", 1994.
    """
    return jnp.exp(2.0 * jax.nn.logsumexp(log_weights, axis=0) - jax.nn.logsumexp(2.0 * log_weights, axis=0))


def _weigh_and_move(dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any) -> tuple[Any, Array]:
    (position, log_weights), (key, before, after, step_size) = carry, inputs
    log_weights = log_weights + (after - before) * position.log_likelihood
    position, acceptance = transition(key, dynamics, x, position, after, step_size)
    return (position, log_weights), acceptance


def _move_and_weigh(dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any) -> tuple[Any, Array]:
    """`_weigh_and_move` backwards: a Hamiltonian transition is its own reversal, so only the order changes."""
    (position, log_weights), (key, before, after, step_size) = carry, inputs
    position, acceptance = transition(key, dynamics, x, position, after, step_size)
    return (position, log_weights + (after - before) * position.log_likelihood), acceptance


def _tune(dynamics: Dynamics, x: PyTree, carry: Any, inputs: Any) -> tuple[Any, tuple[Array, Array]]:
    (position, log_step), (key, beta, target) = carry, inputs
    step_size = jnp.exp(log_step)
    position, acceptance = transition(key, dynamics, x, position, beta, step_size)
    return (position, log_step + _GAIN * (acceptance - target)), (step_size, acceptance)


_jitted_position_at = jax.jit(position_at, static_argnums=0)


def _prior(key: PRNGKey, dynamics: Dynamics, x: PyTree, shape: tuple[int, int, int]) -> Position:
    for name, value in zip(("chains", "batch", "latent_dim"), shape, strict=True):
        if value < 1:
            raise UserError(f"{name} is {value}, but must be at least 1.")
    return _start(dynamics, x, jax.random.normal(key, shape))


def _start(dynamics: Dynamics, x: PyTree, z: Float[Array, "chains batch latent"]) -> Position:
    """The first position, after a look at what the user's function makes of it."""
    if dynamics.leapfrog_steps < 1:
        raise UserError(f"leapfrog_steps is {dynamics.leapfrog_steps}, but a transition needs at least 1.")
    shape = jax.eval_shape(dynamics.log_likelihood, z, x).shape
    if shape != z.shape[:2]:
        raise UserError(f"log_likelihood gives the shape {shape} for z {z.shape}, but must give [chains, batch].")
    position = _jitted_position_at(dynamics.log_likelihood, x, z)
    finite = np.isfinite(position.log_likelihood).all(axis=0) & np.isfinite(position.gradient).all(axis=(0, 2))
    if not finite.all():
        raise UserError(
            f"log_likelihood or its gradient is not finite at the first latents of example {int(np.argmin(finite))}: "
            "look for NaN in x or in the parameters."
        )
    return position


def _checked_betas(betas: Real[np.ndarray | Array, " temperatures"]) -> Float[np.ndarray, " temperatures"]:
    # In the precision of the computation: two temperatures that differ in float64 alone would be one transition lost.
    values = np.asarray(betas, jnp.result_type(float))
    if len(values) < 2 or values[0] != 0 or values[-1] != 1 or not (values[1:] > values[:-1]).all():
        raise UserError(
            f"betas are {len(values)} values from {values[:1]} to {values[-1:]}, but must rise strictly from 0 to 1 in "
            f"{values.dtype}: use sigmoid_schedule."
        )
    return values


def _check_step_sizes(
    step_sizes: Float[np.ndarray | Array, "transitions batch"], betas: Float[np.ndarray, " temperatures"]
) -> None:
    if len(step_sizes) != len(betas) - 1:
        raise UserError(
            f"step_sizes has {len(step_sizes)} rows, but {len(betas)} betas make {len(betas) - 1} transitions."
        )
    sizes = np.asarray(step_sizes)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise UserError(f"step_sizes go from {sizes.min()} to {sizes.max()}, but must be positive and finite.")
