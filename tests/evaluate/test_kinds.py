"""Measures and extractors by name, and what is usual."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import pytest
from image_pairs import digits_sets, points

from gvlab import data
from gvlab.evaluate import distances, usual
from gvlab.extractors import catalogue
from gvlab.extractors import extractor as features
from gvlab.types import UserError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache directory of the test's own; gives where reference features are kept."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gvlab" / "references"


def test_what_is_usual():
    digits, ring = data.load("digits"), data.from_arrays("ring", points(8), points(8))
    assert usual.usual_measures(digits) == ("frechet", "kernel", "prdc")
    assert usual.usual_measures(ring) == ("frechet", "kernel", "modes")
    assert usual.usual_features(digits) == ("pixels", "digits")
    assert usual.usual_features(ring) == ("coordinates",)
    assert usual.usual_features(replace(digits, name="mine")) == ("pixels",)
    stacked = replace(digits, name="stacked_mnist")
    assert usual.usual_measures(stacked) == ("stacked_modes",)
    assert usual.usual_features(stacked) == ("stacked_mnist",)
    assert (usual.usual_samples(digits), usual.usual_samples(stacked)) == (10_000, 26_000)
    assert set(usual.usual_measures(digits) + usual.usual_measures(ring)) <= distances.MEASURES.keys()


def test_extractors_by_name(monkeypatch):
    assert catalogue.extractor("pixels") is features.pixels()
    assert catalogue.extractor("coordinates") is features.coordinates()
    assert catalogue.extractor("digits") is features.small("digits")
    assert catalogue.extractor("stacked_mnist") is catalogue.stacked_digits()
    asked = []
    monkeypatch.setattr(features, "inception", lambda *args: asked.append(args) or features.pixels())
    catalogue.extractor("inception-clean", Path("file.pth"))
    assert asked == [("inception-clean", Path("file.pth"))]
    with pytest.raises(
        UserError, match=r"no features named 'inceptoin': choose one of pixels, coordinates, spectrum, "
    ):
        catalogue.extractor("inceptoin")


def test_a_measure_that_does_not_exist_is_refused():
    distances.check_measures(distances.MEASURES)
    for refuse in (distances.check_measures, functools.partial(distances.measure, digits_sets())):
        with pytest.raises(UserError, match=r"no measure 'beauty': choose from frechet, .*, stacked_modes\.$"):
            refuse(["frechet", "beauty"])
