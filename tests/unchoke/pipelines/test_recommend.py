"""The recommendation: what a config can choose, comparable, and clearly faster; else the default."""

import json

import yaml
from hypothesis import given
from hypothesis import strategies as st

from unchoke.config.decoding import Decoding
from unchoke.config.encoders import Encoder
from unchoke.encoders.ways import MARGIN_OF_TIME
from unchoke.pipelines.recommend import PAYS, WORTH, best_setting, recommendation
from unchoke.pipelines.table import Row

RATES = st.floats(1, 1e4)


ENCODER = {"micro_batch": 8, "precision": "float16", "compile": "off"}
IMAGES = 1000


def row(
    name: str,
    cold: float,
    warm: float,
    decoding: dict[str, object] | None,
    differs: bool = False,
    times: float = 2.0,
    encoder: dict[str, object] | None = None,
) -> Row:
    return Row(
        name,
        "",
        json.dumps(decoding) if decoding else "",
        json.dumps({**ENCODER, **(encoder or {})}) if decoding else "",
        images=100,
        prepare_s=10.0,
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
    best = best_setting(rows, IMAGES)
    assert best.decoding and not best.differs and best.measured
    able = [each for each in rows if each.decoding and not each.differs and each.measured]
    assert all(each.images_per_s <= WORTH * best.images_per_s for each in able)
    assert best is rows[0] or best.images_per_s > WORTH * rows[0].images_per_s


@given(RATES, OTHERS)
def test_its_lines_are_a_part_of_a_config(rate: float, others: list[Row]) -> None:
    rows = [row("default", rate, rate, DEFAULT), *others]
    text = recommendation(rows, threads=3, rounds=3, encoder="on", images=IMAGES)
    decoding = (pasted := yaml.safe_load(text))["decoding"]
    assert pasted["encoders"] == {"on": ENCODER} and Encoder(model="a", **ENCODER)
    assert Decoding(**decoding).threads == 3
    assert {key: decoding[key] for key in DEFAULT} == json.loads(best_setting(rows, IMAGES).decoding)
    assert f"{best_setting(rows, IMAGES).images_per_s:,.0f} images/s" in text


def test_what_is_faster_but_no_setting_is_named() -> None:
    rows = [row("default", 10, 10, DEFAULT), row("peer", 30, 30, None), row("other", 9, 90, None)]
    text = recommendation(rows, 2, 3, "b0", IMAGES)
    assert "peer, 30 images/s" in text and "other" not in text


def test_what_was_slower_in_a_round_is_not_recommended() -> None:
    draft = {**DEFAULT, "jpeg_draft": True}
    for times, best in ((0.9, "default"), (1.1, "draft")):
        rows = [row("default", 10, 10, DEFAULT, times=1.0), row("draft", 30, 30, draft, times=times)]
        assert best_setting(rows, IMAGES).pipeline == best


def test_compiling_is_recommended_for_images_enough_to_pay_for_it() -> None:
    """Of 0.1 s an image it saves 0.05 s; 10 s of compiling must be saved twice: 400 images are just too few."""
    assert PAYS == MARGIN_OF_TIME
    rows = [row("default", 10, 10, DEFAULT), row("compiled", 20, 20, DEFAULT, encoder={"compile": "on"})]
    assert [best_setting(rows, images).pipeline for images in (400, 401)] == ["default", "compiled"]
    assert "compiling took 10 s and saves 20 s over 400 images" in recommendation(rows, 2, 3, "b0", 400)
    assert yaml.safe_load(recommendation(rows, 2, 3, "b0", 401))["encoders"]["b0"]["compile"] == "on"
    assert "are made anew" in recommendation(rows, 2, 3, "b0", 401)
    assert "are made anew" not in recommendation(rows, 2, 3, "b0", 400)
