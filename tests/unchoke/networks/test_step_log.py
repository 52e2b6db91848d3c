"""The table of steps, the line on a terminal, and what the gauge asks of the device."""

import csv
import io
from pathlib import Path

import pytest
import torch
from small_networks import task_of

from unchoke.errors import UnchokeError
from unchoke.networks import gauge as gauges
from unchoke.networks import member as members
from unchoke.networks.gauge import Gauge
from unchoke.networks.member import train_member
from unchoke.networks.step_log import StepLog, StepRow
from unchoke.store.tables import STEP_COLUMNS

pytestmark = pytest.mark.usefixtures("one_thread")


class Terminal(io.StringIO):
    """A screen."""

    def isatty(self) -> bool:
        return True


def row(step: int, seconds: float = 2.0) -> StepRow:
    return StepRow(step, step // 4, 0.51234567, 0.01, seconds, 32.0, 8, 812.4, 0)


def test_a_training_leaves_a_row_a_step(tmp_path: Path) -> None:
    path, screen = tmp_path / "steps.csv", io.StringIO()
    found = train_member(task_of(), 0.01, 0.1, 0, 3, watch=StepLog(path, 12, 3, screen))
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == tuple(STEP_COLUMNS)
    assert [(int(row["step"]), int(row["epoch"])) for row in rows] == [(step, step // 4) for step in range(12)]
    losses = torch.tensor([float(row["loss"]) for row in rows]).view(3, 4).mean(1)
    torch.testing.assert_close(losses, torch.from_numpy(found.curves["train_loss"]), rtol=1e-4, atol=1e-5)
    assert {row["micro_batch"] for row in rows} == {"3"} and {row["retries"] for row in rows} == {"0"}
    assert all(float(row["peak_mb"]) > 10 and float(row["seconds"]) > 0 for row in rows)
    assert float(rows[-1]["images_per_s"]) == pytest.approx(6 / float(rows[-1]["seconds"]), rel=1e-4)  # of 30 images
    assert max(float(row["rate"]) for row in rows) == pytest.approx(0.01)
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3 and lines[0].startswith("epoch 1 of 3, loss ") and "val score" in lines[0]


@pytest.mark.parametrize("end", ["", "\n", "4,0,0.1", "0,0,0.1,0.1"])
def test_a_training_that_goes_on_keeps_whole_rows_of_before(end: str, tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    log = StepLog(path, 12, 3, io.StringIO())
    log.begin(0)
    for step in range(4):
        log.step(row(step))
    whole = path.read_text()
    path.write_text(whole.removesuffix("\n") + end)
    log = StepLog(path, 12, 3, io.StringIO())
    log.begin(2)
    for step in (2, 3):
        log.step(row(step))
    assert path.read_text() == whole
    log.begin(0)
    assert path.read_text() == ",".join(STEP_COLUMNS) + "\n"


def test_a_terminal_shows_each_look_and_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr("unchoke.networks.step_log.time.monotonic", lambda: now_s[0])
    screen, file = Terminal(), io.StringIO()
    logs = [StepLog(None, 100, 25, screen), StepLog(None, 100, 25, file)]
    for step in range(10, 22):  # 12 s
        now_s[0] += 1.0
        for log in logs:
            log.step(row(step))
    assert screen.getvalue().startswith("\repoch 3 of 25, loss 0.5123, 32 images/s, 812 MB, 2:58 left")
    assert screen.getvalue().count("\r") == 12 and "\n" not in screen.getvalue()
    lines = file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == ["epoch 4 of 25", "epoch 6 of 25"]  # after 6 s, and 6 s later
    assert not [line for line in lines if "\r" in line or "\x1b" in line]


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    log = StepLog(tmp_path / "steps.csv", 12, 3, io.StringIO())
    log.begin(0)
    log._file = Path("/dev/full").open("a", buffering=1)  # noqa: SIM115 closed by the log
    with pytest.raises(UnchokeError, match=r"(?s)disk is full.*steps.csv"):
        log.step(row(0))
    log.close()


class Meter:
    """A device whose peak is what was taken since."""

    peak = 5.0

    def reset_peak(self) -> None:
        self.peak = 5.0

    def peak_mb(self) -> float:
        return self.peak


def test_the_driver_is_asked_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(gauges.time, "monotonic", lambda: now_s[0])
    meter = Meter()
    gauge = Gauge(meter, torch.device("cpu"))  # type: ignore[arg-type]
    found = []
    for peak in (7.0, 30.0, 8.0, 9.0):
        meter.peak = max(meter.peak, peak)
        found.append(gauge.peak_mb())
        now_s[0] += 0.6
    assert found == [7.0, 7.0, 30.0, 30.0]


def test_two_steps_in_a_row_with_retries_halve_the_micro_batch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    retries = iter([0, 1, 0, 2, 1, 0, 0, 0, 3, 1, 1, 1])
    monkeypatch.setattr(members.Gauge, "retries", lambda _: next(retries))
    found = train_member(task_of(), 0.01, 0.1, 0, 8, watch=StepLog(tmp_path / "steps.csv", 12, 3, io.StringIO()))
    sizes = [int(line.split(",")[6]) for line in (tmp_path / "steps.csv").read_text().splitlines()[1:]]
    assert sizes == [8] * 5 + [4] * 5 + [2] * 2
    assert found.facts["micro_batch"] == 2
