import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from gvlab.data import cache, from_arrays
from gvlab.types import UserError

# Writes a cache, and dies by SIGKILL at the chosen moment.
KILLED = """
import os, signal, sys, pathlib
import numpy as np
from gvlab.data import cache, from_arrays

save, rename, saved = np.save, pathlib.Path.rename, []

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def dying_save(file, array):
    saved.append(array)
    if len(saved) == 2:
        file.write(b"half"), file.flush(), die()
    save(file, array)

def dying_rename(self, target):
    if sys.argv[2] == "before the rename":
        die()
    rename(self, target)
    if sys.argv[2] == "between the two renames":
        die()

if sys.argv[2] == "between the arrays":
    np.save = dying_save
pathlib.Path.rename = dying_rename
x = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
cache.write(pathlib.Path(sys.argv[1]), from_arrays("tiny", x, x, [0, 1, 2], [2, 1, 0]), {})
"""


@pytest.fixture
def dataset():
    x = np.arange(5 * 4 * 4, dtype=np.uint8).reshape(5, 4, 4, 1)
    return from_arrays("tiny", x, x[:2], np.arange(5), np.array([4, 0]))


def same(one, other):
    return one.checksum == other.checksum and all(
        np.array_equal(a, b)
        for s, t in ((one.train, other.train), (one.test, other.test))
        for a, b in ((s.x, t.x), (s.y, t.y))
    )


def test_what_is_written_is_read_as_a_map(tmp_path, dataset):
    cache.write(tmp_path / "tiny", dataset, {"builder": "tiny/1.0.0"})
    assert cache.is_whole(tmp_path / "tiny")
    read = cache.read(tmp_path / "tiny")
    assert same(read, dataset)
    assert (read.name, read.num_classes) == ("tiny", 5)
    assert isinstance(read.train.x, np.memmap)
    assert not read.train.x.flags.writeable
    card = json.loads((tmp_path / "tiny" / "card.json").read_text())
    assert card["origin"] == {"builder": "tiny/1.0.0"}
    assert card["files"]["train_x.npy"]["shape"] == [5, 4, 4, 1]
    assert card["files"]["train_x.npy"]["dtype"] == "uint8"
    assert os.listdir(tmp_path) == ["tiny"]


def test_a_data_set_without_labels(tmp_path):
    x = np.ones((3, 2), np.float32)
    cache.write(tmp_path / "bare", from_arrays("bare", x, x), {})
    assert cache.read(tmp_path / "bare").train.y is None


def test_the_names_of_classes_are_kept(tmp_path):
    x = np.ones((2, 3, 3, 1), np.uint8)
    cache.write(tmp_path / "named", from_arrays("named", x, x, [0, 1], [0, 1], ("cat", "dög")), {})
    assert cache.read(tmp_path / "named").class_names == ("cat", "dög")
    card = json.loads((tmp_path / "named" / "card.json").read_text())
    del card["class_names"]  # of a gvlab of before
    (tmp_path / "named" / "card.json").write_text(json.dumps(card))
    assert cache.read(tmp_path / "named").class_names == ()


def test_a_failed_writer_leaves_nothing(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(np, "save", lambda file, array: file.write(b"half") and os.open("/nowhere/file", 0))
    with pytest.raises(FileNotFoundError):
        cache.write(tmp_path / "tiny", dataset, {})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("moment", ["between the arrays", "before the rename"])
def test_a_killed_writer_leaves_nothing_that_is_believed(tmp_path, dataset, moment):
    directory = tmp_path / "tiny"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(directory), moment], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not cache.is_whole(directory)
    assert [name for name in os.listdir(tmp_path) if name.endswith(".part")]  # it did get as far as that
    cache.write(directory, dataset, {})
    assert same(cache.read(directory), dataset)
    assert os.listdir(tmp_path) == ["tiny"]


