"""Quantisers against published implementations, and what their papers and their users warn of."""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from waves import wave, waves

from gvlab import networks, rng
from gvlab.networks import codebooks, quantizers
from gvlab.networks import scalar_quantizers as scalar
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "vae_quantizers.json").read_text())


def inputs(entry):
    """Of an entry by the golden file's formula, in float64 where that is enabled."""
    return {name: jnp.asarray(of) for name, of in waves(GOLDEN[entry]["inputs"]).items()}


def upstream(shape, a=0.5, b=0.2):
    return jnp.asarray(np.sin(a * np.arange(float(np.prod(shape))) + b).reshape(shape))


def codebook():
    codes = np.array(wave(GOLDEN["vq"]["inputs"]["codebook"]))
    codes[-2:] += 6
    return jnp.asarray(codes)


def close(found, expected, rtol=1e-8, atol=1e-9):
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


def test_a_codebook_of_averages_and_its_gradient():
    expected = GOLDEN["vq"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("vq")
        for decay in (0.8, 0.99):
            book, module = codebooks.codebook_of(codebook()), networks.EMAVectorQuantizer(8, decay)
            apply = jax.jit(partial(module.apply, train=True, mutable=["codebook"]))
            steps = []
            for x in (given["x0"], given["x1"], given["x2"]):
                variables = {"codebook": {"counts": book.counts, "sums": book.sums}}
                found, new = apply(variables, x)
                book = codebooks.Codebook(**new["codebook"])
                usage = codebooks.code_usage(codebooks.code_counts(found.indices, 8))
                steps.append(jax.device_get((found, book, book.codes(), usage)))
            if decay == 0.8:
                for (found, book, codes, usage), step in zip(steps, expected["decay0.8"], strict=True):
                    np.testing.assert_array_equal(found.indices, step["indices"])
                    close(0.25 * found.commitment.mean(), step["commitment_loss_0_25"])
                    close(usage.perplexity, step["perplexity"])
                    close(usage.entropy_bits, np.log2(step["perplexity"]))
                    close(usage.active, len(set(step["indices"])) / 8)
                    close(book.counts, step["cluster_size"])
                    close(codes, step["codebook_after"])
            else:
                close(book.counts, expected["decay0.99"]["cluster_size"])
                close(codes := steps[-1][2], expected["decay0.99"]["codebook_after"])
                # A code that nothing chose stays where it is, where Sonnet's becomes the zero vector.
                close(codes[-1], codebook()[-1], rtol=1e-4)

        def loss(x):
            found = module.apply({"codebook": codebooks.codebook_of(codebook())._asdict()}, x, train=False)
            return (found.value * upstream(x.shape)).sum() + 0.25 * found.commitment.mean() + found.codebook.sum()

        close(jax.jit(jax.grad(loss))(given["x0"]), expected["grad_x"])


def test_a_codebook_that_a_gradient_trains():
    expected = GOLDEN["vq"]["outputs"]["sonnet"]
    with jax.enable_x64(True):
        module, x = networks.VectorQuantizer(8), inputs("vq")["x0"]

        def loss(codes, x):
            found = module.apply({"params": {"codes": codes}}, x, train=True)
            total = (found.codebook + 0.25 * found.commitment).mean()
            return total + (found.value * upstream(x.shape)).sum(), total

        (_, total), (of_codes, of_x) = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(codebook(), x)
        close(total, expected["loss"])
        close(of_codes, expected["grad_codebook"])
        close(of_x, expected["grad_x"])


def test_the_rotation_trick():
    expected = GOLDEN["rotation_trick"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("rotation_trick")

        def loss(x):
            found = quantizers.quantized(x, given["codebook"], networks.rotated)
            return (given["upstream"] * found.value).sum(), found

        slope, found = jax.jit(jax.grad(loss, has_aux=True))(given["x0"])
        np.testing.assert_array_equal(found.indices, expected["indices"])
        close(found.value, expected["quantised"])
        close(slope, expected["grad_x"])
    # Where there is no rotation, nothing is NaN, and the value is the code all the same.
    x, codes = jnp.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), jnp.array([[-2.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found, slope = jax.jit(
        lambda x: (networks.rotated(x, codes), jax.grad(lambda x: networks.rotated(x, codes).sum())(x))
    )(x)
    np.testing.assert_array_equal(found, codes)
    assert np.isfinite(slope).all()


def test_residual_quantisers_add_up():
    expected = GOLDEN["residual_vq"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("residual_vq")
        for levels in (1, 2, 3):
            module = networks.ResidualQuantizer([networks.VectorQuantizer(5) for _ in range(levels)])
            params = {f"quantizers_{level}": {"codes": given["codebooks"][level] / 2**level} for level in range(levels)}

            def total(x, module=module, params=params):
                found = module.apply({"params": params}, x, train=True)
                return found.value.sum(), found

            slope, found = jax.jit(jax.grad(total, has_aux=True))(given["x"])
            error = ((given["x"] - found.value) ** 2).mean()
            close(error, expected["mean_squared_residual_after_level"][levels - 1])
            close(slope, np.ones(slope.shape))  # once, and not once a level
        close(found.value, expected["quantised"])
        np.testing.assert_array_equal(found.indices, expected["indices"])


@pytest.mark.parametrize("name", GOLDEN["fsq"])
def test_finite_scalars(name):
    expected, levels = GOLDEN["fsq"][name], tuple(map(int, name.split("x")))
    with jax.enable_x64(True):
        module = networks.FiniteScalarQuantizer(levels)

        @jax.jit
        def both(x):
            found, pull = jax.vjp(lambda x: module.apply({}, x, train=True).value, x)
            return module.apply({}, x, train=True).indices, found, pull(jnp.ones_like(found))[0]

        indices, found, slope = both(2.5 * np.asarray(upstream((9, len(levels)), 0.37, 0.1)))
        np.testing.assert_array_equal(indices, expected["indices"])
        # The module computes in float32, whatever it is given; and the colab shifts even levels by a tangent.
        close(found, expected["codes"], rtol=1e-6)
        close(slope, expected["gradient"], rtol=1e-4, atol=1e-6)


def test_finite_scalars_reach_every_level_once():
    """Levels from end to end, each with its own index: at an even number the middle is not one of them."""
    levels = (4, 3)
    x = jnp.stack(jnp.meshgrid(jnp.linspace(-9.0, 9.0, 301), jnp.linspace(-9.0, 9.0, 31)), -1)
    found = jax.jit(partial(networks.FiniteScalarQuantizer(levels).apply, {}, train=True))(x)
    assert sorted(np.unique(found.indices)) == list(range(12))
    np.testing.assert_allclose(np.unique(found.value[..., 0]), [-1, -0.5, 0, 0.5])
    pairs = {tuple(pair) for pair in np.asarray(found.value).reshape(-1, 2).tolist()}
    assert len(pairs) == 12


@jax.jit
def entropies(logits):
    slope = jax.grad(lambda x: scalar.batch_entropy(100 * x) + scalar.factorised_batch_entropy(100 * x))(logits)
    of_batch = scalar.batch_entropy(logits), scalar.factorised_batch_entropy(logits)
    return scalar.code_entropy(logits), *of_batch, slope


@pytest.mark.parametrize("name", GOLDEN["lfq_bsq"]["outputs"])
def test_binary_codes_and_their_entropies(name):
    expected, temperature = GOLDEN["lfq_bsq"]["outputs"][name], float(name.split("temp")[1])
    with jax.enable_x64(True):
        x = inputs("lfq_bsq")["x"]

        @jax.jit
        def codes(x):
            if name.startswith("lfq"):
                return networks.LookupFreeQuantizer().apply({}, x, train=True), scalar.bit_logits(x, 1, temperature)
            found = networks.BinarySphericalQuantizer().apply({}, x, train=True)
            return found, scalar.bit_logits(scalar.on_sphere(x), 0.5, temperature)

        found, logits = codes(x)
        np.testing.assert_array_equal(found.indices, expected["indices"])
        close(np.mean(found.commitment), expected["commitment_mse"])
        of_each, of_all, of_bits, slope = jax.device_get(entropies(logits))
        close(of_each.mean(), expected["per_sample_entropy_unclamped"], rtol=1e-7, atol=1e-16)
        close(of_all, expected["batch_entropy_unclamped"])
        assert of_bits > of_all
        assert np.isfinite(slope).all()


def test_fixed_vectors_under_a_map():
    expected = GOLDEN["simvq"]["outputs"]
    with jax.enable_x64(True):
        given = inputs("simvq")

        def loss(kernel):
            variables = {"params": {"kernel": kernel.T}, "codebook": {"fixed": given["frozen_codebook"]}}
            found = networks.SimVQ(7).apply(variables, given["x"], train=True)
            return (found.codebook + 0.25 * found.commitment).mean(), found

        (value, found), slope = jax.jit(jax.value_and_grad(loss, has_aux=True))(given["W"])
        np.testing.assert_array_equal(found.indices, expected["indices"])
        close(found.value, expected["quantised"])
        close(value, expected["loss"])
        close(slope, expected["grad_W_of_loss"])


MODULES = {
    "vector": networks.VectorQuantizer(6),
    "averages": networks.EMAVectorQuantizer(6, revive_below=0.5, passing=networks.rotated),
    "map": networks.SimVQ(6),
    "residual": networks.ResidualQuantizer([networks.EMAVectorQuantizer(6), networks.FiniteScalarQuantizer((3, 4))]),
    "scalars": networks.FiniteScalarQuantizer((5, 4)),
    "signs": networks.LookupFreeQuantizer(),
    "corners": networks.BinarySphericalQuantizer(),
}


@pytest.mark.parametrize("name", MODULES)
def test_every_quantiser_keeps_its_contract(name):
    module, x = MODULES[name], jax.random.normal(rng.root(0), (4, 3, 5, 2))
    variables = jax.jit(partial(module.init, train=True))(rng.root(1), x)

    def apply(x, train, **options):
        return module.apply(variables, x, train=train, rngs={"codebook": rng.root(2)}, **options)

    @jax.jit
    def of(x):
        slope = jax.grad(lambda x: (apply(x, True).value ** 2).sum())(x)
        return *apply(x, True, mutable=["codebook"]), apply(x, False), slope

    found, new, still, slope = of(x)
    jax.tree.map(np.testing.assert_array_equal, found, still)  # the codebook is used before it moves
    levels = (2,) if name == "residual" else ()
    assert (found.value.shape, found.indices.shape) == (x.shape, (*x.shape[:-1], *levels))
    assert (found.indices.dtype, found.commitment.shape, found.codebook.shape) == (jnp.int32, (4,), (4,))
    before, after = (jax.tree.leaves(of.get("codebook", {})) for of in (variables, new))
    moved = any(np.any(one != other) for one, other in zip(before, after, strict=True))
    assert moved == (name in ("averages", "residual"))
    assert np.isfinite(slope).all()
    assert np.any(slope)


def test_counts_of_two_devices_are_those_of_one():
    x = jax.random.normal(rng.root(0), (8, 2))
    book = codebooks.codebook_of(jax.random.normal(rng.root(1), (3, 2)))

    def step(x, axis_name=None):
        moved = codebooks.averaged(book, x, networks.nearest_code(x, book.codes()), 0.9, axis_name)
        return codebooks.revived(rng.root(2), moved, x, 1.0, axis_name)

    one = jax.jit(step)(x)
    two = jax.jit(jax.vmap(partial(step, axis_name="devices"), axis_name="devices"))(x.reshape(2, 4, 2))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(np.stack([a, a]), b, rtol=1e-6), one, two)


def test_dead_codes_live_again_at_positions_of_the_batch():
    x = np.asarray(jax.random.normal(rng.root(0), (10, 2)))
    counts = np.array([5.0, 2.0, 0.1, 0.0, 1.9], np.float32)
    sums = np.concatenate([x[:2], np.full((3, 2), 50.0, np.float32)]) * counts[:, None]

    @jax.jit
    def revived(counts, sums, x):
        alive = codebooks.revived(rng.root(1), codebooks.Codebook(counts, sums), x, 2.0)
        return alive.counts, alive.codes()

    alive, found = jax.device_get(revived(counts, sums, x))
    np.testing.assert_array_equal(alive, [5, 2, 2, 2, 2])
    np.testing.assert_allclose(found[:2], x[:2], rtol=1e-3)
    distances = np.abs(found[2:, None] - np.asarray(x)[None]).sum(-1)
    assert (distances.min(1) < 1e-3).all()
    assert len(set(distances.argmin(1))) == 3  # different ones


def test_a_codebook_starts_at_the_means_of_its_first_batch():
    centres = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]], np.float32)
    x = centres[:, None] + 0.1 * np.asarray(jax.random.normal(rng.root(0), (3, 20, 2)))
    x = jnp.asarray(x.reshape(6, 10, 2))

    @jax.jit
    def start(key, x):
        book = networks.kmeans_codebook(key, x, codes=3)
        return quantizers.quantized(x, book.codes(), networks.rotated).commitment.mean(), book.counts, book.codes()

    starts = jax.device_get([start(rng.root(key), x) for key in range(8)])
    _, counts, codes = min(starts, key=lambda found: float(found[0]))
    np.testing.assert_allclose(codes[np.lexsort(codes.round().T)], centres, atol=0.1)
    assert counts.tolist() == [20, 20, 20]
    *_, empty = start(rng.root(0), jnp.ones((4, 2)))  # two means that nothing is nearest to
    np.testing.assert_allclose(empty, np.ones((3, 2)), rtol=1e-4)
    with pytest.raises(UserError, match="61 codes cannot start at the means of a first batch of 60 positions"):
        networks.kmeans_codebook(rng.root(0), x, 61)


@pytest.mark.parametrize(
    ("module", "features", "sentence"),
    [
        (networks.FiniteScalarQuantizer((5, 2)), 2, r"levels is \(5, 2\), .* at least 3 each: use LookupFreeQuantizer"),
        (networks.FiniteScalarQuantizer(()), 2, r"levels is \(\), but needs one number or more"),
        (networks.FiniteScalarQuantizer((5, 5)), 3, r"levels is \(5, 5\), but what is quantised has 3 features"),
        (networks.FiniteScalarQuantizer((5,) * 14), 14, "makes 6103515625 codes: use fewer"),
        (networks.LookupFreeQuantizer(), 32, "32 features have more codes than int32 can count"),
        (networks.ResidualQuantizer([]), 2, "ResidualQuantizer has no quantizers"),
    ],
)
def test_what_cannot_be_quantised_is_refused(module, features, sentence):
    with pytest.raises(UserError, match=sentence):
        jax.eval_shape(lambda: module.init_with_output(rng.root(0), jnp.zeros((2, features)), train=True))


def test_entropies_of_too_many_codes_are_refused():
    with pytest.raises(UserError, match=r"17 features have 2\*\*17 codes, .* use factorised_batch_entropy"):
        scalar.batch_entropy(jnp.zeros((2, 17)))
