"""The pictures of cleaning: what they count, what they choose to show, and that they can be read."""

import dataclasses
import functools
import io
import itertools
import json
import warnings
from collections import Counter
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image

import draw_cleaning as command
from unchoke.cleaning.clean import clean_images, near_leaks, select_rows
from unchoke.cleaning.measures import MEASURES
from unchoke.cleaning.rules import find
from unchoke.config.cleaning import Rules
from unchoke.inspection.threshold import histogram
from unchoke.report.cleaning.balance import (
    BEFORE,
    CLEANED,
    IN_SUBSET,
    MOST_CLASSES,
    count_classes,
    draw_balance,
    most_changed,
    shares,
)
from unchoke.report.cleaning.contact_sheets import (
    COLUMNS,
    KEPT,
    MOST_PICTURES,
    Tile,
    draw_reasons_sheet,
    draw_sheet,
    place_of,
    sample,
    told,
)
from unchoke.report.cleaning.cosines import draw_cosines
from unchoke.report.cleaning.distances import draw_distances
from unchoke.report.cleaning.duplicates import (
    ALIKE,
    EXACT,
    MOST_COPIES,
    NEAR,
    Cluster,
    count_clusters,
    draw_duplicates,
    heading,
    largest_clusters,
    shown,
)
from unchoke.report.cleaning.figures import CleaningResults, draw_cleaning, findings_page
from unchoke.report.cleaning.findings import (
    DROPPED,
    REPORTED,
    count_findings,
    draw_findings,
    listed,
    rules_on,
    table_note,
    table_rows,
)
from unchoke.report.cleaning.measures import BINS, LABELS, bin_edges, draw_measures, panel_values, thresholds
from unchoke.report.pages import MOST_ROWS
from unchoke.report.style import png_bytes
from unchoke.store import chunks
from unchoke.store.tables import FINDING_COLUMNS, MANIFEST_COLUMNS, frame_bytes

RULES = Rules().model_dump()
ODD_NAMES = ["größe-图", "a$b_{c}$", "not \udcff utf-8", "two\nlines", "x" * 300, "", "مرحبا"]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@functools.lru_cache(maxsize=2)
def drawn(figure):
    """The words on a figure, each with the box in px that it takes."""
    texts = {}
    with warnings.catch_warnings(), mock.patch.object(Text, "draw", lambda text, _: texts.setdefault(id(text), text)):
        warnings.filterwarnings("ignore", "Glyph")  # which png_bytes ignores too
        figure.draw_without_rendering()
    return [(text.get_text(), text.get_window_extent()) for text in texts.values() if text.get_text().strip()]


def words(figure):
    """All words on a figure."""
    return " | ".join(text for text, _ in drawn(figure))


def picture(figure):
    """The figure as its reader sees it: a PNG of 1 to 12 inches that Pillow can decode."""
    with Image.open(io.BytesIO(png_bytes(figure))) as image:
        image.load()
        assert 100 <= image.width <= 1200 and image.height >= 100
        return image


