"""Own data sets by their names: made once, found again, removed, and never half there."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_folders import folder, home, leftovers, pixels, save

from gvlab.data import add_folder, cache, is_prepared, listed, load, prepare, remove, rows
from gvlab.types import UserError

__all__ = ["home"]


def test_the_same_again_is_there_already(home, tmp_path):
    path = folder(tmp_path / "p", 6, ("a", "b"))
    assert add_folder("mine", path).is_new
    before = (home / "mine" / "card.json").stat().st_ino
    for again in ({}, {"labels": "folders"}, {"test": 0.1}):
        assert not add_folder("mine", path, **again).is_new
    assert (home / "mine" / "card.json").stat().st_ino == before


def test_it_does_not_matter_where_the_source_lies(home, tmp_path):
    path = folder(tmp_path / "p", 6)
    first = add_folder("mine", path)
    shutil.copytree(path, tmp_path / "copy", copy_function=shutil.copyfile)  # with other times
    assert not add_folder("mine", tmp_path / "copy").is_new
    assert not add_folder("mine", tmp_path / "nowhere").is_new
    assert load("mine").checksum == load("mine").checksum
    assert first.directory == home / "mine"
    with pytest.raises(UserError, match="nowhere is not there, and no data set other was made of it here"):
        add_folder("other", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("again", "words"),
    [
        (
            {"size": (3, 3)},
            r"mine exists with size = none, not \[3, 3\]: use another name, or `gvlab data remove mine`",
        ),
        ({"test": 0.5}, "mine exists with test = 0.1, not 0.5"),
        ({"labels": "none"}, 'mine exists with labels = "folders", not "none"'),
    ],
)
def test_other_settings_under_the_name_are_refused(again, words, home, tmp_path):
    path = folder(tmp_path / "p", 6, ("a", "b"))
    add_folder("mine", path)
    with pytest.raises(UserError, match=words):
        add_folder("mine", path, **again)


def test_other_content_under_the_name_is_refused(home, tmp_path):
    path = folder(tmp_path / "p", 6)
    before = add_folder("mine", path)
    save(path / "000.png", pixels(1000))
    with pytest.raises(UserError, match=r"mine exists, made of other files than now lie in .*p: use another name"):
        add_folder("mine", path)
    remove("mine")
    assert add_folder("mine", path).origin["contents"] != before.origin["contents"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits", "digits is the name of one of gvlab's own data sets"),
        *(
            (name, "cannot be called")
            for name in ("", "a/b", "..", ".hidden", "a\nb", "C:x", "x" * 201, "a b", "*", "a,b", "-a")
        ),
        ("my pets", "called 'my pets': take letters, digits, _, - and .,.* such as 'my_pets'"),
        ("???", "such as 'flowers'"),
    ],
)
def test_names_that_cannot_be(name, words, home, tmp_path):
    with pytest.raises(UserError, match=words):
        add_folder(name, folder(tmp_path / "p", 3))
    assert not leftovers(home)


def test_a_name_of_an_earlier_version_stays(home, tmp_path):
    path = folder(tmp_path / "p", 3)
    (add_folder("mine", path).directory).rename(home / "my pets")
    assert [own.name for own in listed()] == ["my pets"]
    assert load("my pets").shape == (6, 5, 1)
    assert is_prepared("my pets")
    assert not add_folder("my pets", path).is_new
    remove("my pets")
    assert not leftovers(home)


def test_letters_of_any_alphabet_make_a_name(home, tmp_path):
    for name in ("flowers_64.v2-b", "bl\u00fcten", "\u82b1"):
        assert add_folder(name, folder(tmp_path / "p", 3)).is_new


def test_it_is_found_where_nothing_can_be_written(home, tmp_path, monkeypatch):
    path = folder(tmp_path / "p", 3)
    add_folder("mine", path)

    def refused(directory):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))

    monkeypatch.setattr(cache, "lock", refused)
    assert not add_folder("mine", path).is_new
    assert is_prepared("mine")
    assert prepare("mine") == home / "mine"


def test_they_are_listed_and_removed(home, tmp_path):
    assert listed() == []
    path = folder(tmp_path / "p", 3)
    add_folder("b", path)
    add_folder("a", path, size=(2, 2))
    assert [(own.name, own.shape) for own in listed()] == [("a", (2, 2, 1)), ("b", (6, 5, 1))]
    held = load("a").train.x
    remove("a")
    assert [own.name for own in listed()] == ["b"]
    assert held.shape == (2, 2, 2, 1)
    assert held.sum() > 0  # who has it mapped keeps it
    assert leftovers(home) == ["b"]
    with pytest.raises(UserError, match=r"Unknown data set 'a'.*: choose one of b\.$"):
        remove("a")
    with pytest.raises(UserError, match="digits is one of gvlab's own"):
        remove("digits")


def test_an_unknown_name_is_refused_with_the_nearest_of_both_kinds(home, tmp_path):
    add_folder("flowers", folder(tmp_path / "p", 3))
    with pytest.raises(UserError, match=r"'flower' \(did you mean 'flowers'\?\): choose one of digits, .*, flowers\.$"):
        load("flower")
    with pytest.raises(UserError, match=r"did you mean 'mnist'"):
        load("mnsit")


def test_damage_is_seen(home, tmp_path):
    path = folder(tmp_path / "p", 3)
    add_folder("mine", path)
    file = home / "mine" / "train_x.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(UserError, match=r"train_x.npy is damaged: move .*mine away, and add mine anew\.$"):
        load("mine")
    file.unlink()
    assert listed() == []
    assert add_folder("mine", path).is_new  # what is not whole is made anew


def test_a_full_disk_gets_a_sentence_and_leaves_nothing(home, tmp_path, monkeypatch):
    path = folder(tmp_path / "p", 3)

    def full(self, images):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(rows.Writer, "append", full)
    with pytest.raises(UserError, match=r"mine does not fit into .*own \(No space left"):
        add_folder("mine", path)
    assert not leftovers(home)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_indeed():
    """Written as a file is, so that the kernel's refusal is an exception; a map into memory would die by SIGBUS."""
    images = np.zeros((100, 64, 64, 3), np.uint8)
    with rows.Writer(Path("/dev/full"), (64, 64, 3)) as writer, pytest.raises(OSError, match="No space left"):
        writer.append(images)


