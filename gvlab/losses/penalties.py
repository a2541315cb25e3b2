"""Penalties on the slope of a discriminator, as terms of its loss.

All but the finite differences take the gradient of each logit by its own example, so no layer of the discriminator may
couple the examples of a batch.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gvlab import rng
from gvlab.losses.terms import Round, Term
from gvlab.types import PyTree

Number = float | Float[Array, ""]
Critic = Callable[[Array], Array]
"""x [batch, *shape] -> logits [batch]."""


def squared_slopes(critic: Critic, x: Float[Array, "batch *shape"]) -> Float[Array, " batch"]:
    """||grad D(x)||^2 of each example: the squared Euclidean norm of the gradient of its logit.

    Args:
        critic: the discriminator, none of whose layers couples examples.
        x: where, shape [batch, *shape].

    Returns:
        The squared norms, shape [batch].
    """
    logits, pull = jax.vjp(critic, x)
    (gradients,) = pull(jnp.ones_like(logits))
    flat = gradients.reshape(len(x), -1)
    return jnp.einsum("bi,bi->b", flat, flat)  # a product: sums fused with formulas are slow on CPU


def slopes(critic: Critic, x: Float[Array, "batch *shape"]) -> Float[Array, " batch"]:
    """||grad D(x)|| of each example, with the gradient 0 where it is 0; see `squared_slopes`."""
    squared = squared_slopes(critic, x)
    # The root has no slope at 0; either side of a `where` must be finite.
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


def between(this: Round) -> Float[Array, "batch *shape"]:
    """A point on the line between each pair, a x + (1 - a) G(z), with one a ~ U(0, 1) for an example."""
    a = _by_example(this, rng.uniform(this.key, (len(this.real),), this.axis_name))
    return a * this.real + (1 - a) * this.fake


def _by_example(this: Round, numbers: Float[Array, " batch"]) -> Float[Array, "batch *ones"]:
    """One number for each example, to be multiplied with all of its elements."""
    return numbers.reshape(-1, *[1] * (this.real.ndim - 1))


def _of_points(name: str, loss: Callable[[Round], Array]) -> Term:
    """A term without a memory, by gradients of single examples."""

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return loss(this), memory

    return Term(name, value, by_example=True)


def r1(weight: Number) -> Term:
    """weight / 2 ||grad D(x)||^2 at real examples.

    Args:
        weight: gamma.

    Reference: Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018, eq. 9.
    """
    return _of_points("r1", lambda this: weight / 2 * squared_slopes(this.critic, this.real))


def r2(weight: Number) -> Term:
    """weight / 2 ||grad D(G(z))||^2 at generated examples.

    Args:
        weight: gamma.

    Reference: Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018.
    """
    return _of_points("r2", lambda this: weight / 2 * squared_slopes(this.critic_of_fake or this.critic, this.fake))


def zero_centred(weight: Number) -> Term:
    """weight ||grad D||^2 between real and generated examples.

    Args:
        weight: lambda.

    Reference: Thanh-Tung et al., "Improving Generalization and Stability of Generative Adversarial Networks", 2019.
    """
    return _of_points("zero_centred", lambda this: weight * squared_slopes(this.critic, between(this)))


def gradient_penalty(weight: Number, target: Number = 1.0) -> Term:
    """weight (||grad D|| - target)^2 between real and generated examples (WGAN-GP).

    Args:
        weight: lambda.
        target: the slope that is asked for.

    Reference: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, eq. 3.
    """
    return _of_points("gradient_penalty", lambda this: weight * jnp.square(slopes(this.critic, between(this)) - target))


def one_sided_gradient_penalty(weight: Number, target: Number = 1.0) -> Term:
    """weight max(0, ||grad D|| - target)^2 between real and generated examples: slopes below the target are free.

    Args:
        weight: lambda.
        target: the largest slope that costs nothing.

    Reference: Petzka et al., "On the regularization of Wasserstein GANs", 2018.
    """
    return _of_points(
        "one_sided_gradient_penalty",
        lambda this: weight * jnp.square(jax.nn.relu(slopes(this.critic, between(this)) - target)),
    )


def dragan(weight: Number, scale: Number = 0.5) -> Term:
    """weight (||grad D(x + a scale s u)|| - 1)^2 around real examples.

    s is the standard deviation of all numbers of the batch's real examples; u ~ U(0, 1), one number for each element,
    and a ~ U(0, 1), one for each example: the form of the authors' published code and of StudioGAN, whose noise has one
    sign. Two others go by the name: compare_gan's is `clipped_dragan`, and the paper's equation, x + d with
    d ~ N(0, c I), is not here.

    Args:
        weight: lambda.
        scale: of the noise, in standard deviations of the data.

    Reference: Kodali et al., "On Convergence and Stability of GANs", 2017, and its published code.
    """

    def loss(this: Round) -> Array:
        for_example, for_element = jax.random.split(this.key)
        a = _by_example(this, rng.uniform(for_example, (len(this.real),), this.axis_name))
        u = rng.uniform(for_element, this.real.shape, this.axis_name)
        near = this.real + a * scale * _deviation(this) * u
        return weight * jnp.square(slopes(this.critic, near) - 1)

    return _of_points("dragan", loss)


def clipped_dragan(weight: Number, low: Number = -1.0, high: Number = 1.0) -> Term:
    """weight (||grad D(x + s (u - 1/2))|| - 1)^2 around real images, cut to their range: DRAGAN as compare_gan has it.

    s is the standard deviation of all numbers of the batch's real examples and u ~ U(0, 1), one number for each
    element, of both signs. Slopes are those of images scaled to [0, 1], with 0.0001 under their root.

    Args:
        weight: lambda.
        low, high: the range of images, to which they are cut.

    Reference: Kurach et al., "A Large-Scale Study on Regularization and Normalization in GANs", 2019, published code
    (compare_gan); after Kodali et al. 2017.
    """

    def loss(this: Round) -> Array:
        u = rng.uniform(this.key, this.real.shape, this.axis_name)
        near = jnp.clip(this.real + _deviation(this) * (u - 0.5), low, high)
        squared = (high - low) ** 2 * squared_slopes(this.critic, near)
        return weight * jnp.square(jnp.sqrt(squared + 1e-4) - 1)

    return _of_points("clipped_dragan", loss)


def _deviation(this: Round) -> Float[Array, ""]:
    """The standard deviation of all numbers of the real batch, of all devices."""
    mean = _mean(this.real.mean(), this.axis_name)
    return jnp.sqrt(_mean(jnp.square(this.real - mean).mean(), this.axis_name))


def _mean(value: Array, axis_name: str | None) -> Array:
    return value if axis_name is None else jax.lax.pmean(value, axis_name)


def r1_finite_difference(weight: Number, radius: Number = 0.01) -> Term:
    """weight / 2 ((D(x + radius n) - D(x)) / radius)^2 at real examples, n ~ N(0, I).

    Its mean is that of `r1` as the radius goes to 0, without a gradient of a gradient; a single draw varies by twice
    its mean and more.

    Args:
        weight: gamma.
        radius: of the step, in units of the data. Networks that compute in bfloat16 (`InBfloat16`) round the logits
            to three digits, and the difference with them: an experiment refuses the two together.

    Reference: Adversarial Flow Models (2025), published code.
    """
    return _by_difference("r1_finite_difference", weight, radius, lambda this: (this.critic, this.real, this.on_real))


def r2_finite_difference(weight: Number, radius: Number = 0.01) -> Term:
    """As `r1_finite_difference`, at generated examples."""
    return _by_difference(
        "r2_finite_difference",
        weight,
        radius,
        lambda this: (this.critic_of_fake or this.critic, this.fake, this.on_fake),
    )


def _by_difference(
    name: str, weight: Number, radius: Number, at: Callable[[Round], tuple[Critic, Array, Array]]
) -> Term:
    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        critic, x, logits = at(this)
        moved = critic(x + radius * rng.normal(this.key, x.shape, this.axis_name))
        return weight / 2 * jnp.square((moved - logits) / radius), memory

    return Term(name, value)


def centring(weight: Number) -> Term:
    """weight (r + f)^2: holds the common offset of the logits, which a relativistic game leaves free, at 0.

    Args:
        weight: of the term.

    Reference: Adversarial Flow Models (2025), published code.
    """

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        return weight * jnp.square(this.on_real + this.on_fake), memory

    return Term("centring", value)


def lecam(weight: Number, decay: Number = 0.99, start: int = 0) -> Term:
    """weight (max(0, r - a_F)^2 + max(0, a_R - f)^2), where a_R and a_F are averages of past mean logits.

    Until the step `start` the averages are the means of the last batch and the term is 0.

    Args:
        weight: lambda.
        decay: of the two averages, per step.
        start: the first step with the term.

    Reference: Tseng et al., "Regularizing Generative Adversarial Networks under Limited Data", 2021, eq. 7.
    """

    def init() -> PyTree:
        return {"real": jnp.zeros(()), "fake": jnp.zeros(())}

    def value(this: Round, memory: PyTree) -> tuple[Array, PyTree]:
        keep = jnp.where(this.step < max(start, 1), 0.0, decay)
        logits = {"real": this.on_real, "fake": this.on_fake}
        means = {name: _mean(jax.lax.stop_gradient(found).mean(), this.axis_name) for name, found in logits.items()}
        after = {name: keep * memory[name] + (1 - keep) * mean for name, mean in means.items()}
        loss = jnp.square(jax.nn.relu(this.on_real - after["fake"]))
        loss += jnp.square(jax.nn.relu(after["real"] - this.on_fake))
        return jnp.where(this.step < start, 0.0, weight) * loss, after

    return Term("lecam", value, init)