def overlapping(figure):
    """Pairs of words whose boxes have more than a pixel in common."""
    return [
        (one, two)
        for (one, a), (two, b) in itertools.combinations(drawn(figure), 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 1 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1
    ]


def finding(image_id, rule, action="report", cluster=-1, value="", other=-1, label="a", split="train", suggested=""):
    nearest = "7 9" if suggested else ""
    return (image_id, f"{image_id}.png", label, split, rule, action, cluster, value, other, suggested, nearest)


def findings_of(*rows):
    return pd.DataFrame(list(rows), columns=list(FINDING_COLUMNS))


def manifest_of(labels, splits, excluded=""):
    frame = pd.DataFrame({"image_id": range(len(labels)), "label": labels, "split": splits})
    frame["path"] = [f"{image_id}.png" for image_id in frame["image_id"]]
    return frame.assign(group="", size_bytes=1, mtime_ns=1, excluded=excluded)[list(MANIFEST_COLUMNS)].astype(
        {"label": object, "split": object}
    )


def selection_of(reasons):
    return pd.DataFrame({"image_id": range(len(reasons)), "left_out": pd.Series(reasons, dtype=object)})


def measures_of(n, seed=0, side_px=None):
    rng = np.random.default_rng(seed)
    sides = rng.integers(5, 900, (n, 2)) if side_px is None else np.full((n, 2), side_px)
    levels = [rng.uniform(0, 255, n), rng.gamma(2, 4, n), rng.uniform(0, 255, n), rng.lognormal(4, 2, n)]
    return np.column_stack([*levels, sides]).astype(np.float32)


def planted(n=120, rules=RULES, seed=0, side_px=None):
    """Results of images of which some are copies, near copies, or cannot be read."""
    rng = np.random.default_rng(seed)
    pixels = np.arange(n)
    pixels[10:22], pixels[30:33], pixels[40:42] = 10, 30, 40
    near = pixels.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)
    near[50:53] = near[50] ^ np.array([0, 1, 3], np.uint64)
    frame = manifest_of(rng.choice(["no", "yes"], n).astype(object), rng.choice(["train", "val", "test"], n))
    valid_N = np.arange(n) < n - 4
    measure_NM = measures_of(n, seed, side_px)
    found = find(frame, np.stack([pixels, pixels, near], 1).astype(np.uint64), measure_NM, valid_N, rules)
    rows = found.frame.merge(frame[["image_id", "path", "label", "split"]], on="image_id")
    rows["value"] = ["" if np.isnan(value) else f"{value:.6g}" for value in rows["value"]]
    reasons = dict.fromkeys(range(n - 4, n), "truncated")
    return CleaningResults(
        frame, rows[list(FINDING_COLUMNS)], selection_of(found.dropped), measure_NM, valid_N, reasons, rules
    )


def grey(paths):
    return [np.full((30, 40, 3), 90, np.uint8) for _ in paths]


def test_near_copies_in_another_split_are_told_of():
    """1 is in the split of its copy 0, 2 is not; 3 leaks by its pixels, which is another rule's finding."""
    findings = findings_of(
        finding(1, "near_duplicate", cluster=0, value="2", other=0),
        finding(2, "near_duplicate", cluster=0, value="4", other=0, split="test"),
        finding(3, "leak", "drop", cluster=3, value="0", other=4),
    )
    manifest = manifest_of(list("aaaaa"), ["train", "train", "test", "train", "test"])
    assert near_leaks(findings, manifest) == 1
    figure = draw_findings(findings, RULES, 5, 1)
    assert "Near copies of an image in another split: 1 (leak.near)." in words(figure)
    assert not overlapping(figure)
    assert "another split" not in words(draw_findings(findings, RULES, 5))


def test_findings_are_counted_by_rule_and_by_what_became_of_the_image():
    rules = {**RULES, "dark": None}
    findings = findings_of(
        finding(0, "unreadable", "drop"),
        finding(1, "exact_duplicate", "drop"),
        finding(2, "exact_duplicate", "report"),
        finding(2, "blank", "drop"),
        finding(3, "bright"),
    )
    counts = count_findings(findings, rules)
    assert counts.index.tolist() == [name for name in RULES if name not in ("dark", "blurred")]
    assert counts.loc["exact_duplicate"].to_dict() == {DROPPED: 1, REPORTED: 1}
    assert counts.loc["odd_size"].to_dict() == {DROPPED: 0, REPORTED: 0}
    figure = draw_findings(findings, rules, 10)
    shown_words = words(figure)
    assert "Cleaning drops 3 of 10 images, and only reports 1" in shown_words
    assert "1 dropped, 1 only reported" in shown_words and "odd size (report)" in shown_words
    assert "dark" not in shown_words
    assert not overlapping(figure)
    picture(figure)


def test_rules_stand_in_the_order_in_which_they_are_applied():
    rules = json.loads(json.dumps(RULES, sort_keys=True))
    assert rules_on(rules) == [name for name in RULES if RULES[name]]


def test_findings_without_rules_or_hits_are_drawn():
    assert "All rules are off" in words(draw_findings(findings_of(), dict.fromkeys(RULES), 5))
    assert "Cleaning drops 0 of 5 images, and only reports 0" in words(draw_findings(findings_of(), RULES, 5))


