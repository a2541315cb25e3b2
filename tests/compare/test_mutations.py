"""Whatever a JSON file of a comparison holds, who reads it gets an answer in one sentence, and no traceback."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import harness
import pytest
from harness import assert_refused, call

TEXTS = [b"", b"{", b"null", b"\xff\xfe", b"[" * 100_000]
VALUES = [None, True, -1, 10**30, 1.5, "../../x", "\0", "é" * 2000, [], {}, [[]]]
DRAWN = 8
"""Mutants of each file besides those of `TEXTS`."""

OF_A_RUN = ("config.json", "origin.json", "states.jsonl", "status.json")
OF_A_UNIT = ("environment.json", "evaluation.json", "groups.jsonl", "metrics.jsonl", "programs.jsonl", "unit.json")


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


@pytest.fixture(scope="module")
def comparison(tmp_path_factory) -> Path:
    return harness.copy_of_compared(tmp_path_factory.mktemp("mutated"))[0]


@pytest.mark.parametrize("name", ["plan.json", "comparison.json", *OF_A_UNIT, *OF_A_RUN])
def test_a_mutated_file_is_read_or_refused_in_one_sentence(name, comparison, tmp_path, capsys):
    run = comparison / "units" / "gan" / "seed-0"
    file = (run if name in OF_A_UNIT + OF_A_RUN else comparison) / name
    # The report finds the digests of a unit wrong first; who samples reads what a run says of itself.
    sample = ("sample", run, "--n", 1, "--out", tmp_path / "samples.png")
    command = sample if name in OF_A_RUN else ("report", comparison)
    whole = file.read_bytes()
    try:
        for mutant in [*TEXTS, *_mutants(whole, lines=name.endswith(".jsonl"))]:
            file.write_bytes(mutant)
            code = call(*command)
            out, err = capsys.readouterr()
            assert code in (0, 2), (mutant[:200], err)
            if code == 2:
                assert_refused(code, out, err)
    finally:
        file.write_bytes(whole)


def _mutants(whole: bytes, lines: bool) -> list[bytes]:
    """The text with one value replaced or one key removed, drawn in the same way every time."""
    objects = [json.loads(line) for line in whole.splitlines()] if lines else json.loads(whole)
    places = [place for place in _places(objects) if place]
    draw = random.Random(10)
    mutants = []
    for place in draw.sample(places, min(DRAWN, len(places))):
        mutated = copy.deepcopy(objects)
        *outer, last = place
        inner: Any = mutated
        for part in outer:
            inner = inner[part]
        if draw.random() < 0.2:
            del inner[last]
        else:
            inner[last] = draw.choice(VALUES)
        text = "".join(json.dumps(line) + "\n" for line in mutated) if lines else json.dumps(mutated)
        mutants.append(text.encode())
    return mutants


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to every value within, of a list to its first and last."""
    places = [place]
    keys: list[Any] = list(value) if isinstance(value, dict) else []
    if isinstance(value, list) and value:
        keys = sorted({0, len(value) - 1})
    for key in keys:
        places += _places(value[key], (*place, key))
    return places
