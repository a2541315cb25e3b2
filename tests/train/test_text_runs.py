"""A run on sentences from end to end: its samples are lines of text, it goes on where it was, and needs no data."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from harness import assert_refused, call

import gvlab
from gvlab import build, data, export, rng
from gvlab import config as c
from gvlab.arguments import as_stored
from gvlab.compare import identity
from gvlab.compare.proof import pictures
from gvlab.compare.proof.outcome import Redone
from gvlab.data import Alphabet
from gvlab.pictures import draw, lines, walks
from gvlab.train import loop, origin
from gvlab.train.engines import alone
from gvlab.types import UserError

ALPHABET = Alphabet(("a", "b", "\N{GREEK SMALL LETTER LAMDA}"), "characters")
ROWS = ALPHABET.encode(["ab", "b", "aab", "\N{GREEK SMALL LETTER LAMDA}a", "", "ba", "bb", "a"], 5)
EXPERIMENT = c.Experiment(
    "letters",
    c.Density(c.SentenceGRU(4, 2)),
    steps=2,
    batch_size=3,
    log_every=1,
    sample_every=2,
    checkpoint_every=1,
    data=c.Data("letters"),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Trained for a step, then continued."""
    root = tmp_path_factory.mktemp("text")
    program = build.program(EXPERIMENT, data.from_arrays("letters", ROWS[:6], ROWS[6:], alphabet=ALPHABET))
    engine = alone(program)
    loop.train(replace_steps(engine, 1), root, seed=0)
    return loop.train(engine, root, seed=0)


def replace_steps(engine, steps):
    program = replace(engine.program, experiment=replace(engine.program.experiment, steps=steps))
    return replace(engine, program=program)


def test_samples_are_lines_of_text(run):
    assert identity.drawn(run) == ["samples/step-00000001.txt", "samples/step-00000002.txt"]
    written = (run / "samples" / "step-00000002.txt").read_text("utf-8")
    assert written.count("\n") == 64
    assert set(written) <= set("ab\N{GREEK SMALL LETTER LAMDA}\N{REPLACEMENT CHARACTER}\n")


def test_the_model_needs_no_data(run):
    model = gvlab.load(run)  # of a data set that nobody could load
    assert repr(model) == "<letters, seed 0, step 2: examples (5,)>"
    assert model.writes
    assert model.program.dataset.alphabet == ALPHABET
    assert origin.read(run)["data"]["alphabet"]["level"] == "characters"
    samples = np.asarray(model.sample(4, seed=1))
    assert samples.dtype == np.int32
    texts = model.texts(samples)
    assert texts == ALPHABET.decode(samples)
    noise = model.latents(rng.stream(rng.root(1), rng.PICTURE), 4)
    np.testing.assert_array_equal(model.decode(noise), samples)  # of a language model noise is all that is drawn
    stored = [split.x for split in model.stored(3)]
    assert [x.shape for x in stored] == [(3, 5)]
    with pytest.raises(UserError, match=r"truncation is 0\.5, but letters makes sentences"):
        model.sample(2, truncation=0.5)
    with pytest.raises(UserError, match=r"but rows are integers \[n, length\]"):
        model.texts(np.zeros((2, 4)))
    with pytest.raises(UserError, match="letters makes sentences, which are no picture"):
        draw.check_samples(model.program, 4)


def test_samples_are_written_as_text(run, tmp_path):
    model = gvlab.load(run)
    export.write(tmp_path / "s.txt", model.stored(5), 5, model.shape, alphabet=ALPHABET)
    assert (tmp_path / "s.txt").read_text("utf-8").count("\n") == 5
    with pytest.raises(UserError, match=r"but sentences are text: let it end in \.txt"):
        export.check(tmp_path / "s.png", model.shape, ALPHABET)
    for shape, words in (
        ((8, 8, 1), "these are images: name a folder for PNG files, or let it end in .npz or .npy"),
        ((64, 1), "these are sounds: name a folder for WAV files, or let it"),
        ((2,), "these are points: let it end in .npz or .npy"),
    ):
        with pytest.raises(UserError, match=rf"s.txt, but only sentences are text, and {words}"):
            export.check(tmp_path / "s.txt", shape)


