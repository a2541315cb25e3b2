"""Own files of text: which lines, which symbols, and what is refused."""

import numpy as np
import pytest
from test_folders import home

from gvlab import data
from gvlab.data import add_text, alphabets
from gvlab.types import UserError

pytestmark = pytest.mark.fast
__all__ = ["home"]


def text(path, *lines, end="\n"):
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def test_lines_become_sentences(home, tmp_path):
    lines = [f"line {i}" for i in range(18)] + ["line 3", ""]
    own = add_text("mine", text(tmp_path / "t.txt", *lines))
    assert (own.is_new, own.train, own.test, own.shape) == (True, 17, 2, (8,))
    assert own.origin["settings"] == {"level": "characters", "length": 0, "symbols": 0, "test": 0.1}
    assert own.origin["remarks"][0] == "1 line is empty, and left out."
    dataset = data.load("mine")
    assert dataset.modality == data.TOKENS
    assert dataset.alphabet == own.alphabet
    both = dataset.alphabet.decode(np.concatenate([dataset.train.x, dataset.test.x]))
    assert sorted(both) == sorted(filter(None, lines)) or "\N{REPLACEMENT CHARACTER}" in "".join(both)
    assert not add_text("mine", tmp_path / "t.txt").is_new
    with pytest.raises(UserError, match='mine exists with level = "characters", not "words"'):
        add_text("mine", tmp_path / "t.txt", level="words")


def test_the_alphabet_is_of_training_alone(home, tmp_path):
    letters = [chr(ord("a") + i) * 2 for i in range(20)]  # each in one line only
    own = add_text("letters", text(tmp_path / "t.txt", *letters), test=0.2)
    dataset = data.load("letters")
    assert len(dataset.alphabet.symbols) == 16
    assert (dataset.test.x[:, :2] == alphabets.UNKNOWN).all()
    assert "8 of 8 characters of the test lines are none of the 16 symbols" in own.origin["remarks"][0]


def test_words_and_the_most_frequent_symbols(home, tmp_path):
    own = add_text(
        "w", text(tmp_path / "t.txt", *["the king", "the queen", "the  old king"] * 4), level="words", symbols=2
    )
    assert own.shape == (4,)
    assert data.load("w").alphabet.symbols == ("king", "the")


def test_other_ends_of_lines_and_forms_are_the_same(home, tmp_path):
    first = add_text("a", text(tmp_path / "a.txt", "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "b", "c"))
    other = text(tmp_path / "b.txt", "cafe\N{COMBINING ACUTE ACCENT}", "b", "c", end="\r\n")
    other.write_bytes(b"\xef\xbb\xbf" + other.read_bytes())
    add_text("b", other)
    assert first.shape == (5,)
    assert data.load("a").checksum == data.load("b").checksum


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (b"a\nb\xff\n", {}, r"is no UTF-8 text \(the byte 0xff at 3, in line 2\): save it as UTF-8\."),
        (b"", {}, "has no lines with text"),
        (b"\n \none\n", {}, "has 1 line with text"),
        (b"a\nb\tc\n", {}, r"has a tab \(U\+0009\) in line 2"),
        (b"a\nb\0c\n", {}, r"has NUL \(U\+0000\) in line 2"),
        (b"a\nb\x1bc\n", {}, r"has a control character \(U\+001B\) in line 2"),
        (
            b"a\nabcdef\n",
            {"length": 6},
            r"a line of 6 characters \('abcdef'\.\.\.\), but --length 6 has room for 5",
        ),
        (b"a\nb\n", {"length": 5000}, "needs rows of 5000 symbols, but at most 4096"),
    ],
)
def test_what_is_refused(content, options, said, home, tmp_path):
    (tmp_path / "t.txt").write_bytes(content)
    with pytest.raises(UserError, match=said):
        add_text("bad", tmp_path / "t.txt", **options)
    assert not (home / "bad").exists()
