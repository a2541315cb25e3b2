"""Log-likelihoods log p(x | parameters) in nats, one number per example.

One convention for all: `x` has shape [batch, *event] and the parameters [*samples, batch, *event], where `samples` are
any number of Monte-Carlo axes in front (often none). The log-likelihood is summed over the event axes: the result is
[*samples, batch]. A shape that breaks the convention is a `UserError`; nothing broadcasts silently.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from gvlab.losses._shapes import fill, lift
from gvlab.types import UserError

# A scale below e^-40 = 4e-18 counts as e^-40. The densities stay normalised, far below any difference that float32 can
# hold, and exp(-logvar) stays finite: without the floor a deviation of exactly 0 gives 0 * inf = NaN.
MIN_LOG_SCALE = -40.0


def bernoulli_log_prob(
    logits: Float[Array, "*samples_batch_event"], x: Float[Array, "batch *event"]
) -> Float[Array, "*samples_batch"]:
    """x log p + (1 - x) log(1 - p) with p = sigmoid(logits), summed over the event.

    For x strictly between 0 and 1 this is the cross entropy that many VAEs train on, not a log-likelihood: binarise x
    for numbers to publish.

    Args:
        logits: shape [*samples, batch, *event].
        x: in [0, 1], shape [batch, *event].

    Returns:
        Nats, shape [*samples, batch].

    Raises:
        UserError: if the last axes of `logits` are not those of `x`.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, eq. 11.

    Examples:
        >>> import jax.numpy as jnp
        >>> from gvlab import losses
        >>> fair = losses.bernoulli_log_prob(jnp.zeros((1, 4)), jnp.array([[1.0, 0.0, 1.0, 0.0]]))
        >>> print(fair / jnp.log(2))  # four fair coins: -4 bits
        [-4.]
    """
    target = lift(x, logits.shape, "x")
    # = x l - softplus(l). For x = 0 and x = 1 the linear terms cancel exactly, so both tails keep all their digits.
    linear = target * logits - jnp.where(logits < 0.0, 0.0, logits)
    return _sum_event(linear - _log1pexp_minus_abs(logits), x.ndim - 1)


def gaussian_log_prob(
    mean: Float[Array, "*samples_batch_event"],
    logvar: Float[Array, "..."] | float,
    x: Float[Array, "batch *event"],
) -> Float[Array, "*samples_batch"]:
    """log N(x; mean, exp(logvar)) with independent elements, summed over the event.

    Args:
        mean: shape [*samples, batch, *event].
        logvar: one number for a fixed (or shared, learned) variance, or an array of the shape of `mean`. Below -80 it
            counts as -80.
        x: shape [batch, *event].

    Returns:
        The log density in nats, in the units of `x`, shape [*samples, batch].

    Raises:
        UserError: if the shapes break the convention.

    Reference: Kingma & Welling, "Auto-Encoding Variational Bayes", 2014, eq. 12.
    """
    deviation = lift(x, mean.shape, "x") - mean
    return _sum_event(normal_log_density(deviation, fill(logvar, mean, "logvar")), x.ndim - 1)


def optimal_gaussian_log_prob(
    mean: Float[Array, "*samples_batch_event"], x: Float[Array, "batch *event"]
) -> Float[Array, "*samples_batch"]:
    """`gaussian_log_prob` under the one variance that is the best for these examples: their mean squared error.

    It is a loss to train on. Of held-out examples it is no likelihood, because the variance has seen them. Its gradient
    by `mean` is that at the variance held fixed, since the variance is optimal.

    Args:
        mean: shape [*samples, batch, *event].
        x: shape [batch, *event].

    Returns:
        The log density in nats, in the units of `x`, shape [*samples, batch].

    Raises:
        UserError: if the shapes break the convention.

    Reference: Rybkin et al., "Simple and Effective VAE Training with Calibrated Decoders", 2021, eq. 4.
    """
    error = jnp.mean((lift(x, mean.shape, "x") - mean) ** 2)
    # The floor only keeps the logarithm finite where nothing is wrong.
    return gaussian_log_prob(mean, jnp.log(jnp.maximum(error, math.exp(2.0 * MIN_LOG_SCALE))), x)


def discretized_logistic_log_prob(
    mean: Float[Array, "*samples_batch_event"],
    log_scale: Float[Array, "..."] | float,
    x: Float[Array, "batch *event"],
    levels: int = 256,
) -> Float[Array, "*samples_batch"]:
    """log of the mass that a logistic distribution gives to the bin of x, summed over the event.

    The values i / (levels - 1), i = 0 .. levels - 1, are the centres of bins of width 1 / (levels - 1); the first and
    the last bin take the tails, so the masses sum to 1.

    Args:
        mean: in the units of `x`, shape [*samples, batch, *event].
        log_scale: log of the logistic's scale in the units of `x`: one number, or an array of the shape of `mean`.
            Below -40 it counts as -40.
        x: in [0, 1], on the grid i / (levels - 1), shape [batch, *event].
        levels: how many values an element can take, at least 2.

    Returns:
        The log probability in nats, shape [*samples, batch].

    Raises:
        UserError: if the shapes break the convention, or `levels` is below 2.

    Reference: Salimans et al., "PixelCNN++", 2017, eq. 2, one component.
    """
    if levels < 2:
        raise UserError(f"levels is {levels}, but a discretised likelihood needs at least 2.")
    target = lift(x, mean.shape, "x")
    return _sum_event(_log_mass(mean, fill(log_scale, mean, "log_scale"), target, levels), x.ndim - 1)


def discretized_logistic_mixture_log_prob(
    logits: Float[Array, "*samples_batch_positions components"],
    mean: Float[Array, "*samples_batch_positions channel components"],
    log_scale: Float[Array, "..."] | float,
    x: Float[Array, "batch *positions channel"],
    levels: int = 256,
) -> Float[Array, "*samples_batch"]:
    """log of the mass that a mixture of discretised logistic distributions gives to x, summed over the positions.

    The channels of a position come from one component, and are independent given it: where a channel's mean depends on
    the channels before it, `mean` is that given those of x.

    Args:
        logits: of the components at each position, shape [*samples, batch, *positions, components].
        mean: in the units of `x`, shape [*samples, batch, *positions, channel, components].
        log_scale: as of `discretized_logistic_log_prob`: one number, or an array of the shape of `mean`.
        x: in [0, 1], on the grid i / (levels - 1), shape [batch, *positions, channel].
        levels: how many values an element can take, at least 2.

    Returns:
        The log probability in nats, shape [*samples, batch].

    Raises:
        UserError: if the shapes break the convention, or `levels` is below 2.

    Reference: Salimans et al., "PixelCNN++", 2017, eq. 1-3.
    """
    if levels < 2:
        raise UserError(f"levels is {levels}, but a discretised likelihood needs at least 2.")
    target = lift(x, mean.shape[:-1], "x")[..., None]
    if logits.shape != (*mean.shape[:-2], mean.shape[-1]):
        raise UserError(
            f"logits have the shape {logits.shape}, but must have that of mean, {mean.shape}, without its channels: "
            "reshape logits."
        )
    of_components = _log_mass(mean, fill(log_scale, mean, "log_scale"), target, levels).sum(-2)
    of_positions = jax.nn.logsumexp(jax.nn.log_softmax(logits) + of_components, axis=-1)
    return _sum_event(of_positions, x.ndim - 2)


def categorical_log_prob(
    logits: Float[Array, "*samples_batch_event classes"], x: Integer[Array, "batch *event"]
) -> Float[Array, "*samples_batch"]:
    """log softmax(logits)[x], summed over the event.

    Args:
        logits: shape [*samples, batch, *event, classes].
        x: the class of each element, 0 .. classes - 1, shape [batch, *event]. Any other value gives NaN.

    Returns:
        The log probability in nats, shape [*samples, batch].

    Raises:
        UserError: if the axes of `logits` before the last are not those of `x`.

    Reference: van den Oord et al., "Pixel Recurrent Neural Networks", 2016, section 3.3 (softmax over pixels).
    """
    classes = logits.shape[-1]
    target = lift(x.astype(jnp.int32), logits.shape[:-1], "x")
    # A negative index would count from the end; as an index past the end it is filled with NaN instead.
    index = jnp.broadcast_to(jnp.where(target < 0, classes, target), logits.shape[:-1])[..., None]
    elements = jnp.take_along_axis(jax.nn.log_softmax(logits), index, axis=-1, mode="fill")
    return _sum_event(elements[..., 0], x.ndim - 1)


def normal_log_density(deviation: Float[Array, "*shape"], logvar: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log N(deviation; 0, exp(logvar)) in nats, element by element."""
    logvar = _at_least(logvar, 2.0 * MIN_LOG_SCALE)
    return -0.5 * (math.log(2.0 * math.pi) + logvar + deviation**2 * jnp.exp(-logvar))


