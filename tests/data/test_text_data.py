"""Sentences as data: the alphabet, the kinds, and the two sets that come with gvlab."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gvlab import data
from gvlab.data import Alphabet, grammar
from gvlab.data.alphabets import alphabet_of, lengths
from gvlab.data.modalities import modality_of
from gvlab.types import UserError

pytestmark = pytest.mark.fast

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "text.json").read_text())
ABC = Alphabet(("a", "b", "c"), "characters")


def test_a_kind_is_known_by_type_and_rank():
    assert modality_of("uint8", 3) == data.IMAGES
    assert modality_of(np.dtype(np.float32), 1) == data.VECTORS
    assert modality_of("int32", 1) == data.TOKENS
    with pytest.raises(UserError, match=r"type int64 and rank 1 are of no kind .* or waves int16 \[n, samples, c"):
        modality_of("int64", 1)


def test_what_is_absent_keeps_its_kind():
    assert data.Absent("d", (4, 4, 1), 0, False, "gone").modality == data.IMAGES
    assert data.Absent("d", (4,), 0, False, "gone").modality == data.VECTORS
    assert data.Absent("d", (4,), 0, False, "gone", alphabet=ABC).modality == data.TOKENS


def test_sentences_are_rows_with_an_end():
    rows = ABC.encode(["abc", "", "cz"], 5)
    assert rows.tolist() == [[2, 3, 4, 0, 0], [0, 0, 0, 0, 0], [4, 1, 0, 0, 0]]
    assert lengths(rows).tolist() == [4, 1, 3]
    assert ABC.decode(rows) == ["abc", "", "c\N{REPLACEMENT CHARACTER}"]
    assert lengths(np.array([[2, 3], [0, 3]])).tolist() == [2, 1]  # a row without an end counts whole
    words = Alphabet(("king", "the"), "words")
    assert words.decode(words.encode(["the  old king"], 4)) == ["the <unk> king"]
    with pytest.raises(UserError, match="A sentence has 5 characters, but rows of 5 have room for 4"):
        ABC.encode(["abcab"], 5)


def test_an_alphabet_is_of_the_most_frequent_symbols():
    assert alphabet_of(["bba", "cb"], "characters").symbols == ("a", "b", "c")
    assert alphabet_of(["bba", "cb", "c"], "characters", most=2).symbols == ("b", "c")
    assert alphabet_of(["the king", "the"], "words", most=1).symbols == ("the",)


def test_the_checksum_is_of_the_alphabet_too():
    rows = ABC.encode(["ab", "c", "ba"], 4)
    ours, other = (
        data.from_arrays("t", rows[:2], rows[2:], alphabet=a) for a in (ABC, Alphabet(tuple("abd"), "words"))
    )
    assert ours.checksum != other.checksum
    assert ours.checksum != data.fingerprint(ours.train, ours.test)
    assert data.part(ours, 0.5).checksum == data.fingerprint(data.part(ours, 0.5).train, ours.test, ABC)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((2, 3), np.int64), r"has type int64 and shape \(2, 3\), but with an alphabet give sentences int32"),
        (np.array([[2, 5, 0]], np.int32), "contains 5, but this alphabet has the integers 0 to 4"),
        (np.array([[2, -1, 0]], np.int32), "contains -1, but this alphabet"),
        (np.array([[2, 0, 0], [2, 3, 4]], np.int32), "the sentence 1 has no end"),
        (np.array([[2, 0, 3, 0]], np.int32), "the sentence 0 goes on after its end"),
    ],
)
def test_what_are_no_sentences_is_refused(rows, said):
    with pytest.raises(UserError, match=said):
        data.from_arrays("t", rows, rows, alphabet=ABC)


@pytest.mark.parametrize("sentence", sorted(GOLDEN["toy_grammar"]["log_prob"]))
def test_the_grammar_has_its_golden_probabilities(sentence):
    assert grammar.log_prob(sentence) == pytest.approx(GOLDEN["toy_grammar"]["log_prob"][sentence], rel=1e-8)


@pytest.mark.parametrize(
    "sentence", ["", "the dog", "dog sleeps", "the dog sleeps sings", "the dog sees", "a red sings"]
)
def test_what_is_no_sentence_has_no_probability(sentence):
    assert grammar.log_prob(sentence) == -np.inf


def test_sentences_that_fit_are_nearly_all():
    """Against a sum over the numbers of adjectives that there is room for."""
    rows = range(grammar.LENGTH)
    of_one = np.array([0.6 * 0.4**k for k in rows])
    one = sum(of_one[k] for k in rows if 3 + k < grammar.LENGTH)
    two = sum(of_one[i] * of_one[j] for i in rows for j in rows if 5 + i + j < grammar.LENGTH)
    assert grammar.log_fitting() == pytest.approx(np.log(0.3 * one + 0.7 * two), rel=1e-9)
    assert -1e-5 < grammar.log_fitting() < 0


def test_the_grammar_is_drawn_with_its_own_probabilities():
    dataset = data.load("grammar")
    assert dataset.checksum == "70928d954a904e801a41bd3ea8a63112596d1e6c6154828e4f484598425079cc"
    assert (dataset.shape, dataset.modality, dataset.alphabet.level) == ((20,), data.TOKENS, "words")
    log_probs = np.array([grammar.log_prob(sentence) for sentence in dataset.alphabet.decode(dataset.test.x)])
    entropy, error = GOLDEN["toy_grammar"]["entropy_nats_per_sentence"], log_probs.std() / np.sqrt(len(log_probs))
    assert abs(-log_probs.mean() - entropy) < 4 * error
    assert abs(lengths(dataset.test.x).mean() - 1 - GOLDEN["toy_grammar"]["mean_words"]) < 0.1


def test_shakespeare_is_split_by_position():
    dataset = data.load("shakespeare")
    assert dataset.checksum == "6f38be40d1f2529fe8ca3b6301080e65b590baab041f5f6ecaf0d207b9634f03"
    assert dataset.alphabet.levels == 66
    train, test = (dataset.alphabet.decode(split.x) for split in (dataset.train, dataset.test))
    assert train[:2] == ["First Citizen:", "Before we proceed any further, hear me speak."]
    assert not set(train) & set(test)
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(test)
    assert not dataset.train.x.flags.writeable
    assert replace(dataset, name="other").checksum == dataset.checksum