def test_the_table_says_what_is_left_out_and_leaves_blanks_where_there_is_nothing():
    findings = findings_of(
        finding(0, "leak", "drop", 0, "2", 5), finding(1, "unreadable", "drop"), finding(2, "dark", value="2.5")
    )
    rows = list(table_rows(findings, selection_of(["leak", "unreadable", ""]), RULES))
    assert rows == [
        (1, "1.png", "a", "train", "unreadable", "drop", None, None, None, "", "", "unreadable"),
        (0, "0.png", "a", "train", "leak", "drop", 0, 2, 5, "", "", "leak"),
        (2, "2.png", "a", "train", "dark", "report", None, 2.5, None, "", "", ""),
    ]
    assert isinstance(rows[1][7], int)
    assert table_note(findings_of(), RULES) == "No rule found anything."


def test_a_frequent_finding_leaves_room_for_the_rare_ones():
    frequent = [finding(image_id, "exact_duplicate", "drop", 0, "0", 0) for image_id in range(3000)]
    findings = findings_of(*frequent, finding(3000, "odd_size", value="4"))
    kept = listed(findings, RULES)
    room = MOST_ROWS // len(rules_on(RULES))
    assert Counter(kept["rule"]) == {"exact_duplicate": room, "odd_size": 1}
    assert f"{3000 - room:,} of 3,001 are left out here" in table_note(findings, RULES)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(["train", "val", "test"]),
            st.sampled_from(["", "no label"]),
            st.sampled_from(["", "leak", "subset"]),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_classes_are_counted_at_every_stage(rows):
    labels, splits, excluded, reasons = map(list, zip(*rows, strict=True))
    reasons = ["" if why else reason for why, reason in zip(excluded, reasons, strict=True)]
    counts = count_classes(manifest_of(labels, splits, excluded), selection_of(reasons))
    assert (IN_SUBSET in counts) == ("subset" in reasons)
    for stage, kept in ((BEFORE, ("", "leak", "subset")), (CLEANED, ("", "subset")), (IN_SUBSET, ("",))):
        expected = Counter(
            (split, label)
            for label, split, why, reason in zip(labels, splits, excluded, reasons, strict=True)
            if not why and reason in kept
        )
        if stage in counts:
            assert {key: count for key, count in counts[stage].items() if count} == expected
            totals = shares(counts)[stage].groupby(level="split").sum()
            assert all(total == pytest.approx(1) or total == 0 for total in totals)


def test_the_balance_shows_which_class_the_duplicates_are_of():
    labels = ["0"] * 40 + ["1"] * 40
    counts = count_classes(manifest_of(labels, "train"), selection_of([""] * 55 + ["exact_duplicate"] * 25))
    figure = draw_balance(counts)
    shown_words = words(figure)
    assert "train: 80 → 55 images" in shown_words
    assert "15 (27.3 %), 25 gone" in shown_words and "40 (72.7 %)" in shown_words
    assert shown_words.count("gone") == 1
    assert not overlapping(figure)
    picture(figure)


def test_of_many_classes_those_whose_share_changes_most_are_shown():
    labels = [f"c{place % 43:02d}" for place in range(860)]
    reasons = ["exact_duplicate" if label in ("c07", "c31") else "" for label in labels]
    reasons[labels.index("c07")] = ""
    reasons[labels.index("c12")] = "subset"
    counts = count_classes(manifest_of(labels, "train"), selection_of(reasons))
    chosen = most_changed(counts)
    assert len(chosen) == MOST_CLASSES and chosen[:2] == ["c31", "c07"]
    figure = draw_balance(counts)
    assert "the 20 of 43 whose share cleaning changes most" in words(figure)
    assert "share of the split, %" in words(figure)
    assert not overlapping(figure)


def test_a_balance_of_odd_names_and_one_of_nothing_are_drawn():
    picture(draw_balance(count_classes(manifest_of(ODD_NAMES, "val"), selection_of([""] * len(ODD_NAMES)))))
    none = count_classes(manifest_of(["a"], "val", "no label"), selection_of([""]))
    assert "No image is in use" in words(draw_balance(none))


