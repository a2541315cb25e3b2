"""Own folders of WAV files: what becomes an example, which classes and tests there are, and what is refused."""

import wave

import numpy as np
import pytest
from harness import call
from test_folders import home

from gvlab import build, data
from gvlab import config as c
from gvlab.data import add_waves
from gvlab.types import UserError

pytestmark = pytest.mark.fast
__all__ = ["home"]


def wav(file, samples, rate=8000, width=2, channels=1):
    file.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(np.asarray(samples, f"<i{width}").tobytes())
    return file


def folder(path, count=6):
    for number in range(count):
        wav(path / f"{number % 2}_somebody_{number}.wav", 100 * np.arange(1, 5 + number))
    return path


def test_sounds_become_examples_of_one_length(home, tmp_path):
    own = add_waves("mine", folder(tmp_path / "w"), samples=8, labels="names", test_names="*_[01].wav")
    assert (own.train, own.test, own.shape, own.rate, own.class_names) == (4, 2, (8, 1), 8000, ("0", "1"))
    assert own.origin["remarks"] == [
        "1 of 6 sounds are longer than 8 samples, and were cut.",
        "4 of 6 sounds are shorter than 8 samples, and were filled with zeros, which are 21% of all samples.",
    ]
    dataset = data.load("mine")
    assert (dataset.modality, dataset.rate) == (data.WAVES, 8000)
    test = {tuple(x[:, 0].tolist()): int(y) for x, y in zip(dataset.test.x, dataset.test.y, strict=True)}
    assert test == {(100, 200, 300, 400, 0, 0, 0, 0): 0, (100, 200, 300, 400, 500, 0, 0, 0): 1}
    assert not add_waves("mine", folder(tmp_path / "w"), samples=8, labels="names", test_names="*_[01].wav").is_new
    with pytest.raises(UserError, match=r"mine exists with samples = 8, not 9"):
        add_waves("mine", tmp_path / "w", samples=9, labels="names", test_names="*_[01].wav")


def test_a_source_in_an_experiment_scales_them(home, tmp_path):
    folder(tmp_path / "w" / "a"), folder(tmp_path / "w" / "b")
    dataset = build.dataset(c.Data("loud", source=c.Waves(str(tmp_path / "w"), peak=0.5, test=0.3)))
    assert dataset.class_names == ("a", "b")
    assert dataset.shape == (9, 1)
    both = np.concatenate([dataset.train.x, dataset.test.x])
    assert set(np.abs(both.astype(int)).max((1, 2))) == {16384}


def test_the_command_says_what_it_made(home, tmp_path, capsys):
    assert call("data", "add", "spoken", folder(tmp_path / "w"), "--labels", "names", "--peak", 1) == 0
    out = capsys.readouterr().out
    assert "spoken: 4 training and 2 test sounds of 9 samples at 8000 a second, 2 classes (0, 1)." in out
    assert "No sound is there twice." in out


@pytest.mark.parametrize(
    ("options", "more", "words"),
    [
        ({"rate": 16000}, {}, "has 16000 samples a second, but others in .* have 8000: bring all to one rate"),
        ({"width": 1}, {}, "has samples of 8 bits, but 16 are read here: convert it"),
        ({"width": 4}, {}, "has samples of 32 bits, but 16 are read here"),
        ({"channels": 2}, {}, "has 2 channels, but one is read here: mix them"),
        ({"samples": []}, {}, "has no samples: leave it out"),
        ({"samples": [0, 0, 0]}, {}, "is silent from end to end: leave it out"),
        ({"samples": [0, 0, 7]}, {"samples": 2}, "is silent in its first 2 samples: take more"),
        ({}, {"test_names": "*.mp3"}, r"None of the 7 sounds in .* have names like \*\.mp3: choose a pattern"),
        ({}, {"test_names": "*"}, r"All of the 7 sounds"),
        ({}, {"labels": "names"}, r"z\.wav has no underscore in its name"),
        ({}, {"labels": "folders"}, "7 of 7 pictures lie directly in"),
    ],
)
def test_what_cannot_be_read_is_refused(options, more, words, home, tmp_path):
    folder(tmp_path / "w")
    wav(tmp_path / "w" / "z.wav", **({"samples": [1, 2, 3, 4]} | options))
    with pytest.raises(UserError, match=words):
        add_waves("mine", tmp_path / "w", **more)
    assert "mine" not in [own.name for own in data.listed()]


def test_damaged_files_are_named(home, tmp_path):
    folder(tmp_path / "w")
    (tmp_path / "w" / "z.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(UserError, match=r"z\.wav cannot be read as a WAV file"):
        add_waves("mine", tmp_path / "w")
    whole = (tmp_path / "w" / "0_somebody_0.wav").read_bytes()
    (tmp_path / "w" / "z.wav").write_bytes(whole[:-4])
    with pytest.raises(UserError, match=r"z\.wav is cut off after 2 of 4 samples"):
        add_waves("mine", tmp_path / "w")
    with pytest.raises(UserError, match=r"z\.wav is a file, but a folder of WAV files is wanted: name one"):
        add_waves("mine", tmp_path / "w" / "z.wav")
    folder(tmp_path / "mixed" / "deep"), folder(tmp_path / "mixed")
    with pytest.raises(UserError, match=r"6 of 12 sounds in .* lie in sub-folders, and the others do not: say what"):
        add_waves("mine", tmp_path / "mixed")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"has no files of \.wav: name a folder of sounds"):
        add_waves("mine", tmp_path / "empty")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (lambda: c.Waves("w", samples=-1), r"Waves\.samples is -1"),
        (lambda: c.Waves("w", peak=1.5), r"Waves\.peak is 1\.5, but must be in \(0, 1\]"),
    ],
)
def test_sources_are_checked(source, words):
    with pytest.raises(UserError, match=words):
        source()
