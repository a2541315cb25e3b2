"""Second stages: a model of what another model's encoder makes of the data, sampled through that one's decoder.

Whatever is trained second takes the place of the first's prior, and nothing else of it: so the nats add up. Where the
first has no likelihood (`models.regularised`) they don't, and the second gives samples alone.

References: Dai & Wipf, "Diagnosing and Enhancing VAE Models", 2019, section 4; van den Oord et al., "Neural Discrete
Representation Learning", 2017, section 3.3.
"""

from __future__ import annotations

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from gvlab import rng
from gvlab.data.checks import check_batch
from gvlab.losses import normal_log_prob
from gvlab.models.base import Labels
from gvlab.models.latents import reparametrised
from gvlab.types import Batch, Info, Model, PRNGKey, PyTree, Size, UserError


@flax.struct.dataclass
class SecondStageState:
    """Both models: so a state is complete in itself."""

    second: PyTree
    """What is trained."""
    frozen: PyTree
    """The first's state."""

    @property
    def step(self) -> PyTree:
        """Of the second, which alone is trained."""
        return self.second.step

    @property
    def params(self) -> PyTree:
        """Of the second."""
        return self.second.params


def latent_model(
    first: Model,
    first_state: PyTree,
    second: Model,
    *,
    data_range: tuple[float, float] = (0.0, 1.0),
    axis_name: str | None = None,
) -> Model:
    """A model of the first's data, of which the second is trained on the first's latents or codes.

    Latents are drawn from q(z|x) anew at every step. The first is applied as in evaluation.

    Args:
        first: with an encoder (of one layer of latents) or with codes. Without a likelihood its encoder gives points.
        first_state: as trained.
        second: of vectors as long as the latents, or of integers [positions]: `models.densities` has such, and a VAE of
            vectors is one by `drawn`.
        data_range: smallest and largest value of the data; `init` refuses anything outside.
        axis_name: name of the `pmap` axis over which gradients and terms are averaged.

    Returns:
        A `Model` with states of type `SecondStageState`. The terms of `train_step` are the second's, those in nats
        under `latents/`; `evaluate` gives the bound `elbo_nats`, by one draw of z, and its parts. The latents of the
        model are the second's; `log_weights` are log p(x|z) - log q(z|x) and the second's log-weight of z, so that
        their importance-weighted bound is one on log p(x), too. On points there is no such bound: `evaluate` gives the
        first's own terms and `latents/log_prob_nats`, the second's log-weight of them.

    Raises:
        UserError: the first has nothing for a second, or the second no likelihood.
    """
    if first.encode is None and first.codes is None:
        raise UserError("The first stage has no encoder to put a second on: use a VAE.")
    if second.log_weights is None:
        raise UserError(
            "The second stage has no likelihood of latents, so that no nats add up: use a density or a VAE."
        )
    likelihood_of, weights_of = first.log_likelihood, second.log_weights

    def posterior_draw(
        frozen: PyTree, batch: Batch, k: int, key: PRNGKey, axis_name: str | None
    ) -> tuple[Array, Array]:
        """(z [k, batch, latent], log q(z|x) [k, batch])."""
        assert first.encode is not None
        mean, logvar = first.encode(frozen, batch)
        if likelihood_of is None:
            return jnp.broadcast_to(mean, (k, *mean.shape)), jnp.zeros((k, len(mean)))
        z = reparametrised(mean, logvar, rng.normal(key, (k, *mean.shape), axis_name, axis=1))
        return z, normal_log_prob(z, mean, logvar)

    def encoded(frozen: PyTree, batch: Batch, key: PRNGKey, axis_name: str | None) -> Shaped[Array, "batch positions"]:
        """What the second sees of a batch."""
        if first.codes is not None:
            return first.codes(frozen, batch)
        return posterior_draw(frozen, batch, 1, key, axis_name)[0][0]

    def init(key: PRNGKey, batch: Batch) -> SecondStageState:
        jax.eval_shape(first.init, key, batch)  # which refuses data of another shape, or without classes
        check_batch(batch.x, shape=batch.x.shape[1:], low=data_range[0], high=data_range[1])
        frozen = jax.tree.map(jnp.array, first_state)  # copies, since a train step may be given the state's buffers
        z = encoded(frozen, batch, rng.stream(key, rng.TRAIN), None)
        return SecondStageState(second.init(key, Batch(z, batch.y)), frozen)

    def train_step(state: SecondStageState, batch: Batch, key: PRNGKey) -> tuple[SecondStageState, Info]:
        of_first, of_second = jax.random.split(key)
        z = encoded(state.frozen, batch, of_first, axis_name)
        new, info = second.train_step(state.second, Batch(z, batch.y), of_second)
        named = {f"latents/{name}" if name.endswith("_nats") else name: term for name, term in info.items()}
        return SecondStageState(new, state.frozen), named

    def parts(
        state: SecondStageState, batch: Batch, key: PRNGKey, k: int
    ) -> tuple[Float[Array, "k batch"], Float[Array, "k batch"]]:
        """(log p(x|z), log q(z|x) less the second's log-weight of z) of k draws; of codes log q is 0."""
        assert likelihood_of is not None
        of_first, of_second = jax.random.split(key)
        if first.codes is not None:
            codes = first.codes(state.frozen, batch)
            log_likelihood = likelihood_of(state.frozen, batch, codes[None])
            log_prior = weights_of(state.second, Batch(codes, batch.y), of_second, k)
            return jnp.broadcast_to(log_likelihood, log_prior.shape), -log_prior
        z, log_posterior = posterior_draw(state.frozen, batch, k, of_first, None)
        labels = None if batch.y is None else jnp.tile(batch.y, k)
        of_rows = weights_of(state.second, Batch(z.reshape(-1, z.shape[-1]), labels), of_second, 1)
        return likelihood_of(state.frozen, batch, z), log_posterior - of_rows.reshape(log_posterior.shape)

    def evaluate(state: SecondStageState, batch: Batch, key: PRNGKey) -> Info:
        reconstruction, kl = parts(state, batch, key, 1)
        return {"elbo_nats": (reconstruction - kl)[0], "kl_nats": kl[0], "reconstruction_nats": reconstruction[0]}

    def log_weights(state: SecondStageState, batch: Batch, key: PRNGKey, k: int) -> Float[Array, "k batch"]:
        reconstruction, kl = parts(state, batch, key, k)
        return reconstruction - kl

    def evaluate_points(state: SecondStageState, batch: Batch, key: PRNGKey) -> Info:
        of_first, of_second = jax.random.split(key)
        z = encoded(state.frozen, batch, of_first, None)
        of_z = jax.nn.logsumexp(weights_of(state.second, Batch(z, batch.y), of_second, 1), axis=0)
        return first.evaluate(state.frozen, batch, of_first) | {"latents/log_prob_nats": of_z}

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n noise"]:
        return second.prior(key, n)

    def decode(state: SecondStageState, z: Float[Array, "n noise"], y: Labels = None) -> Array:
        return first.decode(state.frozen, second.decode(state.second, z, y), y)

    def drawn(state: SecondStageState, key: PRNGKey, n: Size) -> Float[Array, "n noise"]:
        return second.latents(state.second, key, n)

    def sample(state: SecondStageState, key: PRNGKey, n: int, y: Labels = None) -> Array:
        return decode(state, drawn(state, key, n), y)

    learned = None if second.learned_prior is None else drawn
    if likelihood_of is None:
        return Model(*(init, train_step, sample, evaluate_points, prior, decode), learned_prior=learned)
    return Model(*(init, train_step, sample, evaluate, prior, decode), log_weights=log_weights, learned_prior=learned)


