"""A run on sounds from end to end: pictures and WAV files of samples, measures, an export, a comparison's report."""

import importlib.util
import io
import wave
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import gvlab
from gvlab import build, data, evaluate, export, rng, tree
from gvlab import config as c
from gvlab.audio import vowels
from gvlab.compare import identity
from gvlab.compare.proof import pictures as proof
from gvlab.compare.report import sheets as report
from gvlab.pictures import sounds
from gvlab.train import loop, origin
from gvlab.train.engines import alone
from gvlab.types import UserError

X, Y = vowels(30, seed=3)
X = np.ascontiguousarray(X[:, 768:1024])
EXPERIMENT = c.Experiment(
    "tones",
    c.GAN(c.WaveGAN(2, shuffle=1, filter=5), latent_dim=3, contest=c.Wasserstein(), conditional=True),
    steps=2,
    batch_size=4,
    log_every=1,
    sample_every=2,
    checkpoint_every=1,
    data=c.Data("tones"),
    evaluation=c.Evaluation(samples=8, measures=("frechet",)),
)


def dataset():
    return data.from_arrays("tones", X[:20], X[20:], Y[:20], Y[20:], rate=4000)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained for a step, then continued; `whole` beside it, at once."""
    root = tmp_path_factory.mktemp("sounds")
    engine = alone(build.program(EXPERIMENT, dataset()))
    loop.train(engine, root, seed=0, steps=1)
    return loop.train(engine, root, seed=0), loop.train(engine, root / "whole", seed=0)


def read(wav):
    with wave.open(io.BytesIO(wav) if isinstance(wav, bytes) else str(wav)) as file:
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return file.getframerate(), file.getnchannels(), frames.reshape(-1, file.getnchannels())


def test_a_kind_of_data():
    made = dataset()
    assert made.modality == data.WAVES
    assert made.checksum != data.from_arrays("tones", X[:20], X[20:], Y[:20], Y[20:], rate=8000).checksum
    program = build.program(EXPERIMENT, made)
    seen = np.asarray(program.preprocess(jnp.asarray(X[:2]), rng.root(0)))
    assert seen.dtype == np.float32
    stored, outside = data.WAVES.as_stored(jnp.asarray(seen), program.data_range)
    np.testing.assert_array_equal(stored, X[:2])
    assert int(outside) == 0
    assert int(data.WAVES.as_stored(jnp.array([[[1.5], [0.0]]]), (-1.0, 1.0))[1]) == 1


def test_a_run_goes_on_and_its_samples_are_seen_and_heard(run):
    run, whole = run
    program = build.program(EXPERIMENT, dataset())
    assert tree.digest(loop.restore(program, run)) == tree.digest(loop.restore(program, whole))
    names = ["samples/step-00000002.png", "samples/step-00000002.wav"]
    assert identity.drawn(run)[-2:] == names
    rate, channels, frames = read(run / names[1])
    assert (rate, channels, len(frames)) == (4000, 1, sounds.HEARD * 256 + (sounds.HEARD - 1) * 800)
    assert (frames[256:1056] == 0).all()
    with Image.open(run / names[0]) as sheet:
        assert sheet.size == (8 * 129 + 1, 8 * 97 + 1)
    kind, values = proof._read(run / names[1])
    assert kind == "a sound of 7648 samples at 4000 a second"
    np.testing.assert_array_equal(values * 256, frames[:, 0])
    (run / "samples" / "broken.wav").write_bytes(b"RIFF")
    with pytest.raises(UserError, match=r"broken\.wav is no WAV file"):
        proof._read(run / "samples" / "broken.wav")
    (run / "samples" / "broken.wav").unlink()


def test_the_model_needs_no_data_and_is_taken_away(run, tmp_path):
    run, _ = run
    model = gvlab.load(run)
    assert origin.read(run)["data"]["rate"] == model.program.dataset.rate == 4000
    samples = np.asarray(model.sample(3, seed=1))
    assert samples.shape == (3, 256, 1)
    assert np.abs(samples).max() <= 1
    export.write(tmp_path / "wavs", model.stored(3), 3, model.shape, rate=4000)
    assert sorted(file.name for file in (tmp_path / "wavs").iterdir()) == ["0.wav", "1.wav", "2.wav", "labels.csv"]
    np.testing.assert_array_equal(read(tmp_path / "wavs" / "0.wav")[2], next(model.stored(3)).x[0])
    export.write_model(run, tmp_path / "exported")
    spec = importlib.util.spec_from_file_location("exported", tmp_path / "exported" / "load.py")
    exported = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exported)
    np.testing.assert_allclose(exported.sample(3, seed=1), samples, atol=1e-6)
    assert exported.card["range"] == [-1.0, 1.0]
    (of_x,) = [one for one in exported.card["programs"]["decode"]["outputs"] if one["name"] == "x"]
    assert of_x["range"] == [-1.0, 1.0]


def test_features_of_other_data_are_refused_before_training():
    for features, made in (("spectrum", data.load("digits")), ("pixels", dataset()), ("inception", dataset())):
        with pytest.raises(UserError, match=f"The features {features} are of .*, but .* has .*: choose from"):
            evaluate.measure.extractors_of(c.Evaluation(features=(features,)), made)


def test_a_vae_of_waves_encodes_what_is_stored(tmp_path):
    model = c.VAE(c.MLP((4,)), 2, likelihood=c.Gaussian())
    program = build.program(replace(EXPERIMENT, model=model, evaluation=c.Evaluation()), dataset())
    run = loop.train(alone(program), tmp_path, seed=0, steps=1)
    export.write_model(run, tmp_path / "exported")
    trained = gvlab.load(run)
    mean, _ = trained.encode(X[:2])
    np.testing.assert_allclose(trained.encode(X[:2] / np.float32(32768))[0], mean, rtol=1e-6)
    with pytest.raises(UserError, match="Density is a model of vectors and sentences, but the data are waves"):
        build.model(c.Density(c.Mixture()), (256, 1), 0)


def test_it_is_measured_by_its_spectra(run):
    program = build.program(EXPERIMENT, dataset())
    measures = evaluate.evaluate(program, loop.restore(program, run[0]))
    assert measures["frechet_spectrum"]["value"] > 0
    assert measures["frechet_spectrum"]["stamp"]["features"] == "spectrum"
    assert "rms" not in measures


def test_silence_is_heard():
    tone = (8192 * np.sign(np.sin(np.arange(400)))).astype(np.int16)[None, :, None]
    quiet = np.concatenate([tone[:, :100], 0 * tone[:, 100:]], axis=1)
    loud = evaluate.sounds.measured(quiet, data.from_arrays("t", tone, tone, rate=9), "test", ["loudness"])
    assert loud["rms"]["value"] == pytest.approx(0.125, rel=0.01)
    assert loud["rms"]["stamp"]["of_real"] == pytest.approx(0.25, rel=0.01)
    assert loud["silence_share"]["value"] == pytest.approx(0.75, abs=0.01)
    assert (loud["peak"]["value"], loud["full_share"]["value"]) == (0.25, 0)
    assert "warning" not in loud["rms"]["stamp"]
    still = evaluate.sounds.measured(quiet // 64, data.from_arrays("t", tone, tone, rate=9), "test", ["loudness"])
    assert still["rms"]["stamp"]["warning"].startswith("the sounds are nearly silent: 0.0078 of real ones")
    with pytest.raises(UserError, match="The measure loudness is of sounds, but digits has images: leave it out"):
        evaluate.sounds.check(["loudness"], data.load("digits"))


def test_a_report_has_what_is_heard_of_the_newest_step(run):
    unit = report.Unit("tones", 0, run[0], True, False, [])
    shown = report.samples(run[0].parent, ["tones"], [unit], [])
    assert shown["sounds"]
    ((_, ((_, drawn),)),) = shown["experiments"]
    assert drawn[-1].sound.startswith("data:audio/wav;base64,UklGR")


def test_an_envelope_and_a_spectrum_show_a_tone():
    tone = (0.5 * np.sin(2 * np.pi * 0.125 * np.arange(2048)))[None, :, None].astype(np.float32)
    sheet = sounds.sheet(tone, columns=1)[1:-1, 1:-1, 0]
    wave_part, spectrum = sheet[: sounds.OF_WAVE], sheet[sounds.OF_WAVE :]
    rows = np.flatnonzero(wave_part.any(1))
    assert (rows[0], rows[-1]) == (8, 23)  # from 0.5 to -0.5
    brightest = spectrum[:, 8:-8].mean(1).argmax()
    assert abs(brightest - 0.75 * (sounds.OF_SPECTRUM - 1)) <= 1  # an eighth of the rate is a quarter of what is shown


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: data.from_arrays("s", X, X), r"has shape .*; give images uint8 .*, or waves with their rate"),
        (lambda: data.from_arrays("s", X.astype(np.float32), X, rate=1), r"with a rate give waves int16 \[n, samples"),
        (lambda: data.from_arrays("s", X, X, rate=0), "the rate is 0, but must be at least 1 sample a second"),
        (lambda: data.from_arrays("s", 0 * X, X, rate=9), "the wave 0 is silent from end to end: leave such waves out"),
        (lambda: build.model(c.GAN(c.DCGAN()), (256, 1), 0), "DCGAN makes images, not waves .*: use WaveGAN or MLP"),
        (lambda: build.model(c.GAN(c.WaveGAN()), (16, 16, 1), 0), "WaveGAN makes waves, not images .*: use DCGAN"),
        (lambda: build.model(c.GAN(c.WaveGAN()), (2,), 0), r"WaveGAN makes waves, not vectors \(2,\): use MLP"),
        (lambda: build.model(c.GAN(c.WaveGAN(shuffle=16)), (256, 1), 0), "has only 16 samples: use a smaller one"),
        (
            lambda: build.model(c.VAE(c.MLP()), (256, 1), 0),
            r"images in \[0, 1\], but the data are waves .*: use Gaussian",
        ),
        (lambda: c.WaveGAN(filter=-1), r"WaveGAN\.filter is -1, but must be at least 0"),
        (lambda: sounds.rate_of(data.load("digits")), "digits has images, but only waves can be heard"),
    ],
)
def test_what_cannot_be_is_refused(make, words):
    with pytest.raises(UserError, match=words):
        make()