def _log_mass(
    mean: Float[Array, "*shape"], log_scale: Float[Array, "*shape"], target: Float[Array, "..."], levels: int
) -> Float[Array, "*shape"]:
    """log of the mass of each element's bin, as `discretized_logistic_log_prob` says; `target` may broadcast."""
    log_scale = _at_least(log_scale, MIN_LOG_SCALE)
    inverse_scale = jnp.exp(-log_scale)
    half = 0.5 / (levels - 1)
    upper = (target - mean + half) * inverse_scale
    lower = (target - mean - half) * inverse_scale
    # With w = upper - lower, sigmoid(upper) - sigmoid(lower) = sigmoid(upper) sigmoid(-lower) (1 - e^-w). It is exact
    # and all its factors have stable logarithms, so there is no threshold under which the mass is approximated.
    first, last = target < half, target > 1.0 - half
    return (
        jnp.where(last, 0.0, _log_sigmoid(upper))
        + jnp.where(first, 0.0, _log_sigmoid(-lower))
        + jnp.where(first | last, 0.0, _log1mexp(-log_scale - math.log(levels - 1)))
    )


def _at_least(value: Float[Array, "*shape"], floor: float) -> Float[Array, "*shape"]:
    # Not jnp.maximum: its gradient multiplies by 0 below the floor, and an infinite cotangent would make that NaN.
    return jnp.where(value < floor, floor, value)