def test_a_panel_shows_sides_as_they_are():
    values = panel_values(np.array([[1, 2, 3, 4, 20, 5], [1, 2, 3, 4, 5, 5]], np.float32))
    assert values["side"].tolist() == [5, 5] and values["aspect"].tolist() == [4, 1]
    assert values["area"].tolist() == [100, 25] and set(values) == set(LABELS)


@given(st.integers(1, 60), st.integers(0, 2**32))
@settings(deadline=None, max_examples=30)
def test_what_lies_beyond_the_lines_is_what_the_rules_find(n, seed):
    rules = Rules(blurred={}).model_dump()
    measure_NM = measures_of(n, seed)
    frame, hashes = manifest_of(["a"] * n, "train"), np.arange(3 * n, dtype=np.uint64).reshape(n, 3)
    found = find(frame, hashes, measure_NM, np.ones(n, bool), rules).frame
    values = panel_values(measure_NM)
    lines = thresholds(rules, float(np.median(values["area"])))
    for rule in ("dark", "bright", "blank", "blurred", "odd_size"):
        beyond_N = np.zeros(n, bool)
        for line in (line for line in lines if line.rule == rule):
            value_N = values[line.panel]
            at_N = value_N < line.at if line.below else value_N > line.at
            assert line.count(value_N) == at_N.sum()
            beyond_N |= at_N
        assert np.flatnonzero(beyond_N).tolist() == found["image_id"][found["rule"] == rule].tolist()


def test_a_rule_that_is_off_has_no_line():
    lines = thresholds({**RULES, "dark": None, "odd_size": None}, 100.0)
    assert {line.rule for line in lines} == {"bright", "blank"}


@given(st.sampled_from(list(LABELS)), st.lists(st.floats(0, 255, width=32), min_size=1, max_size=50))
def test_every_value_is_in_a_bin(panel, values):
    value_N = np.array(values) + (1 if panel in ("side", "aspect", "area") else 0)
    edges = bin_edges(panel, value_N)
    assert np.histogram(value_N, edges)[0].sum() == len(value_N) and len(edges) <= BINS + 1
    assert (np.diff(edges) > 0).all()


def test_histograms_name_the_rule_and_the_number_beyond():
    measure_NM = measures_of(300)
    figure = draw_measures(measure_NM, RULES)
    mean_N = measure_NM[:, MEASURES.index("mean")]
    assert f"dark: {(mean_N < 5).sum()} below 5" in words(figure)
    assert f"bright: {(mean_N > 250).sum()} above 250" in words(figure)
    assert sum(axes.axison for axes in figure.axes) == len(LABELS)
    assert not overlapping(figure)
    picture(figure)


def test_images_of_one_size_need_no_histogram_of_sizes():
    figure = draw_measures(measures_of(50, side_px=96), RULES)
    assert "All images are 96 × 96 px." in words(figure) and "px²" not in words(figure)
    assert sum(axes.axison for axes in figure.axes) == len(LABELS) - 3
    picture(draw_measures(measures_of(1), RULES))
    assert "no image could be read" in words(draw_measures(measures_of(0), RULES))


@given(st.lists(st.floats(0, 100, width=32), min_size=1, max_size=80))
def test_pictures_of_a_measure_reach_from_one_end_to_the_other(values):
    found = findings_of(*(finding(place, "dark", value=f"{value:.6g}") for place, value in enumerate(values)))
    chosen = sample(found)
    assert len(chosen) == min(len(values), MOST_PICTURES) and chosen["image_id"].is_unique
    taken, all_values = chosen["value"].astype(float).tolist(), found["value"].astype(float)
    assert taken == sorted(taken) and (taken[0], taken[-1]) == (all_values.min(), all_values.max())


