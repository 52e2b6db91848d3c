"""What each step of a training cost: a table on disk, and a line on a terminal or, now and then, in a log."""

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from unchoke.files import disk_error, write_atomic
from unchoke.store.tables import STEP_COLUMNS

EVERY_S = 0.5  # between two looks of the line on a terminal
LOG_EVERY_S = 5.0  # between two lines of a log, of which the run shows the last


@dataclass(frozen=True)
class StepRow:
    """One step, as it stands in the table."""

    step: int
    epoch: int
    """From 0, as steps are."""
    loss: float
    rate: float
    """Learning rate of the last layer."""
    seconds: float
    images_per_s: float
    micro_batch: int
    peak_mb: float
    """Most memory of the card with its context, or resident memory, MB of 2**20 bytes."""
    retries: int
    """Of the card's allocator: it had to give back cached memory and try again."""


class StepLog:
    """Writes a row for each step; a training that goes on cuts off the steps that it does again."""

    def __init__(self, path: Path | None, steps: int, epochs: int, screen: IO[str] = sys.stdout) -> None:
        """path: of the CSV file; None: no table. steps, epochs: of the whole training."""
        self._path, self._steps, self._epochs, self._screen = path, steps, epochs, screen
        self._file: IO[str] | None = None
        self._shown_s, self._step_s = 0.0 if screen.isatty() else time.monotonic(), 0.0

    def begin(self, step: int) -> None:
        """Keep the rows before `step`, whole lines alone, and write behind them."""
        if self._path is None:
            return
        lines = self._path.read_text().splitlines(keepends=True)[1:] if step and self._path.is_file() else []
        kept = [line for line in lines if line.endswith("\n") and int(line.split(",")[0]) < step]
        write_atomic(self._path, "".join([",".join(STEP_COLUMNS) + "\n", *kept]).encode())
        self._file = self._path.open("a", buffering=1)

    def step(self, row: StepRow) -> None:
        """Note a step."""
        cells = (getattr(row, name) for name in STEP_COLUMNS)
        self._append(",".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in cells))
        self._step_s = row.seconds if not self._step_s else 0.9 * self._step_s + 0.1 * row.seconds
        live = self._screen.isatty()
        if time.monotonic() - self._shown_s > (EVERY_S if live else LOG_EVERY_S):
            self._shown_s = time.monotonic()
            start, end = ("\r", "\x1b[K") if live else ("", "\n")
            print(f"{start}{self._line(row)}", end=end, file=self._screen, flush=True)

    def epoch(self, row: StepRow, score: float) -> None:
        """Say how an epoch ended. score: on val, the higher, the better."""
        start, end = ("\r", "\x1b[K") if self._screen.isatty() else ("", "")
        print(f"{start}{self._line(row)}, val score {score:.4f}{end}", file=self._screen, flush=True)

    def close(self) -> None:
        """Nothing more is written."""
        if self._file:
            with contextlib.suppress(OSError):  # of a row that has been refused already
                self._file.close()

    def _append(self, line: str) -> None:
        """A line, on the disk's side of Python's buffer; UnchokeError where the disk refuses."""
        if self._file is None or self._path is None:
            return
        try:
            self._file.write(f"{line}\n")
        except OSError as error:
            if (readable := disk_error(error, self._path)) is error:
                raise
            raise readable from error

    def _line(self, row: StepRow) -> str:
        left_s = round((self._steps - row.step - 1) * self._step_s)
        return (
            f"epoch {row.epoch + 1} of {self._epochs}, loss {row.loss:.4f}, {row.images_per_s:,.0f} images/s, "
            f"{row.peak_mb:,.0f} MB, {left_s // 60}:{left_s % 60:02d} left"
        )
