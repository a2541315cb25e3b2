"""Measures of sentences as `gvlab evaluate` makes them, and those that are refused."""

import math

import numpy as np
import pytest

from gvlab import build, data, metrics
from gvlab import config as c
from gvlab.data import Alphabet, grammar
from gvlab.evaluate import texts
from gvlab.types import UserError

WORDS = Alphabet(("a", "b", "c"), "words")
LINES = ["a b c", "b c", "a a", "c b a", "a c", "b"]


def dataset(alphabet=WORDS, name="abc"):
    rows = alphabet.encode(LINES, 6)
    return data.from_arrays(name, rows[:4], rows[4:], alphabet=alphabet)


def program(of, model=None):
    experiment = c.Experiment(of.name, model or c.Density(c.SentenceGRU(4, 2)), steps=1, batch_size=2)
    return build.program(experiment, of)


def test_all_usual_measures_of_sentences():
    of = dataset()
    generated = ["a b c", "a c", "c c c", "a c"]
    found = texts.measured(generated, of, "test", texts.usual_texts(of))
    assert {name.rstrip("_12345") for name in found} == {
        *("ngram_js_bits", "bleu", "self_bleu", "distinct", "forward_lm_bits", "reverse_lm_bits"),
        *("unique_share", "copied_share", "mean_length"),
    }
    assert found["unique_share"]["value"] == 0.75
    assert found["copied_share"]["value"] == 0.25
    assert found["mean_length"]["value"] == 2.5
    assert texts.measured(["", ""], of, "test", texts.usual_texts(of))["mean_length"]["value"] == 0
    assert found["mean_length"]["stamp"]["of_real"] == 1.5
    own, real = ([line.split() for line in lines] for lines in (generated, LINES[4:]))
    assert found["bleu_2"]["value"] == pytest.approx(metrics.bleu(own, real, 2).mean())
    assert "ngram_js_bits_2" in found
    assert "ngram_js_bits_3" not in found  # the test sentences have two words
    assert found["ngram_js_bits_1"]["value"] == pytest.approx(metrics.ngram_divergence(own, real, 1))
    model = metrics.ngram_model([line.split() for line in LINES[:4]], 3)
    bits = [bit for line in own for bit in model.bits(line)]
    assert found["forward_lm_bits"]["value"] == pytest.approx(np.mean(bits))
    for measure in found.values():
        assert measure["stamp"]["generated"] == 4
        assert measure["stamp"]["examples"] == 2


def test_rates_are_of_all_symbols_together():
    """Not the mean of the rates of each sentence: 5 symbols, ends counted, in two sentences."""
    found = texts.rates(program(dataset()), np.array([-3.0, -2.0]), 7)
    assert found["perplexity"]["value"] == pytest.approx(math.e)
    assert found["bits_per_word"]["value"] == pytest.approx(1 / math.log(2))
    assert found["bits_per_word"]["stamp"] == {"k": 7, "tokens": 5}
    # Each sentence has one nat a symbol, so their ratio is certain.
    assert found["perplexity"]["standard_error"] == pytest.approx(0, abs=1e-9)
    assert "kl_of_truth_nats" not in found
    characters = dataset(Alphabet(("a", "b", " "), "characters"))
    unknown = texts.rates(program(characters), np.array([-3.0, -2.0]), 7)
    assert unknown["bits_per_character"]["stamp"]["unknown_share"] == pytest.approx(1 / 4)
    assert "flatters" in unknown["bits_per_character"]["stamp"]["warning"]


def test_the_truth_itself_is_no_distance_away():
    of = data.load("grammar")
    truth = np.array([grammar.log_prob(line) for line in of.alphabet.decode(of.test.x)]) - grammar.log_fitting()
    found = texts.rates(program(of), truth, 1)
    assert found["kl_of_truth_nats"]["value"] == 0
    assert found["bits_per_word"]["value"] == pytest.approx(1.979, abs=0.02)  # golden: 1.97946711 of the endless
    measured = texts.measured(["the dog sleeps", "dog the"], of, "test", ["grammar"])
    assert measured["valid_share"]["value"] == 0.5
    expected = grammar.log_prob("the dog sleeps") - grammar.log_fitting()
    assert measured["truth_log_prob_nats"]["value"] == pytest.approx(expected)
    assert "truth_log_prob_nats" not in texts.measured(["dog"] * 2, of, "test", ["grammar"])


@pytest.mark.parametrize(
    ("names", "of", "features", "said"),
    [
        (
            ["frechet"],
            "text",
            (),
            "The measure frechet is not of sentences, which abc has: choose from ngram_js",
        ),
        (["bleu"], "digits", (), "The measure bleu is of sentences, but digits has images: leave it out"),
        (["grammar"], "text", (), "and those of abc are not: leave it out"),
        (["bleu"], "text", ("pixels",), "--features pixels is no feature of sentences, which those of abc are"),
    ],
)
def test_measures_of_another_kind_are_refused(names, of, features, said):
    with pytest.raises(UserError, match=said):
        texts.check(names, dataset() if of == "text" else data.load("digits"), features)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (c.VAE(), "VAE with Article makes no sentences, but the data are: use a Density with CausalTransformer"),
        (c.GAN(), "GAN makes no sentences"),
        (c.VQVAE(), "VQVAE makes no sentences"),
        (c.Density(c.Flow()), "Flow is none of sentences, but the data are: use CausalTransformer or SentenceGRU"),
        (c.Density(c.GatedPixelCNN()), "GatedPixelCNN is none of sentences"),
    ],
)
def test_models_of_something_else_are_refused(model, said):
    with pytest.raises(UserError, match=said):
        program(dataset(), model)


@pytest.mark.parametrize(
    ("model", "of", "said"),
    [
        (
            c.VAE(c.SentenceGRU(), likelihood=c.Sentences()),
            "digits",
            r"SentenceGRU makes sentences, but the data are images",
        ),
        (c.Density(c.SentenceGRU()), "ring", r"SentenceGRU is a model of sentences, but the data are vectors \(2,\)"),
    ],
)
def test_models_of_sentences_want_sentences(model, of, said):
    with pytest.raises(UserError, match=said):
        program(data.load(of), model)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: c.VAE(c.SentenceGRU()), "of which one is of sentences and the other is not: use Sentences"),
        (lambda: c.VAE(likelihood=c.Sentences()), "is not: use SentenceGRU or SentenceTransformer"),
        (
            lambda: c.VAE(c.SentenceGRU(), likelihood=c.Sentences(), prior=c.Vamp()),
            "VAE.prior is Vamp, whose learned examples are no sentences",
        ),
        (lambda: c.Sentences(1.5), r"Sentences.word_dropout is 1\.5, but is a probability"),
        (lambda: c.SentenceTransformer(width=6, heads=4), "which 4 heads cannot share equally"),
        (lambda: c.SentenceTransformer(blocks=10**6), "but at most"),
        (
            lambda: c.Experiment("t", c.VAE(c.SentenceGRU(), likelihood=c.Sentences()), 1, precision="bfloat16"),
            "networks of sentences compute in float32",
        ),
        (lambda: c.Text("t.txt", length=1), "Text.length is 1"),
        (lambda: c.Text("t.txt", symbols=-1), "Text.symbols is -1"),
    ],
)
def test_configurations_that_mean_nothing_are_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()


def test_flips_are_for_images():
    experiment = c.Experiment("t", c.Density(c.SentenceGRU(4, 2)), steps=1, batch_size=2, data=c.Data("abc", flip=True))
    with pytest.raises(UserError, match=r"Data\.flip and Data\.quantization are for images, but abc has sentences"):
        build.program(experiment, dataset())
