"""Reads PyTorch's files of tensors without PyTorch and without running anything that the file says.

Such a file is a pickle, and a pickle is a program. Here it can name seven dtypes and three harmless functions, whose
stand-ins below only note down what a tensor is made of; any other name ends the reading. Both of PyTorch's containers
are understood: the zip archive (since 1.6) and, before it, pickles followed by the raw storages.
"""

import collections
import io
import math
import pickle
import pickletools
import struct
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gvlab.files import require_regular
from gvlab.types import UserError

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[str, np.dtype] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    length: int


class _Tensor(NamedTuple):
    """A strided view of a storage, all in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Malformed(Exception):
    """What is wrong with a file, as the end of a sentence."""


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that `torch.save` wrote from a dictionary, by name.

    Nested dictionaries are flattened, their keys joined by dots; entries that aren't tensors (the count of epochs in
    a checkpoint, say), or whose key is no string, are left out. The file is trusted with nothing: it can neither
    run code nor fill the memory.

    Args:
        path: the file, in either of PyTorch's formats.

    Returns:
        C-contiguous arrays in the tensors' shapes, whatever strides they were saved with.

    Raises:
        UserError: if the file cannot be read, is cut short, or holds anything but dictionaries of tensors and plain
            values.
    """
    require_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        content, storages = _open_zip(data) if data.startswith(b"PK") else _open_legacy(data)
        if not isinstance(content, dict):
            raise _Malformed(f"it holds a {type(content).__name__} instead of a dictionary of tensors")
        tensors = dict(_tensors(content))
        # Tensors may share storages (tied weights do), but not so often that a small file fills the memory.
        if sum(_bytes(tensor) for tensor in tensors.values()) > 8 * len(data):
            raise _Malformed("its tensors claim far more memory than it has bytes")
        return {name: _materialize(tensor, storages) for name, tensor in tensors.items()}
    except _Malformed as error:
        raise UserError(f"{path} is not a usable PyTorch file, for {error}: fetch it again from its source.") from error


def _open_legacy(data: bytes) -> tuple[Any, Mapping[str, bytes]]:
    """Pickles of the magic number, the protocol, the system, the content and the keys; then each storage."""
    file = io.BytesIO(data)
    if _unpickle(file) != _MAGIC:
        raise _Malformed("it does not begin like one")
    if _unpickle(file) != _PROTOCOL:
        raise _Malformed("its protocol is unknown")
    system = _unpickle(file)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise _Malformed("its numbers are not little-endian")
    needed: dict[str, _Storage] = {}
    content = _unpickle(file, needed)
    keys = _unpickle(file)
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(needed):
        raise _Malformed("its list of storages does not fit its tensors")
    storages = {}
    for key in keys:
        header = file.read(8)
        size = needed[key].length * needed[key].dtype.itemsize
        storages[key] = file.read(size)
        if len(header) < 8 or len(storages[key]) < size:
            raise _Malformed("it is cut short")
        if struct.unpack("<q", header)[0] != needed[key].length:
            raise _Malformed(f"the storage {key} has another length than its tensors say")
    return content, storages


