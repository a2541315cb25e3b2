import json
import socket
import struct
import threading

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors

from gvlab.extractors import weights
from gvlab.types import UserError

PARAMS = {"layer": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3)}, "scale": np.ones(())}
ABOUT = {"source": "a test"}
EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "a.safetensors"
    weights.write_safetensors(path, {**PARAMS, "view": PARAMS["layer"]["kernel"].T}, ABOUT)
    params, about = weights.read_safetensors(path)
    assert about == ABOUT
    np.testing.assert_array_equal(params.pop("view"), PARAMS["layer"]["kernel"].T)
    assert weights.fingerprint(params) == weights.fingerprint(PARAMS)
    assert [file.name for file in path.parent.iterdir()] == ["a.safetensors"]


def test_a_file_is_replaced_at_once(tmp_path):
    path = tmp_path / "a.safetensors"
    weights.write_safetensors(path, PARAMS, ABOUT)
    with pytest.raises(safetensors.SafetensorError):
        weights.write_safetensors(path, {"not": np.array("numbers")}, ABOUT)
    assert weights.read_safetensors(path)[1] == ABOUT
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_and_missing_files_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(UserError, match="No such file"):
        weights.read_safetensors(path)
    weights.write_safetensors(path, PARAMS, ABOUT)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        weights.read_safetensors(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        weights.read_safetensors(path)


def test_the_fingerprint_knows_names_shapes_types_and_bytes():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [
        {"b": base["a"]},
        {"a": np.zeros((3, 2), np.float32)},
        {"a": np.zeros((2, 3), np.int32)},
        {"a": np.array([[0, 0, 0], [0, 0, 1e-45]], np.float32)},
    ]
    assert len({weights.fingerprint(params) for params in [base, *others]}) == 5
    assert weights.fingerprint({"a": jnp.zeros((2, 3))}) == weights.fingerprint(base)
    assert weights.fingerprint(dict(reversed(PARAMS.items()))) == weights.fingerprint(PARAMS)


def test_downloads_once_and_only_what_is_expected(tmp_path):
    source, path = tmp_path / "source", tmp_path / "cache" / "file"
    source.write_bytes(b"")
    assert weights.download(source.as_uri(), path, EMPTY_SHA256) == path
    source.unlink()
    assert weights.download(source.as_uri(), path, EMPTY_SHA256) == path  # not fetched again
    path.unlink()
    with pytest.raises(UserError, match=r"cannot be fetched .* copy it to .*file, or name its path"):
        weights.download(source.as_uri(), path, EMPTY_SHA256)
    source.write_bytes(b"Not Found")
    with pytest.raises(UserError, match=r"is not the file it should be: .* in 9 bytes"):
        weights.download(source.as_uri(), path, EMPTY_SHA256)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc",
        b"garbage\r\n\r\n",
        b"",
    ],
)
def test_a_connection_that_breaks_gets_a_sentence(reply, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x"
        with pytest.raises(UserError, match=r"cannot be fetched|is not the file it should be"):
            weights.download(url, tmp_path / "file", EMPTY_SHA256)
        thread.join()
    assert list(tmp_path.iterdir()) == []


def safetensors_of(**tensors):
    """A file by hand: name -> (type, shape, bytes)."""
    header, offset, body = {}, 0, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(raw)]}
        offset, body = offset + len(raw), body + raw
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({"a": ("F32", [1], bytes(4)), "a.b": ("F32", [1], bytes(4))}, "has a both as a tensor and as a group"),
        ({"a.b.c": ("F32", [1], bytes(4)), "a": ("F32", [1], bytes(4))}, "has a both as a tensor and as a group"),
        ({"a": ("F8_E4M3", [4], bytes(4))}, "not a whole safetensors file"),
        ({"a": ("F64", [4], bytes(4))}, "not a whole safetensors file"),
    ],
)
def test_odd_tensors_get_a_sentence(tensors, sentence, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(safetensors_of(**tensors))
    with pytest.raises(UserError, match=sentence):
        weights.read_safetensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({}, "it lacks the tensor a"),
        ({"a": np.zeros(3), "b": np.zeros(3)}, "it has the unknown tensor b"),
        ({"a": np.zeros(4)}, r"it has a as float64\[4\] instead of floats \[3\]"),
        ({"a": np.zeros(3, int)}, r"it has a as int64\[3\]"),
        ({"a": np.array([0, np.nan, 0])}, "not finite"),
    ],
)
def test_tensors_of_another_network_are_refused(tensors, sentence):
    with pytest.raises(UserError, match=sentence):
        weights.require_shapes(tensors, {"a": (3,)}, "it")


def test_kernels_change_their_layout():
    kernel = np.arange(2 * 3 * 5 * 7.0).reshape(2, 3, 5, 7)
    np.testing.assert_array_equal(weights.kernel_from_torch(kernel), kernel.transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(weights.kernel_from_torch(kernel[:, :, 0, 0]), kernel[:, :, 0, 0].T)
