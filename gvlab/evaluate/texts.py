"""Measures of sentences: what a model says of the test split's, and how its own are like them."""

from __future__ import annotations

import functools
import importlib.metadata
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from gvlab import __version__, data, metrics
from gvlab import config as c
from gvlab.build import Program
from gvlab.data import alphabets, grammar, text_files
from gvlab.evaluate.features import PROTOCOL
from gvlab.evaluate.held_out import Measure, mean
from gvlab.files import sha256
from gvlab.metrics.text_features import LONGEST
from gvlab.types import UserError

GRAMMAR = "grammar"
"""The data set whose probabilities are known."""
HYPOTHESES = 500
"""Sentences of which BLEU and self-BLEU are means, as in Zhu et al. 2018 (Texygen)."""
ORDERS: dict[alphabets.Level, int] = {"characters": 6, "words": 3}
"""Of the language models of n-grams."""


class Texts(NamedTuple):
    """What a measure looks at."""

    generated: list[str]
    real: list[str]
    """Of the split that they are compared with."""
    training: list[str]
    level: alphabets.Level

    def words(self, sentences: Iterable[str]) -> list[list[str]]:
        """Of sentences, whatever the symbols of the data set are."""
        return [sentence.split() for sentence in sentences]

    def symbols(self, sentences: Iterable[str]) -> list[list[str]]:
        """Of sentences, as the data set has them."""
        return [alphabets.split(sentence, self.level) for sentence in sentences]


def _divergences(texts: Texts) -> dict[str, Measure]:
    both = texts.symbols(texts.generated), texts.symbols(texts.real)
    longest = min(max(map(len, sentences)) for sentences in both)  # of longer n-grams a set has none, and no divergence
    return {
        f"ngram_js_bits_{n}": {"value": metrics.ngram_divergence(*both, n), "stamp": {"symbols": texts.level}}
        for n in range(1, min(4, longest) + 1)
    }


def _bleu(texts: Texts) -> dict[str, Measure]:
    hypotheses, references = texts.words(texts.generated[:HYPOTHESES]), texts.words(texts.real)
    stamp = {"symbols": "words", "references": len(references), "hypotheses": len(hypotheses)}
    return {f"bleu_{n}": mean(metrics.bleu(hypotheses, references, n), **stamp) for n in range(2, 6)}


def _self_bleu(texts: Texts) -> dict[str, Measure]:
    sentences = texts.words(texts.generated[:HYPOTHESES])
    stamp = {"symbols": "words", "references": len(sentences) - 1, "hypotheses": len(sentences)}
    return {f"self_bleu_{n}": mean(metrics.self_bleu(sentences, n), **stamp) for n in range(2, 6)}


def _distinct(texts: Texts) -> dict[str, Measure]:
    words, real = texts.words(texts.generated), texts.words(texts.real[: len(texts.generated)])
    return {
        f"distinct_{n}": {
            "value": metrics.distinct(words, n),
            "stamp": {"symbols": "words", "of_as_many_real": metrics.distinct(real, n), "compared": len(real)},
        }
        for n in range(1, 4)
    }


def _language_models(texts: Texts) -> dict[str, Measure]:
    order = ORDERS[texts.level]
    stamp = {"symbols": texts.level, "order": order, "mass": metrics.text.SMALL}

    def bits(trained_on: Sequence[str], scored: Sequence[str]) -> Measure:
        model = metrics.ngram_model(texts.symbols(trained_on), order)
        each = [model.bits(sentence) for sentence in texts.symbols(scored)]
        return _ratio(np.array([sum(of) for of in each]), np.array([len(of) for of in each]))

    real = bits(texts.training, texts.real)["value"]
    return {
        "forward_lm_bits": bits(texts.training, texts.generated) | {"stamp": stamp | {"of_real": real}},
        "reverse_lm_bits": bits(texts.generated, texts.real) | {"stamp": stamp | {"of_training": real}},
    }


