"""Both formats as PyTorch 2.13 wrote them (`tests/golden/torch_*.pth`, recipe below), and files that lie."""

import io
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch_bytes
from torch_bytes import Raw, frame, legacy, name, value

from gvlab.extractors import weights
from gvlab.extractors.torch_file import read_torch
from gvlab.types import UserError

GOLDEN = Path(__file__).parents[1] / "golden"
ZIP = (GOLDEN / "torch_zip.pth").read_bytes()
LEGACY = (GOLDEN / "torch_legacy.pth").read_bytes()

# torch.save({"epoch": 3, "best": 0.5, "state_dict": OrderedDict(below), "norm": BatchNorm1d(2).state_dict(),
#             "optimizer": {"state": {0: torch.ones(1)}}}, path)
# with _use_new_zipfile_serialization=False for the older format.
BASE = np.arange(24, dtype=np.float32) / np.float32(7)
EXPECTED = {
    "state_dict.conv.weight": BASE.reshape(2, 3, 2, 2).transpose(3, 2, 0, 1),  # a view of the other layout
    "state_dict.offset": BASE[5:11],  # these three share a storage
    "state_dict.transposed": BASE.reshape(4, 6).T,
    "state_dict.count": np.array(12345678901),
    "state_dict.half": np.array([1.5, -2.0], np.float16),
    "state_dict.double": np.array([[0.1]]),
    "state_dict.bytes": np.array([0, 255], np.uint8),
    "state_dict.bool": np.array([True, False]),
    "state_dict.int": np.array([-3], np.int32),
    "state_dict.empty": np.zeros((0, 5), np.float32),
    "state_dict.parameter": np.array([3.25], np.float32),
    "norm.weight": np.ones(2, np.float32),
    "norm.bias": np.zeros(2, np.float32),
    "norm.running_mean": np.zeros(2, np.float32),
    "norm.running_var": np.ones(2, np.float32),
    "norm.num_batches_tracked": np.array(0),
}


@pytest.fixture
def read(tmp_path):
    def read(content):
        path = tmp_path / "weights.pth"
        path.write_bytes(content)
        return read_torch(path)

    return read