SLOW = """
import sys, time
from gvlab.data import add_folder, rows

append = rows.Writer.append

def slow(self, images):
    append(self, images)
    print("begun", flush=True)
    time.sleep(60)

rows.Writer.append = slow
add_folder("mine", sys.argv[1])
"""


def test_a_killed_one_leaves_nothing_that_is_believed(home, tmp_path):
    path = folder(tmp_path / "p", 3)
    killed = subprocess.Popen([sys.executable, "-c", SLOW, str(path)], stdout=subprocess.PIPE, text=True)
    assert killed.stdout.readline() == "begun\n"
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert [name for name in leftovers(home) if name.endswith(".part")]  # it did get as far as that
    assert listed() == []
    with pytest.raises(UserError, match="Unknown data set 'mine'"):
        load("mine")
    assert add_folder("mine", path).is_new
    assert leftovers(home) == ["mine"]


def test_files_that_change_meanwhile_are_noticed(home, tmp_path, monkeypatch):
    path, append = folder(tmp_path / "p", 3), rows.Writer.append

    def changing(self, images):
        append(self, images)
        os.utime(path / "000.png", (1, 1))

    monkeypatch.setattr(rows.Writer, "append", changing)
    with pytest.raises(UserError, match="p changed while it was read: repeat the command"):
        add_folder("mine", path)
    assert not leftovers(home)


def test_it_is_made_in_little_memory(home, tmp_path, monkeypatch):
    """Chunks of the size that is stated, whatever the whole is."""
    monkeypatch.setattr(rows, "_CHUNK", 100)
    largest, append = [], rows.Writer.append
    monkeypatch.setattr(rows.Writer, "append", lambda self, x: largest.append(x.nbytes) or append(self, x))
    add_folder("mine", folder(tmp_path / "p", 40))
    assert max(largest) <= 100