def test_of_copies_each_cluster_shows_every_label_before_more_of_the_same():
    rows = [finding(place, "label_conflict", cluster=0, other=0, label="a") for place in range(1, 100)]
    rows += [finding(100, "label_conflict", cluster=0, other=0, label="b"), finding(0, "label_conflict", cluster=0)]
    rows += [finding(200, "label_conflict", cluster=200), finding(201, "label_conflict", cluster=200, label="b")]
    chosen = sample(findings_of(*rows))
    assert len(chosen) == MOST_PICTURES
    assert {0, 100, 200, 201} <= set(chosen["image_id"])
    assert chosen["cluster"].is_monotonic_increasing and chosen["image_id"].iloc[0] == 0
    assert sample(findings_of()).empty


def test_a_tile_says_what_was_found():
    one = {"rule": "dark", "value": "4.25", "cluster": -1, "other": -1, "suggested": ""}
    assert told(one) == "mean 4.25"
    assert told({**one, "rule": "odd_size"}, "5 × 90 px") == "5 × 90 px"
    assert told({**one, "rule": "mislabelled", "suggested": "cat"}) == "rather cat, margin 4.2"
    copy = {"rule": "leak", "value": "0", "cluster": 3, "other": 7, "suggested": ""}
    assert told(copy) == "copy of #7"
    assert told({**copy, "value": "1"}) == "near #7, 1 bit off"
    assert told({**copy, "value": "3"}) == "near #7, 3 bits off"
    assert told({**copy, "rule": "near_duplicate"}) == "near #7, 0 bits off"
    assert told({**copy, "value": "", "other": -1}) == "has copies"
    assert place_of("", "test") == "(no label) · test" and len(place_of("x" * 90, "train")) <= 26


def test_the_axis_of_a_measure_begins_where_its_values_can():
    figure = draw_measures(np.array([[100.0, 20.0, 0.0, 5.0, 8.0, 8.0]] * 9), {})
    lefts = {axes.get_xlabel(): axes.get_xlim() for axes in figure.axes if axes.get_xlabel()}
    assert min(left for left, _ in lefts.values()) >= 0
    low, high = lefts[LABELS["saturation"]]
    assert low == 0 and high == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("n", [1, 5, COLUMNS + 1, MOST_PICTURES])
def test_a_sheet_shows_pictures_of_all_shapes_without_overlaps(n):
    shapes = [(9, 200), (200, 9), (1, 1), (96, 96)]
    tiles = [
        Tile(
            np.full((*shapes[place % 4], 3), 40, np.uint8) if place % 5 else "no such file or directory",
            DROPPED if place % 2 else REPORTED,
            (place_of("x" * 300, "train"), f"#{place}: mean 1.234", "folder_of_images/0123456789"),
        )
        for place in range(n)
    ]
    figure = draw_sheet(tiles, "near_duplicate", 1000 + n)
    assert f"Near duplicate: {n} of 1,0{n:02d} images" in words(figure) and "no picture: no\nsuch file" in words(figure)
    assert not overlapping(figure)
    picture(figure)


def test_sheets_of_odd_names_are_drawn_and_empty_ones_say_so():
    tiles = [Tile(np.zeros((4, 4, 3), np.uint8), REPORTED, (place_of(name, "val"),)) for name in ODD_NAMES]
    figure = draw_sheet(tiles, "dark", len(tiles))
    assert "Dark: all 7 images" in words(figure)
    picture(figure)
    assert "There are none" in words(draw_sheet([], "dark", 0))
    assert "every image could be read" in words(draw_reasons_sheet(findings_of(), {}))


def test_unreadable_images_stand_there_with_their_reasons():
    found = findings_of(*(finding(place, "unreadable", "drop", label="x" * 99) for place in range(30)))
    figure = draw_reasons_sheet(found, dict.fromkeys(range(30), "cannot identify image file, " * 5))
    assert "24 of 30 images" in words(figure) and "cannot identify image file" in words(figure)
    assert not overlapping(figure)
    picture(figure)


