"""Weight files: where they come from, where they are kept, and that they are what they claim to be."""

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy
from jaxtyping import Float

from gvlab import backend, files
from gvlab.types import UserError

Params = Mapping[str, Any]


def weights_dir() -> Path:
    """Where downloaded and converted weights are kept: `gvlab/weights` in the user's cache directory.

    Raises:
        UserError: the user has none.
    """
    cache = backend.user_cache()
    if cache is None:
        raise UserError(
            "Weights are kept in the user's cache, but you have no home directory here: set XDG_CACHE_HOME."
        )
    return cache / "weights"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, as 64 hexadecimal digits.

    Raises:
        UserError: if the file cannot be read.
    """
    files.require_regular(path)
    try:
        return files.sha256(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from error


def fingerprint(params: Params) -> str:
    """The SHA-256 of a network's parameters: of every name, dtype, shape and byte, in the order of the names.

    Its first 8 digits are what a metric on that network's features is named after.
    """
    digest = hashlib.sha256()
    for name, array in sorted(flatten(params).items()):
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def flatten(params: Params) -> dict[str, np.ndarray]:
    """The leaves of nested dictionaries by name, the keys joined by dots."""
    leaves = jax.tree.leaves_with_path(dict(params))
    return {".".join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}


def unflatten(tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    params: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *path, leaf = name.split(".")
        place = params
        for key in path:
            place = place.setdefault(key, {})
        place[leaf] = tensor
    return params


def write_safetensors(path: Path, params: Params, about: Mapping[str, str]) -> None:
    """Writes parameters and what is to be known `about` them; the file appears whole or not at all.

    The directory is made where it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content = safetensors.numpy.save(
        {name: np.asarray(array, order="C") for name, array in flatten(params).items()}, dict(about)
    )
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as part:
        part.write(content)
        part.flush()
        os.fsync(part.fileno())
    os.chmod(part.name, 0o644)  # a temporary file's 0600 would lock out those who share the directory
    os.replace(part.name, path)


def read_safetensors(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters as `write_safetensors` wrote them, and what it was told about them.

    Raises:
        UserError: if the file cannot be read, or is damaged.
    """
    files.require_regular(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary
            about = dict(file.metadata() or {})
    except (safetensors.SafetensorError, AttributeError, TypeError) as error:  # the latter for types NumPy lacks
        raise UserError(f"{path} is not a whole safetensors file ({error}): move it away and make it anew.") from error
    prefixes = {".".join(parts[:i]) for parts in (name.split(".") for name in tensors) for i in range(1, len(parts))}
    both = sorted(prefixes & tensors.keys())
    if both:
        raise UserError(f"{path} has {both[0]} both as a tensor and as a group of tensors: make it anew.")
    return unflatten(tensors), about


def download(url: str, path: Path, digest: str) -> Path:
    """Fetches `url` into `path`, unless it is there; only content with the given SHA-256 ever gets that name.

    Args:
        url: where the file is.
        path: where it shall be; its directory is made where it is missing.
        digest: 64 hexadecimal digits.

    Returns:
        `path`.

    Raises:
        UserError: if the file cannot be fetched (which says how to bring it by hand), or isn't the one expected.
    """
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as directory:
        part = Path(directory) / path.name
        try:
            with urllib.request.urlopen(url, timeout=60) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (OSError, http.client.HTTPException) as error:  # urllib's errors are OSErrors; a cut connection's aren't
            raise UserError(
                f"{url} cannot be fetched ({error}): fetch it elsewhere and copy it to {path}, or name its path."
            ) from error
        require_sha256(part, digest, origin=url)
        os.replace(part, path)
    return path


def require_sha256(path: Path, digest: str, origin: str) -> None:
    """Refuses a file with another content than the one expected.

    Raises:
        UserError: naming `origin`, where the file came from.
    """
    found = sha256(path)
    if found != digest:
        raise UserError(
            f"{origin} is not the file it should be: its sha256 is {found[:16]}... instead of {digest[:16]}... in "
            f"{path.stat().st_size} bytes; fetch it again, from its publisher."
        )


def require_shapes(tensors: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]], origin: str) -> None:
    """Refuses tensors that aren't exactly those of the network: a name missing or unknown, a shape, a non-number.

    Raises:
        UserError: naming the first such tensor and `origin`, where it came from.
    """
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or unknown:
        which = f"lacks the tensor {missing[0]}" if missing else f"has the unknown tensor {unknown[0]}"
        raise UserError(f"{origin} {which}: give the weights of this network and no other.")
    for name, shape in shapes.items():
        tensor = tensors[name]
        if tensor.shape != shape or not np.issubdtype(tensor.dtype, np.floating):
            raise UserError(
                f"{origin} has {name} as {tensor.dtype}{list(tensor.shape)} instead of floats {list(shape)}: give the "
                "weights of this network and no other."
            )
        if not np.isfinite(tensor).all():
            raise UserError(f"{origin} has a number in {name} that is not finite: fetch the file again.")


def kernel_from_torch(kernel: Float[np.ndarray, "out in ..."]) -> Float[np.ndarray, "... in out"]:
    """A kernel of PyTorch's layout (OIHW, or OI for a dense layer) in Flax's (HWIO, or IO)."""
    return np.ascontiguousarray(np.moveaxis(kernel, (0, 1), (-1, -2)))


def parameter_shapes(init: Callable[..., Any], *args: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of the parameters that a module's `init(key, *args)` makes, by their names joined by dots."""
    shapes = jax.eval_shape(init, jax.random.key(0), *args)["params"]
    leaves = jax.tree.leaves_with_path(shapes)
    return {".".join(key.key for key in path): leaf.shape for path, leaf in leaves}
