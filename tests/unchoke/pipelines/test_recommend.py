"""The recommendation: what a config can choose, comparable, and clearly faster; else the default."""

import dataclasses
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from unchoke.config.decoding import Decoding
from unchoke.config.encoders import Encoder
from unchoke.config.networks import Network
from unchoke.encoders.ways import MARGIN_OF_TIME
from unchoke.pipelines.recommend import PAYS, WORTH, best_setting, network_recommendation, recommendation, training_s
from unchoke.pipelines.table import TRAINING, Row

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


NETWORK = {"cache": "activations", "precision": "float32", "compile": False}


def training(name: str, cold_s: float, warm_s: float, times: float = 2.0, **keys: object) -> Row:
    """Of 100 images; `setting` None: none of the config."""
    chosen = json.dumps({**NETWORK, **keys}) if keys.pop("setting", True) else ""
    rates = {"cold_images_per_s": 100 / cold_s, "warm_images_per_s": 100 / warm_s, "least_times": times}
    seconds = {"prepare_s": 30.0, "cold_s": cold_s, "warm_s": warm_s}
    return Row(name, "", images=100, task=TRAINING, network=chosen, **rates, **seconds)


DEFAULT_TRAINING = training("n: default", 8, 2, times=1.0)


def test_a_training_has_one_cold_epoch_and_compiles_once_a_member() -> None:
    """By hand, 1,000 images, 5 epochs, 3 trainings: 10 × (8 + 14 × 2) s; compiled 10 × (8 + 14 × 1), and 2 × 3 × 30."""
    assert training_s(DEFAULT_TRAINING, 1000, 5, 3) == 360
    assert training_s(training("c", 8, 1, compile=True), 1000, 5, 3) == 220 + 180


@pytest.mark.parametrize(
    ("other", "passes", "wins", "told"),
    [
        (training("n: compiled", 8, 1, compile=True), (1000, 5, 3), False, "its first epoch, or compiling, costs more"),
        (
            training("n: compiled", 8, 1, compile=True),
            (10_000, 5, 3),
            True,
            "100 images/s of training, 2.00 ×",
        ),
        (
            training("n: compiled", 8, 1, times=0.9, compile=True),
            (10_000, 5, 3),
            False,
            "slower than the default",
        ),
        (training("n: micro-batches of 8", 8, 1, setting=None), (1000, 5, 3), False, "no setting of the config"),
        (training("n: frozen part", 2, 2.1, cache="none"), (1000, 1, 1), True, "48 images/s"),
        (training("n: frozen part", 2, 2.1, cache="none"), (1000, 60, 1), False, "n: default: 50 images/s"),
    ],
)
def test_what_trains_all_members_in_the_least_time_is_recommended(
    other: Row, passes: tuple[int, int, int], wins: bool, told: str
) -> None:
    text = network_recommendation([DEFAULT_TRAINING, other], "on", passes)
    assert told in text
    pasted = yaml.safe_load(text)["networks"]["on"]
    assert pasted == json.loads((other if wins else DEFAULT_TRAINING).network)
    assert Network(encoder="a", blocks=2, **pasted)
    assert ("is trained anew" in text) == ("Accuracy on val after two epochs" in text) == wins


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        (0.0, "0.7500; the logits of the default to the last bit."),
        (1e-3, "0.7500; from the default +0.0000 (-0.1000 to"),
    ],
)
def test_what_accuracy_is_with_it_is_said(apart: float, told: str) -> None:
    worth = {"accuracy": 0.75, "accuracy_difference": 0.0, "low": -0.1, "high": 0.1}
    best = dataclasses.replace(training("n: compiled", 8, 1, compile=True), feature_difference=apart, **worth)
    assert told in network_recommendation([DEFAULT_TRAINING, best], "n", (10_000, 5, 3))


def test_a_network_that_could_not_be_measured_says_why() -> None:
    text = network_recommendation([Row("n: default", "", note="too few")], "n", (1, 1, 1))
    assert yaml.safe_load(text) is None and "n: default: not measured: too few" in text