def test_the_largest_clusters_come_first_and_name_the_kept_copy():
    rows = [finding(place, "exact_duplicate", "drop", 1, "0", 4) for place in (1, 2, 3)]
    rows += [finding(place, "leak", "drop", 1, "0", 4) for place in (1, 2)]
    rows += [finding(9, "exact_duplicate", "report", 8, "0", 8)]
    rows += [finding(place, "near_duplicate", "report", 5, "2", 5) for place in (6, 7)]
    manifest = manifest_of(["a"] * 10, ["train"] * 4 + ["test"] * 6)
    first, second, near = largest_clusters(findings_of(*rows), manifest, RULES)
    assert (first.kind, second.kind, near.kind) == (EXACT, EXACT, NEAR)
    assert dict(zip(first.images["image_id"], first.images["state"], strict=True)) == {
        **dict.fromkeys((1, 2, 3), DROPPED),
        4: KEPT,
    }
    assert first.images["image_id"].iloc[0] == 4
    assert second.images["state"].tolist() == [KEPT, REPORTED]
    assert near.images["image_id"].tolist() == [5, 6, 7]
    assert heading(first) == "4 images with the same pixels · in several splits: train (3), test (1)"
    assert count_clusters(findings_of(*rows), RULES) == {EXACT: 2, NEAR: 1, ALIKE: 0}


def test_exact_copies_are_no_near_cluster_where_rules_look_at_near_ones():
    rules = Rules(leak={"near": True}, label_conflict={"near": True}).model_dump()
    rows = [finding(place, "exact_duplicate", "drop", 0, "0", 0) for place in (1, 2)]
    rows += [finding(1, "leak", "drop", 0, "0", 0), finding(5, "leak", "drop", 4, "3", 4)]
    found = findings_of(*rows)
    clusters = largest_clusters(found, manifest_of(["a"] * 6, "val"), rules)
    assert [(cluster.kind, sorted(cluster.images["image_id"])) for cluster in clusters] == [
        (EXACT, [0, 1, 2]),
        (NEAR, [4, 5]),
    ]


@pytest.mark.parametrize(
    ("exact", "near", "expected"), [(20, 20, (4, 4)), (20, 1, (7, 1)), (2, 20, (2, 6)), (0, 0, (0, 0))]
)
def test_both_kinds_of_clusters_share_the_room(exact, near, expected):
    rows = [finding(2 * n + 1, "exact_duplicate", "drop", 2 * n, "0", 2 * n) for n in range(exact)]
    start = 2 * exact
    rows += [
        finding(start + 2 * n + 1, "near_duplicate", "report", start + 2 * n, "1", start + 2 * n) for n in range(near)
    ]
    clusters = largest_clusters(findings_of(*rows), manifest_of(["a"] * 2 * (exact + near), "train"), RULES)
    kinds = Counter(cluster.kind for cluster in clusters)
    assert (kinds[EXACT], kinds[NEAR]) == expected


def test_of_a_large_cluster_every_label_and_split_is_shown():
    images = pd.DataFrame({"image_id": range(60), "label": ["a"] * 58 + ["b"] * 2, "split": ["train"] * 59 + ["test"]})
    taken = shown(images)
    assert len(taken) == MOST_COPIES and taken["image_id"].is_monotonic_increasing
    assert {0, 58, 59} <= set(taken["image_id"])
    cluster = Cluster(EXACT, images.assign(path="p", state=REPORTED))
    assert "labels differ: a (58), b (2) · in several splits: train (59), test (1)" in heading(cluster)
    assert "60 images with the same pixels, 8 shown" in heading(cluster)


def test_the_sheet_of_clusters_can_be_read():
    images = pd.DataFrame({"image_id": range(12), "label": "x" * 90, "split": "train", "path": "p"})
    images["state"] = [KEPT, *[DROPPED] * 10, REPORTED]
    clusters = [Cluster(kind, images.iloc[:count]) for kind in (EXACT, NEAR) for count in (2, 12)]
    pictures = [grey(shown(cluster.images)["path"]) for cluster in clusters]
    figure = draw_duplicates(clusters, pictures, {EXACT: 1234, NEAR: 2})
    assert "of 1,234 with the same pixels and of 2 with nearly the same pixels" in words(figure)
    assert not overlapping(figure)
    picture(figure)
    assert "There are none" in words(draw_duplicates([], [], {EXACT: 0, NEAR: 0}))


