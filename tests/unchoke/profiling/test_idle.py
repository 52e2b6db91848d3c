"""How long a card waits, by cause, on a made card."""

import time
from typing import Any

import pytest
from slow_steps import COUNT, Clock
from small_networks import task_of

from unchoke.encoders.encoder import Encoder
from unchoke.features.chunk import Extraction
from unchoke.images.steps import FORWARD, READ, TO_DEVICE
from unchoke.profiling import extraction, idle, training
from unchoke.profiling.idle import Watched, idle_shares
from unchoke.profiling.sample import Images


class Card(Clock):
    """A device with marks on a clock of the test's own."""

    def mark(self) -> "Mark":
        return Mark(self)


class Mark:
    """Stands for ``torch.cuda.Event``, whose times are milliseconds."""

    def __init__(self, card: Card) -> None:
        self._card, self.at_s = card, 0.0

    def record(self) -> None:
        self.at_s = self._card.now_s

    def elapsed_time(self, end: "Mark") -> float:
        return 1000 * (end.at_s - self.at_s)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    card = Card()
    monkeypatch.setattr(idle, "new_mark", card.mark)
    monkeypatch.setattr(time, "perf_counter", card.now)
    for profile in (extraction, training):
        monkeypatch.setattr(profile, "has_clock", lambda device: True)
    return card


def spend(monkeypatch: pytest.MonkeyPatch, card: Card, kind: Any, seconds: dict[str, float]) -> None:
    """Let each step of a kind take its seconds on the card's clock."""
    taken = kind.take

    def take(own: Any, step: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        def work(*given: Any, **more: Any) -> Any:
            card.sleep(seconds.get(step, 0.0))
            return function(*given, **more)

        return taken(own, step, work, *args, **kwargs)

    monkeypatch.setattr(kind, "take", take)


def test_marks_are_where_a_batch_begins_and_ends_however_many_parts_it_has(card: Card) -> None:
    steps = Watched("first", "last")
    for step, seconds in [
        ("before", 5),
        ("first", 1),
        ("middle", 2),
        ("first", 3),
        ("last", 4),
        ("first", 1),
        ("last", 1),
    ]:
        steps.take(step, card.sleep, seconds)
    assert steps.busy_s() == pytest.approx(10 + 2)


def test_what_is_outside_of_encoding_is_input_and_the_rest_the_host() -> None:
    assert idle_shares(10, 6, 5) == {"waiting for input": 0.4, "waiting for the host": 0.1}


def test_a_card_waits_for_slow_reading_and_for_a_slow_host(
    card: Card, sample: Images, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4 batches of 8: of 160 ms each 120 are read, 30 on the card and 10 in the host's hands."""
    spend(monkeypatch, card, Watched, {READ: 0.015, TO_DEVICE: 0.01, FORWARD: 0.02})
    encode = Encoder.encode

    def slow_host(own: Encoder, images: Any) -> Any:
        card.sleep(0.01)
        return encode(own, images)

    monkeypatch.setattr(Encoder, "encode", slow_host)
    watched = extraction._Measured(Images(sample.kind, sample.root, sample.paths, 0), encoder, Extraction(32, 8), None)  # type: ignore[arg-type]
    assert watched._watched() == pytest.approx(4 * 0.16 / COUNT)
    assert watched.idle() == pytest.approx({"waiting for input": 120 / 160, "waiting for the host": 10 / 160})


def test_a_training_waits_for_slow_reading(card: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step reads for 30 ms, and is 10 ms on the card."""
    spend(monkeypatch, card, training._WatchedSteps, {READ: 0.03, FORWARD: 0.01})
    task = task_of(batch_size=10)
    measured = training._Measured(task, training.first_learner(task), 10, 10, 30, 0)
    assert measured._watched() == pytest.approx(0.004)
    assert measured.idle() == pytest.approx({"waiting for input": 0.75, "waiting for the host": 0.0})


def test_shares_are_medians_over_rounds_and_name_the_lack_of_a_card(encoder: Encoder) -> None:
    measured = extraction._Measured(None, encoder, None, None)  # type: ignore[arg-type]
    assert measured.idle() == {"reason": "There is no CUDA card here whose idle time could be measured."}
    measured.watched = [idle_shares(10, 10 - wait, 4) for wait in (1, 5, 2)]
    assert measured.idle()["waiting for input"] == pytest.approx(0.2)