def _frechet(texts: Texts) -> dict[str, Measure]:
    sets = [texts.symbols(of) for of in (texts.training, texts.generated, texts.real)]
    own, real = metrics.ngram_features(*sets)
    smaller = min(len(own), len(real))
    stamp: dict[str, Any] = {"symbols": texts.level, "longest": LONGEST, "dimensions": own.shape[1]}
    # Whose decomposition is not the same from release to release.
    stamp["scikit_learn"] = importlib.metadata.version("scikit-learn")
    if smaller <= own.shape[1]:
        stamp["warning"] = f"{smaller} sentences for {own.shape[1]} features: the covariance is singular"
    value = metrics.frechet_distance(metrics.moments(own), metrics.moments(real))
    return {"frechet_ngrams": {"value": value, "stamp": stamp}}


def _copies(texts: Texts) -> dict[str, Measure]:
    known = set(texts.training)
    return {
        "unique_share": {"value": len(set(texts.generated)) / len(texts.generated), "stamp": {}},
        "copied_share": mean(
            np.array([sentence in known for sentence in texts.generated]),
            of_real=float(np.mean([sentence in known for sentence in texts.real])),
        ),
    }


def _lengths(texts: Texts) -> dict[str, Measure]:
    own, real = (np.array([len(one) for one in texts.symbols(of)]) for of in (texts.generated, texts.real))
    return {"mean_length": mean(own, symbols=texts.level, of_real=float(real.mean()))}


def _truth(texts: Texts) -> dict[str, Measure]:
    log_probs = np.array([grammar.log_prob(sentence) for sentence in texts.generated])
    valid = np.isfinite(log_probs)
    measures = {"valid_share": mean(valid)}
    if valid.any():  # of no sentence there is no mean
        of_valid, of_real = log_probs[valid] - grammar.log_fitting(), float(_true(texts.real).mean())
        measures["truth_log_prob_nats"] = mean(of_valid, sentences="valid ones", of_real=of_real)
    return measures


def _true(sentences: Sequence[str]) -> Float64[np.ndarray, " n"]:
    return np.array([grammar.log_prob(sentence) for sentence in sentences]) - grammar.log_fitting()


OF_TEXT: dict[str, Callable[[Texts], dict[str, Measure]]] = {
    "ngram_js": _divergences,
    "bleu": _bleu,
    "self_bleu": _self_bleu,
    "distinct": _distinct,
    "ngram_lm": _language_models,
    "ngram_frechet": _frechet,
    "copies": _copies,
    "length": _lengths,
    "grammar": _truth,
}
"""By the name that each is asked for by."""


def usual_texts(dataset: data.Dataset) -> tuple[str, ...]:
    """What is measured of sentences where nobody asks for anything else."""
    apart = {"ngram_frechet"} | ({"grammar"} if dataset.name != GRAMMAR else set())
    return tuple(name for name in OF_TEXT if name not in apart)


def check(names: Iterable[str], dataset: data.Dataset, features: Sequence[str]) -> None:
    """Raises UserError for measures of something else than the data set has."""
    of_sentences = dataset.modality == data.TOKENS
    for name in names:
        if of_sentences and name not in OF_TEXT:
            raise UserError(
                f"The measure {name} is not of {dataset.modality.name}, which {dataset.name} has: choose from "
                f"{', '.join(of for of in OF_TEXT if of != 'grammar' or dataset.name == GRAMMAR)}."
            )
        if not of_sentences and name in OF_TEXT:
            raise UserError(
                f"The measure {name} is of sentences, but {dataset.name} has {dataset.modality.name}: leave it out."
            )
        if name == "grammar" and dataset.name != GRAMMAR:
            raise UserError(
                f"The measure grammar is of sentences whose probabilities are known, and those of {dataset.name} are "
                "not: leave it out."
            )
    if of_sentences and features:
        raise UserError(
            f"--features {features[0]} is no feature of {dataset.modality.name}, which those of {dataset.name} are and "
            "which are measured as they are: leave it out."
        )


def measured(generated: Sequence[str], dataset: data.Dataset, split: str, names: Iterable[str]) -> dict[str, Measure]:
    """The measures of those names, with what all stamps say.

    Args:
        generated: sentences, at least two.
        dataset: what they are compared with.
        split: of it.
        names: of `OF_TEXT`.

    Raises:
        UserError: a measure cannot be made of these.
    """
    assert dataset.alphabet is not None
    real, training = (dataset.alphabet.decode(getattr(dataset, of).x) for of in (split, "train"))
    texts = Texts(list(generated), real, training, dataset.alphabet.level)
    shared = {"protocol": PROTOCOL, "generated": len(texts.generated), "examples": len(real)}
    found: dict[str, Measure] = {}
    for name in names:
        found |= OF_TEXT[name](texts)
    return {name: measure | {"stamp": shared | measure["stamp"]} for name, measure in found.items()}