def refused(read, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read(content)


@pytest.mark.parametrize("file", ["torch_legacy.pth", "torch_zip.pth"])
def test_reads_what_torch_wrote(file):
    found = read_torch(GOLDEN / file)
    assert found.keys() == EXPECTED.keys()
    for key, expected in EXPECTED.items():
        np.testing.assert_array_equal(found[key], expected, strict=True)
        assert found[key].flags.c_contiguous
        assert found[key].flags.owndata


def test_reads_what_the_tests_write(read):
    kernel = np.arange(24, dtype=np.float32).reshape(4, 3, 2, 1)
    found = read(legacy({"a": torch_bytes.strided(kernel), "b": Raw(np.arange(5), 1, (2,), (2,))}))
    np.testing.assert_array_equal(found["a"], kernel)
    np.testing.assert_array_equal(found["b"], [1, 3])


@pytest.mark.parametrize("content", [LEGACY, ZIP], ids=["legacy", "zip"])
def test_a_file_cut_short_anywhere_is_refused(read, content):
    for length in [*range(0, len(content), 97), len(content) - 1]:
        refused(read, content[:length], "is not a usable PyTorch file")


@pytest.mark.parametrize("content", [LEGACY, ZIP], ids=["legacy", "zip"])
def test_a_damaged_file_is_refused_or_read(read, content):
    """Whatever byte is flipped, what comes out is arrays or one sentence: no other error, no crash."""
    random = np.random.RandomState(0)
    for position in random.randint(0, len(content), 300):
        damaged = bytearray(content)
        damaged[position] ^= 1 << random.randint(8)
        try:
            assert isinstance(read(bytes(damaged)), dict)
        except UserError as error:
            assert "is not a usable PyTorch file" in str(error)  # noqa: PT017


HARMFUL = [
    name("os", "system") + b"(" + value("touch harmed") + b"tR",
    name("builtins", "eval") + b"(" + value("open('harmed', 'w')") + b"tR",
    name("posix", "system") + b"(" + value("touch harmed") + b"tR",
    name("torch._utils", "_rebuild_tensor_v2.__globals__") + b"0N",
    name("torch", "load") + b"(" + value("harmed") + b"tR",
    value("os") + value("system") + b"\x93(" + value("touch harmed") + b"tR",  # STACK_GLOBAL
    b"(S'touch harmed'\nios\nsystem\n",  # INST
    b"\x82\x01.",  # an extension code that nobody registered
    b"Pan unknown persistent id\n",
]


@pytest.mark.parametrize("opcodes", HARMFUL)
def test_nothing_in_a_file_is_run(read, opcodes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(read, legacy({}, content=opcodes), "is not a usable PyTorch file")
    refused(read, opcodes and archive({"w/data.pkl": frame(opcodes)}), "is not a usable PyTorch file")
    assert not (tmp_path / "harmed").exists()


def test_what_a_pickle_is_given_is_no_ones_else(read):
    """BUILD sets attributes: on the stand-ins of this one reading, and on none that the next one uses."""
    change = b"(N}" + value("__defaults__") + value((1, 2)) + b"stb0"
    for stand_in in (name("torch._utils", "_rebuild_tensor_v2"), name("torch._utils", "_rebuild_parameter")):
        assert read(legacy({}, content=stand_in + change + b"}")) == {}
    hidden = name("collections", "OrderedDict") + b")R}" + value("items") + b"NsbN0"
    assert read(legacy({}, content=hidden)) == {}
    np.testing.assert_array_equal(read(LEGACY)["state_dict.offset"], BASE[5:11])


X = np.zeros(6, np.float32)


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (Raw(X, 0, (7,), (1,)), "reaches beyond its storage of 6"),
        (Raw(X, 1, (6,), (1,)), "reaches beyond"),
        (Raw(X, 0, (2, 3), (4, 1)), "reaches beyond"),
        (Raw(X, 0, (10**9, 6), (0, 1)), "reaches beyond"),  # 24 GB from 24 bytes
        (Raw(X, -1, (2,), (1,)), "unknown way"),
        (Raw(X, 5, (2,), (-1,)), "unknown way"),
        (Raw(X, 0, (2,), (1, 1)), "unknown way"),
        (Raw(X, 0, ("2",), (1,)), "unknown way"),
        (Raw(X, 0, (0, 2**40), (1, 1)), "unknown way"),
        (Raw(X, 0, (6,), (1,), length=7), "cut short"),
        (Raw(X, 0, (5,), (1,), length=5), "another length"),
        (Raw(X, 0, (2,), (1,), length=2**60), "cut short"),
        (Raw(X, 0, (0,), (1,), length=-1), "unknown way"),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(read, raw, sentence):
    refused(read, legacy({"x": raw}), sentence)


def test_a_small_file_cannot_fill_the_memory(read):
    one = value("a") + torch_bytes.tensor("0", Raw(np.zeros(1000, np.float32), 0, (1000,), (1,)))
    many = b"}(" + b"".join(value(f"a{i}") + one[len(value("a")) :] for i in range(100)) + b"u"
    content = legacy({"x": Raw(np.zeros(1000, np.float32), 0, (1000,), (1,))}, content=many)
    # 100 tensors, 400 kB, from one storage of 4 kB and some 10 kB of names.
    refused(read, content, "far more memory")
    loop = b"}q\x05(" + value("again") + b"h\x05u"
    refused(read, legacy({}, content=loop), "used twice")
    deep = b"}" + (value("a") + b"}") * 5000 + b"s" * 5000
    assert read(legacy({}, content=deep)) == {}


@pytest.mark.parametrize("opcode", [b"r" + struct.pack("<I", 10**8), b"p100000000\n", b"q\xff"])
def test_what_a_pickle_remembers_cannot_fill_the_memory(read, opcode):
    """A number of 10 bytes made the memo grow to 1.7 GB."""
    for content in (b"\x80\x02K\x01" + opcode + b".", legacy({}, content=b"K\x01" + opcode + b"0}")):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        refused(read, content, "remembers a value under the number")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def archive(files, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file:
        for path, content in files.items():
            file.writestr(path, content)
    return buffer.getvalue()


ONE = frame(b"}(" + value("x") + torch_bytes.tensor("0", Raw(X, 0, (6,), (1,))) + b"u")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"w/data.pkl": ONE}, "storage 0 is missing"),
        ({"w/data.pkl": ONE, "w/data/0": bytes(20)}, "another length"),
        ({"w/data.pkl": ONE, "w/data/0": bytes(24), "w/byteorder": "big"}, "little-endian"),
        ({"w/data.pkl": ONE, "v/data.pkl": ONE}, "not laid out"),
        ({"notes.txt": "hello"}, "not laid out"),
        ({"w/data.pkl": pickle.dumps([1, 2], 2)}, "a list instead of a dictionary"),
    ],
)
def test_other_archives_are_refused(read, files, sentence):
    refused(read, archive(files), sentence)


def test_a_compressed_archive_is_refused(read):
    files = {"w/data.pkl": ONE, "w/data/0": bytes(24)}
    np.testing.assert_array_equal(read(archive(files))["x"], X)
    refused(read, archive(files, zipfile.ZIP_DEFLATED), "not laid out")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "cannot be read"),
        (b"<!DOCTYPE html><html>Not Found</html>", "cannot be read"),
        (pickle.dumps({"x": 1}, 2), "does not begin like one"),
        (legacy({}, magic=3), "does not begin like one"),
        (legacy({}, system={"little_endian": False}), "little-endian"),
        (legacy({}, system=[]), "little-endian"),
        (legacy({"x": Raw(X, 0, (6,), (1,))}, keys=[]), "list of storages"),
        (legacy({"x": Raw(X, 0, (6,), (1,))}, keys=["0", "1"]), "list of storages"),
        (legacy({}, content=value([1.5])), "a list instead of a dictionary"),
        (struct.pack("<q", 10**12), "cannot be read"),
    ],
)
def test_other_files_are_refused(read, content, sentence):
    refused(read, content, sentence)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, words in (
        (tmp_path / "absent.pth", r"cannot be read \(No such file"),
        (tmp_path, "is a directory, but a file is wanted"),
        (tmp_path / "pipe", "is a pipe, but a file is wanted"),
        (Path("/dev/zero"), "is a device, but a file is wanted"),
    ):
        for read in (read_torch, weights.sha256, weights.read_safetensors):
            with pytest.raises(UserError, match=words):
                read(path)
