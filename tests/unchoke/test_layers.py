"""Imports run one way: a module imports from its own package, from those before it, and from the ground."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SCRIPTS = REPOSITORY / "scripts"
LIBRARY = SCRIPTS / "unchoke"

ORDER = [
    "machine",
    "metrics",
    "images",
    "polygons",
    "sources",
    "store",
    "manifest",
    "cleaning",
    "encoders",
    "features",
    "training",
    "heads",
    "inspection",
    "networks",
    "labelling",
    "mask_heads",
    "stitching",
    "text",
    "pipelines",
    "experiments",
    "report",
    "profiling",
    "page",
    "config",
    "targets",
    "progress",
    "api",
    "cli",
]
"""The packages in the order in which an image travels. Before them stands the ground: the modules in no package."""
MOST_MODULES = 24
"""Of a folder: what a reader takes in with one `ls`."""
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")
COMMANDS = sorted(SCRIPTS.glob("*.py"))
IMPURE = {"os", "pathlib", "shutil", "subprocess", "torch", "zarr"}


@functools.cache
def tree_of(path):
    return ast.parse(path.read_text())


def dotted(path):
    """Name of a module below unchoke; of an ``__init__`` that of its package."""
    return ".".join(path.relative_to(LIBRARY).with_suffix("").parts).removesuffix(".__init__")


def place_of(name):
    """Where a module stands in the order; the ground before all packages."""
    first = name.split(".")[0]
    return ORDER.index(first) if (LIBRARY / first).is_dir() else -1


def imports(path):
    """Dotted names that a file imports, wherever in it; ``from a import b`` counts as a.b."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path):
    return {name.partition(".")[2] for name in imports(path) if name.startswith("unchoke.")}


def is_pure(path):
    return (ast.get_docstring(tree_of(path)) or "").startswith("Pure:")


def relative(path):
    return str(path.relative_to(SCRIPTS))


PURE = [path for path in MODULES if is_pure(path)]


def offending(paths, look):
    """What was found in each file, by its path, where anything was."""
    return {relative(path): found for path in paths if (found := look(path))}


def test_every_package_has_a_place_and_is_there():
    packages = {path.relative_to(LIBRARY).parts[0] for path in MODULES if path.parent != LIBRARY}
    assert packages == set(ORDER)


def test_no_import_goes_forward():
    assert not offending(
        MODULES, lambda path: {name for name in own_imports(path) if place_of(name) > place_of(dotted(path))}
    )


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES}), ids=relative)
def test_a_folder_can_be_taken_in_at_a_glance(folder):
    assert len([path for path in MODULES if path.parent == folder and path.stem != "__init__"]) <= MOST_MODULES


@pytest.mark.parametrize("folder", sorted({path.parent for path in MODULES} - {LIBRARY}), ids=relative)
def test_a_package_says_what_it_holds_and_defines_nothing_itself(folder):
    [docstring] = ast.parse((folder / "__init__.py").read_text()).body
    assert isinstance(docstring.value.value, str)


def test_what_is_pure_touches_neither_disk_nor_torch():
    assert not offending(PURE, lambda path: {name.split(".")[0] for name in imports(path)} & IMPURE)


def impure_imports(path):
    """The files of ours that a file imports and that are not pure."""
    files = [LIBRARY / f"{name.replace('.', '/')}.py" for name in own_imports(path)]
    files += [LIBRARY / f"{name.rpartition('.')[0].replace('.', '/')}.py" for name in own_imports(path)]
    return [relative(file) for file in files if file.is_file() and not is_pure(file)]


def test_what_is_pure_imports_only_what_is_pure():
    assert not offending(PURE, impure_imports)


def test_nothing_imports_snakemake_or_a_command():
    forbidden = {"snakemake", *(command.stem for command in COMMANDS)}
    assert not offending([*MODULES, *COMMANDS], lambda path: {name.split(".")[0] for name in imports(path)} & forbidden)


def paths_of_results(path):
    """The texts of a file that spell the folder, but for those that only explain."""
    tree = tree_of(path)
    explanations = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [text.value for text in texts if "results/" in text.value and id(text) not in explanations]


def test_paths_of_results_belong_to_rules():
    assert not offending([*MODULES, *COMMANDS], paths_of_results)


def read_by_snakemake():
    """Modules that the Snakefile and its rules import, and the kinds of source, of which one is read besides."""
    text = "".join(
        path.read_text() for path in [REPOSITORY / "workflow/Snakefile", *REPOSITORY.glob("workflow/rules/*")]
    )
    names = set()
    for module, imported in re.findall(r"^ *from unchoke\.?(\S*) import (\w+)", text, re.M):
        whole = f"{module}.{imported}".removeprefix(".")
        names.add(whole if (LIBRARY / f"{whole.replace('.', '/')}.py").is_file() else module)
    return sorted(names | {dotted(path) for path in MODULES if path.parent.name == "kinds" and "sources" in path.parts})


def test_what_the_snakefile_imports_is_light():
    modules = [*read_by_snakemake(), "sources.arrays.array", "sources.tar_shards"]
    assert len(modules) > 20 and not {"torch", "pandas", "numpy"} & loaded_by(*modules)


def test_stages_that_compute_without_torch_do_not_read_it():
    assert "torch" not in loaded_by("features.labels", "stitching.score")


def loaded_by(*modules):
    """The names of all modules that are there once these of ours have been imported."""
    ours = [f"unchoke.{module}" for module in modules]
    code = f"import sys, {', '.join(ours)}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {*ours} <= {*loaded}
    return set(loaded)