def test_every_rule_has_its_picture():
    results = planted()
    figures = draw_cleaning(results, grey)
    names = ["findings", "balance", "measures", "duplicates", *(f"findings_{rule}" for rule in RULES if RULES[rule])]
    assert list(figures) == names
    assert "truncated" in words(figures["findings_unreadable"])
    page = findings_page(results).decode()
    assert page.count("<tr>") == len(results.findings) + 1


def test_the_same_results_give_the_same_bytes():
    results = planted(60)
    counts = count_classes(results.manifest, results.selection)
    tiles = [Tile(one, DROPPED, ("a · train",)) for one in grey(range(3))]
    for draw in (lambda: draw_balance(counts), lambda: draw_sheet(tiles, "leak", 3)):
        assert png_bytes(draw()) == png_bytes(draw())


def test_results_without_findings_are_drawn():
    rules = dict.fromkeys(RULES) | {"blank": {"action": "drop", "drop_in_test": False, "deviation_below": 0}}
    figures = draw_cleaning(planted(rules=rules, side_px=96), grey)
    assert list(figures)[4:] == ["findings_blank"]
    assert "There are none" in words(figures["findings_blank"]) and "There are none" in words(figures["duplicates"])


def test_a_sheet_of_wrong_labels_says_the_suggested_one_and_the_margin():
    rules = dict.fromkeys(RULES) | {"mislabelled": {"action": "drop"}, "dark": RULES["dark"]}
    found = findings_of(
        finding(3, "dark", value="2"),
        finding(3, "mislabelled", "drop", value="0.52", label="owl", suggested="cat"),
        finding(5, "mislabelled", "report", value="0.91", label="owl", suggested="cat"),
    )
    results = dataclasses.replace(planted(60), findings=found, rules=rules)
    figures = draw_cleaning(results, grey)
    assert "rather cat, margin 0.5" in words(figures["findings_mislabelled"])
    assert "2 images" in words(figures["findings_mislabelled"]) and "owl" in words(figures["findings_mislabelled"])
    assert "1 dropped, 1 only reported" in words(figures["findings"])
    assert rules_on(rules) == ["dark", "mislabelled"]
    page = findings_page(results).decode()
    assert "suggested" in page and "7 9" in page and "There are none" in words(figures["duplicates"])


def test_images_near_in_features_are_shown_with_cosines_in_a_cluster_of_their_own():
    near = {"action": "report", "threshold": None, "across": False}
    rules = dict.fromkeys(RULES) | {"near_in_features": near, "near_duplicate": RULES["near_duplicate"]}
    found = findings_of(
        finding(4, "near_duplicate", cluster=3, value="2", other=3),
        finding(5, "near_in_features", cluster=3, value="0.98765", other=3, split="test"),
    )
    results = dataclasses.replace(planted(60), findings=found, rules=rules, inspected={"near_in_features": NEAR_FACTS})
    kinds = {cluster.kind: cluster for cluster in largest_clusters(found, results.manifest, rules)}
    assert {kind: one.images["image_id"].tolist() for kind, one in kinds.items()} == {NEAR: [3, 4], ALIKE: [3, 5]}
    figures = draw_cleaning(results, grey)
    assert "near #3, cosine 0.9877" in words(figures["findings_near_in_features"])
    assert "2 images with nearly the same features" in words(figures["duplicates"])
    picture(figures["cosines"])
    assert not overlapping(figures["cosines"])
    assert "threshold 0.9700" in words(figures["cosines"]) and "views a and b" in words(figures["cosines"])
    assert "Nothing was drawn" in words(draw_cosines({"threshold": 0.9}))


SHIFT_FACTS = {
    "splits": {
        "val": {"images": 60, "far": 0.05, "test": {"images": 40, "accuracy": 0.5, "p_value": 0.56}},
        "test": {"images": 90, "far": 0.62, "test": {"images": 80, "accuracy": 0.9, "p_value": 1e-9}},
    },
    "edges": [0.0, 0.25, 0.5, 0.75],
    "shares": {"train": [0.75, 0.25, 0.0], "val": [0.5, 0.5, 0.0], "test": [0.125, 0.375, 0.5]},
}


