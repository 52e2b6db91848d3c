"""The documentation: the README leads to every page, links lead somewhere, commands and functions are there."""

import re
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest
import yaml

from unchoke.config.load import load_config

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
PAGES = [README, *sorted(REPOSITORY.glob("docs/*.md")), REPOSITORY / "config" / "README.md"]
CODE = re.compile(r"```.*?```", re.DOTALL)


def name_of(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def links(page: Path) -> list[tuple[Path, str]]:
    """Links of a page to files of the repository, each with its anchor, which may be empty."""
    targets = re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text()))
    parts = [target.partition("#") for target in targets if "://" not in target]
    return [((page.parent / path if path else page).resolve(), anchor) for path, _, anchor in parts]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page; a repeated heading gets a number."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", CODE.sub("", page.read_text()), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(name for i in count() if (name := f"{plain}-{i}" if i else plain) not in found))
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    for path, anchor in links(page):
        assert path.exists()
        assert not anchor or anchor in anchors(path)


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert README.stat().st_size <= 8000
    assert {path for path, _ in links(README)} >= set(PAGES) - {README}


def test_the_two_commands_of_the_readme_are_made() -> None:
    commands = re.findall(r"^    make (\w+) ", README.read_text(), re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= set(re.findall(r"^(\w+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_benchmarks_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"(?<![\w/])(?:scripts|benchmarks|config|notebooks)/[\w/]+\.\w+", page.read_text())
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_the_page_of_encoders_has_a_row_for_each_that_the_benchmark_measures() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", (REPOSITORY / "docs" / "encoders.md").read_text(), re.MULTILINE)
    source = (REPOSITORY / "benchmarks" / "encoders.py").read_text()
    measured = source.partition("MODELS = (")[2].partition(")")[0].replace("FIRST", '"tf_efficientnet_lite0"')
    assert rows == re.findall(r'"(\w+)"', measured)


def test_configs_beside_the_cells_of_a_notebook_hold() -> None:
    blocks = re.findall(r"```yaml\n(.+?)```", (REPOSITORY / "docs" / "notebook.md").read_text(), re.DOTALL)
    first, *others = map(yaml.safe_load, blocks)
    assert len(others) == 3
    for section in others:
        load_config(section if "mask_heads" in section else {**first, **section})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_functions_that_a_page_names_are_there(page: Path) -> None:
    for module, function in re.findall(r"\b(unchoke(?:\.\w+)*)\.(\w+)\(", page.read_text()):
        source = Path(find_spec(module).origin).read_text()  # read and not imported: importing torch takes seconds
        assert re.search(rf'^def {function}\(|^__all__ = .*"{function}"', source, re.MULTILINE)
