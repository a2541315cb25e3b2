"""Convolutions on the CPU by oneDNN in place of XLA's own: the three faces of `networks/convolution.py`, in float32.

It is an extra, `pip install 'gvlab[onednn]'`, for Linux on x86-64. The foreign function that calls it, `onednn.cc`, is
compiled by the machine's own C++ compiler when it is first wanted, in some seconds, and kept in the user's cache. Which
convolutions there are decides bits: the choice is of the whole process, and part of what identifies a training.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gvlab.files import replacing, sha256, write_atomically

XLA = "xla"
_TARGET = "gvlab_convolution"
_PACKAGE, _HEADERS = "onednn-cpu-gomp", "onednn-devel-cpu-gomp"
_SOURCE = Path(__file__).with_suffix(".cc")
_loaded: str | None = None
_chosen = XLA


class Unavailable(Exception):
    """Why oneDNN cannot be used, as a part of a sentence."""


def choice() -> str:
    """By which convolutions programs are traced now: "xla", or the name that `load` gave."""
    return _chosen


def is_installed() -> bool:
    """Whether both packages of the extra are."""
    return all(_version(package) for package in (_PACKAGE, _HEADERS))


def load(cache: Path | None, threads: int) -> str:
    """Makes oneDNN ready for `use`, and gives what `choice` will be with it; the second call does nothing.

    Args:
        cache: where the compiled function is kept; None to compile it for this process alone.
        threads: on which a convolution is computed at most; small ones are on one.

    Returns:
        The version, a digest of `onednn.cc`, and oneDNN's own variables: what bits depend on besides the processor and
        its threads.

    Raises:
        Unavailable: it is not installed, not for this machine, or cannot be compiled or loaded.
    """
    global _loaded
    if _loaded is not None:
        return _loaded
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable(f"it is for Linux on x86-64, and this is {sys.platform} on {platform.machine()}")
    if not is_installed():
        raise Unavailable("the extra gvlab[onednn] is not installed")
    import jax

    library = _open(cache)
    there = library.gvlab_start(threads)
    if there != threads:
        raise Unavailable(f"OpenMP gives it {there} threads and not {threads}, as its variables ask")
    jax.ffi.register_ffi_target(_TARGET, jax.ffi.pycapsule(getattr(library, _TARGET)), platform="cpu")
    _loaded = _name()
    return _loaded


def _name() -> str:
    # A remark in the source, or another line of it, changes no bit.
    code = re.sub(r"\s+", " ", re.sub(r"//.*", "", _SOURCE.read_text("utf-8")))
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith(("ONEDNN_", "DNNL_")) and "VERBOSE" not in name
    ]
    digest = hashlib.sha256(code.encode()).hexdigest()[:8]
    return ", ".join([f"oneDNN {_version(_PACKAGE)} {digest}", *variables])


def use(name: str) -> bool:
    """Traces programs by the convolutions of that name from here on; gives whether they are ready.

    What was traced before has the others in it: JAX forgets it.
    """
    global _chosen
    if name not in (XLA, _loaded):
        return False
    if name != _chosen:
        import jax

        _chosen = name
        jax.clear_caches()
    return True


@contextlib.contextmanager
def unused() -> Iterator[None]:
    """XLA's convolutions within, for programs that others run, and where XLA is asked what a program takes."""
    before = choice()
    use(XLA)
    try:
        yield
    finally:
        use(before)


def takes(*arrays: Any) -> bool:
    """Whether oneDNN computes the convolutions of these arrays on the CPU: it is chosen, and they are some float32."""
    return _chosen != XLA and all(array.dtype == "float32" and 0 not in array.shape for array in arrays)


