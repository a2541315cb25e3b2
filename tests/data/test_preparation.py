"""Data sets are prepared once, through a stand-in for TFDS."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gvlab.data import CATALOGUE, Card, is_prepared, load, preparation
from gvlab.types import UserError


@pytest.fixture
def stand_in(monkeypatch):
    """A prepared builder `tiny` with 6 + 3 images; returns what a test may change."""
    every = [{"image": np.full((2, 2, 1), i, np.uint8), "label": i % 3} for i in range(6)]
    rows = {"train": every[:], "test": every[:3]}

    class Source(list):
        def __getitems__(self, keys):
            return [self[key] for key in keys]

    class Builder:
        name = "tiny"
        info = SimpleNamespace(full_name="tiny/1.0.0", file_format="array_record")
        data_path = Path("tiny")
        is_prepared = staticmethod(lambda: True)
        as_data_source = staticmethod(lambda split: Source(rows[split]))
        as_dataset = staticmethod(
            lambda split, batch_size: {
                "image": np.stack([row["image"] for row in rows[split]]),
                "label": np.array([row["label"] for row in rows[split]]),
            }
        )

    module = SimpleNamespace(
        __version__="0",
        disable_progress_bar=lambda: None,
        builder=lambda name, data_dir: Builder,
        core=SimpleNamespace(FileFormat=SimpleNamespace(TFRECORD="tfrecord")),
        as_numpy=lambda columns: columns,
    )
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    monkeypatch.setitem(CATALOGUE, "tiny", Card((2, 2, 1), 6, 3, 3, "none", "stand-in", "0 MB", "1.0.0"))
    return SimpleNamespace(builder=Builder, rows=rows)


def test_both_file_formats_give_the_same_data(stand_in, tmp_path):
    preparation.make_cache("tiny", tmp_path / "a")
    stand_in.builder.info = SimpleNamespace(full_name="tiny/1.0.0", file_format="tfrecord")
    preparation.make_cache("tiny", tmp_path / "b")
    one, other = load("tiny", str(tmp_path / "a")), load("tiny", str(tmp_path / "b"))
    assert one.checksum == other.checksum == preparation.fingerprint(one.train, one.test)
    assert one.train.x[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert one.test.y.tolist() == [0, 1, 2]
    assert one.train.y.dtype == np.int32


def test_a_whole_cache_is_not_made_again(stand_in, tmp_path):
    preparation.make_cache("tiny", tmp_path)
    card = tmp_path / "gvlab" / "tiny-1.0.0" / "card.json"
    before = card.stat().st_ino
    stand_in.rows["train"].clear()
    preparation.make_cache("tiny", tmp_path)
    assert card.stat().st_ino == before


def test_a_builder_that_gives_too_little_is_refused(stand_in, tmp_path):
    stand_in.rows["test"].pop()
    with pytest.raises(UserError, match=r"test split in tiny has shape \(2, 2, 2, 1\) instead of \(3, 2, 2, 1\)"):
        preparation.make_cache("tiny", tmp_path)
    assert not is_prepared("tiny", str(tmp_path))
