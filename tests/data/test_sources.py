"""Where data sets come from: tensorflow-datasets, a cache, or a sentence on how to bring them."""

import gzip
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fresh import imported_after

from gvlab.data import CATALOGUE, cache, from_arrays, is_prepared, load, places, preparation, prepare
from gvlab.types import UserError

# The checksum of version 3.0.1, the same from TFRecord as from ArrayRecord files.
MNIST = "a500a150d10fdcd6d9dd65f55a06dc087c92454cf1f36a5fee74ce1e343b925c"
BINARIZED_MNIST = "aae35cd3a3c22f399c6b955962ac62c00ec97c490559abd8aabb8b7cf2dc4483"
STACKED_MNIST = "ac66e7e43f37b4c86fdbea581d2bd84a8168f4c6608a7d75cb8c99a29a67fef5"
needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="preparing takes TensorFlow: pip install 'gvlab[data]'"
)


@pytest.fixture
def no_network(monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # nothing listens there


def block_tensorflow(monkeypatch, folder: Path) -> None:
    """From now on `import tensorflow` fails in child processes as if it were not installed."""
    folder.mkdir()
    (folder / "tensorflow.py").write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\")\n")
    monkeypatch.syspath_prepend(str(folder))


# --- what is made of mnist, or binarised --------------------------------------------------------------------------


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """Ten training digits and seven test ones, each of one shade, and a StackedMNIST of 50 + 20 images of them."""
    monkeypatch.setitem(CATALOGUE, "stacked_mnist", replace(CATALOGUE["stacked_mnist"], train=50, test=20))
    shades = np.arange(17, dtype=np.uint8)[:, None, None, None] * np.ones((1, 28, 28, 1), np.uint8)
    digits = from_arrays("mnist", shades[:10], shades[10:], np.arange(10)[::-1], np.arange(7))
    (tmp_path / "gvlab").mkdir()
    cache.write(tmp_path / "gvlab" / "mnist-3.0.1", digits, {})
    return str(tmp_path)


def test_three_digits_make_a_stacked_one(tiny_mnist):
    stacked = load("stacked_mnist", tiny_mnist)
    assert (stacked.name, stacked.shape, stacked.num_classes) == ("stacked_mnist", (28, 28, 3), 1000)
    assert (len(stacked.train.x), len(stacked.test.x)) == (50, 20)
    assert stacked.train.x.dtype == np.uint8
    assert stacked.train.y.dtype == stacked.test.y.dtype == np.int32
    shade = stacked.train.x[:, 0, 0].astype(np.int64)
    assert (stacked.train.x == shade[:, None, None]).all()
    np.testing.assert_array_equal(stacked.train.y, (9 - shade) @ [100, 10, 1])  # digit d has the shade 9 - d
    shade = stacked.test.x[:, 5, 5].astype(np.int64)
    assert 10 <= shade.min() <= shade.max() < 17  # of the test split alone
    np.testing.assert_array_equal(stacked.test.y, (shade - 10) @ [100, 10, 1])
    assert len(np.unique(stacked.train.y)) > 40  # the channels are drawn apart
    expected = np.random.RandomState(2017).randint(10, size=(50, 3))
    np.testing.assert_array_equal(stacked.train.x[:, 0, 0], expected)


def test_a_stacked_data_set_is_made_of_what_is_prepared(tiny_mnist, tmp_path, no_network):
    assert load("stacked_mnist", tiny_mnist).checksum == load("stacked_mnist", tiny_mnist).checksum
    assert is_prepared("stacked_mnist", tiny_mnist)
    assert prepare("stacked_mnist", tiny_mnist) == prepare("mnist", tiny_mnist)
    assert not is_prepared("stacked_mnist", str(tmp_path / "elsewhere"))


def test_stacked_mnist_itself():
    if not is_prepared("mnist"):
        pytest.skip("MNIST is not prepared in TFDS_DATA_DIR")
    stacked, card = load("stacked_mnist"), CATALOGUE["stacked_mnist"]
    assert stacked.checksum == STACKED_MNIST
    assert (len(stacked.train.x), len(stacked.test.x)) == (card.train, card.test) == (128_000, 26_000)
    assert stacked.shape == card.shape
    for split in (stacked.train, stacked.test):  # every mode is there
        assert np.bincount(split.y, minlength=1000).min() > 0


