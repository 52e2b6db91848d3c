"""Rules of cleaning: compared with what plain loops over all pairs say, and each rule by an example."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from unchoke.cleaning.findings import FINDING_COLUMNS
from unchoke.cleaning.measures import MEASURES
from unchoke.cleaning.rules import RULES, class_balance, find
from unchoke.config.cleaning import Cleaning, Rules, deciding

RANK = {"test": 0, "val": 1, "train": 2}
ABOUT_COPIES = ("exact_duplicate", "near_duplicate", "label_conflict", "leak")
SOUND = {"mean": 128, "deviation": 40, "saturation": 0.5, "sharpness": 500, "width": 96, "height": 96}


def image(digest, perceptual=None, split="train", label="cat", valid=True, excluded="", **measures):
    """Images with one digest have one perceptual hash: 0b1111_0000_0000 << 5 * digest where none is given."""
    perceptual = 0xF00 << 5 * digest if perceptual is None else perceptual
    return SimpleNamespace(
        digest=digest,
        perceptual=perceptual,
        split=split,
        label=label,
        valid=valid,
        excluded=excluded,
        measures={**SOUND, **measures},
    )


def arguments(images):
    """Frame, hashes, measures and valid, as ``find`` takes them."""
    frame = pd.DataFrame(
        {
            "image_id": range(len(images)),
            **{name: [getattr(one, name) for one in images] for name in ("label", "split", "excluded")},
        }
    )
    hashes = np.array([(one.digest // 2, one.digest % 2, one.perceptual) for one in images], np.uint64).reshape(-1, 3)
    measures = np.array([[one.measures[name] for name in MEASURES] for one in images], np.float32).reshape(-1, 6)
    return frame, hashes, measures, np.array([one.valid for one in images], dtype=bool)


def settings_of(**rules):
    """The config's rules, those that are not named turned off."""
    return Rules(**{**dict.fromkeys(RULES), **rules}).model_dump()


def found(images, **rules):
    return find(*arguments(images), settings_of(**rules))


def tuples(findings):
    """Rows with None for NaN, so that they can be compared, less the columns that pixels say nothing of."""
    assert (findings.frame[["suggested", "nearest"]] == "").all(axis=None)
    frame = findings.frame.drop(columns=["suggested", "nearest"])
    rows = frame.astype(object).where(frame.notna(), None)
    return [tuple(row) for row in rows.itertuples(index=False)]


def loops(images, rules):
    """Findings and reasons of the rules about copies and of ``unreadable``, by loops over all pairs."""
    used = [place for place, one in enumerate(images) if one.valid and not one.excluded]
    rows, reasons = [], [""] * len(images)

    def clusters(joined):
        cluster = {place: place for place in used}
        for _ in used:
            for one in used:
                for other in used:
                    if joined(images[one], images[other]):
                        cluster[one] = cluster[other] = min(cluster[one], cluster[other])
        return cluster

    def distance(one, other):
        return (one.perceptual ^ other.perceptual).bit_count()

    def same(one, other):
        return one.digest == other.digest

    def near(one, other):
        hashed = one.perceptual and other.perceptual
        return same(one, other) or (hashed and distance(one, other) <= rules["near_duplicate"]["radius"])

    for name in ("unreadable", *ABOUT_COPIES):
        rule = rules[name]
        if not rule:
            continue
        if name == "unreadable":
            here = [
                (place, -1, None, -1, True) for place, one in enumerate(images) if not one.valid and not one.excluded
            ]
        else:
            cluster = clusters(near if name == "near_duplicate" or rule.get("near") else same)
            here = []
            for place in used:
                one = images[place]
                members = [other for other in used if cluster[other] == cluster[place]]
                kept = min(members, key=lambda other: (RANK[images[other].split], other))
                applies = {
                    "exact_duplicate": place != kept,
                    "near_duplicate": one.digest != images[kept].digest,
                    "label_conflict": len({images[other].label for other in members}) > 1,
                    "leak": RANK[one.split] > min(RANK[images[other].split] for other in members),
                }[name]
                if applies:
                    to_kept = (None, -1) if place == kept else (float(distance(one, images[kept])), kept)
                    here.append((place, min(members), *to_kept, one.split != "test"))
        for place, first, value, other, may_go in here:
            goes = may_go and rule["action"] == "drop"
            rows.append((place, name, "drop" if goes else "report", first, value, other))
            reasons[place] = reasons[place] or (name if goes else "")
    return sorted(rows, key=lambda row: row[0]), reasons