def of_file(path: Path, dataset: data.Dataset, asked: c.Evaluation) -> dict[str, Measure]:
    """Another system's sentences, measured as ours would be.

    Args:
        path: of a UTF-8 file, one sentence a line. All are used or, where fewer samples are asked for, the first.
        dataset: what they are compared with.
        asked: the measures.

    Raises:
        UserError: it is no such file, has too few sentences, or a measure is of something else than sentences.
    """
    if dataset.modality != data.TOKENS:
        raise UserError(
            f"--text {path} has sentences, but {dataset.name} {dataset.modality.name}: compare them with a data set of "
            "sentences."
        )
    names = asked.measures or usual_texts(dataset)
    check(names, dataset, asked.features)
    lines, empty = text_files.read_lines(path)
    if asked.samples > len(lines):
        raise UserError(f"--samples is {asked.samples}, but {path} has only {len(lines)} sentences: ask for fewer.")
    shared = {"text": str(path), "text_sha256": sha256(path), "empty_lines": empty, "gvlab": __version__}
    shared |= {"dataset": dataset.name, "dataset_sha256": dataset.checksum, "split": asked.split}
    found = measured(lines[: asked.samples or None], dataset, asked.split, names)
    return {name: measure | {"stamp": shared | measure["stamp"]} for name, measure in found.items()}


def rates(program: Program, per_example: Float64[np.ndarray, " examples"], k: int) -> dict[str, Measure]:
    """What bounds on log p of the test split are per symbol, its end counted; of other data nothing.

    The nats of all sentences over the symbols of all: not the mean of each sentence's own rate. Of sentences whose
    probabilities are known the difference is also told: the KL of the truth from the model, or a bound on it.
    """
    dataset = program.dataset
    if dataset.alphabet is None:
        return {}
    rows = dataset.test.x
    assert isinstance(rows, np.ndarray)
    counts = alphabets.lengths(rows)
    stamp: dict[str, Any] = {"k": k, "tokens": int(counts.sum())}
    unknown = float((rows == alphabets.UNKNOWN).sum() / max(int((counts - 1).sum()), 1))
    if unknown:
        warning = "symbols that training lacks are told from each other by nobody, so the number flatters"
        stamp |= {"unknown_share": unknown, "warning": warning}
    nats = _ratio(-per_example, counts)
    symbol = {"characters": "character", "words": "word"}[dataset.alphabet.level]
    perplexity = math.exp(nats["value"])
    found: dict[str, Measure] = {
        f"bits_per_{symbol}": _scaled(nats, 1 / math.log(2)) | {"stamp": stamp},
        "perplexity": _scaled(nats, perplexity) | {"value": perplexity, "stamp": stamp},
    }
    if dataset.name == GRAMMAR:
        found["kl_of_truth_nats"] = mean(_test_truth(dataset.checksum) - per_example, k=k)
    return found


@functools.lru_cache(maxsize=2)
def _test_truth(checksum: str) -> Float64[np.ndarray, " examples"]:
    dataset = data.load(GRAMMAR)
    assert dataset.alphabet is not None
    return _true(dataset.alphabet.decode(np.asarray(dataset.test.x)))


def _ratio(values: np.ndarray, counts: np.ndarray) -> Measure:
    """The sum of the values over that of the counts, with its standard error to first order (delta method)."""
    ratio, n = float(values.sum() / counts.sum()), len(values)
    residuals = values - ratio * counts
    error = math.sqrt(float((residuals**2).sum()) / (n * (n - 1))) / float(counts.mean()) if n > 1 else None
    return {"value": ratio, "standard_error": error}


def _scaled(measure: Measure, factor: float) -> Measure:
    error = measure["standard_error"]
    return {"value": factor * measure["value"], "standard_error": error and factor * error}