def drawn(vae: Model, length: int) -> Model:
    """A VAE of vectors whose `decode` draws from p(x|z) instead of giving its mean: a sample of it has the variance
    that its likelihood says.

    The numbers of the draw stand behind those of z, so that `decode` is a function as that of any other model.

    Args:
        vae: with a likelihood of independent normal values.
        length: of an example.
    """
    assert vae.log_likelihood is not None
    likelihood_of = vae.log_likelihood

    def prior(key: PRNGKey, n: Size) -> Float[Array, "n both"]:
        of_z, of_x = jax.random.split(key)
        return jnp.concatenate([vae.prior(of_z, n), jax.random.normal(of_x, (n, length))], axis=1)

    def latents(state: PyTree, key: PRNGKey, n: Size) -> Float[Array, "n both"]:
        of_z, of_x = jax.random.split(key)
        return jnp.concatenate([vae.latents(state, of_z, n), jax.random.normal(of_x, (n, length))], axis=1)

    def decode(state: PyTree, z: Float[Array, "n both"], y: Labels = None) -> Float[Array, "n length"]:
        of_z, noise = z[:, :-length], z[:, -length:]
        mean = vae.decode(state, of_z, y)

        def score(x: Array) -> Array:
            return jax.grad(lambda x: likelihood_of(state, Batch(x, y), of_z[None]).sum())(x)

        # Of independent normal values the score is (mean - x) / variance.
        variance = 1 / (score(mean) - score(mean + 1))
        return mean + jnp.sqrt(variance) * noise

    def sample(state: PyTree, key: PRNGKey, n: int, y: Labels = None) -> Float[Array, "n length"]:
        return decode(state, latents(state, key, n), y)

    learned = None if vae.learned_prior is None else latents
    return vae._replace(prior=prior, decode=decode, sample=sample, learned_prior=learned, encode=None, draw=None)