@needs_tensorflow
@pytest.mark.xdist_group("binarized_mnist")
def test_binarized_mnist_itself(tmp_path, no_network):
    downloads = places.data_dir(None) / "downloads" / "binarized_mnist"
    if not downloads.is_dir():
        pytest.skip("the files of binarized_mnist are not in the downloads of TFDS_DATA_DIR")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "binarized_mnist").symlink_to(downloads)
    dataset, card = load("binarized_mnist", str(tmp_path)), CATALOGUE["binarized_mnist"]
    assert dataset.checksum == BINARIZED_MNIST
    assert (len(dataset.train.x), len(dataset.test.x), dataset.num_classes) == (card.train, card.test, 0)
    assert dataset.train.y is dataset.test.y is None
    assert np.unique(dataset.test.x).tolist() == [0, 255]
    assert (dataset.test.x > 0).sum() == 1_038_896  # of the published text file


# --- from the cache -----------------------------------------------------------------------------------------------


def test_a_cached_data_set_needs_neither_tfds_nor_tensorflow(tmp_path, monkeypatch):
    x = np.zeros((4, 28, 28, 1), np.uint8)
    directory = tmp_path / "gvlab" / "mnist-3.0.1"
    directory.parent.mkdir()
    assert not is_prepared("mnist", str(tmp_path))
    cache.write(directory, from_arrays("mnist", x, x, [0, 1, 2, 3], [0, 1, 2, 3]), {})
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert is_prepared("mnist")
    assert prepare("mnist") == directory
    assert imported_after("from gvlab.data import load\nassert len(load('mnist').train.x) == 4") == set()


def test_the_data_directory_is_that_of_tfds(monkeypatch):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert places.data_dir(None) == Path.home() / "tensorflow_datasets"
    monkeypatch.setenv("TFDS_DATA_DIR", "~/elsewhere")
    assert places.data_dir(None) == Path.home() / "elsewhere"
    assert places.data_dir("/given") == Path("/given")


# --- what cannot be brought ---------------------------------------------------------------------------------------


def test_without_network_the_sentence_says_how_to_bring_it(tmp_path, no_network):
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        load("kmnist", str(tmp_path))
    assert time.monotonic() - started < 60  # TFDS alone would retry for minutes
    sentence = str(caught.value)
    for part in (
        "kmnist is neither prepared",
        f"{tmp_path}/gvlab/kmnist-3.0.1",
        f"{tmp_path}/kmnist/3.0.1",
        f"{tmp_path}/downloads/kmnist",
        "cannot be reached",
        "`gvlab data prepare kmnist`",
        "train-images-idx3-ubyte.gz",
        f"{tmp_path}/downloads/manual/kmnist",
    ):
        assert part in sentence
    assert "\n" not in sentence
    assert not is_prepared("kmnist", str(tmp_path))


def by_hand(folder: Path, content: bytes) -> None:
    """Four files with the names of MNIST's."""
    folder.mkdir(parents=True)
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (folder / f"{name}-ubyte.gz").write_bytes(content)


def test_without_tensorflow_the_sentence_names_the_extra(tmp_path, no_network, monkeypatch):
    block_tensorflow(monkeypatch, tmp_path / "blocked")
    by_hand(tmp_path / "downloads" / "manual" / "kmnist", b"")
    with pytest.raises(UserError, match=r"pip install 'gvlab\[data\]'"):
        load("kmnist", str(tmp_path))


@needs_tensorflow
def test_wrong_bytes_are_refused(tmp_path, no_network):
    by_hand(tmp_path / "downloads" / "manual" / "kmnist", gzip.compress(b"not kmnist"))
    with pytest.raises(UserError, match="A file of kmnist is not the one that TFDS knows"):
        load("kmnist", str(tmp_path))


def test_half_a_tfds_directory_is_not_believed(tmp_path, no_network):
    (tmp_path / "kmnist" / "3.0.1").mkdir(parents=True)
    with pytest.raises(UserError, match=r"kmnist/3.0.1 is not a whole data set of TFDS"):
        load("kmnist", str(tmp_path))


def in_the_way(kind, place):
    place.parent.mkdir(parents=True, exist_ok=True)
    {
        "file": lambda: place.write_text(""),
        "loop": lambda: place.symlink_to(place.name),
        "link": lambda: place.symlink_to("nothing"),
        "directory": lambda: place.mkdir(),
    }[kind]()


@pytest.mark.parametrize(
    ("kind", "place", "words"),
    [
        ("file", "data", "Not a directory: .*data/gvlab"),
        ("file", "data/gvlab", "File exists: .*data/gvlab"),
        ("loop", "data/gvlab", "File exists: .*data/gvlab"),
        ("link", "data/gvlab", "File exists: .*data/gvlab"),
        ("loop", "data", "Too many levels of symbolic links: .*data/gvlab"),
        ("directory", "data/gvlab/.mnist-3.0.1.lock", "Is a directory: .*lock"),
    ],
)
def test_a_data_directory_with_something_in_the_way(kind, place, words, tmp_path):
    in_the_way(kind, tmp_path / place)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=rf"mnist cannot be written to .*data \({words}\): make room there"):
        preparation.make_cache("mnist", tmp_path / "data")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unwritable_data_directory(tmp_path):
    """Through the child process, and with a name that is no text."""
    file = tmp_path / os.fsdecode(b"f\xff")
    file.write_text("")
    with pytest.raises(UserError, match=r"mnist cannot be written to .*f\udcff \(Not a directory"):
        load("mnist", str(file))


