"""The house's architecture: imports go downwards, third parties live in one place, importing gvlab costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "gvlab"

# From the ground up. Imports go downwards; within a floor they may go sideways, but never
# in a circle, neither of packages nor of modules.
FLOORS = [
    {
        "errors",
        "types",
        "backend",
        "onednn",
        "tree",
        "rng",
        "files",
        "memory",
        "schema",
        "limits",
        "numbers",
        "spelling",
    },
    {
        "augment",
        "losses",
        "metrics",
        "audio",
        "restoration",
        "statistics",
        "parallel",
        "extractors",
        "schedules",
        "transformations",
    },
    {"data", "networks"},
    {"models"},
    {"config"},
    {"runs", "sizes", "own_parts", "own_labels", "own_augmentations", "arguments"},
    {"build", "families"},
    {"evaluate", "restore"},
    {"pictures"},
    {"train"},
    {"trained"},
    {"compare"},
    {"reproduce", "export"},
    {"cli", "__main__"},
]
FLOOR = {module: number for number, modules in enumerate(FLOORS) for module in modules}

# Who may import what; a third party that is not named here is free.
HOMES = {
    "orbax": {"runs.checkpoint"},
    "tensorflow_datasets": {"data.preparation", "data.builder_reading"},
    "tensorflow": {"data.preparation"},
    "sklearn": {
        *("data.made", "metrics.prd", "metrics.disentanglement", "metrics.interventions"),
        *("metrics.text_features", "restoration.classical"),
    },
    "skimage": {"restoration.classical"},
    "jax.sharding": {"parallel"},
    "tyro": {"cli.overrides"},
    "pandas": {"compare.frame"},
    "ray": {"compare.launch"},
    "safetensors": {"extractors.weights"},
    "rich": {"cli.terminal"},
    "PIL": {"pictures.sheets", "data.picture_file", "data.fitting"},
    "tensorboardX": {"runs.curves"},
    "jinja2": {"compare.report.page"},
    "matplotlib": {"compare.paper.canvas"},
    "jax2onnx": {"export.onnx_files"},
    "onnxruntime": {"export.onnx_files"},
}


def module_name(path: Path) -> str:
    """'data.sources' for gvlab/data/sources.py, 'data' for gvlab/data/__init__.py."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


def names_used(tree: ast.AST) -> set[str]:
    """Dotted names of all that is imported, wherever it stands, and of attributes such as `jax.sharding.Mesh`."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Attribute):
            names.add(ast.unparse(node))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names |= {argument.value for argument in node.args if isinstance(argument, ast.Constant)}
    return names


def names_in(module: str) -> set[str]:
    return names_used(ast.parse(SOURCES[module].read_text()))


def upward(module: str, names: set[str]) -> set[str]:
    """Those of the names that belong to a floor above the module's."""
    own = FLOOR[module.split(".")[0]]
    parts = {name: name.split(".") for name in names}
    return {name for name, p in parts.items() if p[0] == "gvlab" and len(p) > 1 and FLOOR.get(p[1], own) > own}


def strangers(module: str, names: set[str]) -> set[str]:
    """Those of the names that belong to a third party which lives in another module."""
    return {
        name
        for name in names
        for party, homes in HOMES.items()
        if (name == party or name.startswith(f"{party}.")) and module not in homes
    }


def imported(module: str) -> set[str]:
    """The modules of gvlab that a module imports at once: what it imports within functions waits, and is no circle."""
    tree = ast.parse(SOURCES[module].read_text())
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    inside = {name.removeprefix("gvlab.") for name in names if name.startswith("gvlab.")}
    return (inside & set(SOURCES)) - {module}


