"""Contact sheets: which images stand beside which, and how many of how many are shown."""

import pandas as pd

from unchoke.cleaning.decisions import Decision
from unchoke.page.sheets import Shown, found_in_words, sheets_of
from unchoke.store.tables import FINDING_COLUMNS

LABELS = ["ant", "bee", "ant", "bee", "ant", "bee", "ant", "bee"]
RULES = {name: {"action": "report"} for name in ("exact_duplicate", "dark", "mislabelled")} | {"blank": None}


def manifest_of(labels=LABELS):
    paths = [f"{place}.png" for place in range(len(labels))]
    return pd.DataFrame({"image_id": range(len(labels)), "path": paths, "label": labels, "split": "train"})


def finding(image_id, rule, action="report", cluster=-1, value="", other=-1, suggested="", nearest=""):
    label = LABELS[image_id % 8]
    return (image_id, f"{image_id}.png", label, "train", rule, action, cluster, value, other, suggested, nearest)


def sheet(name, *rows, decisions=()):
    found = pd.DataFrame(list(rows), columns=list(FINDING_COLUMNS))
    [one] = [one for one in sheets_of(found, manifest_of(LABELS * 20), RULES, decisions) if one.rule == name]
    return one, [[(image.image_id, image.state) for image in group] for group in one.groups]


def test_copies_stand_side_by_side_behind_the_one_that_stays():
    rows = [finding(1, "exact_duplicate", "drop", 0, "0", 0), finding(5, "exact_duplicate", "drop", 4, "0", 6)]
    rows += [finding(4, "exact_duplicate", "report", 4, "0", 6), finding(2, "exact_duplicate", "drop", 0, "0", 0)]
    one, groups = sheet("exact_duplicate", *rows)
    assert groups == [
        [(0, "stays"), (1, "dropped"), (2, "dropped")],
        [(6, "stays"), (4, "only reported"), (5, "dropped")],
    ]
    assert (one.found, one.shown) == (4, 4)


def test_a_copy_that_stays_and_was_found_itself_stands_there_once():
    rows = [finding(1, "exact_duplicate", cluster=0, value="0", other=0), finding(0, "exact_duplicate", cluster=0)]
    assert sheet("exact_duplicate", *rows)[1] == [[(0, "only reported"), (1, "only reported")]]


def test_the_surest_wrong_labels_come_first_with_the_images_that_agree():
    values = {place: ((place * 7) % 30) / 10 for place in range(0, 150, 2)}
    rows = [finding(i, "mislabelled", value=f"{v}", suggested="bee", nearest="1 3") for i, v in values.items()]
    one, groups = sheet("mislabelled", *rows)
    assert (one.found, one.shown, len(groups)) == (75, 60, 60)
    expected = sorted(values, key=lambda place: (-values[place], place))[:60]
    assert [group[0][0] for group in groups] == expected
    assert all(group[1:] == [(1, "agrees"), (3, "agrees")] for group in groups)
    first = one.groups[0][0]
    assert (first.label, first.suggested, first.fact) == ("ant", "bee", "margin 2.8")
    assert [image.label for image in one.groups[0][1:]] == ["bee", "bee"]


def test_what_is_decided_makes_room_and_stands_on_a_sheet_of_its_own():
    rows = [finding(i, "mislabelled", value=f"{100 - i}", suggested="bee", nearest="1 3") for i in range(0, 130, 2)]
    decisions = [Decision(0, "relabel", "bee", "", 2), Decision(4, "keep", "", "", 3), Decision(1, "drop", "", "", 4)]
    one, groups = sheet("mislabelled", *rows, decisions=decisions)
    assert (one.found, one.decided, one.shown) == (65, 2, 60)
    assert [group[0][0] for group in groups] == [2, *range(6, 124, 2)]
    assert sheet("decided", *rows, decisions=decisions)[1] == [[(0, "relabel bee")], [(4, "keep")], [(1, "drop")]]


def test_a_long_path_is_shown_by_its_end():
    assert Shown(0, "/a/long/way/to/the/picture.png", "ant", "train", "dropped").name == "…/to/the/picture.png"
    assert Shown(0, "short.png", "ant", "train", "dropped").name == "short.png"


def test_a_rule_that_found_nothing_has_an_empty_sheet_and_one_that_is_off_none():
    found = pd.DataFrame(columns=list(FINDING_COLUMNS))
    sheets = sheets_of(found, manifest_of(), RULES)
    assert [(one.rule, one.found, one.groups) for one in sheets] == [
        ("exact_duplicate", 0, []),
        ("dark", 0, []),
        ("mislabelled", 0, []),
    ]


def test_an_image_is_told_all_that_rules_found():
    rows = [finding(1, "dark", value="3"), finding(1, "exact_duplicate", cluster=0, value="0", other=0)]
    found = pd.DataFrame(rows, columns=list(FINDING_COLUMNS))
    assert found_in_words(found) == {1: "dark: mean 3; exact duplicate: copy of #0"}
