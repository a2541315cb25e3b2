"""For mkdocs: files of the repository that lie outside of docs/ become pages of the site, and links lead to them.

And for the reference: array types as they are written.
"""

import ast
import posixpath
import re
from pathlib import Path

import griffe
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "README.md": "quickstart.md",
    "experiments/benchmarks/README.md": "benchmarks.md",
    "experiments/extractors/README.md": "extractors.md",
    "experiments/own_parts_against_dcgan/table.md": "own_parts_example.md",
    "experiments/reproductions/README.md": "ledger.md",
    "experiments/reproductions/vae_against_iwae/table.md": "example.md",
    "experiments/reproductions/vae_against_iwae/report.html": "report.html",
}
"""Path in the repository -> path in the site."""
_SOURCE = {page: source for source, page in OUTSIDE.items()}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files, config):
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown, page, config, files):
    """Links as they stand on the disk become links within the site; those to files that it lacks become plain text."""
    here = page.file.src_uri
    source = _SOURCE.get(here, f"docs/{here}")

    def rewritten(link: re.Match) -> str:
        mark, text, target, anchor = link.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        there = OUTSIDE.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if there is None:
            return text
        return f"{mark}[{text}]({posixpath.relpath(there, posixpath.dirname(here) or '.')}{anchor or ''})"

    return _LINK.sub(rewritten, markdown)


class Shapes(griffe.Extension):
    """Types of arguments and results as they stand in the source: `"batch *event"` is a shape and no product."""

    def on_function_instance(self, *, node, func, **kwargs):
        if not isinstance(node, ast.FunctionDef):
            return
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.annotation:
                func.parameters[argument.arg].annotation = ast.unparse(argument.annotation)
        if node.returns:
            func.returns = ast.unparse(node.returns)