def test_a_writer_killed_while_it_replaces_a_damaged_cache(tmp_path, dataset):
    directory = tmp_path / "tiny"
    cache.write(directory, dataset, {})
    (directory / "card.json").unlink()
    killed = subprocess.run([sys.executable, "-c", KILLED, str(directory), "between the two renames"], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not cache.is_whole(directory)
    cache.write(directory, dataset, {})
    assert same(cache.read(directory), dataset)
    assert os.listdir(tmp_path) == ["tiny"]


FILES = {f"{split}_x.npy": {"bytes": 208, "sha256": ""} for split in ("train", "test")}
OTHER_CARDS = [
    *("{}", "[]", "7", "null", "[" * 100_000, '{"files": {}}', '{"name": "tiny", "num_classes": 0, "files": []}'),
    json.dumps({"name": "tiny", "num_classes": 0, "files": {"../x.npy": FILES["test_x.npy"]} | FILES}),
    json.dumps({"name": "tiny", "num_classes": None, "files": FILES}),
    json.dumps({"name": "tiny", "num_classes": 0, "files": {name: {} for name in FILES}}),
]


def replace_by_a_pipe(file):
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize("kind", ["file", "link", "link to nothing"])
def test_what_is_no_directory_is_replaced(kind, tmp_path, dataset):
    directory, elsewhere = tmp_path / "tiny", tmp_path / "elsewhere"
    if kind == "file":
        directory.write_text("")
    else:
        directory.symlink_to(elsewhere)
    if kind == "link":
        elsewhere.mkdir()
        (elsewhere / "mine").write_text("")
    assert not cache.is_whole(directory)
    cache.write(directory, dataset, {})
    assert same(cache.read(directory), dataset)
    assert sorted(os.listdir(tmp_path)) == (["elsewhere", "tiny"] if kind == "link" else ["tiny"])
    assert kind != "link" or (elsewhere / "mine").exists()


def test_damage_is_seen_and_mended(tmp_path, dataset):
    directory = tmp_path / "tiny"
    damages = [
        lambda: os.truncate(directory / "train_x.npy", 130),
        lambda: (directory / "test_y.npy").unlink(),
        lambda: (directory / "card.json").write_text('{"files": '),
        *(lambda text=text: (directory / "card.json").write_text(text) for text in OTHER_CARDS),
        lambda: replace_by_a_pipe(directory / "card.json"),
        lambda: replace_by_a_pipe(directory / "train_x.npy"),
    ]
    for damage in damages:
        cache.write(directory, dataset, {})
        held = cache.read(directory)
        damage()
        assert not cache.is_whole(directory)
        cache.write(directory, dataset, {})
        assert same(cache.read(directory), dataset)
        assert held.test.x[1, 3, 3, 0] == 31  # a map of the old file outlives it
    assert not cache.is_whole(tmp_path / "nowhere")
    assert not cache.is_whole(directory / "card.json" / "file")


def test_a_changed_byte_is_seen(tmp_path, dataset):
    cache.write(tmp_path / "made", dataset, {})
    file = tmp_path / "made" / "train_x.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert cache.is_whole(tmp_path / "made")  # which looks at lengths only
    with pytest.raises(UserError, match=r"made/train_x.npy is damaged: move .*made away, and it is prepared anew\.$"):
        cache.read(tmp_path / "made")
    (tmp_path / "made" / "card.json").write_text("[]")
    with pytest.raises(UserError, match=r"made/card.json is missing or damaged: move .*made away, and it is"):
        cache.read(tmp_path / "made")


def test_the_lock_lets_one_in_at_a_time(tmp_path):
    entered = threading.Event()

    def second():
        with cache.lock(tmp_path / "deep" / "tiny"):
            entered.set()

    with cache.lock(tmp_path / "deep" / "tiny"):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()
    assert os.listdir(tmp_path / "deep") == []  # nor is the file of the lock left behind


def test_who_waited_for_a_lock_whose_file_is_gone_still_keeps_others_out(tmp_path):
    """Five threads in turn: the file is made and removed all the time, and never are two inside."""
    inside, most = [], []

    def enter():
        for _ in range(20):
            with cache.lock(tmp_path / "tiny"):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(most) == 100