def down(large: Any, kernel: Any, strides: Sequence[int], groups: int = 1) -> Any:
    """The strided convolution with SAME padding.

    Args:
        large: images [batch, height, width, channel].
        kernel: [kernel_height, kernel_width, channel / groups, features].
        strides: by how much the height and the width shrink.
        groups: of channels that are kept apart.
    """
    padding = _same(large.shape[1:3], kernel.shape[:2], strides)
    sides = zip(large.shape[1:3], strides, strict=True)
    small = (large.shape[0], *(-(-size // stride) for size, stride in sides), kernel.shape[3])
    return _call(0, large, kernel, small, strides, padding, groups)


def up(small: Any, kernel: Any, strides: Sequence[int], size: Sequence[int], groups: int = 1) -> Any:
    """The adjoint of `down` to images of the given (height, width)."""
    large = (small.shape[0], *size, kernel.shape[2] * groups)
    return _call(1, small, kernel, large, strides, _same(size, kernel.shape[:2], strides), groups)


def kernel_gradient(large: Any, small: Any, strides: Sequence[int], size: Sequence[int], groups: int = 1) -> Any:
    """The gradient of <small, down(large, kernel)> with respect to a kernel of the given (height, width)."""
    kernel = (*size, large.shape[3] // groups, small.shape[3])
    return _call(2, large, small, kernel, strides, _same(large.shape[1:3], size, strides), groups)


def _same(large: Sequence[int], kernel: Sequence[int], strides: Sequence[int]) -> Sequence[tuple[int, int]]:
    import jax

    return jax.lax.padtype_to_pads(large, kernel, strides, "SAME")


def _call(
    face: int,
    first: Any,
    second: Any,
    shape: tuple[int, ...],
    strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
    groups: int,
) -> Any:
    import jax
    import numpy as np

    result = jax.ShapeDtypeStruct(shape, first.dtype)
    return jax.ffi.ffi_call(_TARGET, result, vmap_method="sequential")(
        first,
        second,
        face=np.int64(face),
        groups=np.int64(groups),
        strides=np.array(strides, np.int64),
        padding=np.array(padding, np.int64).ravel(),
    )


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _installed_file(package: str, name: str) -> Path:
    """The place of a package's file of that name."""
    for file in importlib.metadata.files(package) or ():
        if file.name == name and (place := Path(str(file.locate())).resolve()).is_file():
            return place
    raise Unavailable(f"the package {package} lacks its file {name}")


def _open(cache: Path | None) -> ctypes.CDLL:
    """The foreign function's library, compiled now unless it is whole in the cache."""
    onednn = _installed_file(_PACKAGE, "libdnnl.so.3")
    headers = _installed_file(_HEADERS, "dnnl_common.hpp").parents[2]
    if _version(_PACKAGE) != _version(_HEADERS):
        raise Unavailable(f"{_PACKAGE} {_version(_PACKAGE)} and {_HEADERS} {_version(_HEADERS)} differ")
    made_of = (_SOURCE.read_text("utf-8"), str(onednn), str(headers), _version(_PACKAGE), _version("jaxlib"))
    name = f"{hashlib.sha256(repr(made_of).encode()).hexdigest()[:16]}.so"
    with tempfile.TemporaryDirectory(prefix="gvlab-") as scratch, _patient():
        library = _cached(cache, name) or _kept(_compiled(onednn, headers, Path(scratch) / name), cache)
        try:
            return ctypes.CDLL(str(library))  # which is open after its file is gone
        except OSError as error:
            raise Unavailable(f"{library} cannot be loaded ({' '.join(str(error).split())})") from error


def _cached(cache: Path | None, name: str) -> Path | None:
    """The library, if it is in the cache with the digest that was written beside it: to load a damaged one may end the
    process."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if cache and sha256(cache / name) == (cache / f"{name}.sha256").read_text("utf-8"):
            return cache / name
    return None


def _kept(library: Path, cache: Path | None) -> Path:
    """The library in the cache; where there is none, or it cannot be written, where it was."""
    if cache is None:
        return library
    with contextlib.suppress(OSError):  # as good, but compiled again by the next process
        cache.mkdir(parents=True, exist_ok=True)
        with replacing(cache / library.name) as file:
            file.write(library.read_bytes())
        write_atomically(cache / f"{library.name}.sha256", sha256(library))
        return cache / library.name
    return library


def _compiled(onednn: Path, headers: Path, target: Path) -> Path:
    import jax

    compiler = next(filter(None, map(shutil.which, ("c++", "g++"))), None)
    if compiler is None:
        raise Unavailable("there is no C++ compiler (c++ or g++) on the path to compile its function with")
    command = [compiler, "-std=c++17", "-O2", "-w", "-fPIC", "-shared", "-fvisibility=hidden", "-fopenmp"]
    command += [f"-I{headers}", f"-I{jax.ffi.include_dir()}", str(_SOURCE), "-o", str(target)]
    command += [str(onednn), f"-Wl,-rpath,{onednn.parent}"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        reason = next((line for line in done.stderr.splitlines() if "error" in line), "it gives no reason")
        raise Unavailable(f"{compiler} cannot compile its function ({reason.strip()})")
    return target


@contextlib.contextmanager
def _patient() -> Iterator[None]:
    """While OpenMP reads its variables: a thread of its that waits must not keep a processor from XLA's."""
    name = "OMP_WAIT_POLICY"
    before = os.environ.get(name)
    os.environ[name] = before or "passive"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