def test_what_nobody_foresaw_is_shown_whole(tmp_path, monkeypatch):
    (tmp_path / "tensorflow_datasets.py").write_text("raise ZeroDivisionError('in the depths')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RuntimeError, match=r"(?s)preparing mnist ended with code 1:.*ZeroDivisionError: in the depths"):
        load("mnist", str(tmp_path / "data"))


def test_a_preparation_that_was_killed_says_so(tmp_path, monkeypatch):
    (tmp_path / "tensorflow_datasets.py").write_text("import os; os.kill(os.getpid(), 9)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UserError, match=r"Preparing mnist was ended by signal 9, .* try again\.$"):
        load("mnist", str(tmp_path / "data"))


def test_whoever_prepares_takes_the_child_along(tmp_path):
    """However it ends: TensorFlow's process would go on for minutes, and hold the lock."""
    (tmp_path / "tensorflow_datasets.py").write_text(
        "import os, pathlib, sys, time\n"
        "pathlib.Path(sys.argv[2] + '.new').write_text(str(os.getpid()))\n"
        "os.rename(sys.argv[2] + '.new', sys.argv[2] + '.pid')\n"
        "time.sleep(600)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    # Of processes in the background a shell has SIGINT ignored, which children would inherit.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heard}; from gvlab.data import prepare; prepare('mnist', sys.argv[1])"
    parents = {
        number: subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / number.name)], env=environment, stderr=subprocess.DEVNULL
        )
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    for number, parent in parents.items():
        wait_for(f"{number.name}.pid", tmp_path)
        parent.send_signal(number)
        parent.wait(60)
        child = int((tmp_path / f"{number.name}.pid").read_text())
        deadline = time.monotonic() + 60
        while is_alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with cache.lock(tmp_path / number.name / "gvlab" / "mnist-3.0.1"):  # which the dead let go
            pass


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- the real thing -----------------------------------------------------------------------------------------------


@pytest.fixture
def downloaded(tmp_path):
    """A new data directory with nothing but the downloads of MNIST in it."""
    downloads = places.data_dir(None) / "downloads" / "mnist"
    if len(list(downloads.glob("*.gz"))) != 4:
        pytest.skip("the files of MNIST are not in the downloads of TFDS_DATA_DIR")
    (tmp_path / "data" / "downloads").mkdir(parents=True)
    (tmp_path / "data" / "downloads" / "mnist").symlink_to(downloads)
    return tmp_path / "data"


def start(root: Path) -> subprocess.Popen:
    code = f"from gvlab.data import prepare; prepare('mnist', {str(root)!r})"
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def wait_for(pattern: str, root: Path) -> None:
    deadline = time.monotonic() + 300
    while not any(root.glob(pattern)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@needs_tensorflow
@pytest.mark.xdist_group("mnist")
def test_mnist_from_stock_tfds(downloaded, no_network, tmp_path, monkeypatch):
    # Killed in the midst of TFDS's work, with its whole process group.
    killed = start(downloaded)
    wait_for("mnist/incomplete.*", downloaded)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not is_prepared("mnist", str(downloaded))
    assert not (downloaded / "mnist" / "3.0.1").exists()

    # Two at once both end well.
    both = [start(downloaded), start(downloaded)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    dataset = load("mnist", str(downloaded))
    assert dataset.train.x.shape == (60_000, 28, 28, 1)
    assert dataset.test.x.shape == (10_000, 28, 28, 1)
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # of the published training labels
    assert np.bincount(dataset.train.y).tolist() == counts
    assert np.bincount(dataset.test.y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    (images,) = (downloaded / "downloads" / "mnist").glob("*t10k-images*.gz")
    published = np.frombuffer(gzip.decompress(images.read_bytes())[16:], np.uint8).reshape(10_000, 784)
    ours = np.asarray(dataset.test.x).reshape(10_000, 784)
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], published[np.lexsort(published.T)])

    # TFDS's own files suffice, without TensorFlow.
    shutil.rmtree(downloaded / "gvlab" / "mnist-3.0.1")
    block_tensorflow(monkeypatch, tmp_path / "blocked")
    assert load("mnist", str(downloaded)).checksum == dataset.checksum == MNIST
    assert imported_after(f"from gvlab.data import load\nload('mnist', {str(downloaded)!r})") == set()
