"""The house: rules call commands that exist, commands are short, both lists of packages agree."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
RULES = sorted(REPOSITORY.glob("workflow/rules/*.smk"))
COMMANDS = sorted(REPOSITORY.glob("scripts/*.py"))


def name_of(path):
    return path.name


def lines(path):
    return len(path.read_text().splitlines())


def commands_called(text):
    """Names of the commands that rules call, each in a process of its own or in the warm worker."""
    return set(re.findall(r'scripts/(?:warm (?:--cold )?)?(\w+)(?:\.py)?[ "]', text)) - {"warm"}


@pytest.mark.parametrize("path", RULES, ids=name_of)
def test_rules_call_commands_that_exist(path):
    assert commands_called(path.read_text()) <= {command.stem for command in COMMANDS}


def test_every_stage_is_called_by_a_rule():
    called = set().union(*(commands_called(path.read_text()) for path in RULES))
    assert called >= {
        "build_manifest",
        "fetch_weights",
        "extract_chunk",
        "seal_features",
        "train_head",
        "build_database",
    }


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
    of_pip = [re.sub(r"^pytorch\b", "torch", re.sub(r"^python-", "", package)) for package in environment]
    assert set(of_pip) == {f"python{project['requires-python']}", *project["dependencies"]}


def test_a_package_of_the_environment_stands_there_once():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())["dependencies"]
    names = [re.split(r"[<>=]", package)[0] for package in environment]
    assert len(names) == len(set(names))
