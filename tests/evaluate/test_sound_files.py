"""Other systems' sounds: the same numbers as of the same sounds in memory, and what is refused."""

import json
import wave
from pathlib import Path

import harness
import numpy as np
import pytest
from harness import call

from gvlab import config as c
from gvlab import data, evaluate
from gvlab.data import sound_sets
from gvlab.evaluate import sounds as of_sounds
from gvlab.types import UserError

pytestmark = pytest.mark.fast
ASKED = c.Evaluation(measures=("loudness", "kernel"), features=("spectrum",))


def write(file, samples, rate=8000):
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.asarray(samples, "<i2").tobytes())


@pytest.fixture(scope="module")
def made():
    """Thirty other vowels, int16 [30, 2048, 1]; the last of them half as long."""
    x = data.load("vowels").test.x[:30].copy()
    x[-1, 1024:] = 0
    return x


@pytest.fixture
def folder(made, tmp_path):
    (tmp_path / "sounds" / "deep").mkdir(parents=True)
    for number, x in enumerate(made):
        write(tmp_path / "sounds" / ("deep" * (number % 2)) / f"{number}.wav", x[: 1024 if number == 29 else 2048, 0])
    return tmp_path / "sounds"


def test_files_are_measured_as_the_sounds_in_them(folder, made):
    dataset = data.load("vowels")
    sounds = sound_sets.read(folder, dataset)
    assert sorted(x.tobytes() for x in sounds.x) == sorted(x.tobytes() for x in made)
    assert [x.tobytes() for x in sounds.x] != [x.tobytes() for x in made]
    found = evaluate.of_sounds(sounds, dataset, ASKED, evaluate.extractors_of(ASKED, dataset))
    expected = of_sounds.measured(made, dataset, "test", ["loudness"])
    for name, measure in expected.items():
        np.testing.assert_allclose(found[name]["value"], measure["value"], rtol=1e-12)
    assert np.isfinite(found["kernel_spectrum"]["value"])
    stamp = found["kernel_spectrum"]["stamp"]
    assert (stamp["generated"], stamp["filled_with_zeros"], stamp["sounds_sha256"]) == (30, 1, sounds.sha256)
    fewer = evaluate.of_sounds(sounds, dataset, c.Evaluation(samples=9, measures=("loudness",)), [])
    assert fewer["rms"]["stamp"]["generated"] == 9


def test_names_and_order_of_the_files_change_nothing(folder):
    dataset = data.load("vowels")
    before = sound_sets.read(folder, dataset)
    for number, file in enumerate(sorted(folder.rglob("*.wav"))):
        file.rename(folder / f"z{97 * number % 30}.wav")
    after = sound_sets.read(folder, dataset)
    assert (before.x == after.x).all()
    assert before.sha256 == after.sha256


def test_the_command_writes_what_it_measured_beside_them(folder, capsys):
    args = ("evaluate", "--audio", folder, "--against", "vowels", "--metrics", "loudness")
    assert call(*args) == 0
    assert "rms" in capsys.readouterr().out
    file = json.loads((folder.parent / "sounds.evaluation.json").read_text())
    assert file["measures"]["rms"]["stamp"]["generated"] == 30


def test_what_cannot_be_compared_is_refused(folder, capsys):
    before = harness.contents(folder.parent)
    against = ("evaluate", "--audio", folder, "--against")
    for args, words in (
        ((*against, "digits"), "has sounds, but digits images"),
        ((*against[:-1],), "are compared with a data set"),
        ((*against, "vowels", "--metrics", "ais"), "needs a model, and sounds are none"),
        ((*against, "vowels", "--samples", "31"), "has only 30 sounds"),
        ((*against, "vowels", "--k", "5"), "is of models"),
        ((*against, "vowels", "--metrics", "frechet_infinity", "--samples", "3"), "so ask for more samples"),
        ((*against, "vowels", "--weights", "w.pth"), "has no images"),
        (("evaluate", "--audio", folder / "deep" / "1.wav", "--against", "vowels"), "is a file"),
        (("evaluate", "--audio", folder / "none", "--against", "vowels"), "is not there"),
        (("evaluate", "--audio", folder, "--images", folder, "--against", "vowels"), "give one of them"),
    ):
        harness.assert_refused(call(*args), *capsys.readouterr(), words)
    assert harness.contents(folder.parent) == before


def test_of_too_few_files_more_are_asked_for(made):
    few = sound_sets.SoundSet(Path("few"), made[:3], "", 0)
    asked = c.Evaluation(measures=("improved_precision_recall",), features=("spectrum",))
    dataset = data.load("vowels")
    with pytest.raises(UserError, match="at least 4 of each, so give more sounds, or other measures"):
        evaluate.of_sounds(few, dataset, asked, evaluate.extractors_of(asked, dataset))


def test_sounds_of_another_rate_or_length_are_refused(tmp_path):
    dataset = data.load("vowels")
    write(tmp_path / "a.wav", [1, 2, 3], rate=16000)
    with pytest.raises(UserError, match=r"a\.wav has 16000 samples a second, but vowels has 8000"):
        sound_sets.read(tmp_path, dataset)
    write(tmp_path / "a.wav", np.ones(2049))
    with pytest.raises(UserError, match=r"a\.wav has 2049 samples, but the sounds of vowels have 2048"):
        sound_sets.read(tmp_path, dataset)
    (tmp_path / "a.wav").unlink()
    with pytest.raises(UserError, match=r"has no \.wav files"):
        sound_sets.read(tmp_path, dataset)


def test_silence_is_measured_and_another_peak_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    wave_of = np.round(20000 * np.sin(np.arange(64))).astype(np.int16)
    (tmp_path / "theirs").mkdir(), (tmp_path / "mine").mkdir()
    for number in range(4):
        write(tmp_path / "theirs" / f"{number}.wav", wave_of // (1 + number))
    data.add_waves("scaled", tmp_path / "theirs", peak=0.5, test=0.5)
    scaled = data.load("scaled")
    write(tmp_path / "mine" / "loud.wav", wave_of)
    with pytest.raises(UserError, match=r"loud\.wav has a peak of 0\.61, .* all scaled to 0\.5"):
        sound_sets.read(tmp_path / "mine", scaled)
    write(tmp_path / "mine" / "loud.wav", np.round(wave_of * (16384 / 20000)))
    assert len(sound_sets.read(tmp_path / "mine", scaled).x) == 1
    write(tmp_path / "theirs" / "0.wav", np.zeros(2048))
    vowels = sound_sets.read(tmp_path / "theirs", data.load("vowels"))
    assert (~vowels.x.any((1, 2))).sum() == 1