def test_what_cannot_be_seen_gets_a_name():
    assert lines.visible("a\N{RIGHT-TO-LEFT OVERRIDE}b\0") == "a<U+202E>b<U+0000>"
    assert lines.one_each(["a\nb", "c\\d"]) == "a\\nb\nc\\d\n"
    broken = ["\x0c", "a\x85\u2028\\", "tab\tstays", "\x00\r"]
    assert lines.one_each(broken).splitlines() == ["\\u000c", "a\\u0085\\u2028\\\\", "tab\tstays", "\\u0000\\r"]
    with pytest.raises(UserError, match="digits has images, but only sentences are text"):
        lines.of(data.load("digits"), ROWS)


def test_a_vae_reconstructs_and_walks_in_lines():
    model = c.VAE(c.SentenceGRU(4, 2), 2, likelihood=c.Sentences())
    program = build.program(
        replace(EXPERIMENT, model=model), data.from_arrays("letters", ROWS[:6], ROWS[6:], alphabet=ALPHABET)
    )
    state = jax.jit(program.model.init)(rng.root(0), program.first_batch())
    pairs = [line.split("\t") for line in walks.reconstructed(program, state, 2)]
    assert [first for first, _ in pairs] == ["bb", "a"]
    walk = walks.walked(program, state, seed=0, rows=2, columns=2)
    assert len(walk) == 5
    assert walk[2] == ""


def test_what_is_no_sentence_is_refused():
    with pytest.raises(UserError, match="The alphabet has the symbol 'a' twice: give each once"):
        Alphabet(("a", "b", "a"), "characters")
    for rows, words in ((np.full((1, 5), 99), "integers from 99 to 99"), (np.ones((1, 5)), "have type float64")):
        with pytest.raises(UserError, match=words):
            as_stored(rows, (5,), data.TOKENS, ALPHABET)


def test_a_language_model_has_nothing_to_walk_on(run):
    model = gvlab.load(run)
    with pytest.raises(UserError, match="letters is a language model, whose latents are the noise of its draws"):
        walks.walked(model.program, model.state, 0, 1, 2)
    with pytest.raises(UserError, match="letters is a Density, which has no encoder: reconstructing needs a VAE"):
        walks.reconstructed(model.program, model.state, 1)


def test_sentences_of_another_system_are_measured(tmp_path, capsys):
    text = tmp_path / "theirs.txt"
    text.write_text("the dog sleeps\na king sees a fish\n\nking the\n")
    assert call("evaluate", "--text", text, "--against", "grammar", "--metrics", "grammar", "copies") == 0
    out, _ = capsys.readouterr()
    measures = json.loads((tmp_path / "theirs.txt.evaluation.json").read_text())["measures"]
    assert measures["valid_share"]["value"] == pytest.approx(2 / 3)
    assert measures["unique_share"]["value"] == 1
    assert measures["copied_share"]["stamp"]["empty_lines"] == 1
    assert "valid_share" in out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--against", "digits"], "has sentences, but digits images: compare them with a data set of sentences."),
        (["--against", "grammar", "--samples", "9"], "has only 3 sentences: ask for fewer."),
        (["--against", "grammar", "--k", "5"], "--k is 5, but is of models, and --text have none: leave it out."),
        ([], "--text are compared with a data set: name it with --against."),
        (
            ["--against", "grammar", "--images", "x"],
            "measures either a RUN, or --images FOLDER, --audio FOLDER or --text FILE",
        ),
    ],
)
def test_what_cannot_be_measured_of_text_is_refused(args, words, tmp_path, capsys):
    text = tmp_path / "theirs.txt"
    text.write_text("the dog sleeps\na king sees a fish\nking the\n")
    code = call("evaluate", "--text", text, *args)
    assert_refused(code, *capsys.readouterr(), words)
    assert not (tmp_path / "theirs.txt.evaluation.json").exists()


def test_other_sentences_than_were_drawn_are_noticed(run, tmp_path):
    """By `gvlab verify`, as it notices other pictures."""
    redone = Redone(run, 2, True, None, None, None, None)
    copy = shutil.copytree(run, tmp_path / "seed-0")
    assert pictures.steps_drawn(copy) == [1, 2]
    assert list(pictures.off(copy, redone)) == []
    assert pictures.difference(copy, redone, {1, 2}) is None
    (copy / "samples" / "step-00000002.txt").write_text("better\n")
    ((file, levels, said),) = pictures.off(copy, redone)
    assert (file, levels) == ("samples/step-00000002.txt", pictures.OTHERWISE)
    assert said == "has other sentences than those that were drawn again"
    (copy / "samples" / "step-00000002.txt").unlink()
    assert pictures.difference(copy, redone, {1, 2}) == "samples/step-00000002.txt, which was drawn again, is not there"
