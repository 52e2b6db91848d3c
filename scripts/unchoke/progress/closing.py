"""Pure: the last lines of a run, from figures that it has left."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unchoke.names import MULTILABEL
from unchoke.progress.words import counted, duration

BEST = 5
"""Heads that are shown."""
_STAGES = 4
_LONGEST_NAME = 34


@dataclass(frozen=True)
class Images:
    """What became of the images of a dataset."""

    present: int
    left_out: int
    """By cleaning or by a subset, and not quarantined."""
    quarantined: int
    unlabelled: int = 0
    """Without a label, and not quarantined."""

    @property
    def used(self) -> int:
        """Images that heads learn from or are judged on."""
        return self.present - self.left_out - self.quarantined - self.unlabelled


@dataclass(frozen=True)
class Outcome:
    """What a finished run has left. Paths are as users type them; '' for a file that is not there."""

    name: str
    """Of the dataset."""
    rows: Sequence[Mapping[str, Any]] = ()
    """Of the leaderboard, the best on val first: encoder, head, val, test, test_low, test_high."""
    metric: str = ""
    """That ranks, in words."""
    chance: tuple[str, float | None, float | None] | None = None
    """The largest class of train, and what always saying it is worth on val and test."""
    images: Images | None = None
    quarantine: str = ""
    report: str = ""
    database: str = ""
    to_label: str = ""


def closing_lines(outcome: Outcome, jobs: int, seconds: float, stages: Mapping[str, float], verify: str) -> list[str]:
    """The end of a run of everything.

    jobs, seconds: of the run. stages: seconds by stage in words, the longest first. verify: a command that checks all.
    """
    lines = ["", f"{outcome.name} is done: {counted(jobs, 'jobs')} in {duration(seconds)}.", ""]
    if outcome.rows:
        lines += [*board_lines(outcome), ""]
    if outcome.images:
        lines.append(_fact("images", _images(outcome.images, outcome.quarantine)))
    lines.append(_fact("time", _times(stages)))
    if outcome.report:
        lines.append(_fact("report", outcome.report))
    if outcome.to_label:
        lines.append(_fact("list", outcome.to_label))
    if outcome.database:
        lines.append(_fact("next", f"unchoke leaderboard --database {shlex.quote(outcome.database)}"))
    lines.append(_fact("" if outcome.database else "next", verify))
    return lines


def board_lines(outcome: Outcome) -> list[str]:
    """The best heads with their intervals, the chance level below them."""
    table = [("", "val", "test", "95 % interval")]
    for row in outcome.rows[:BEST]:
        interval = f"{_figure(row['test_low'])} to {_figure(row['test_high'])}"
        table.append((_short(f"{row['encoder']} {row['head']}"), _figure(row["val"]), _figure(row["test"]), interval))
    if outcome.chance:
        largest, val, test = outcome.chance
        always = "" if outcome.rows[0].get("task") == MULTILABEL else "always "
        table.append((_short(f"{always}{largest}: chance"), _figure(val), _figure(test), ""))
    width = max(len(line[0]) for line in table)
    lines = ["  ".join(["", f"{name:<{width}}", *(f"{cell:<6}" for cell in cells)]).rstrip() for name, *cells in table]
    hidden = len(outcome.rows) - BEST
    more = f", and {counted(hidden, 'heads')} more" if hidden > 0 else ""
    return [*lines, f"  {outcome.metric}; the best on val first{more}"]


def partial_lines(made: Sequence[str], jobs: int, seconds: float, stages: Mapping[str, float]) -> list[str]:
    """The end of a run of some targets. made: what was asked for."""
    listed = ", ".join(made[:3]) + (f" and {len(made) - 3:,} more" if len(made) > 3 else "")
    return [f"done: {listed}", _fact("time", f"{duration(seconds)} for {counted(jobs, 'jobs')}: {_times(stages)}")]


def idle_line(name: str, asked: Sequence[str], report: str) -> str:
    """The one line of a run that had nothing to do."""
    what = ", ".join(asked[:3]) if asked else name
    return f"Nothing to do: {what} is up to date." + (f" Report: {report}" if report and not asked else "")


def stopped_line(chunks: tuple[int, int], jobs: tuple[int, int]) -> str:
    """The line of a run that was interrupted. chunks, jobs: done and in all; chunks count those of earlier runs too."""
    if 0 <= chunks[0] < chunks[1]:
        return f"stopped; the same command goes on: {chunks[0]:,} of {chunks[1]:,} chunks are done"
    if jobs[1]:
        return f"stopped; the same command goes on: {jobs[0]:,} of {jobs[1]:,} jobs are done"
    return "stopped; the same command goes on"


def failed_line(jobs: tuple[int, int], log: str) -> str:
    """The last line of a run with failed jobs. log: Snakemake's, with everything."""
    return f"{jobs[0]:,} of {jobs[1]:,} jobs are done; mend the cause, and the same command goes on. Log: {log}"


def _fact(name: str, text: str) -> str:
    return f"  {name:<8}{text}"


def _images(images: Images, quarantine: str) -> str:
    parts = [f"{images.used:,} used", f"{images.left_out:,} left out", f"{images.quarantined:,} quarantined"]
    parts += [f"{images.unlabelled:,} without a label"] if images.unlabelled else []
    text = f"{images.present:,}: {', '.join(parts)}"
    return text + (f", see {quarantine}" if images.quarantined and quarantine else "")


def _times(stages: Mapping[str, float]) -> str:
    listed = list(stages.items())
    shown = [f"{words} {duration(seconds)}" for words, seconds in listed[:_STAGES]]
    rest = sum(seconds for _, seconds in listed[_STAGES:])
    return ", ".join([*shown, *([f"the rest {duration(rest)}"] if rest else [])])


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
