"""Writes PyTorch's older file format by hand, so that the reader is tested on any content, good and bad."""

import pickle
import struct
from typing import NamedTuple

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Raw(NamedTuple):
    """A tensor as the file describes it, true or not."""

    storage: np.ndarray
    offset: int
    shape: tuple
    strides: tuple
    length: int | None = None  # that the pickle claims


def value(x):
    """The opcodes of a plain value, without the frame of a pickle."""
    return pickle.dumps(x, 2)[2:-1]


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def tensor(key, raw):
    kind = {"f": "FloatStorage", "i": "LongStorage"}[raw.storage.dtype.kind]
    length = raw.storage.size if raw.length is None else raw.length
    storage = b"(" + value("storage") + name("torch", kind) + value(key) + value("cpu") + value(length) + b"NtQ"
    view = storage + value(raw.offset) + value(raw.shape) + value(raw.strides) + b"\x89"
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + view + name("collections", "OrderedDict") + b")RtR"


def frame(opcodes):
    return b"\x80\x02" + opcodes + b"."


def strided(array):
    """A tensor as the published Inception file holds them: kernels OIHW, but in memory HWIO (or IO)."""
    if array.ndim < 2:
        return Raw(array.reshape(-1), 0, array.shape, tuple(s // array.itemsize for s in array.strides))
    memory = np.ascontiguousarray(np.moveaxis(array, (0, 1), (-1, -2)))
    view = np.moveaxis(memory, (-1, -2), (0, 1))
    return Raw(memory.reshape(-1), 0, array.shape, tuple(s // array.itemsize for s in view.strides))


def legacy(tensors, content=None, system=SYSTEM, magic=MAGIC, keys=None):
    """The bytes of a file: a dictionary of `Raw` tensors, or other `content` in opcodes."""
    pairs = b"".join(value(key) + tensor(str(i), raw) for i, (key, raw) in enumerate(tensors.items()))
    content = b"}(" + pairs + b"u" if content is None else content
    keys = [str(i) for i in range(len(tensors))] if keys is None else keys
    head = value_pickle(magic) + value_pickle(PROTOCOL) + value_pickle(system) + frame(content) + value_pickle(keys)
    return head + b"".join(struct.pack("<q", raw.storage.size) + raw.storage.tobytes() for raw in tensors.values())


def value_pickle(x):
    return pickle.dumps(x, 2)
