"""What the README and the pages of docs/ claim: links, paths, commands, examples, messages; and the site builds."""

import argparse
import ast
import dataclasses
import importlib
import importlib.util
import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
import typing
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gvlab.cli import main, overrides
from gvlab.config import GAN, experiment_file
from gvlab.config.fields import field_types, is_protocol

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(f for d in ("docs", "experiments", "gvlab") for f in (ROOT / d).rglob("*.md"))])
MANUAL = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PACKAGES = (
    *(
        "augment",
        "losses",
        "metrics",
        "statistics",
        "data",
        "config",
        "networks",
        "models",
        "train",
        "evaluate",
        "compare",
    ),
    "reproduce",
)
"""Those whose names users import."""
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
VALUES = {"N": "3", "K": "3", "T": "0.7"}
"""What stands for a number in a usage."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


each_page = pytest.mark.parametrize("page", PAGES, ids=name)
each_page_of_the_manual = pytest.mark.parametrize("page", MANUAL, ids=name)


def prose(text: str) -> str:
    """Without blocks of code."""
    return FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """What stands between backticks in the prose."""
    return [found[1].strip() for found in re.findall(r"(`+)(.+?)\1(?!`)", prose(text))]


# --- links and paths -------------------------------------------------------------------------------------------------


@cache
def anchors(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@each_page
def test_links_lead_somewhere(page):
    text = re.sub(r"`[^`]*`", "", prose(page.read_text()))
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@each_page_of_the_manual
def test_files_that_are_named_exist(page):
    for span in spans(page.read_text()):
        if re.fullmatch(r"(gvlab|tests|docs|experiments|notebooks)/[\w./]*", span):
            assert (ROOT / span).exists(), span


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


# --- commands --------------------------------------------------------------------------------------------------------


def commands(text: str) -> list[str]:
    """Shell lines, and what stands between backticks in the prose, that begin with gvlab."""
    lines = [
        line for language, code in FENCE.findall(text) if language in ("sh", "console") for line in code.splitlines()
    ]
    lines = [part.strip() for line in lines for part in line.split("&&")]
    return [line for line in [*lines, *spans(text)] if re.match(r"(\.venv/bin/)?gvlab ", line)]


@cache
def subparsers() -> dict[str, argparse.ArgumentParser]:
    (action,) = [a for a in main.parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return dict(action.choices)


@each_page_of_the_manual
def test_commands_parse(page):
    for line in commands(page.read_text()):
        usage = line.replace("...", "").replace("[", "").replace("]", "")
        argv = [VALUES.get(word, word) for word in shlex.split(usage, comments=True)[1:]]
        if argv[0] not in ("COMMAND", "--version"):
            assert argv[0] in subparsers(), line
        if len(argv) == 1 or "--help" in argv or argv == ["data", "list"]:
            continue
        args, rest = main.parser().parse_known_args(argv)
        if args.command == "train":
            named = ROOT / args.experiment
            file = named if named.is_file() else ROOT / "experiments" / "digits_vae.py"
            overrides.override(experiment_file.load(file), rest, line)
        else:
            assert not [word for word in rest if word.startswith("-") or args.command != "compare"], line
        if args.command in ("train", "compare"):
            for word in argv:
                assert not word.startswith("experiments/") or (ROOT / word).is_file(), line


def test_every_command_and_option_is_in_the_manual():
    text = "".join((ROOT / "docs" / f"{page}.md").read_text() for page in ("commands", "measuring", "comparing"))
    for command, parser in subparsers().items():
        assert f"`gvlab {command} " in text, command
        for action in parser._actions:
            for option in action.option_strings:
                assert option in ("-h", "--help") or re.search(rf"{option}\b", text), f"{command} {option}"


@each_page
def test_extras_exist(page):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for found in re.findall(r"(?:gvlab|\.)\[([\w,]+)\]", page.read_text()):
        assert set(found.split(",")) <= extras.keys(), found


def test_docstrings_have_one_indent():
    """What stands under Args, Returns and Raises is four spaces further in."""
    section = re.compile(r"^( *)(Args|Returns|Raises):\n( *)\S", re.MULTILINE)
    for file in (ROOT / "gvlab").rglob("*.py"):
        for indent, heading, below in section.findall(file.read_text()):
            assert len(below) - len(indent) == 4, f"{file}: {heading}"


# --- examples --------------------------------------------------------------------------------------------------------


def blocks(page: str, language: str = "python") -> list[str]:
    return [code for found, code in FENCE.findall((ROOT / page).read_text()) if found == language]


def test_the_examples_in_python_run(monkeypatch):
    monkeypatch.chdir(ROOT)
    scope: dict = {}
    for block in blocks("docs/python.md"):
        exec(block.replace("range(1500)", "range(2)").replace("steps=200", "steps=2"), scope)
    assert np.asarray(scope["images"]).shape == (64, 16, 16, 1)
    assert int(scope["state"].step) == 2
    assert scope["mean"].shape == (8, 8)
    assert scope["new"].shape == (16, 16, 16, 1)
    assert scope["again"].shape == (8, 16, 16, 1)
    assert set(scope["frame"]["measure"]) >= {"iw_bound_nats", "elbo_nats"}


def parts_of(hint) -> set[type]:
    """gvlab's dataclasses that a field of that type may hold, and those that they may hold."""
    if is_protocol(hint):
        return set()
    if not dataclasses.is_dataclass(hint):
        return set().union(*map(parts_of, typing.get_args(hint)))
    return {hint}.union(*map(parts_of, field_types(hint).values()))


def test_the_page_of_gans_names_every_part_of_one():
    named = set(re.findall(r"\b[A-Z]\w+", " ".join(spans((ROOT / "docs" / "which_gan.md").read_text()))))
    missing = {part.__name__ for part in parts_of(GAN)} - {"GAN"} - named
    assert not missing


def test_the_experiment_shown_is_the_one_that_ships():
    (block,) = blocks("docs/commands.md")
    assert (ROOT / "experiments" / "digits_vae.py").read_text().endswith(block)


# --- messages --------------------------------------------------------------------------------------------------------


@cache
def sentences() -> str:
    """Every text in gvlab's source, … standing for what is filled in, one to a line."""
    texts = []
    for file in (ROOT / "gvlab").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(v.value if isinstance(v, ast.Constant) else "…" for v in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(" ".join(text.split()) for text in texts)


def test_messages_are_what_gvlab_says():
    quoted = re.findall(r"^> (`+) ?(.+?) ?\1$", (ROOT / "docs" / "questions.md").read_text(), re.MULTILINE)
    assert len(quoted) >= 25
    for _, message in quoted:
        # What is filled in at either end is no condition, but would be tried from every letter of every line.
        pattern = ".*".join(re.escape(part) for part in message.strip("…").split("…"))
        assert re.search(pattern, sentences()), message


# --- the site --------------------------------------------------------------------------------------------------------


def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install -e '.[docs]'.")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    for page in tmp_path.rglob("*.html"):
        assert not re.search(r'<(script|img|link rel="stylesheet")[^>]+(src|href)="https?:', page.read_text()), page
    # The inventory: four lines about it, then compressed "name domain:role priority uri title".
    inventory = zlib.decompress((tmp_path / "objects.inv").read_bytes().split(b"\n", 4)[4]).decode()
    documented = {line.split()[0] for line in inventory.splitlines()}
    for package in PACKAGES:
        module = importlib.import_module(f"gvlab.{package}")
        public = {name for name in module.__all__ if not inspect.ismodule(getattr(module, name))}
        assert {f"gvlab.{package}.{name}" for name in public} <= documented
