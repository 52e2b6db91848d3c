"""Pure: the state of a run, brought forward by Snakemake's events; and what follows from it: rates and time left.

All times are seconds of one clock that never goes back.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from unchoke.progress.stages import Stage, order_of, stage_of

_FEW_JOBS = 3  # finished ones, up to which the first one counts too, although it may have started the worker


@dataclass(frozen=True)
class Sizes:
    """How many rows of the manifest, images or patches, each job takes."""

    unit: str = "images"
    rows: int = 0
    """Of the manifest; 0 while it is not known."""
    per_job: dict[str, int] = field(default_factory=dict)
    """Rows of a job by the name of its rule, less the name of a store."""

    def of(self, rule: str, chunk: int | None) -> int:
        """Rows that a job takes; the last one takes fewer. 0 for rules that count none."""
        names = [name for name in self.per_job if rule == name or rule.startswith(f"{name}_")]
        if not names or chunk is None:
            return 0
        size = self.per_job[max(names, key=len)]
        return min(size, max(0, self.rows - chunk * size))


@dataclass(frozen=True)
class Job:
    """A running job."""

    rule: str
    wildcards: dict[str, str]
    logs: tuple[str, ...]
    started_s: float
    rows: int
    """Images or patches that it takes."""

    @property
    def name(self) -> str:
        """The rule with the values of its wildcards, for messages."""
        return " ".join([self.rule, *self.wildcards.values()])


@dataclass
class Count:
    """The jobs of one stage."""

    due: int = 0
    """Of this run, finished ones included."""
    done: int = 0
    running: int = 0
    rows_due: int = 0
    rows_done: int = 0
    busy_s: float = 0.0
    """In which at least one of its jobs ran, up to ``since_s``."""
    since_s: float = 0.0
    first_done: tuple[float, int] = (0.0, 0)
    """The seconds and the rows when its first job had finished: without the start of the worker."""

    def seconds(self, now_s: float) -> float:
        """Seconds in which at least one of its jobs ran."""
        return self.busy_s + (now_s - self.since_s if self.running else 0.0)

    @property
    def is_over(self) -> bool:
        """Whether all its jobs have finished."""
        return self.done >= self.due and not self.running and self.done > 0

    def pace(self, now_s: float) -> float | None:
        """Seconds a job, of those that have finished; None while none has."""
        if not self.done:
            return None
        return self._without_first(now_s, self.done, 1) or self.seconds(now_s) / self.done

    def rate(self, now_s: float) -> float | None:
        """Images or patches a second; None while no job has finished."""
        if not self.rows_done or not self.seconds(now_s):
            return None
        pace = self._without_first(now_s, self.rows_done, self.first_done[1])
        return 1 / pace if pace else self.rows_done / self.seconds(now_s)

    def _without_first(self, now_s: float, done: int, first: int) -> float | None:
        seconds = self.seconds(now_s) - self.first_done[0]
        return seconds / (done - first) if self.done > _FEW_JOBS and done > first and seconds > 0 else None

    def left_s(self, now_s: float) -> float | None:
        """Seconds until its last job has finished; None while its pace is not known."""
        if self.done >= self.due:
            return 0.0
        pace = self.pace(now_s)
        return None if pace is None else pace * (self.due - self.done)


@dataclass
class Run:
    """The jobs of one run."""

    started_s: float = 0.0
    sizes: Sizes = field(default_factory=Sizes)
    counts: dict[Stage, Count] = field(default_factory=dict)
    running: dict[int, Job] = field(default_factory=dict)
    quarantined: set[int] = field(default_factory=set)
    """Ids of images that could not be read."""
    has_words: bool = False
    """Whether the dataset has words, whose stages are called otherwise than those of masks."""

    def words_of(self, stage: Stage) -> str:
        """What a stage is called in this run."""
        return (self.has_words and stage.of_words) or stage.words

    def plan(self, jobs: Iterable[tuple[str, int | None]]) -> None:
        """Note all jobs of the graph, finished ones included. jobs: rule and chunk of each."""
        due, rows = Counter[Stage](), Counter[Stage]()
        for rule, chunk in jobs:
            if stage := stage_of(rule):
                due[stage] += 1
                rows[stage] += self.sizes.of(rule, chunk)
        for stage in due.keys() | self.counts.keys():
            count = self._count(stage)
            count.due = max(due[stage], count.done + count.running)
            count.rows_due = max(rows[stage], count.rows_done)
        self.counts = dict(sorted(self.counts.items(), key=lambda item: order_of(item[0])))

    def start(self, number: int, rule: str, wildcards: dict[str, str], logs: Iterable[str], now_s: float) -> None:
        """Note that a job has begun. number: Snakemake's of the job."""
        chunk = wildcards.get("chunk", "")
        rows = self.sizes.of(rule, int(chunk) if chunk.isdecimal() else None)
        self.running[number] = Job(rule, wildcards, tuple(logs), now_s, rows)
        if stage := stage_of(rule):
            count = self._count(stage)
            if not count.running:
                count.since_s = now_s
            count.running += 1
            count.due = max(count.due, count.done + count.running)

    def finish(self, number: int, now_s: float) -> Job | None:
        """Note that a job has ended well, and return it."""
        job = self.end(number, now_s)
        if job and (stage := stage_of(job.rule)):
            count = self.counts[stage]
            count.done += 1
            count.rows_done += job.rows
            if count.done == 1:
                count.first_done = count.seconds(now_s), count.rows_done
        return job

    def end(self, number: int, now_s: float) -> Job | None:
        """Note that a job runs no longer, and return it; None where it is not known."""
        job = self.running.pop(number, None)
        if job and (stage := stage_of(job.rule)):
            count = self.counts[stage]
            count.running -= 1
            if not count.running:
                count.busy_s += now_s - count.since_s
        return job

    @property
    def due(self) -> int:
        """Jobs of this run, finished ones included."""
        return sum(count.due for count in self.counts.values())

    @property
    def done(self) -> int:
        """Jobs that have ended well."""
        return sum(count.done for count in self.counts.values())

    def left_s(self, now_s: float) -> tuple[float, bool]:
        """Seconds that the stages of known pace still take, and whether there are others."""
        lefts = [count.left_s(now_s) for count in self.counts.values()]
        return sum(left for left in lefts if left is not None), None in lefts

    def seconds_by_stage(self, now_s: float) -> dict[str, float]:
        """Seconds in which each stage ran, the longest first."""
        seconds = {self.words_of(stage): count.seconds(now_s) for stage, count in self.counts.items() if count.done}
        return dict(sorted(seconds.items(), key=lambda item: -item[1]))

    def _count(self, stage: Stage) -> Count:
        return self.counts.setdefault(stage, Count())
