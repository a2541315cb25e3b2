"""What the numbers of a run depend on besides its configuration."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import jax
from threadpoolctl import threadpool_info

from gvlab import __version__, backend, onednn
from gvlab.files import read_json, write_atomically
from gvlab.schema import Count
from gvlab.types import Json

_NUMERICS = ("jax", "jaxlib", "flax", "optax", "numpy", "scipy", "scikit-learn")


_MACHINE = ("backend", "device", "devices", "processes", "cpu", "cpu_threads", "blas", "xla_flags")
_DEFAULTS = backend.DEFAULTS | {backend.CONVOLUTIONS: onednn.XLA}
DECISIVE = (*_NUMERICS, *_MACHINE, *_DEFAULTS)
"""Of the environment: what bits depend on."""


def decisive(environment: Json) -> Json:
    """What bits depend on, as far as an environment.json tells.

    Of a name that was not recorded yet nothing is known, but for JAX's settings: before they were recorded, who set
    them was told nothing, so they count as untouched. Convolutions were XLA's.
    """
    known = _DEFAULTS | environment if environment else {}
    return {name: known[name] for name in DECISIVE if name in known}


class _Environment(TypedDict):
    """Of environment.json, what more is done with than to show and compare it; each version knows further names."""

    gvlab: NotRequired[str]
    jax: NotRequired[str]
    jaxlib: NotRequired[str]
    flax: NotRequired[str]
    optax: NotRequired[str]
    git_revision: NotRequired[str | None]
    device: NotRequired[str]
    cpu_threads: NotRequired[Count | None]
    earlier: NotRequired[list[Json]]


def read_environment(run: Path) -> Json:
    """What environment.json says, nothing if there is none (`UserError` if it is damaged)."""
    return read_json(run / "environment.json", _Environment) or {}


def keep_convolutions(runs: Iterable[Path]) -> None:
    """Goes on with the convolutions of the first of these runs that has begun, where they are here."""
    for run in runs:
        if before := read_environment(run):
            backend.keep_convolutions(str(decisive(before)[backend.CONVOLUTIONS]))
            return


def write_environment(run: Path) -> list[str]:
    """Writes environment.json; gives a sentence if the run goes on in another environment than it began in.

    The others that it was in are kept under `earlier`.
    """
    before, now = read_environment(run), environment()
    earlier = before.pop("earlier", [])
    changed = _changes(before, now)
    earlier += [before] if changed else []
    text = json.dumps(now | ({"earlier": earlier} if earlier else {}), indent=2)
    write_atomically(run / "environment.json", text + "\n")
    if not changed:
        return []
    what = ", ".join(changed)
    return [f"{run} goes on in another environment ({what}), so its bits may differ from an undisturbed run's."]


def _changes(before: Json, now: Json) -> list[str]:
    then, here = decisive(before), decisive(now)
    return [f"{name} was {value} and is {here[name]}" for name, value in then.items() if value != here[name]]


def environment() -> dict[str, Any]:
    """What the numbers of a run depend on besides its config: versions, device, threads, code revision."""
    packages = (*_NUMERICS, "orbax-checkpoint")
    return {
        "gvlab": __version__,
        "git_revision": _git_revision(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "backend": jax.default_backend(),
        "device": jax.devices()[0].device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        "cpu": _processor(),
        "cpu_threads": backend.cpu_threads(),
        "blas": _blas(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        **_DEFAULTS,
        **backend.decisive_settings(),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


def _blas() -> str:
    """What NumPy and SciPy multiply with, and on how many threads: distances between features depend on both."""
    libraries = {
        f"{library['internal_api']} {library.get('architecture', '')}, {library['num_threads']} threads"
        for library in threadpool_info()
        if library["user_api"] == "blas"
    }
    return "; ".join(sorted(libraries))


def _processor() -> str:
    """The processor's name and a digest of what it can do, by which XLA chooses instructions, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = " ".join(sorted(known.get("flags", known.get("Features", "")).split()))
    return f"{known.get('model name', platform.machine())} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"


def _git_revision() -> str | None:
    """The revision of gvlab's own checkout, '+' appended if it has uncommitted changes; None outside of git."""
    here = Path(__file__).parents[1]
    try:
        revision = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return revision + ("+" if dirty else "")


def difference_of_environments(before: Json) -> str | None:
    """Where an environment.json differs from this process's in what bits depend on, in words; None if nowhere."""
    return ", ".join(_changes(before, environment())) or None