def _log1pexp_minus_abs(logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 + exp(-|l|)), the curved part of softplus.

    Finite inputs only, which makes it 2 to 5 times faster on the CPU than `jax.nn.softplus`: it runs once per pixel.
    Written by `where` instead of `abs`, its derivatives of every order are right at 0 too.
    """
    return jnp.log1p(jnp.exp(jnp.where(logits < 0.0, logits, -logits)))


def _log_sigmoid(logits: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    return jnp.where(logits < 0.0, logits, 0.0) - _log1pexp_minus_abs(logits)


def _log1mexp(log_width: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log(1 - exp(-w)), given log w <= 80."""
    # For tiny w it is log w to float64 accuracy, and w itself may underflow. The untaken branch gets a harmless input,
    # because `where` passes on NaN from the gradient of a branch that it doesn't take.
    tiny = log_width < -60.0
    return jnp.where(tiny, log_width, jnp.log(-jnp.expm1(-jnp.exp(jnp.where(tiny, 0.0, log_width)))))


def _sum_event(elements: Float[Array, "..."], event_axes: int) -> Float[Array, "..."]:
    """Sums over the last `event_axes` axes.

    As a product with ones: XLA:CPU runs a sum over several axes that is fused with the formula of its elements up to
    15 times slower.
    """
    flat = elements.reshape(*elements.shape[: elements.ndim - event_axes], -1)
    return jnp.matmul(flat, jnp.ones(flat.shape[-1], flat.dtype), precision=jax.lax.Precision.HIGHEST)
