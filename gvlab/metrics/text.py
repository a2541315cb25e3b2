"""Measures of text: what the n-grams of sentences say of their likeness and variety.

A sentence is a sequence of symbols, words or characters. All of it is counting, in Python.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float64

from gvlab.types import UserError

Sentence: TypeAlias = Sequence[Hashable]
SMALL = 0.1
"""What a precision of no match has for its numerator (Chen & Cherry 2014, smoothing 1)."""


def ngrams(sentence: Sentence, n: int) -> Iterator[tuple[Hashable, ...]]:
    """All runs of n symbols."""
    symbols = tuple(sentence)
    return (symbols[start : start + n] for start in range(len(symbols) - n + 1))


def bleu(hypotheses: Sequence[Sentence], references: Sequence[Sentence], n: int) -> Float64[np.ndarray, " hypotheses"]:
    """BLEU of each sentence against all references: the geometric mean of its precisions of 1 to n symbols.

    A hypothesis shorter than n counts as one n-gram without a match, as in nltk, and a match of none as 0.1. It rises
    with the number of references, which must be the same where two are compared.

    Args:
        hypotheses: sentences.
        references: at least one.
        n: the longest n-gram.

    Raises:
        UserError: there is no reference.

    Reference: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", 2002, section 2; with
    smoothing 1 of Chen & Cherry 2014.
    """
    if not references:
        raise UserError("BLEU compares sentences with references, but there are none: give at least one.")
    most = [_most(references, order) for order in range(1, n + 1)]
    lengths = sorted({len(reference) for reference in references})
    return np.array([_bleu(one, most, lengths, None) for one in hypotheses])


def self_bleu(sentences: Sequence[Sentence], n: int) -> Float64[np.ndarray, " sentences"]:
    """BLEU of each sentence against all others: how much alike they are.

    Args:
        sentences: at least two.
        n: the longest n-gram.

    Raises:
        UserError: there are fewer than two.

    Reference: Zhu et al., "Texygen: A Benchmarking Platform for Text Generation Models", 2018, section 3.
    """
    if len(sentences) < 2:
        raise UserError(f"Self-BLEU compares sentences with each other, but there are {len(sentences)}: give more.")
    most = [_most(sentences, order) for order in range(1, n + 1)]
    counts = Counter(len(sentence) for sentence in sentences)
    found = []
    for i, one in enumerate(sentences):
        others = sorted(length for length, count in counts.items() if count > (length == len(one)))
        found.append(_bleu(one, most, others, i))
    return np.array(found)


class _Most(NamedTuple):
    """How often an n-gram stands in the sentence that has it most often, which that is, and how often in another."""

    first: int
    of: int
    second: int


def _most(references: Sequence[Sentence], n: int) -> dict[tuple[Hashable, ...], _Most]:
    most: dict[tuple[Hashable, ...], _Most] = {}
    for i, reference in enumerate(references):
        for gram, count in Counter(ngrams(reference, n)).items():
            known = most.get(gram, _Most(0, -1, 0))
            if count > known.first:
                most[gram] = _Most(count, i, known.first)
            elif count > known.second:
                most[gram] = _Most(known.first, known.of, count)
    return most


def _bleu(
    hypothesis: Sentence, most: list[dict[tuple[Hashable, ...], _Most]], lengths: Sequence[int], without: int | None
) -> float:
    """Against all references but the one of that number."""
    if not hypothesis:
        return 0.0
    logs = 0.0
    for order, known in enumerate(most, start=1):
        counts = Counter(ngrams(hypothesis, order))
        matches = 0
        for gram, count in counts.items():
            if gram in known:
                of = known[gram]
                matches += min(count, of.second if of.of == without else of.first)
        if order == 1 and not matches:
            return 0.0
        logs += math.log((matches or SMALL) / max(sum(counts.values()), 1)) / len(most)
    closest = min(lengths, key=lambda length: (abs(length - len(hypothesis)), length))
    return math.exp(logs + min(0.0, 1 - closest / len(hypothesis)))


def distinct(sentences: Iterable[Sentence], n: int) -> float:
    """The share of different ones among all n-grams of all sentences; 0 where there are none.

    Reference: Li et al., "A Diversity-Promoting Objective Function for Neural Conversation Models", 2016, section 5.1.
    """
    counts = Counter(gram for sentence in sentences for gram in ngrams(sentence, n))
    return len(counts) / max(sum(counts.values()), 1)


def ngram_divergence(first: Iterable[Sentence], second: Iterable[Sentence], n: int) -> float:
    """The Jensen-Shannon divergence of the n-grams of two sets of sentences, in bits: 0 if they are as frequent in
    both, 1 if they have none in common.

    Raises:
        UserError: a set has no n-grams.

    Reference: Gulrajani et al., "Improved Training of Wasserstein GANs", 2017, the authors' code (language_helpers.py).
    """
    p, q = (Counter(gram for sentence in of for gram in ngrams(sentence, n)) for of in (first, second))
    totals = sum(p.values()), sum(q.values())
    if not all(totals):
        raise UserError(f"A set of sentences has no {n}-grams to compare: give longer ones, or ask for a smaller n.")
    terms = []
    for gram in p.keys() | q.keys():
        shares = p[gram] / totals[0], q[gram] / totals[1]
        middle = sum(shares) / 2
        terms += [0.5 * share * math.log2(share / middle) for share in shares if share]
    return math.fsum(terms)  # the same bits in every order, which in a set is another one in every process


class NGrams(NamedTuple):
    """A language model of counted n-grams, mixed with the uniform distribution."""

    order: int
    mass: float
    counts: Counter[tuple[Hashable, ...]]
    contexts: Counter[tuple[Hashable, ...]]
    vocabulary: frozenset[Hashable]

    def bits(self, sentence: Sentence) -> list[float]:
        """-log2 p of each symbol by those before it, and of the end."""
        known = [symbol if symbol in self.vocabulary else _UNKNOWN for symbol in sentence]
        padded = [*[_START] * (self.order - 1), *known, _END]
        sizes = self.mass * (len(self.vocabulary) + 3)  # the start, the end and the unknown are counted, as in nltk
        return [
            -math.log2((self.counts[gram] + self.mass) / (self.contexts[gram[:-1]] + sizes))
            for gram in ngrams(padded, self.order)
        ]


_START, _END, _UNKNOWN = ("<s>",), ("</s>",), ("<UNK>",)
"""Tuples, which no symbol of a text is."""


def ngram_model(sentences: Iterable[Sentence], order: int, mass: float = 0.1) -> NGrams:
    """The n-grams of sentences, counted: p = (count + mass) / (count of the context + mass x symbols).

    That is the relative frequency mixed with the uniform distribution, so that nothing is impossible (Lidstone): a
    Kneser-Ney whose lowest order is not mixed so gives a symbol that was never seen no probability at all.

    Args:
        sentences: that are counted.
        order: n.
        mass: added to each count.

    Raises:
        UserError: there are no sentences, or the order or the mass is none.
    """
    if order < 1 or not mass > 0:
        raise UserError(f"The order is {order} and the mass {mass}, but both must be positive.")
    counts: Counter[tuple[Hashable, ...]] = Counter()
    contexts: Counter[tuple[Hashable, ...]] = Counter()
    vocabulary: set[Hashable] = set()
    for sentence in sentences:
        vocabulary.update(sentence)
        grams = list(ngrams([*[_START] * (order - 1), *sentence, _END], order))
        counts.update(grams)
        contexts.update(gram[:-1] for gram in grams)
    if not counts:
        raise UserError("There are no sentences to count n-grams of: give at least one.")
    return NGrams(order, mass, counts, contexts, frozenset(vocabulary))