def test_the_distances_of_each_split_are_a_line_and_the_note_says_which_split_is_told_apart():
    rules = dict.fromkeys(RULES)
    results = dataclasses.replace(planted(60), findings=findings_of(), rules=rules, inspected={"shift": SHIFT_FACTS})
    figure = draw_cleaning(results, grey)["distances"]
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_data() for line in axes.patches}
    assert {name: line.values.tolist() for name, line in lines.items()} == {
        "train": [75.0, 25.0, 0.0],
        "val": [50.0, 50.0, 0.0],
        "test": [12.5, 37.5, 50.0],
    }
    assert all(line.edges.tolist() == SHIFT_FACTS["edges"] for line in lines.values())
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "val", "test"]
    told = " ".join(words(figure).split())
    assert "test does not look like train: a classifier tells it from train in 90 % of 80 images (p = 1e-09)" in told
    assert "62 % of its images lie farther from train than 95 % of those of train" in told
    assert "val is not told apart from train: a classifier tells it from train in 50 % of 40 images" in told
    assert not overlapping(figure)
    picture(figure)
    assert "distances" not in draw_cleaning(dataclasses.replace(results, inspected={"shift": None}), grey)


def test_distances_without_val_are_drawn():
    parts = {part: {"test": SHIFT_FACTS[part]["test"]} for part in ("splits", "shares")}
    figure = draw_distances(SHIFT_FACTS | parts)
    assert [line.get_label() for line in figure.axes[0].patches] == ["test"] and "val" not in words(figure)


NEAR_FACTS = {
    "threshold": 0.97,
    "proposal": {
        "threshold": 0.9654,
        "same_found": 0.991,
        "others_found": 0.02,
        "basis": "views a and b of 200 images",
        **histogram(np.linspace(0.93, 1, 40), np.linspace(0.3, 0.95, 90)),
    },
}


def test_the_command_draws_what_the_stage_has_written(tmp_path):
    images, store = tmp_path / "images", tmp_path / "fingerprints.zarr"
    images.mkdir()
    for name in range(5):
        Image.new("RGB", (20, 20), (40 * name, 10, 10)).save(images / f"{name}.png")
    (tmp_path / "manifest.csv").write_bytes(frame_bytes(manifest_of(["a"] * 6, "train"), MANIFEST_COLUMNS))
    hashes = np.array([[n, n, 0] for n in (0, 1, 2, 1, 4, 5, 0, 0)], np.uint64)
    arrays = {"hashes": hashes, "measures": measures_of(8, side_px=20), "valid": np.arange(8) < 5}
    chunks.write_chunk(store, 0, arrays, {"images": 5})
    invalid = {"invalid": [{"image_id": 5, "reason": "no such file"}]}
    chunks.seal(store, 6, {name: list(values.shape) for name, values in arrays.items()}, {}, invalid)
    files = {name: tmp_path / f"{name}.csv" for name in ("manifest", "findings", "selection")}
    outputs = (files["findings"], tmp_path / "cleaning.csv", tmp_path / "cleaning.json")
    rules = dict.fromkeys(RULES) | {name: RULES[name] for name in ("unreadable", "exact_duplicate")}
    clean_images(store, files["manifest"], rules, *outputs)
    select_rows(files["manifest"], store, rules, None, None, files["selection"])
    flags = {**files, "store": store, "rules": json.dumps(rules), "kind": "folder", "root": images}
    flags |= {"max-pixels": 10**6, "folder": tmp_path / "report"}
    command.main([text for name, value in flags.items() for text in (f"--{name}", str(value))])
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {
        *("findings.png", "findings.html", "balance.png", "measures.png", "duplicates.png"),
        *("findings_unreadable.png", "findings_exact_duplicate.png"),
    }
    page = (tmp_path / "report" / "findings.html").read_text()
    assert "3.png" in page and "exact_duplicate" in page and "5.png" in page
