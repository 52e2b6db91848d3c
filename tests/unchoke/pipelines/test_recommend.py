"""The recommendation: what a config can choose, comparable, and clearly faster; else the default."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from unchoke.config.decoding import Decoding
from unchoke.pipelines.recommend import WORTH, best_setting, recommendation
from unchoke.pipelines.table import Row

RATES = st.floats(1, 1e4)


def row(
    name: str, cold: float, warm: float, decoding: dict[str, object] | None, differs: bool = False, times: float = 2.0
) -> Row:
    return Row(
        name,
        "",
        json.dumps(decoding) if decoding else "",
        images=100,
        cold_s=100 / cold,
        cold_images_per_s=cold,
        warm_s=100 / warm,
        warm_images_per_s=warm,
        differs=differs,
        least_times=times,
    )


DEFAULT = {"input": "files", "jpeg_draft": False}
OTHERS = st.lists(
    st.builds(
        row,
        st.sampled_from("abc"),
        RATES,
        RATES,
        st.sampled_from([None, {**DEFAULT, "jpeg_draft": True}]),
        st.booleans(),
    ),
    max_size=6,
)


@given(RATES, RATES, OTHERS)
def test_the_best_setting_is_comparable_and_none_such_is_clearly_faster(
    cold: float, warm: float, others: list[Row]
) -> None:
    rows = [row("default", cold, warm, DEFAULT), *others, Row("missing", "", json.dumps(DEFAULT), note="no package")]
    best = best_setting(rows)
    assert best.decoding and not best.differs and best.measured
    able = [each for each in rows if each.decoding and not each.differs and each.measured]
    assert all(each.images_per_s <= WORTH * best.images_per_s for each in able)
    assert best is rows[0] or best.images_per_s > WORTH * rows[0].images_per_s


@given(RATES, OTHERS)
def test_its_lines_are_a_part_of_a_config(rate: float, others: list[Row]) -> None:
    rows = [row("default", rate, rate, DEFAULT), *others]
    text = recommendation(rows, threads=3, rounds=3)
    decoding = yaml.safe_load(text)["decoding"]
    assert Decoding(**decoding).threads == 3
    assert {key: decoding[key] for key in DEFAULT} == json.loads(best_setting(rows).decoding)
    assert f"{best_setting(rows).images_per_s:,.0f} images/s" in text


def test_what_is_faster_but_no_setting_is_named() -> None:
    rows = [row("default", 10, 10, DEFAULT), row("peer", 30, 30, None), row("other", 9, 90, None)]
    text = recommendation(rows, 2, 3)
    assert "peer, 30 images/s" in text and "other" not in text


def test_what_was_slower_in_a_round_is_not_recommended() -> None:
    draft = {**DEFAULT, "jpeg_draft": True}
    for times, best in ((0.9, "default"), (1.1, "draft")):
        rows = [row("default", 10, 10, DEFAULT, times=1.0), row("draft", 30, 30, draft, times=times)]
        assert best_setting(rows).pipeline == best
