"""A small comparison by hand, and a reader of the page that shows it."""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from gvlab.pictures.sheets import enlarge, grid, save_png

RUDE = '</script><b>A</b> & "co" {{ 1 }}'
"""An experiment's name that a careless page would execute."""
SIDE = 8
SEEDS = (0, 1, 2)
END = 100
LAST_OF_DIVERGED = 40


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n, SIDE, SIDE, 1)).astype(np.float32)


def save(file: Path, made: np.ndarray, columns: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_png(file, enlarge(grid(made, columns)))


def make_unit(directory: Path, family: str, seed: int, diverged: bool) -> None:
    """A run directory as gvlab compare leaves it."""
    directory.mkdir(parents=True)
    last = LAST_OF_DIVERGED if diverged else END
    term = {"GAN": "d_loss", "VAE": "elbo_nats"}[family]
    lines = [
        {"step": step, term: seed + step / 10, "grad_norm": 1 / step, "seconds": 1.0, "images_per_second": 9.0}
        for step in (1, *range(10, last + 1, 10))
    ]
    (directory / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in range(20, last + 1, 20):
        save(directory / "samples" / f"step-{step:08d}.png", images(64, 100 * seed + step), 8)
    if diverged:
        return
    if family == "VAE":
        save(directory / "pictures" / "reconstructions.png", images(16, seed), 8)
        save(directory / "pictures" / "traversals.png", images(20, seed), 5)
    else:
        save(directory / "pictures" / "neighbours.png", images(18, seed), 6)


def summary(experiment: str, measure: str, better: str | None, values: list[float], **more: Any) -> dict[str, Any]:
    stamp = {"split": "test", "samples": 64, "extractor": "digits-01234567"}
    return {
        "experiment": experiment,
        "measure": measure,
        "better": better,
        "stamp": stamp,
        "other_protocol": None,
        "n": len(values),
        "total": len(SEEDS),
        "mean": float(np.mean(values)),
        "sd": float(np.std(values, ddof=1)),
        "median": float(np.median(values)),
        "iqm": float(np.mean(values)),
        "low": min(values) if len(values) > 2 else None,
        "high": max(values) if len(values) > 2 else None,
        "minimum": min(values),
        "maximum": max(values),
        "failures": len(SEEDS) - len(values),
        "failure_low": 0.02,
        "failure_high": 0.56,
        "note": None if len(values) > 2 else "An interval needs 3 seeds.",
        **more,
    }


def make_comparison(directory: Path) -> dict[str, Any]:
    """Two experiments with three seeds each; the second seed of the first has diverged."""
    names = {RUDE: "GAN", "vae": "VAE"}
    units, values = [], {name: [] for name in names}
    for i, (name, family) in enumerate(names.items()):
        for seed in SEEDS:
            diverged = family == "GAN" and seed == 1
            where = f"units/{'ab'[i]}/seed-{seed}"
            make_unit(directory / where, family, seed, diverged)
            value = 10.0 * (i + 1) + seed
            if not diverged:
                values[name].append(value)
            units.append(
                {
                    "experiment": name,
                    "seed": seed,
                    "directory": where,
                    "status": "diverged" if diverged else "complete",
                    "failure": "d_loss is <nan> at step 41." if diverged else None,
                    "state_sha256": None,
                    "measures": None if diverged else {"fld": {"value": value, "stamp": {}}},
                    "cost": {"parameters": 1234567, "flops_per_step": 2.5e9, "memory_bytes": 3 * 2**20},
                    "timing": None if diverged else {"seconds": 100.0 + seed, "images_per_second": 50.0},
                    "environment": {"jax": "0.10.2", "cpu_threads": 4 if seed == 2 else 2, "command": ["gvlab", "x"]},
                }
            )
    return {
        "schema": 1,
        "gvlab": "0.1.0",
        "match": "steps",
        "seeds": list(SEEDS),
        "experiments": [
            {
                "name": name,
                "family": family,
                "steps": END,
                "images": 1600,
                "config": {
                    "name": name,
                    "model": {"type": family, "latent_dim": 4},
                    "batch_size": 16,
                    "steps": END,
                    "seed": 0,
                },
                "dataset": {"name": "digits", "sha256": "ab" * 32},
            }
            for name, family in names.items()
        ],
        "units": units,
        "summaries": [
            summary(RUDE, "fld", "lower", values[RUDE]),
            summary("vae", "fld", "lower", values["vae"]),
            summary(RUDE, "recall", "higher", [0.4, 0.5, 0.6]),
            summary("vae", "recall", "higher", [0.1, 0.2, 0.3], other_protocol="k is 5 here and 3 in the first."),
            summary("vae", "kl_nats", None, [3.0, 4.0, 5.0], stamp={"split": "test", "likelihood": "Bernoulli"}),
            summary(RUDE, "d_loss", None, [1.0, 1.5, 2.0]),
        ],
        "pairs": [
            {
                "measure": "fld",
                "first": RUDE,
                "second": "vae",
                "n": 2,
                "family": 1,
                "smallest_p": 0.5,
                "difference": -10.0,
                "low": -11.5,
                "high": -8.5,
                "p": 0.0078125,
                "p_holm": 0.015625,
                "superiority": 0.25,
                "detectable": 1.5,
                "seeds_needed": 17,
                "verdict": "first",
                "note": "One pair is missing.",
            }
        ],
        "primary": "fld",
        "verdict": f"{RUDE} is better than vae in fld.",
        "remarks": ["A remark of the comparison."],
        "commands": {
            "rerun": "gvlab compare a.py b.py --seeds 3",
            "report": "gvlab report D",
            "verify": "gvlab verify D",
        },
    }


class Reader(html.parser.HTMLParser):
    """Elements and text of a page; refuses a closing tag that does not fit."""

    EMPTY = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"line {self.getpos()[0]}: </{tag}>"
        if tag in ("td", "th", "dt", "dd", "li", "p", "pre", "figcaption"):
            self.text += " "

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def data_of(page: str) -> dict[str, Any]:
    """What the page's script reads."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found)
