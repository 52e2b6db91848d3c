"""Every file of config/examples runs in a clone as it is, or its first line names all that its reader has to change."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import REPOSITORY, Clone, empty_clone, jobs

from unchoke.encoders.packaged import PACKAGES

EXAMPLES = sorted((REPOSITORY / "config" / "examples").glob("*.yaml"))
AS_THEY_ARE = [path for path in EXAMPLES if path.read_text().startswith("# Runs as it is.\n")]
TO_CHANGE = [path for path in EXAMPLES if path not in AS_THEY_ARE]
WRITTEN_BY = {"digits": "write_digits", "canvases": "write_canvases", "words": "write_words"}
"""The kinds whose images a rule writes, with its name."""
PLACEHOLDER = "/path/to/"


def name_of(path: Path) -> str:
    return path.name


def values(config: Any, keys: tuple[str, ...] = ()) -> dict[str, Any]:
    """Every value of a config below a section, by its keys with dots between them."""
    found = {".".join(keys): config} if keys else {}
    if isinstance(config, dict):
        for key, value in config.items():
            found |= values(value, (*keys, str(key)))
    return found


@pytest.mark.parametrize("path", AS_THEY_ARE, ids=name_of)
def test_an_example_that_runs_as_it_is_makes_its_images_and_needs_no_hub(path: Path, tmp_path: Path) -> None:
    example = yaml.safe_load(path.read_text())
    assert PLACEHOLDER not in path.read_text()
    for encoder in example["encoders"].values():
        assert encoder["weights"] == "packaged" and encoder["model"] in PACKAGES
    clone = empty_clone(Clone(tmp_path / "clone"))
    (clone.folder / "my.yaml").write_bytes(path.read_bytes())
    assert jobs(clone.snakemake("-n"), WRITTEN_BY[example["dataset"]["kind"]]) == 1


@pytest.mark.parametrize("path", TO_CHANGE, ids=name_of)
def test_the_first_line_of_an_example_names_what_to_change(path: Path) -> None:
    known = values(yaml.safe_load(path.read_text()))
    placeholders = {keys for keys, value in known.items() if isinstance(value, str) and PLACEHOLDER in value}
    first_line = path.read_text().partition("\n")[0]
    named = set(re.findall(r"\b[a-z_]+\.[a-z_.]*[a-z_]", re.sub(r"\(.*\)", "", first_line)))
    assert first_line.startswith("# Change ")
    assert "dataset.path" in placeholders <= named <= set(known)


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_an_example_shows_the_command_with_its_own_name(path: Path) -> None:
    command = f"snakemake --cores all --resources gpu=1 --configfile config/examples/{path.name}"
    assert f"\n#   {command}\n" in path.read_text()


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_files_of_the_clone_that_an_example_names_are_there(path: Path) -> None:
    named = [value for value in values(yaml.safe_load(path.read_text())).values() if str(value).startswith("config/")]
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []
