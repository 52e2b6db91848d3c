"""Pure: the lines of a run on a terminal that draws them anew, and in a pipe or a log that keeps each.

A line is a list of pieces, each a text and a style; styles are names that the caller turns into colours.
"""

from dataclasses import dataclass, field

from unchoke.progress.stages import Stage, order_of, stage_of
from unchoke.progress.state import Count, Run
from unchoke.progress.words import about, counted, duration, rate

Line = list[tuple[str, str]]

STRONG, DIM, GOOD, BAR = "strong", "dim", "good", "bar"
MOST_STAGES = 3
"""Stages that are shown at once."""
LONG_S = 5.0
"""Seconds behind which the beginning of a stage is worth a line in a pipe."""
EVERY_S = 60.0
"""Seconds between two lines that only say how far a run is."""
WAITS = "waiting for "
"""How a line of a log begins in which a job says whom it waits for."""
_BAR_WIDTH = 20
WORDS_WIDTH = 21


def live_lines(run: Run, name: str, notes: dict[int, str], now_s: float) -> list[Line]:
    """The lines to draw: the whole run, then the stages that run, each with what its jobs say.

    name: of the dataset. notes: the last line of the log of running jobs, by their numbers.
    """
    lines = [[*bar(run.done, run.due), (f"  {' · '.join(_whole(run, name, now_s))}", "")]]
    running = [(stage, count) for stage, count in run.counts.items() if count.running]
    for stage, count in running[:MOST_STAGES]:
        said = stage_note(run, stage, notes)
        line: Line = [(f"  {run.words_of(stage):<{WORDS_WIDTH}}", STRONG), (" · ".join(_parts(run, count, now_s)), "")]
        lines.append([*line, *([(f"  {said}", DIM)] if said else [])])
    return lines


def bar(done: int, due: int, width: int = _BAR_WIDTH) -> Line:
    """A bar of `width` cells, of which the share ``done / due`` is filled; it is full only where all is done."""
    filled = width if due and done >= due else min(width - 1, width * done // due) if due else 0
    return [("━" * filled, BAR), ("─" * (width - filled), DIM)]


def stage_note(run: Run, stage: Stage, notes: dict[int, str]) -> str:
    """What the jobs of a stage say: the one that waits, or else the newest."""
    said = [notes[number] for number, job in run.running.items() if notes.get(number) and stage_of(job.rule) == stage]
    return next((note for note in said if note.startswith(WAITS)), said[-1] if said else "")


def end_line(run: Run, stage: Stage, count: Count, now_s: float) -> Line:
    """One line for a stage that has ended: how much of what in which time."""
    parts = [counted(count.done, "jobs")]
    if count.rows_done:
        parts.insert(0, counted(count.rows_done, run.sizes.unit))
    parts.append(duration(count.seconds(now_s)))
    if stage.counts_rows and (speed := count.rate(now_s)):
        parts.append(rate(speed, run.sizes.unit))
    return [("✓ ", GOOD), (f"{run.words_of(stage):<{WORDS_WIDTH}}", ""), (" · ".join(parts), DIM)]


def _whole(run: Run, name: str, now_s: float) -> list[str]:
    parts = [name, f"{run.done:,} of {counted(run.due, 'jobs')}", duration(now_s - run.started_s)]
    left_s, more = run.left_s(now_s)
    if left_s or not more:
        parts.append(f"{'over ' if more else ''}{about(left_s)} left")
    if run.quarantined:
        parts.append(f"{len(run.quarantined):,} quarantined")
    return parts


def _parts(run: Run, count: Count, now_s: float) -> list[str]:
    parts = [f"{count.done:,} of {counted(count.due, 'jobs')}"]
    if count.rows_due:
        parts = [f"{count.rows_done:,} of {counted(count.rows_due, run.sizes.unit)}"]
        if speed := count.rate(now_s):
            parts.append(rate(speed, run.sizes.unit))
    if left_s := count.left_s(now_s):
        parts.append(f"{about(left_s)} left")
    return parts


@dataclass
class Diary:
    """Which lines that stay have been written: of stages that began and ended, of waiting, and now and then of all."""

    keeps_all: bool
    """Whether every line stays, as in a pipe; else only ends of stages do, above the lines that are drawn anew."""
    _ended: dict[Stage, int] = field(default_factory=dict)
    _began: set[Stage] = field(default_factory=set)
    _waits: set[str] = field(default_factory=set)
    _last_s: float | None = None

    def news(self, run: Run, name: str, notes: dict[int, str], now_s: float) -> list[Line]:
        """The lines to write now, each once."""
        lines = [*self._ends(run, now_s), *(self._beginnings(run, notes, now_s) if self.keeps_all else [])]
        if self._last_s is None:
            self._last_s = run.started_s
        if not lines and self.keeps_all and run.running and now_s - self._last_s >= EVERY_S:
            lines = [_status(run, name, notes, now_s)]
        if lines:
            self._last_s = now_s
        return lines

    def _ends(self, run: Run, now_s: float) -> list[Line]:
        lines = []
        for stage, count in sorted(run.counts.items(), key=lambda item: order_of(item[0])):
            if count.is_over and not stage.minor and self._ended.get(stage) != count.done:
                self._ended[stage] = count.done
                lines.append(end_line(run, stage, count, now_s))
        return lines

    def _beginnings(self, run: Run, notes: dict[int, str], now_s: float) -> list[Line]:
        lines: list[Line] = []
        for stage, count in run.counts.items():
            if count.running and stage not in self._began and not stage.minor and count.seconds(now_s) > LONG_S:
                self._began.add(stage)
                what = counted(count.rows_due, run.sizes.unit) if count.rows_due else counted(count.due, "jobs")
                lines.append([(f"  {run.words_of(stage):<{WORDS_WIDTH}}{what} …", "")])
        for note in notes.values():
            if note.startswith(WAITS) and note not in self._waits:
                self._waits.add(note)
                lines.append([(f"  {note}", "")])
        return lines


def _status(run: Run, name: str, notes: dict[int, str], now_s: float) -> Line:
    """How far a run is, and its first running stage, in one line."""
    stages = [
        f"{run.words_of(stage)} {', '.join(_parts(run, count, now_s))}"
        for stage, count in run.counts.items()
        if count.running
    ]
    said = next(iter(notes.values()), "")
    return [(" · ".join([f"  {', '.join(_whole(run, name, now_s))}", *stages[:1], *([said] if said else [])]), "")]