# Each digest has one perceptual hash, as pixels have; 0 is none.
PERCEPTUAL = (0, 0b111, 0b1, 0b11111, 0xFF00, 0xFF01)
IMAGE = st.builds(
    lambda digest, **others: image(digest, PERCEPTUAL[digest], **others),
    st.integers(0, 5),
    split=st.sampled_from(list(RANK)),
    label=st.sampled_from(["cat", "dog"]),
    valid=st.sampled_from([True, True, True, False]),
    excluded=st.sampled_from(["", "", "", "no label"]),
    mean=st.sampled_from([1, 128, 254]),
    deviation=st.sampled_from([0, 40]),
)
IMAGES = st.lists(IMAGE, max_size=9)
ACTION = st.sampled_from(["report", "drop"])
FLAG = {"action": ACTION, "near": st.booleans()}
SETTINGS = st.fixed_dictionaries(
    {
        **{name: st.none() | st.fixed_dictionaries({"action": ACTION}) for name in RULES},
        "near_duplicate": st.fixed_dictionaries({"action": ACTION, "radius": st.sampled_from([0, 2, 4])}),
        **{name: st.none() | st.fixed_dictionaries(FLAG) for name in ("label_conflict", "leak")},
    }
).map(lambda rules: Rules(**rules).model_dump())


def test_the_config_has_the_rules_in_their_order():
    assert list(Rules.model_fields) == list(RULES)


@given(IMAGES, SETTINGS)
def test_rules_about_copies_say_what_loops_say(images, rules):
    rules = {**dict.fromkeys(RULES), **{name: rules[name] for name in ("unreadable", *ABOUT_COPIES)}}
    findings = find(*arguments(images), rules)
    rows, reasons = loops(images, rules)
    assert tuples(findings) == rows
    assert findings.dropped.tolist() == reasons


@given(IMAGES, SETTINGS)
def test_the_rules_that_drop_drop_the_same_alone(images, rules):
    alone = find(*arguments(images), deciding(rules))
    assert alone.dropped.tolist() == find(*arguments(images), rules).dropped.tolist()


@given(IMAGES, SETTINGS)
def test_what_is_dropped_is_the_first_finding_that_drops(images, rules):
    findings = find(*arguments(images), rules)
    drops = findings.frame[findings.frame["action"] == "drop"].groupby("image_id")["rule"].first()
    assert [drops.get(image_id, "") for image_id in range(len(images))] == findings.dropped.tolist()


@given(IMAGES, SETTINGS)
def test_findings_are_sorted_by_image_and_rule(images, rules):
    frame = find(*arguments(images), rules).frame
    places = list(zip(frame["image_id"], map(list(RULES).index, frame["rule"]), strict=True))
    assert places == sorted(set(places))
    assert list(frame.columns) == list(FINDING_COLUMNS)


@given(
    st.lists(IMAGE, max_size=9, unique_by=lambda one: (one.digest, one.split)),
    SETTINGS,
    st.randoms(use_true_random=False),
)
def test_reasons_follow_the_images_into_another_order(images, rules, random):
    """Where ids do not decide which copy stays: no two copies are in one split, and near duplicates are not dropped."""
    rules["near_duplicate"]["action"] = "report"
    order = random.sample(range(len(images)), len(images))
    here = find(*arguments(images), rules).dropped
    there = find(*arguments([images[place] for place in order]), rules).dropped
    assert here[order].tolist() == there.tolist()


@given(IMAGES, SETTINGS)
def test_rules_about_copies_never_drop_an_image_of_test(images, rules):
    dropped = find(*arguments(images), rules).dropped
    assert not {reason for one, reason in zip(images, dropped, strict=True) if one.split == "test"} & set(ABOUT_COPIES)


def test_images_that_cannot_be_read_are_copies_of_nothing():
    findings = found(
        [image(1, valid=False, mean=0), image(1, valid=False, mean=0)], unreadable={}, exact_duplicate={}, dark={}
    )
    assert tuples(findings) == [(0, "unreadable", "drop", -1, None, -1), (1, "unreadable", "drop", -1, None, -1)]


def test_exact_copies_keep_the_one_in_test_then_val_then_the_first():
    findings = found([image(1), image(1), image(1, split="val"), image(2), image(1, split="test")], exact_duplicate={})
    assert tuples(findings) == [(id, "exact_duplicate", "drop", 0, 0, 4) for id in (0, 1, 2)]
    assert findings.dropped.tolist() == ["exact_duplicate"] * 3 + [""] * 2


