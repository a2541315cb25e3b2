"""Measures of text against nltk's and definitions' golden numbers, and in cases that are known by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from gvlab import metrics
from gvlab.types import UserError

pytestmark = pytest.mark.fast

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text.json").read_text())
SAMPLES, REFERENCES = ([line.split() for line in GOLDEN["bleu"][of]] for of in ("samples", "references"))


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_bleu_is_that_of_nltk(n):
    golden = GOLDEN["bleu"]["values"][f"n={n}"]
    np.testing.assert_allclose(metrics.bleu(SAMPLES, REFERENCES, n), golden["bleu_each"], rtol=1e-7)
    np.testing.assert_allclose(metrics.self_bleu(SAMPLES, n), golden["self_bleu_each"], rtol=1e-7)
    assert metrics.self_bleu(SAMPLES, n).mean() < metrics.bleu(SAMPLES, SAMPLES, n).mean() or n == 2


def test_a_sentence_is_not_its_own_reference():
    """The mistake gives 0.927 for 0.467."""
    golden = GOLDEN["bleu"]["values"]["n=4"]
    assert metrics.bleu(SAMPLES, SAMPLES, 4).mean() == pytest.approx(golden["self_included_mean"], rel=1e-7)
    assert metrics.self_bleu(SAMPLES, 4).mean() == pytest.approx(golden["self_bleu_mean"], rel=1e-7)
    assert metrics.self_bleu([["a", "b"], ["a", "b"]], 2).tolist() == pytest.approx([1, 1])


def test_bleu_of_nothing():
    assert metrics.bleu([[], ["x"]], REFERENCES, 2).tolist() == [0, 0]
    with pytest.raises(UserError, match="there are none: give at least one"):
        metrics.bleu(SAMPLES, [], 2)
    with pytest.raises(UserError, match="but there are 1: give more"):
        metrics.self_bleu(SAMPLES[:1], 2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_distinct(n):
    assert metrics.distinct(SAMPLES, n) == pytest.approx(GOLDEN["distinct"][f"n={n}"], rel=1e-7)
    assert metrics.distinct([], n) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_divergences_of_characters(n):
    samples, references = GOLDEN["bleu"]["samples"], GOLDEN["bleu"]["references"]
    golden = GOLDEN["char_ngram_js_bits"]
    assert metrics.ngram_divergence(samples, references, n) == pytest.approx(golden["unpadded"][f"n={n}"], rel=1e-6)
    padded = [[text[:32].ljust(32, "`") for text in of] for of in (samples, references)]
    assert metrics.ngram_divergence(*padded, n) == pytest.approx(golden["values"][f"n={n}"], rel=1e-6)
    assert metrics.ngram_divergence(samples, samples, n) == 0
    assert metrics.ngram_divergence(["aaaaa"], ["bbbbb"], n) == pytest.approx(1)
    with pytest.raises(UserError, match=f"has no {n}-grams to compare"):
        metrics.ngram_divergence(samples, [""], n)


@pytest.mark.parametrize(("name", "order", "mass"), [("laplace_2", 2, 1.0), ("lidstone0.1_3", 3, 0.1)])
def test_language_models_of_ngrams_are_those_of_nltk(name, order, mass):
    golden = GOLDEN["ngram_lm"]["models"][name]
    model = metrics.ngram_model(REFERENCES, order, mass)
    each = [model.bits(sentence) for sentence in SAMPLES]
    np.testing.assert_allclose([-sum(bits) for bits in each], golden["log2_each"], rtol=1e-7)
    flat = [bit for bits in each for bit in bits]
    assert (len(flat), len(model.vocabulary) + 3) == (golden["tokens"], golden["vocabulary"])
    assert np.mean(flat) == pytest.approx(golden["bits_per_token"], rel=1e-7)


def test_nothing_is_impossible():
    model = metrics.ngram_model([["a"]], 2)
    assert all(math.isfinite(bit) for bit in model.bits(["b", "a"]))
    total = sum(2 ** -model.bits([symbol])[0] for symbol in ("a", "b")) + 2 ** -model.bits([])[0]
    assert total == pytest.approx(1 - 0.1 / 1.4)  # the start, which nltk counts and nothing follows
    with pytest.raises(UserError, match="no sentences to count"):
        metrics.ngram_model([], 2)
    with pytest.raises(UserError, match=r"The order is 0 and the mass 0\.1"):
        metrics.ngram_model([["a"]], 0)


def test_features_of_ngrams_are_those_of_the_rarity_of_words():
    rng = np.random.RandomState(0)
    training = [rng.choice(list("abcdef"), rng.randint(2, 6)).tolist() for _ in range(200)]
    same, other = metrics.ngram_features(training, training, [["a"], ["b", "b"]], dimensions=20)
    assert same.shape == (200, 20)
    assert other.shape == (2, 20)
    again = metrics.ngram_features(training, training[::-1], dimensions=20)[0]
    np.testing.assert_allclose(again[::-1], same, atol=1e-9)
    # The rows have the length 1, of which no direction keeps less than the next.
    kept = (same**2).sum(0)
    assert (np.diff(kept) <= 1e-9).all()
    assert kept.sum() <= len(training)
    few = metrics.ngram_features(training, training, dimensions=5)[0]
    np.testing.assert_allclose(np.abs(few), np.abs(same[:, :5]), atol=0.1)


def test_features_of_too_few_ngrams_are_refused():
    with pytest.raises(UserError, match=r"3 training sentences with .* different n-grams have no 64 directions"):
        metrics.ngram_features([["a"], ["a", "b"], ["c"]], [["a"]])
