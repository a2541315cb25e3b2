"""gvlab data add, list and remove; and a data set of one's own in every other command."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from harness import assert_refused, call, contents, experiment_file, run
from PIL import Image

import gvlab
from gvlab import build, data
from gvlab import config as c


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory, with its data directory in `data`."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(path, count=40, shape=(16, 20), classes=("cat", "dog")):
    for number in range(count):
        place = path / classes[number % len(classes)] if classes else path
        place.mkdir(parents=True, exist_ok=True)
        array = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(array).save(place / f"{number:03}.png")
    return path


def test_add_list_again_and_remove(here, capsys):
    pictures(here / "pets")
    assert call("data", "add", "pets", "pets") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "pets: 36 training and 4 test images of 16x20x1, 2 classes (cat, dog).",
        "No image is there twice.",
        f"Made: {here / 'data' / 'gvlab' / 'own' / 'pets'}",
        'In an experiment file: Data(name="pets")',
    ]
    assert call("data", "add", "pets", here / "pets") == 0
    assert capsys.readouterr().out.splitlines() == [
        *lines[:2],
        f"It was there already, made of the same in the same way: {here / 'data' / 'gvlab' / 'own' / 'pets'}",
        lines[3],
    ]
    assert call("data", "list") == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("pets ")]
    assert "(16, 20, 1)" in row
    assert "36 + 4" in row
    assert call("data", "remove", "pets") == 0
    assert capsys.readouterr().out.startswith("Removed pets: ")
    assert (here / "pets" / "cat" / "000.png").exists()
    assert_refused(call("data", "remove", "pets"), *capsys.readouterr(), "'pets': none was added, and no")


def test_all_options_of_a_folder(here, capsys):
    pictures(here / "train", classes=()), pictures(here / "test", 4, classes=())
    table = "".join(f"{number:03}.png,{number % 4}\n" for number in range(40))
    (here / "labels.csv").write_text(f"file,label\n{table}")
    (here / "train" / "broken.png").write_bytes(b"\x89PNG")
    options = ["--size", "8x12", "--fit", "pad", "--background", "0,0,255", "--skip-unreadable"]
    assert call("data", "add", "a", "train", *options, "--test-dir", "test", "--labels", "none") == 0
    out, err = capsys.readouterr()
    assert "a: 40 training and 4 test images of 8x12x1, no labels." in out
    assert "4 test images are training images, too." in out
    assert err == "gvlab: 1 of 45 files could not be read and were left out: broken.png.\n"
    (here / "train" / "broken.png").unlink()
    assert call("data", "add", "b", "train", "--labels", "labels.csv", "--test", "0.2") == 0
    assert "4 classes (0, 1, 2, 3)." in capsys.readouterr().out


def test_a_range_that_begins_with_a_minus(here, capsys):
    np.save(here / "x.npy", np.linspace(-1, 1, 9 * 8 * 8).reshape(9, 8, 8))
    assert call("data", "add", "a", "x.npy", "--range", "-1..1") == 0
    assert "a: 8 training and 1 test images of 8x8x1, no labels." in capsys.readouterr().out


def nothing(path):
    path.mkdir()


def of_texts(path):
    path.mkdir()
    (path / "notes.txt").write_text("x")


def of_mixed_sizes(path):
    pictures(path)
    pictures(path, 2, (9, 9), ("large",))


def of_one(path):
    pictures(path, 1, classes=())


def with_a_link(path):
    pictures(path, classes=())
    (path / "link.png").symlink_to("nowhere.png")


def with_a_lonely_class(path):
    pictures(path, 7, classes=("a", "a", "b", "a", "b", "a", "lonely"))


MISTAKES = {
    "nothing there": (None, ["a", "source"], ["source is not there"]),
    "a file of another kind": (None, ["a", "labels.csv"], ["labels.csv is neither a folder nor"]),
    "no pictures": (nothing, ["a", "source"], ["source holds no PNG, JPEG, WebP or BMP files"]),
    "no pictures but texts": (of_texts, ["a", "source"], ["source holds no PNG"]),
    "mixed sizes": (of_mixed_sizes, ["a", "source"], ["have 2 sizes", "20x16", "--size"]),
    "one picture": (of_one, ["a", "source"], ["has 1 image", "at least one is needed"]),
    "a lonely class": (with_a_lonely_class, ["a", "source"], ["only one image of the class 'lonely'"]),
    "labels without a name": (
        pictures,
        ["a", "source", "--labels", "labels.csv"],
        ["labels.csv has no label for 40 of"],
    ),
    "labels in no file": (pictures, ["a", "source", "--labels", "no.csv"], ["no.csv cannot be read"]),
    "labels of another kind": (
        pictures,
        ["a", "source", "--labels", "folder"],
        ["--labels is 'folder' (did you mean folders?), but must be auto, folders, none or a .csv file"],
    ),
    "a name of the catalogue": (pictures, ["mnist", "source"], ["mnist is the name of one of gvlab's own"]),
    "a name with a slash": (pictures, ["a/b", "source"], ["cannot be called 'a/b'"]),
    "a name with a space": (pictures, ["my pets", "source"], ["cannot be called 'my pets'", "such as 'my_pets'"]),
    "a size in words": (pictures, ["a", "source", "--size", "large"], ["--size is 'large'", "64 or 48x64"]),
    "no size": (pictures, ["a", "source", "--size", "0"], ["--size is 0, but"]),
    "a fit without a size": (pictures, ["a", "source", "--fit", "pad"], ["--fit pad needs a --size"]),
    "an unknown fit": (pictures, ["a", "source", "--size", "8", "--fit", "squeeze"], ["squeeze", "stretch"]),
    "all for testing": (pictures, ["a", "source", "--test", "1"], ["--test is 1.0, but", "between 0 and 1"]),
    "two choices of tests": (
        pictures,
        ["a", "source", "--test", "0.5", "--test-dir", "x"],
        ["--test 0.5", "--test-dir x"],
    ),
    "no folder of tests": (pictures, ["a", "source", "--test-dir", "x"], ["--test-dir x is no folder"]),
    "a colour in words": (pictures, ["a", "source", "--background", "white"], ["--background is 'white'"]),
    "a colour beyond": (
        pictures,
        ["a", "source", "--background", "1,2,300"],
        ["--background is '1,2,300'", "0 to 255"],
    ),
    "a share of arrays": (
        None,
        ["a", "x.npz", "--test", "10"],
        ["--test is 10.0, but must be a share between 0 and 1"],
    ),
    "a size beyond any network": (pictures, ["a", "source", "--size", "8x9999"], ["--size is 9999, but"]),
    "a size of many digits": (
        pictures,
        ["a", "source", "--size", "1000000"],
        ["--size is 1000000, but no network here makes images beyond 4096 pixels: take a smaller one"],
    ),
    "a link to nothing": (with_a_link, ["a", "source"], ["link.png leads nowhere: take this link away"]),
    "a misspelt path": (pictures, ["a", "sorce"], ["sorce is not there (did you mean source?)"]),
    "a layout of pictures": (pictures, ["a", "source", "--layout", "NHWC"], ["--layout is for a file", "a folder"]),
    "labels of arrays": (None, ["a", "x.npz", "--labels", "folders"], ["--labels is for a folder", "a file"]),
    "NaN": (None, ["a", "nan.npy"], ["nan.npy has values that are NaN"]),
    "negative floats": (None, ["a", "negative.npy"], ["--range -1..1"]),
    "beyond all ranges": (None, ["a", "wide.npy"], ["values from -2.8 to 3.1, which no --range holds: scale them"]),
    "no builder's name": (None, ["a", "tfds:"], ["'' names no builder of TFDS", "such as mnist"]),
    "a builder's name with a space": (None, ["a", "tfds:a b"], ["'a b' names no builder of TFDS"]),
    "a configuration of none": (None, ["a", "tfds:mnist/foo"], ["mnist of TFDS", "no configuration 'foo'", "it out"]),
    "another version": (None, ["a", "tfds:mnist:9.9.9"], ["mnist of TFDS", "no version 9.9.9: choose", "3.0.1"]),
    "objects": (None, ["a", "objects.npy"], ["objects.npy cannot be read"]),
    "another range": (None, ["a", "negative.npy", "--range", "1"], ["from -1 to 1, which --range 1 does not hold"]),
    "an unknown builder": (None, ["a", "tfds:mnsit"], ["no builder 'mnsit'", "'mnist'?"]),
    "a builder without images": (None, ["a", "tfds:ag_news_subset"], ["ag_news_subset has no images"]),
    "an unknown option": (pictures, ["a", "source", "--sise", "8"], ["--sise (did you mean --size?)"]),
    "an option cut short": (pictures, ["a", "source", "--siz", "8"], ["--siz (did you mean --size?)"]),
    "no path": (None, ["a"], ["PATH"]),
}


@pytest.mark.parametrize(("make", "args", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(make, args, words, here, capsys):
    if any(arg.startswith("tfds:") for arg in args):
        pytest.importorskip("tensorflow_datasets")
    (here / "labels.csv").write_text("file,label\n")
    np.savez(here / "x.npz", np.zeros((5, 8, 8), np.uint8))
    np.save(here / "nan.npy", np.full((5, 8, 8), np.nan))
    np.save(here / "negative.npy", np.linspace(-1, 1, 320).reshape(5, 8, 8))
    np.save(here / "wide.npy", np.linspace(-2.8, 3.1, 320).reshape(5, 8, 8))
    np.save(here / "objects.npy", np.array([{}, []], object))
    if make is not None:
        make(here / "source")
    before = set(contents(here))
    assert_refused(call("data", "add", *args), *capsys.readouterr(), *words)
    assert set(contents(here)) == before


def test_two_data_sets_of_one_name(here, capsys):
    pictures(here / "a"), pictures(here / "b", 20)
    assert call("data", "add", "mine", "a") == 0
    capsys.readouterr()
    words = (
        f"mine exists, made of {here / 'a'}, not of {here / 'b'}: use another name, or `gvlab data remove mine` first"
    )
    assert_refused(call("data", "add", "mine", "b"), *capsys.readouterr(), words)
    pictures(here / "flat", classes=())  # no labels, but because it is another folder
    assert_refused(call("data", "add", "mine", "flat"), *capsys.readouterr(), "made of", f"not of {here / 'flat'}")
    np.save(here / "x.npy", np.zeros((9, 8, 8), np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None] * 20)
    assert_refused(call("data", "add", "mine", "x.npy"), *capsys.readouterr(), f"not of {here / 'x.npy'}")
    pictures(here / "a", 41)
    assert_refused(call("data", "add", "mine", "a"), *capsys.readouterr(), "mine exists, made of other files than now")
    (here / "a" / "cat" / "040.png").unlink()
    code = call("data", "add", "mine", "a", "--size", "8")
    assert_refused(code, *capsys.readouterr(), "mine exists with size = none, not [8, 8]")


def test_what_a_set_is_made_of_is_said_in_whole(here, capsys):
    """Its classes, as far as they fit, and its path."""
    pictures(here / "a", 48, classes=[f"c{number:02}" for number in range(12)])
    pictures(here / "b", 52, classes=[f"c{number:02}" for number in range(13)])
    assert call("data", "add", "twelve", here / "b" / ".." / "a") == 0
    assert "c09, c10, c11)." in capsys.readouterr().out
    assert call("data", "add", "thirteen", "b") == 0
    assert "13 classes (c00, c01, c02, c03, c04, c05, c06, c07, c08, c09, c10, c11, ...)." in capsys.readouterr().out
    assert [own.origin["source"] for own in data.listed()] == [str(here / "b"), str(here / "a")]


@pytest.mark.parametrize(
    ("action", "asked", "meant"),
    [("prepare", "mnsit", "mnist"), ("prepare", "pet", "pets"), ("remove", "pet", "pets")],
)
def test_a_misspelt_name(action, asked, meant, here, capsys):
    data.add_folder("pets", pictures(here / "a"))
    assert_refused(call("data", action, asked), *capsys.readouterr(), f"'{asked}' (did you mean '{meant}'?)")


def test_only_what_was_added_is_proposed_to_be_removed(here, capsys):
    data.add_folder("pets", pictures(here / "a"))
    assert_refused(call("data", "remove", "mnsit"), *capsys.readouterr(), "'mnsit': choose one of pets.")


def test_a_damaged_one_is_not_listed_and_that_is_said(here, capsys):
    made = data.add_folder("pets", pictures(here / "a"))
    (made.directory / "card.json").write_text("{")
    assert call("data", "list") == 0
    out, err = capsys.readouterr()
    assert "pets" not in out
    assert err.startswith(f"gvlab: {made.directory} is damaged, and so not among them: remove it by gvlab data remove")
    assert call("data", "remove", "pets") == 0


def test_one_class_is_one(here, capsys):
    assert call("data", "add", "pets", pictures(here / "a", classes=("cat",)), "--labels", "folders") == 0
    assert "1 class (cat)." in capsys.readouterr().out


def test_a_size_beyond_most_pictures_is_a_warning(here, capsys):
    pictures(here / "a")
    assert call("data", "add", "mine", "a", "--size", "32") == 0
    assert capsys.readouterr().err.startswith("gvlab: 40 of 40 pictures are smaller than 32x32 and were enlarged")


def small(source) -> c.Experiment:
    return c.Experiment(
        "small",
        c.GAN(c.DCGAN(width=2), latent_dim=3, conditional=True),
        steps=2,
        data=c.Data("mine", source=source),
        batch_size=8,
        evaluation=c.Evaluation(samples=16, features=("pixels",), measures=("frechet",)),
    )


def test_fewer_pictures_than_a_batch(here, capsys):
    pictures(here / "a", 6)
    file = experiment_file(here, small(c.Folder("a")))
    assert_refused(call("train", file), *capsys.readouterr(), "A step takes 8 examples, but mine has only 4")
    assert not (here / "runs").exists()


def test_a_source_in_an_experiment_is_added_and_trained_on_also_where_it_is_not(here, capsys):
    pictures(here / "a")
    file = experiment_file(here, small(c.Folder("a", labels="folders")))
    assert call("train", file) == 0
    assert "Trained 2 steps" in capsys.readouterr().out
    assert call("data", "add", "mine", "a", "--labels", "folders") == 0
    assert "It was there already" in capsys.readouterr().out
    shutil.move(here / "a", here / "elsewhere")
    experiment_file(here, small(c.Folder("nowhere", labels="folders")))
    assert call("train", file, "--steps", 3) == 0  # the same run goes on: where the pictures lay is no matter
    run_directory = here / "runs" / "small" / "seed-0"
    assert call("sample", run_directory, "--out", "grid.png") == 0
    assert call("evaluate", run_directory) == 0
    assert call("neighbours", run_directory, "--out", "near.png") == 0
    images = ("--images", here / "elsewhere" / "cat", "--against", "mine")
    assert call("evaluate", *images, "--features", "pixels", "--metrics", "frechet") == 0
    capsys.readouterr()
    assert call("data", "remove", "mine") == 0
    assert gvlab.load(run_directory).program.dataset.class_names == ("cat", "dog")  # also without the data
    assert_refused(call("train", file, "--steps", 4), "", capsys.readouterr().err, "nowhere is not there")
    assert call("sample", run_directory, "--out", "again.png") == 0  # which needs no examples
    capsys.readouterr()


def test_a_source_that_makes_another_set_of_that_name_is_refused(here, capsys):
    pictures(here / "a")
    data.add_folder("mine", here / "a", size=(16, 16))
    file = experiment_file(here, small(c.Folder("a")))
    assert_refused(call("train", file), *capsys.readouterr(), "mine exists with size = [16, 16], not none")


def test_other_pictures_under_the_name_do_not_continue_a_run(here, capsys):
    pictures(here / "a"), pictures(here / "b", 30)
    file = experiment_file(here, small(c.Folder("a")))
    assert call("train", file) == 0
    data.remove("mine")
    experiment_file(here, small(c.Folder("b")))
    capsys.readouterr()
    assert_refused(
        call("train", file, "--steps", 3), "", capsys.readouterr().err, "was trained on mine with the SHA-256"
    )


@pytest.mark.parametrize("kind", ["Arrays", "Tfds"])
def test_every_source_says_what_to_make(kind, here, monkeypatch):
    asked = []
    made = data.add_folder("mine", pictures(here / "a"))
    for function in ("add_arrays", "add_builder"):
        monkeypatch.setattr(data, function, lambda *args, **options: asked.append((args, options)) or made)
    sources = {"Arrays": c.Arrays("x.npz", layout="NCHW", range="1"), "Tfds": c.Tfds("mnist", size=(32, 32), fit="pad")}
    assert build.dataset(c.Data("mine", source=sources[kind])).name == "mine"
    ((args, options),) = asked
    expected = {
        "Arrays": (("mine", "x.npz"), {"layout": "NCHW", "value_range": "1", "test": 0.1}),
        "Tfds": (("mine", "mnist"), {"size": (32, 32), "fit": "pad", "test": 0.1}),
    }
    assert (args, options) == expected[kind]


def test_in_a_process_of_its_own(here):
    pictures(here / "a")
    done = run("data", "add", "mine", "a", cwd=here)
    assert (done.returncode, done.stderr) == (0, "")
    done = run("data", "add", "mnist", "a", cwd=here)
    assert_refused(done.returncode, done.stdout, done.stderr, "mnist is the name")