def _open_zip(data: bytes) -> tuple[Any, Mapping[str, bytes]]:
    """An archive of one folder with `data.pkl`, the content, and `data/KEY`, each storage, never compressed."""
    needed: dict[str, _Storage] = {}
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = {entry.filename: entry for entry in archive.infolist()}
        stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries.values())
        pickles = [name for name in entries if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(pickles) != 1 or not stored or sum(entry.file_size for entry in entries.values()) > len(data):
            raise _Malformed("the archive is not laid out like one")
        folder = pickles[0].removesuffix("data.pkl")
        if f"{folder}byteorder" in entries and archive.read(f"{folder}byteorder") != b"little":
            raise _Malformed("its numbers are not little-endian")
        content = _unpickle(io.BytesIO(archive.read(pickles[0])), needed)
        missing = [key for key in needed if f"{folder}data/{key}" not in entries]
        if missing:
            raise _Malformed(f"the storage {missing[0]} is missing")
        storages = {key: archive.read(f"{folder}data/{key}") for key in needed}
    except _Malformed:
        raise
    except Exception as error:  # of many kinds, as from a damaged pickle
        raise _Malformed(f"the archive is damaged ({type(error).__name__})") from error
    for key, storage in needed.items():
        if len(storages[key]) != storage.length * storage.dtype.itemsize:
            raise _Malformed(f"the storage {key} has another length than its tensors say")
    return content, storages


def _unpickle(file: io.BytesIO, storages: dict[str, _Storage] | None = None) -> Any:
    """The next pickle of `file`; the storages that it refers to are noted in `storages`."""
    try:
        _require_small_memo(file)
        return _Restricted(file, {} if storages is None else storages).load()
    except _Malformed:
        raise
    except Exception as error:  # bytes that are no pickle end in exceptions of any kind, as pickle's documentation says
        raise _Malformed(f"its pickle cannot be read ({type(error).__name__})") from error


def _require_small_memo(file: io.BytesIO) -> None:
    """Refuses a pickle that remembers a value under a number beyond its length: the memo would grow to hold it."""
    start, count, largest = file.tell(), 0, 0
    for opcode, argument, _ in pickletools.genops(file):
        count += 1
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            assert isinstance(argument, int)
            largest = max(largest, argument)
    if largest > count:
        raise _Malformed(f"its pickle of {count} operations remembers a value under the number {largest}")
    file.seek(start)


class _Restricted(pickle.Unpickler):
    """An unpickler that imports nothing: a name stands for a dtype or for one of the functions below, or is refused."""

    def __init__(self, file: io.BytesIO, storages: dict[str, _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        # A pickle may set attributes on what it is given: so nothing is given that others will use.
        match module, name:
            case "torch", _ if name in _DTYPES:
                return name
            case "torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2":
                return lambda *described: _note_tensor(*described)
            case "torch._utils", "_rebuild_parameter":
                return lambda tensor, *_: tensor
            case "collections", "OrderedDict":
                return collections.OrderedDict
        raise _Malformed(f"it asks for {module}.{name}, which no tensor needs and which might do harm")

    def persistent_load(self, pid: Any) -> _Storage:
        # ("storage", dtype, key, device, count), and in the older format a view, which files of our time leave None.
        described: tuple[Any, ...] = pid
        kind, dtype, key, _, length = described[:5]
        known = kind == "storage" and isinstance(key, str) and isinstance(length, int) and length >= 0
        if not known or any(described[5:]):
            raise _Malformed("a storage is described in an unknown way")
        storage = _Storage(key, _DTYPES[dtype], length)
        if self._storages.setdefault(key, storage) != storage:
            raise _Malformed(f"the storage {key} is described twice")
        return storage


def _note_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    described = isinstance(storage, _Storage) and len(shape) == len(strides) <= 8
    if not described or not all(isinstance(number, int) and 0 <= number < 2**32 for number in numbers):
        raise _Malformed("a tensor is described in an unknown way")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # The second condition refuses strides of 0, by which a few bytes could claim any amount of memory.
    if 0 not in shape and (last >= storage.length or math.prod(shape) > storage.length):
        raise _Malformed(f"a tensor of shape {tuple(shape)} reaches beyond its storage of {storage.length} numbers")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _tensors(content: dict[Any, Any]) -> Iterator[tuple[str, _Tensor]]:
    pending, seen = [("", content)], {id(content)}
    while pending:
        prefix, dictionary = pending.pop()
        for key, value in dict.items(dictionary):  # not its own `items`, which the pickle could have replaced
            if not isinstance(key, str):
                continue
            if isinstance(value, _Tensor):
                yield f"{prefix}{key}", value
            elif isinstance(value, dict):
                if id(value) in seen:  # a few dictionaries that hold each other could have any number of paths
                    raise _Malformed("a dictionary in it is used twice")
                seen.add(id(value))
                pending.append((f"{prefix}{key}.", value))


def _bytes(tensor: _Tensor) -> int:
    return math.prod(tensor.shape) * tensor.storage.dtype.itemsize


def _materialize(tensor: _Tensor, storages: Mapping[str, bytes]) -> np.ndarray:
    dtype = tensor.storage.dtype
    if 0 in tensor.shape:
        return np.zeros(tensor.shape, dtype)
    flat = np.frombuffer(storages[tensor.storage.key], dtype)[tensor.offset :]
    strides = tuple(stride * dtype.itemsize for stride in tensor.strides)
    # Inside the storage, which `_note_tensor` made sure of.
    return np.array(np.lib.stride_tricks.as_strided(flat, tensor.shape, strides, writeable=False), order="C")
