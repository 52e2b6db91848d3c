"""A config as text: it reads back as what was put in, whatever names folders, columns and classes have."""

from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from unchoke.cli.config_text import commented, config_text, dataset_name, flow, refuse_unwritable
from unchoke.cli.proposal import propose
from unchoke.config.load import load_config
from unchoke.config.text import check_text
from unchoke.errors import UnchokeError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
NASTY = "Fotos 2024: {größe} 'q' \"d\" # 图 \t\n\x07\x85\u2028\ufeff\\ [a, b] *x &y %z @ ` 😀 "


@given(TEXT, TEXT, TEXT, st.sampled_from(["folder", "csv", "webdataset", "masks"]), st.booleans(), st.booleans())
@example(NASTY, NASTY, NASTY, "folder", True, False)
@example("null", "010", "1:30", "csv", False, True)
@example("2024-01-02", "yes", "1_000", "masks", False, False)
@example("~", "-", "...", "webdataset", True, True)
def test_a_config_holds_whatever_names_there_are(
    path: str, group: str, fact: str, kind: str, card: bool, packaged: bool
) -> None:
    proposal = propose(kind, 100, 50, card=card, packaged=packaged)
    dataset = {"name": dataset_name(path), "kind": kind, "path": path, "split": {"group": group}}
    sections = {"dataset": dataset, **proposal.sections}
    after = {"encoders": [flow(proposal.other), fact]}
    text = config_text(sections, [fact, path], {("dataset",): fact, ("dataset", "path"): path}, after)
    assert yaml.safe_load(text) == sections
    check_text(text, "my.yaml")
    loaded = load_config(yaml.safe_load(text))
    assert (loaded["dataset"]["path"], loaded["dataset"]["split"]["group"]) == (path, group)


values = st.recursive(
    TEXT | st.integers() | st.booleans() | st.none(),
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(TEXT, deeper, max_size=3),
    max_leaves=6,
)


@given(values)
def test_a_value_takes_one_line_and_reads_back_as_itself(value: object) -> None:
    line = flow(value)
    assert "\n" not in line and yaml.safe_load(line) == value
    if yaml.__with_libyaml__:
        assert yaml.load(line, yaml.CSafeLoader) == value


@given(st.text())
def test_a_comment_is_one_line_that_yaml_skips(text: str) -> None:
    assert yaml.safe_load(f"{commented(text)}\nkey: 1") == {"key": 1}


@given(st.text())
def test_every_folder_gives_a_name_for_results(text: str) -> None:
    name = dataset_name(text)
    assert load_config({"dataset": {"name": name, "kind": "folder", "path": "x"}})["dataset"]["name"] == name


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Vögel 2024", "Voegel-2024"),
        ("Große Füße", "Grosse-Fuesse"),
        ("图片", "images"),
        ("..x..", "x"),
        ("é à", "e-a"),
    ],
)
def test_names_keep_what_letters_they_can(folder: str, name: str) -> None:
    assert dataset_name(folder) == name


def test_a_path_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UnchokeError, match="not in UTF-8"):
        refuse_unwritable(str(Path("a\udce9b")))
