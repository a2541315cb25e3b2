"""Features of sentences, on which distances of images' features can be measured, too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

from gvlab.metrics.text import Sentence, ngrams
from gvlab.types import UserError

LONGEST, MOST = 4, 20_000
"""Symbols of the longest n-gram, and n-grams that are counted: the most frequent ones."""


def ngram_features(
    training: Sequence[Sentence], *sets: Sequence[Sentence], dimensions: int = 64
) -> list[Float64[np.ndarray, "_ dimensions"]]:
    """The n-grams of sentences, up to four symbols long, weighed by their rarity (tf-idf) and projected to the
    directions in which those of the training set vary most (truncated SVD, also called latent semantic analysis).

    Args:
        training: sentences that weights and directions are of.
        sets: those whose features are wanted, each of at least one sentence.
        dimensions: features, fewer than there are different n-grams and training sentences.

    Returns:
        of each set [sentences, dimensions].

    Raises:
        UserError: the training set has too few sentences, or n-grams, for so many dimensions.

    Reference: Deerwester et al., "Indexing by Latent Semantic Analysis", 1990.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    def of_sentence(sentence: Sentence) -> list[str]:
        symbols = [str(symbol) for symbol in sentence]
        return ["\0".join(map(str, gram)) for n in range(1, LONGEST + 1) for gram in ngrams(symbols, n)]

    weights = TfidfVectorizer(analyzer=of_sentence, max_features=MOST)
    known = weights.fit_transform(training)
    if min(known.shape) <= dimensions:
        raise UserError(
            f"{len(training)} training sentences with {known.shape[1]} different n-grams have no {dimensions} "
            "directions: use fewer dimensions, or another measure."
        )
    directions = TruncatedSVD(dimensions, random_state=0).fit(known)
    return [directions.transform(weights.transform(sentences)) for sentences in sets]
