"""Decisions of users: which rows are understood, what is said of the others, and what heads are left with."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import read_decisions as command
from unchoke.cleaning.clean import followed, select_rows, selected
from unchoke.cleaning.decisions import ABOUT_LABELS, DROPPED, WORDS, Decision, read_decided, read_decisions, standing
from unchoke.errors import UnchokeError
from unchoke.manifest.moves import VANISHED
from unchoke.report.cleaning.balance import BEFORE, CLEANED, IN_SUBSET, count_classes
from unchoke.store import tables

PATHS = ["ant/0.png", "ant/1.png", "ant/größe.png", "bee/0.png", "bee/1.png", "bee/a,b.png", "bee/new.png"]
LABELS = ["ant"] * 3 + ["bee"] * 3 + [""]
SPLITS = ["train", "train", "val", "train", "test", "train", ""]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    facts = {"group": "", "size_bytes": 1, "mtime_ns": 1, "excluded": [""] * 6 + ["no label"]}
    frame = pd.DataFrame({"image_id": range(7), "path": PATHS, "label": LABELS, "split": SPLITS, **facts})
    (tmp_path / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    return tmp_path


def read(results: Path, text: str | bytes) -> dict[str, Any]:
    file = results / "mine.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    before = file.read_bytes(), file.stat().st_mtime_ns
    found = read_decisions(file, results / "manifest.csv", results / "decisions.json")
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    return found


def decided(results: Path, text: str | bytes) -> dict[str, tuple[str, str]]:
    """Decision and label by path."""
    read(results, text)
    return {PATHS[one.image_id]: (one.decision, one.label) for one in read_decided(results / "decisions.json")}


FOUND = {"ant/1.png": ("relabel", "bee"), "ant/größe.png": ("drop", ""), "bee/0.png": ("keep", "")}
ROWS = "path,decision,label,note\nant/1.png,relabel,bee,\nant/größe.png,drop,,a thumb\nbee/0.png,keep,,\n"


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        ("\ufeff" + ROWS).encode(),
        ROWS.encode("utf-16"),
        ROWS.replace("\n", "\r\n"),
        ROWS.replace("größe", "gro\u0308ße"),  # as macOS spells it
        ROWS.replace("relabel", " ReLabel "),
        ROWS + "ant/1.png,relabel,bee,once more\n",
        ROWS + "\nbee/1.png,,,not looked at yet\n",
        "image_id,label,decision\n1,bee,relabel\n2,ant,drop\n3,bee,keep\n",
        "path,image_id,label,decision\n,1.0,bee,relabel\nant/größe.png,2,,drop\nbee/0.png,,,keep\n",
        'who,path,decision,label\nme,"ant/1.png",relabel,bee\nme,ant/größe.png,drop,ant\nme,bee/0.png,keep,bee\n',
    ],
)
def test_what_people_and_their_editors_write_is_understood(results: Path, text: str | bytes) -> None:
    assert decided(results, text) == FOUND


@pytest.mark.parametrize("text", ["path,decision\n", "path,decision,label\n\n\n"])
def test_a_file_without_rows_decides_nothing(results: Path, text: str) -> None:
    assert decided(results, text) == {}


def test_a_path_with_a_comma_and_one_that_is_not_in_use(results: Path) -> None:
    found = read(results, 'path,decision,why\n"bee/a,b.png",drop,x\nbee/new.png,drop,\nbee/1.png,,\n')
    assert found["counts"] == {"drop": {"train": 1, "no split": 1}}
    assert (found["not_in_use"], found["undecided"], found["columns_not_read"]) == (1, 1, ["why"])
    assert found["sha256"] == hashlib.sha256((results / "mine.csv").read_bytes()).hexdigest()
    assert found == json.loads((results / "decisions.json").read_bytes())


WRONG = {
    "ant/11.png,drop,": "no image has the path 'ant/11.png': did you mean 'ant/1.png'?",
    "cat/größe.png,keep,": "no image has the path 'cat/größe.png': did you mean 'ant/größe.png'?",
    ",keep,": "names no image: path is empty",
    "ant/0.png,kep,": "unknown decision 'kep': did you mean 'keep'?",
    "ant/0.png,?,": "unknown decision '?': known are keep, drop, relabel",
    "ant/0.png,relabel,aunt": "'aunt' is no class of the dataset: did you mean 'ant'?",
    "ant/0.png,relabel,zoo": "'zoo' is no class of the dataset: known are ant, bee",
    "ant/0.png,relabel,": "relabel without a label",
    "ant/0.png,keep,bee": "keep with another label, 'bee': write relabel, or leave the label out",
}


def test_all_that_is_wrong_is_told_at_once_with_its_rows(results: Path) -> None:
    twice = "bee/0.png,keep,\nbee/0.png,drop,\n"
    with pytest.raises(UnchokeError) as caught:
        read(results, "path,decision,label\n" + twice + "".join(f"{row}\n" for row in WRONG))
    told = str(caught.value)
    assert "row 3: drop, but row 2 says keep of the same image" in told
    for number, message in enumerate(WRONG.values(), 4):
        assert f"  - row {number}: {message}\n" in told
    assert f"where:    {results / 'mine.csv'}" in told
    assert not (results / "decisions.json").exists()


def test_of_many_wrong_rows_the_first_are_told(results: Path) -> None:
    with pytest.raises(UnchokeError, match=r"row 21: .*\n  - rows behind row 21 are not checked yet\n"):
        read(results, "path,decision\n" + "x.png,keep\n" * 25)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "found:    no line"),
        ("path,decison\na,keep\n", "rename 'decison' to 'decision'"),
        ("file,decision\na,keep\n", "no column 'path'"),
        ("path;decision\na;keep\n", "save it with commas, not semicolons"),
        ("path,decision,path\na,keep,b\n", "has the column 'path' twice"),
        ("path,decision\nant/0.png,keep,bee\n", "more cells than there are columns"),
        ("path,decision,image_id\nant/0.png,keep,3\n", "image_id 3 is 'bee/0.png', not 'ant/0.png'"),
        ("decision,image_id\nkeep,7\n", "image_id '7' is no number from 0 to 6"),
        ("decision,image_id\nkeep,-1\n", "image_id '-1' is no number from 0 to 6"),
        ('path,decision\n"ant/0.png,keep\n', "unexpected end of data"),
    ],
)
def test_a_file_that_is_no_table_of_decisions_is_refused(results: Path, text: str, message: str) -> None:
    with pytest.raises(UnchokeError) as caught:
        read(results, text)
    assert message in str(caught.value) and "dataset.path" not in str(caught.value)


def test_of_two_images_with_one_path_the_one_that_is_there_is_meant(results: Path) -> None:
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS)
    frame.loc[3, ["path", "excluded"]] = ["ant/0.png", VANISHED]
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    assert read(results, "path,decision\nant/0.png,drop\n")["decisions"][0]["image_id"] == 0
    assert read(results, "path,decision,image_id\nant/0.png,drop,3\n")["decisions"][0]["image_id"] == 3


RULES = ("unreadable", "exact_duplicate", "blank", *ABOUT_LABELS)
DECISIONS = st.dictionaries(st.integers(0, 9), st.sampled_from(WORDS))
DROPS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from(RULES)), unique=True)


@given(DECISIONS, DROPS)
def test_keep_overrules_what_can_be_read_and_relabel_rules_about_labels(
    decisions: dict[int, str], drops: list[tuple[int, str]]
) -> None:
    rows = pd.DataFrame(drops, columns=["image_id", "rule"])
    said = [Decision(image_id, word, "bee", "", 2) for image_id, word in decisions.items()]
    expected = [
        (image_id, rule)
        for image_id, rule in drops
        if not (decisions.get(image_id) == "keep" and rule != "unreadable")
        and not (decisions.get(image_id) == "relabel" and rule in ("mislabelled", "label_conflict"))
    ]
    assert list(standing(rows, said).itertuples(index=False, name=None)) == expected


def inspected(results: Path, drops: dict[int, list[str]]) -> Path:
    """Findings that drop images."""
    rows = [
        (image_id, PATHS[image_id], LABELS[image_id], SPLITS[image_id], rule, "drop", -1, "", -1, "", "")
        for image_id, rules in drops.items()
        for rule in rules
    ]
    (results / "found.csv").write_bytes(tables.table_bytes(tables.FINDING_COLUMNS, rows))
    return results / "found.csv"


def test_heads_are_left_with_what_the_user_decided(results: Path) -> None:
    found = inspected(results, {0: ["near_in_features"], 1: ["mislabelled"], 3: ["near_in_features", "mislabelled"]})
    rows = "ant/0.png,keep,\nant/1.png,relabel,bee\nbee/0.png,relabel,ant\nbee/1.png,drop,\n"
    read(results, f"path,decision,label\n{rows}")
    manifest, selection = results / "manifest.csv", results / "selection.csv"
    before = manifest.read_bytes()
    select_rows(manifest, None, {}, found, None, selection, results / "decisions.json")
    frame = selected(manifest, selection)
    assert frame["excluded"].tolist() == ["", "", "", "near_in_features", DROPPED, "", "no label"]
    assert frame["label"].tolist() == ["ant", "bee", "ant", "ant", "bee", "bee", ""]
    assert manifest.read_bytes() == before  # the given labels stay
    chosen = tables.read_selection(selection)
    actions = followed(tables.read_findings([found]), chosen)["action"].tolist()
    assert actions == ["report", "report", "drop", "drop"]
    counts = count_classes(tables.read_table(manifest, tables.MANIFEST_COLUMNS), chosen)
    assert counts[BEFORE].to_dict() == {("train", "ant"): 2, ("train", "bee"): 2, ("val", "ant"): 1, ("test", "bee"): 1}
    assert counts[CLEANED].to_dict() == {
        ("train", "ant"): 1,
        ("train", "bee"): 2,
        ("val", "ant"): 1,
        ("test", "bee"): 0,
    }
    assert IN_SUBSET not in counts


def test_a_subset_is_drawn_from_the_classes_of_the_user(results: Path) -> None:
    read(results, "path,decision,label\nant/0.png,relabel,bee\n")
    subset = {"fraction": None, "per_class": 1, "seed": 0, "splits": ["train"]}
    files = results / "manifest.csv", results / "selection.csv"
    select_rows(files[0], None, {}, None, subset, files[1], results / "decisions.json")
    frame = selected(*files)
    train = frame[(frame["excluded"] == "") & (frame["split"] == "train")]
    assert train["label"].value_counts().to_dict() == {"ant": 1, "bee": 1}


def test_without_decisions_the_selection_has_its_former_columns(results: Path) -> None:
    select_rows(results / "manifest.csv", None, {}, None, None, results / "selection.csv")
    assert "label" not in tables.read_table(results / "selection.csv", tables.SELECTION_COLUMNS)
    assert selected(results / "manifest.csv", results / "selection.csv")["label"].tolist() == LABELS


def test_the_command_says_what_is_decided_of_test_and_what_has_no_effect(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "path,decision,label,who\nbee/1.png,relabel,ant,\nant/0.png,drop,,\nbee/new.png,drop,,\nbee/0.png,,,\n"
    (results / "mine.csv").write_text(text)
    names = {"decisions": "mine.csv", "manifest": "manifest.csv", "decided": "decisions.json"}
    command.main([part for flag, name in names.items() for part in (f"--{flag}", str(results / name))])
    assert capsys.readouterr().out.splitlines() == [
        "drop: 2 (1 of train, 1 of no split)",
        "relabel: 1 (1 of test)",
        "rows without a decision: 1",
        "about images that the dataset does not use, which changes nothing: 1",
        "columns that are not read: who",
    ]


@pytest.mark.parametrize(
    ("task", "labels", "given", "expected"),
    [
        ("regression", ["1.5"] * 6, "2.50", "2.5"),
        ("multilabel", ["red;wet", "red", ";", "wet", ";", "red"], "wet|red", "red;wet"),
        ("multilabel", ["red;wet", "red", ";", "wet", ";", "red"], ";", ";"),
    ],
)
def test_a_new_label_is_a_number_or_a_set_of_labels_where_heads_predict_these(
    task: str, labels: list[str], given: str, expected: str, results: Path
) -> None:
    frame = tables.read_table(results / "manifest.csv", tables.MANIFEST_COLUMNS).assign(label=[*labels, ""])
    (results / "manifest.csv").write_bytes(tables.frame_bytes(frame, tables.MANIFEST_COLUMNS))
    file = results / "mine.csv"
    file.write_text(f"path,decision,label\nant/0.png,relabel,{given}\n")
    read_decisions(file, results / "manifest.csv", results / "decisions.json", task)
    assert [one.label for one in read_decided(results / "decisions.json")] == [expected]
    file.write_text("path,decision,label\nant/0.png,relabel,n/a\n")
    with pytest.raises(UnchokeError, match="not a finite number" if task == "regression" else "'n/a' is no class"):
        read_decisions(file, results / "manifest.csv", results / "decisions.json", task)