def test_copies_within_test_are_reported_alone():
    findings = found([image(1, split="test"), image(1, split="test")], exact_duplicate={"action": "drop"})
    assert tuples(findings) == [(1, "exact_duplicate", "report", 0, 0, 0)]
    assert findings.dropped.tolist() == ["", ""]


def test_images_that_the_manifest_excludes_take_no_part():
    findings = found(
        [image(1, excluded="no label"), image(1), image(1, mean=0, excluded="gone")], exact_duplicate={}, dark={}
    )
    assert tuples(findings) == []


def test_exact_copies_alone_are_no_near_duplicates():
    assert tuples(found([image(1), image(1)], near_duplicate={})) == []


def test_near_duplicates_tell_their_distance_to_the_one_that_stays():
    images = [image(1, 0b11), image(2, 0b1), image(3, 0b1, split="val"), image(4, 0xFF00), image(1, 0b11)]
    findings = found(images, near_duplicate={"action": "drop", "radius": 2})
    assert tuples(findings) == [
        (0, "near_duplicate", "drop", 0, 1, 2),
        (1, "near_duplicate", "drop", 0, 0, 2),
        (4, "near_duplicate", "drop", 0, 1, 2),
    ]


def test_images_without_a_perceptual_hash_are_near_to_nothing():
    assert tuples(found([image(1, 0), image(2, 0), image(3, 0b1)], near_duplicate={})) == []


def test_copies_with_different_labels_all_go_but_those_in_test():
    images = [image(1, label="cat"), image(1, label="dog"), image(1, split="test"), image(2), image(2)]
    findings = found(images, exact_duplicate={}, label_conflict={"action": "drop"})
    conflict = [row[:3] for row in tuples(findings) if row[1] == "label_conflict"]
    assert conflict == [(id, "label_conflict", action) for id, action in enumerate(["drop", "drop", "report"])]
    assert findings.dropped.tolist() == ["exact_duplicate", "exact_duplicate", "", "", "exact_duplicate"]


def test_the_copy_that_duplicates_keep_is_not_saved_from_a_conflict():
    findings = found(
        [image(1, label="cat"), image(1, label="dog")], exact_duplicate={}, label_conflict={"action": "drop"}
    )
    assert findings.dropped.tolist() == ["label_conflict", "exact_duplicate"]


def test_a_leak_is_taken_out_of_train_before_val_and_never_out_of_test():
    images = [
        image(1),
        image(1, split="test"),
        image(2),
        image(2, split="val"),
        image(3, split="val"),
        image(3, split="test"),
    ]
    findings = found([*images, image(4), image(4)], leak={})
    assert tuples(findings) == [
        (0, "leak", "drop", 0, 0, 1),
        (2, "leak", "drop", 2, 0, 3),
        (4, "leak", "drop", 4, 0, 5),
    ]


def test_near_copies_leak_where_the_rule_says_so():
    images = [image(1, 0b1), image(2, 0b111, split="test"), image(3, 0), image(3, 0, split="test")]
    assert [row[0] for row in tuples(found(images, leak={}, near_duplicate={})) if row[1] == "leak"] == [2]
    findings = found(images, leak={"near": True}, near_duplicate={"radius": 2})
    assert [row for row in tuples(findings) if row[1] == "leak"] == [
        (0, "leak", "drop", 0, 2, 1),
        (2, "leak", "drop", 2, 0, 3),
    ]


@pytest.mark.parametrize(
    ("rule", "measure", "odd", "sound"),
    [
        ("dark", "mean", 4.5, 5),
        ("bright", "mean", 250.5, 250),
        ("blank", "deviation", 1.5, 2),
        ("blurred", "sharpness", 99.5, 100),
    ],
)
def test_a_measure_beyond_its_threshold_is_found_in_every_split_and_dropped_in_test_where_asked(
    rule, measure, odd, sound
):
    images = [image(id, split=split, **{measure: odd}) for id, split in enumerate(RANK)] + [
        image(9, **{measure: sound})
    ]
    findings = found(images, **{rule: {"action": "drop"}})
    assert tuples(findings) == [(id, rule, "drop" if id else "report", -1, odd, -1) for id in range(3)]
    assert findings.dropped.tolist() == ["", rule, rule, ""]
    also_in_test = found(images, **{rule: {"action": "drop", "drop_in_test": True}})
    assert also_in_test.dropped.tolist() == [rule] * 3 + [""]


