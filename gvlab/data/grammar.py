"""Sentences of a small grammar: their exact probability is known, and so is what a model misses of it.

    S  -> NP VI (0.3) | NP VT NP (0.7)
    NP -> DET ADJ* NOUN, each further ADJ with probability 0.4

Every word of a kind is equally likely.
"""

from __future__ import annotations

import math

import numpy as np

from gvlab.data.alphabets import Alphabet

DETERMINERS = ("the", "a")
ADJECTIVES = ("old", "small", "red")
NOUNS = ("dog", "cat", "bird", "fish", "king", "queen")
TRANSITIVE = ("sees", "likes", "finds")
INTRANSITIVE = ("sleeps", "sings")
FURTHER, WITHOUT_OBJECT = 0.4, 0.3
"""The probabilities of a further adjective, and of a sentence without an object."""
LENGTH = 20
"""Of a row: 19 words and the end. Of a million sentences 5 are longer, and are drawn again."""
ALPHABET = Alphabet((*DETERMINERS, *ADJECTIVES, *NOUNS, *TRANSITIVE, *INTRANSITIVE), "words")


def log_prob(sentence: str) -> float:
    """The exact log-probability of a sentence in nats; minus infinity of what is none."""
    words = sentence.split()
    first, rest = _noun_phrase(words)
    if len(rest) == 1 and rest[0] in INTRANSITIVE:
        return first + math.log(WITHOUT_OBJECT / len(INTRANSITIVE))
    if not rest or rest[0] not in TRANSITIVE:
        return -math.inf
    second, rest = _noun_phrase(rest[1:])
    return -math.inf if rest else first + math.log((1 - WITHOUT_OBJECT) / len(TRANSITIVE)) + second


def _noun_phrase(words: list[str]) -> tuple[float, list[str]]:
    """The log-probability of the noun phrase in front, and the words after it."""
    if not words or words[0] not in DETERMINERS:
        return -math.inf, words
    adjectives = 0
    while adjectives + 1 < len(words) and words[adjectives + 1] in ADJECTIVES:
        adjectives += 1
    if adjectives + 1 >= len(words) or words[adjectives + 1] not in NOUNS:
        return -math.inf, words
    of_adjectives = adjectives * math.log(FURTHER / len(ADJECTIVES)) + math.log(1 - FURTHER)
    return of_adjectives - math.log(len(DETERMINERS) * len(NOUNS)), words[adjectives + 2 :]


def log_fitting() -> float:
    """The log-probability that a sentence has room in a row, by which those of the data set are more likely."""
    # Adjectives of one noun phrase are geometric, of two negative binomial; 3 and 5 words are there besides.
    one = 1 - FURTHER ** (LENGTH - 3)
    two = sum((k + 1) * (1 - FURTHER) ** 2 * FURTHER**k for k in range(LENGTH - 5))
    return math.log(WITHOUT_OBJECT * one + (1 - WITHOUT_OBJECT) * two)


def draw(stream: np.random.RandomState, n: int) -> list[str]:
    """n sentences that have room in a row."""
    sentences: list[str] = []
    while len(sentences) < n:
        for uniforms in stream.random_sample((1_000, _UNIFORMS)).tolist():
            words = _sentence(uniforms)
            if len(words) < LENGTH:
                sentences.append(" ".join(words))
    return sentences[:n]


_UNIFORMS = 5 * LENGTH
"""Numbers that a sentence is made of, at most: two phrases of LENGTH words, each adjective of two numbers."""


def _sentence(uniforms: list[float]) -> list[str]:
    """A sentence of independent uniform numbers; of one that has no room the beginning, too long for a row as well."""
    words, used = _phrase(uniforms, 0)
    if len(words) > LENGTH:
        return words
    if uniforms[used] < WITHOUT_OBJECT:
        return [*words, INTRANSITIVE[int(uniforms[used + 1] * len(INTRANSITIVE))]]
    verb = TRANSITIVE[int(uniforms[used + 1] * len(TRANSITIVE))]
    return [*words, verb, *_phrase(uniforms, used + 2)[0]]


def _phrase(uniforms: list[float], used: int) -> tuple[list[str], int]:
    """A noun phrase of the numbers from that one on, and how many are used up then."""
    words = [DETERMINERS[int(uniforms[used] * len(DETERMINERS))]]
    used += 1
    while len(words) < LENGTH:
        used += 1
        if uniforms[used - 1] >= FURTHER:
            break
        words.append(ADJECTIVES[int(uniforms[used] * len(ADJECTIVES))])
        used += 1
    return [*words, NOUNS[int(uniforms[used] * len(NOUNS))]], used + 1