def circle(arrows: dict[str, set[str]]) -> list[str]:
    """A walk along the arrows that comes back to where it began; empty if there is none."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for after in sorted(arrows.get(node, ())):
            if back := walk(after, [*path, node]):
                return back
        done.add(node)
        return []

    return next((back for node in sorted(arrows) if (back := walk(node, []))), [])


def test_every_module_has_its_floor():
    assert {module.split(".")[0] for module in SOURCES} == set(FLOOR)


@pytest.mark.parametrize("module", SOURCES)
def test_imports_go_downwards(module):
    assert not upward(module, names_in(module))


def test_no_modules_import_in_a_circle():
    """A package's `__init__`, which gathers the public names of its files, is nobody's own reason for a file."""
    files = [module for module in SOURCES if SOURCES[module].name != "__init__.py"]
    assert not circle({module: imported(module) & set(files) for module in files})


def test_no_packages_import_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for module in SOURCES:
        room = module.split(".")[0]
        arrows.setdefault(room, set()).update(name.split(".")[0] for name in imported(module))
    assert not circle({room: others - {room} for room, others in arrows.items()})


def test_no_file_bears_the_name_of_a_function_that_its_package_exports():
    for package in (module for module in SOURCES if SOURCES[module].name == "__init__.py"):
        files = {module.rpartition(".")[2] for module in SOURCES if module.rpartition(".")[0] == package}
        tree = ast.parse(SOURCES[package].read_text())
        exported = {
            alias.asname or alias.name
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module != f"gvlab.{package}"
            for alias in node.names
        }
        assert not files & exported, package


@pytest.mark.parametrize(
    ("arrows", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"a"}}, ["a", "a"]),
    ],
)
def test_the_walk_sees_a_circle(arrows, found):
    assert circle(arrows) == found


@pytest.mark.parametrize("module", SOURCES)
def test_third_parties_live_in_one_place(module):
    assert not strangers(module, names_in(module))


@pytest.mark.parametrize("party", ["orbax", "tensorflow_datasets", "jax.sharding", "tyro", "rich", "PIL"])
def test_third_parties_are_found_at_home(party):
    """That the walk sees them at all: without this, the test above could pass by blindness."""
    for home in HOMES[party]:
        assert any(name.startswith(party) for name in names_in(home)), (party, home)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from gvlab.models import gan", {"gvlab.models.gan"}),
        ("def f():\n    from gvlab import build", {"gvlab.build"}),
        ("import gvlab.cli.main as c", {"gvlab.cli.main"}),
        ("from gvlab import rng, data", set()),
    ],
)
def test_the_walk_sees_an_upward_import(line, found):
    assert upward("networks.layers", names_used(ast.parse(line))) == found


@pytest.mark.parametrize(
    "line",
    ["import tyro", "from rich.table import Table", "x = jax.sharding.Mesh", "def f():\n    import orbax.checkpoint"],
)
def test_the_walk_sees_a_stranger(line):
    assert strangers("networks.layers", names_used(ast.parse(line)))


def loaded_by(statement: str) -> set[str]:
    """Top-level modules in memory after the statement, in a fresh interpreter."""
    code = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


HEAVY = {"flax", "optax", "scipy", *(party for party in HOMES if party != "jax.sharding")}


@pytest.mark.parametrize("statement", ["import gvlab", "import gvlab; dir(gvlab)"])
def test_importing_gvlab_loads_nothing_heavy(statement):
    assert not loaded_by(statement) & (HEAVY | {"jax", "jaxlib", "numpy"})


def test_importing_the_command_line_loads_little():
    """JAX itself for its types, but no back-end; the rest when a command needs it."""
    assert not loaded_by("import gvlab.cli.main") & HEAVY
    started = "import gvlab.cli.main; from jax._src import xla_bridge; assert not xla_bridge.backends_are_initialized()"
    loaded_by(started)


def test_importing_the_models_loads_no_data_library():
    loaded = loaded_by("from gvlab import models, data, losses, metrics, networks, parallel, config")
    assert "jax" in loaded
    assert not loaded & {"tensorflow_datasets", "tensorflow", "sklearn", "orbax", "tyro", "PIL", "matplotlib"}


def test_public_names_exist_and_others_are_refused():
    import gvlab

    for name in gvlab.__all__:
        assert getattr(gvlab, name) is not None
    assert set(gvlab.__all__) <= set(dir(gvlab))
    with pytest.raises(AttributeError, match="has no attribute 'wgan'"):
        _ = gvlab.wgan