@pytest.mark.parametrize(
    ("width", "height", "odd"),
    [
        *((15, 96, True), (16, 80, False), (16, 81, True)),
        *((480, 96, False), (481, 96, True), (305, 304, True), (303, 304, False), (30, 30, True), (31, 31, False)),
    ],
)
def test_a_size_is_odd_by_its_side_its_shape_or_its_area(width, height, odd):
    findings = found([image(1, width=width, height=height), *map(image, range(2, 6))], odd_size={})
    assert tuples(findings) == [(0, "odd_size", "report", -1, width * height, -1)] * odd


def test_without_rules_nothing_is_found():
    findings = find(*arguments([image(1), image(1)]), {})
    assert tuples(findings) == []
    assert findings.dropped.tolist() == ["", ""]


def test_no_images_have_no_findings():
    assert tuples(find(*arguments([]), Rules(blurred={}).model_dump())) == []


def test_heads_depend_on_what_drops_and_on_which_images_are_near():
    rules = settings_of(near_duplicate={"radius": 4}, leak={"near": True}, dark={})
    assert set(deciding(rules)) == {"leak", "near_duplicate"}
    assert set(deciding(settings_of(leak={}, dark={}))) == {"leak"}


@pytest.mark.parametrize(("near", "expected"), [(None, [0, -1, 0, -1, -1, -1]), ({"radius": 2}, [0, -1, 0, 3, 3, -1])])
def test_copies_within_a_split_are_one_cluster(near, expected):
    """0 and 2 are exact copies in test; 3 and 4 near ones in train, of which 1 in test is another."""
    images = [image(1, split="test"), image(2, 0b1, split="test"), image(1, split="test")]
    images += [image(3, 0b11), image(4, 0b111), image(5, valid=False)]
    assert found(images, exact_duplicate={}, near_duplicate=near).cluster.tolist() == expected


def test_class_balance_counts_before_and_after():
    images = [image(1), image(1), image(1, label="dog"), image(2, split="test"), image(3, excluded="no label")]
    frame = arguments(images)[0]
    balance = class_balance(frame, np.array(["", "leak", "blank", "", ""], dtype=object))
    assert balance.values.tolist() == [["train", "cat", 2, 1], ["train", "dog", 1, 0], ["test", "cat", 1, 1]]
    assert list(balance.columns) == ["split", "label", "before", "after"]


def test_the_balance_of_nothing_is_empty():
    assert len(class_balance(arguments([])[0], np.empty(0, dtype=object))) == 0


@pytest.mark.parametrize("rule", ["leak", "label_conflict"])
def test_near_copies_need_the_rule_that_finds_them(rule):
    with pytest.raises(ValidationError, match=rf"{rule}.near: true needs the rule near_duplicate"):
        Rules(near_duplicate=None, **{rule: {"near": True}})


def test_a_rule_that_is_given_in_part_takes_the_other_defaults():
    rules = Cleaning(rules={"near_duplicate": {"action": "drop"}, "dark": None, "blurred": {}}).model_dump()["rules"]
    assert rules["near_duplicate"] == {"action": "drop", "radius": 4, "turned": False}
    assert rules["dark"] is None
    assert rules["blurred"]["action"] == "report"
    assert rules["exact_duplicate"] == {"action": "drop"}
    assert Cleaning().rules.blurred is None


def test_turned_copies_are_near_where_asked_and_tell_their_least_distance():
    """0xAAAA… inverts the bits of the frequencies that a flip across changes the sign of."""
    images = [image(1, 0xFF), image(2, 0xAAAA_AAAA_AAAA_AA55)]
    assert tuples(found(images, near_duplicate={})) == []
    assert tuples(found(images, near_duplicate={"turned": True})) == [(1, "near_duplicate", "report", 0, 0, 0)]


@pytest.mark.parametrize(("radius", "even"), [(1, "0 or 2"), (3, "2 or 4"), (5, "4 or 6")])
def test_an_odd_radius_is_told_why_and_what_to_write(radius, even):
    with pytest.raises(ValidationError, match=f"distances are even: write {even}"):
        Rules(near_duplicate={"radius": radius})


@pytest.mark.parametrize("radius", [-1, 1, 3, 8])
def test_a_radius_beyond_the_limits_or_odd_is_refused(radius):
    with pytest.raises(ValidationError):
        Rules(near_duplicate={"radius": radius})
