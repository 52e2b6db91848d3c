"""Imports run one way: commands -> stages -> effects -> pure -> names, errors, versions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
LIBRARY = SCRIPTS / "unchoke"

# From the ground up; a module imports from its own layer and those below.
LAYERS = [
    {"names", "errors", "versions"},
    {
        *("chunks", "splits", "metrics", "intervals", "evaluation", "overlaps", "hashing", "tiling", "blends"),
        *("stitching", "png", "locations", "fingerprints", "near_duplicates", "cleaning", "subsets", "texts"),
        *("codestreams", "split_folders", "distances", "calibration", "parts", "operating_points", "influences"),
    },
    {
        *("sources", "arrays", "tables", "files", "images", "csv_files", "tar_members", "tiffs", "windows"),
        *("pictures", "views", "stores", "zarr_files", "checkpoint_files", "encoders", "maps", "pools", "devices"),
        *("provenance", "commands", "lease", "limits", "memory", "memory_watch", "shards", "worker", "client"),
        *("connections", "sockets", "turns", "worker_requests", "process_state", "drafts", "origins", "remote"),
        *("run_locks", "regular_files", "messages", "cold", "patience", "retries", "suspects", "signed", "receipts"),
        *("presence", "cards", "tiff_pictures", "preprocessing", "upright"),
    },
    {
        *("manifest", "patches", "masks", "extract_patches", "split_patches", "mask_heads", "segmentation"),
        *("predict_patches", "stitch", "scores", "database_rows", "mask_database", "whole_images", "teachers"),
        *("teach", "taught_patches", "weights", "plan", "extract", "seal", "rates", "doctor", "quarantine", "heads"),
        *("members", "checkpoints", "prediction", "comparisons", "database", "leaderboard", "report", "fingerprint"),
        *("clean", "extract_shard", "differences", "verification", "database_parts", "encoder_checks", "floors"),
    },
]
GROUND, PURE = LAYERS[:2]
BESIDE = {"config"}  # read by commands alone, and built on what is pure
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path != LIBRARY / "__init__.py")
COMMANDS = sorted(SCRIPTS.glob("*.py"))


def name_of(path):
    """First name below the package: that of a module, or of the folder that it lies in."""
    return path.relative_to(LIBRARY).with_suffix("").parts[0]


def allowed_for(name):
    if name in BESIDE:
        return BESIDE | GROUND | PURE
    place = next(place for place, layer in enumerate(LAYERS) if name in layer)
    return set().union(*LAYERS[: place + 1])


def imports(path):
    """Dotted names that a file imports, wherever in it; ``from a import b`` counts as a.b."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(path):
    return {name.split(".")[1] for name in imports(path) if name.split(".")[0] == "unchoke"}


def relative(path):
    return str(path.relative_to(SCRIPTS))


def test_every_module_has_one_layer():
    assert {name_of(path) for path in MODULES} == set().union(BESIDE, *LAYERS)
    assert sum(map(len, LAYERS)) == len(set().union(*LAYERS))


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_module_imports_from_its_layer_and_below(path):
    assert own_imports(path) <= allowed_for(name_of(path))


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path) in GROUND | PURE], ids=relative)
def test_the_ground_and_the_pure_layer_touch_neither_disk_nor_torch(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"os", "pathlib", "shutil", "subprocess", "torch", "zarr"}


@pytest.mark.parametrize("path", [*MODULES, *COMMANDS], ids=relative)
def test_nothing_imports_snakemake_or_a_command(path):
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"snakemake", *(command.stem for command in COMMANDS)}


@pytest.mark.parametrize("path", [*MODULES, *COMMANDS], ids=relative)
def test_paths_of_results_belong_to_rules(path):
    tree = ast.parse(path.read_text())
    explanations = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not [text.value for text in texts if "results/" in text.value and id(text) not in explanations]


@pytest.mark.parametrize(
    "module",
    [
        "sources",
        *("sources.folder", "sources.csv", "sources.digits", "sources.masks", "sources.canvases"),
        *("sources.hdf5", "sources.npy", "sources.zarr", "sources.webdataset", "locations", "arrays", "shards"),
        *("config", "commands", "versions", "files", "limits", "names", "texts", "csv_files", "receipts"),
    ],
)
def test_what_the_snakefile_imports_is_light(module):
    assert not {"torch", "pandas", "numpy"} & loaded_by(module)


@pytest.mark.parametrize("module", ["masks", "scores"])
def test_stages_that_compute_without_torch_do_not_read_it(module):
    assert "torch" not in loaded_by(module)


def loaded_by(module):
    """The names of all modules that are there once one of ours has been imported."""
    code = f"import sys, unchoke.{module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert f"unchoke.{module}" in loaded
    return set(loaded)
