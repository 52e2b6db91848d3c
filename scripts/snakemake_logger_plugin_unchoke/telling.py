"""A run from its start to its last line: events bring its state forward, a thread of its own shows it."""

import logging
import os
import shlex
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_unchoke.screen import Screen
from unchoke.progress import closing, results
from unchoke.progress.failures import failure_lines, said_by_snakemake
from unchoke.progress.lines import Diary, live_lines
from unchoke.progress.stages import SPEAKING, stage_of
from unchoke.progress.state import Job, Run
from unchoke.targets.stores import has_words

DEMO = "No --configfile: this is the demo. Your own images: snakemake --configfile my.yaml …"
_LIVE_S, _PLAIN_S = 0.25, 1.0  # between two looks
_NOTES_S = 1.0  # between two looks at logs
_NOTED_JOBS = 4  # the newest
_RECORDS = 256  # that are read at one look
_INTERRUPT_S = 0.7  # in which a failure may turn out to be Ctrl-C
_INTERRUPTED = "Terminating processes on user request"
_GRACEFUL = "Will exit after finishing currently running jobs"
_IDLE = "Nothing to be done"
_LOG = "Complete log(s): "


def runs_demo(workflow: Any, config: dict[str, Any]) -> bool:
    """Whether nobody has named a config. workflow: Snakemake's. config: that of the run, with its defaults."""
    return not workflow.config_settings.configfiles and bool(config["dataset"]["kind"] == "digits")


class Telling:
    """Takes records in one thread and shows the run's state in another."""

    def __init__(self, screen: Screen, began_in: Path, run: tuple[Any, dict[str, Any], Path] | None) -> None:
        """began_in: the folder that the user is in. run: Snakemake's workflow, its config, its folder of results."""
        self._screen, self._began_in = screen, began_in
        no_run: tuple[Any, dict[str, Any], Path] = (None, {}, Path())
        self._workflow, self._config, self._results = run or no_run
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._run = Run(time.monotonic(), has_words=bool(self._config) and has_words(self._config))
        self._diary = Diary(keeps_all=not screen.is_live)
        self._planned = -1
        self._notes: dict[int, str] = {}
        self._noted_s = 0.0
        self._records: deque[Path] = deque()
        self._recorded: dict[int, Path] = {}
        self._failed: deque[tuple[float, Job]] = deque()
        self._says_error = self._has_failed = self._is_interrupted = self._is_idle = False
        self._log = ""
        self._thread = threading.Thread(target=self._look_often, name="unchoke progress", daemon=True)
        self._thread.start()
        self._take_interrupts()

    def take(self, record: logging.LogRecord) -> None:
        """Note one record of Snakemake."""
        event = getattr(record, "event", None)
        with self._lock:
            if event == LogEvent.JOB_INFO:
                self._start_job(record)
            elif event == LogEvent.JOB_FINISHED:
                self._finish_job(record.job_id)  # type: ignore[attr-defined]
            elif event == LogEvent.RUN_INFO:
                self._plan(record)
            elif event == LogEvent.JOB_ERROR:
                self._fail_job(record)
            elif event is None or event == LogEvent.ERROR:
                self._take_message(record)

    def close(self) -> None:
        """Write what is left to say, and how the run ended."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            self._look(time.monotonic())
            self._screen.erase()
            self._say_failures(0.0)
            self._write(self._last_lines())

    def _start_job(self, record: Any) -> None:
        if self._workflow is not None:
            self._count_jobs()
        wildcards = {name: str(value) for name, value in dict(record.wildcards or {}).items()}
        if record.rule_name in SPEAKING:
            self._screen.erase()
        self._run.start(record.jobid, record.rule_name, wildcards, record.log, time.monotonic())
        if record.output and (file := results.record_of(record.output[0], wildcards.get("chunk", ""))):
            self._recorded[record.jobid] = file

    def _finish_job(self, number: int) -> None:
        self._run.finish(number, time.monotonic())
        self._notes.pop(number, None)
        if file := self._recorded.pop(number, None):
            self._records.append(file)

    def _fail_job(self, record: Any) -> None:
        job = self._run.end(record.jobid, time.monotonic())
        self._notes.pop(record.jobid, None)
        if job:
            self._failed.append((time.monotonic(), job))
            self._has_failed = True

    def _take_message(self, record: logging.LogRecord) -> None:
        text = record.getMessage() or ""
        if record.levelno >= logging.ERROR:
            if said := said_by_snakemake(text):
                self._says_error = True
                self._write(said)
        elif record.levelno >= logging.WARNING or text.startswith(_GRACEFUL):
            self._write(text.splitlines())
        self._is_interrupted |= text.startswith(_INTERRUPTED)
        self._is_idle |= text.startswith(_IDLE)
        if text.startswith(_LOG):
            self._log = text.removeprefix(_LOG)

    def _plan(self, record: Any) -> None:
        """Count the jobs of the graph, where it has changed; without a workflow, as its table of jobs says."""
        if self._workflow is not None:
            self._count_jobs()
        elif stats := getattr(record, "stats", None):
            jobs = [(rule, None) for rule, count in stats.items() if rule != "total" for _ in range(count)]
            self._run.plan(jobs)
        if self._runs_demo:
            self._write([DEMO])

    def _count_jobs(self) -> None:
        dag = self._workflow.dag
        if len(dag) == self._planned:
            return
        self._planned = len(dag)
        self._run.sizes = results.sizes_of(self._config, self._results)
        # The scheduler's thread changes the set; a list is made of it in one step.
        jobs = [(job.rule.name, str(job.wildcards_dict.get("chunk", ""))) for job in list(dag._needrun)]
        self._run.plan((rule, int(chunk) if chunk.isdecimal() else None) for rule, chunk in jobs)

    def _look_often(self) -> None:
        while not self._ended.wait(_LIVE_S if self._screen.is_live else _PLAIN_S):
            with self._lock:
                self._look(time.monotonic())
                if self._owns_terminal:
                    self._screen.draw(live_lines(self._run, self._name, self._notes, time.monotonic()))

    @property
    def _owns_terminal(self) -> bool:
        """Whether nobody else writes to the terminal, as what `onstart` calls does before the first job."""
        run = self._run
        return bool(run.running or run.done) and not any(job.rule in SPEAKING for job in run.running.values())

    def _look(self, now_s: float) -> None:
        """Bring forward what no event says, and write the lines that are due."""
        if self._workflow is not None and self._planned >= 0:
            self._count_jobs()
        for _ in range(min(len(self._records), _RECORDS)):
            self._run.quarantined.update(results.unreadable(self._records.popleft()))
        if now_s - self._noted_s >= _NOTES_S:
            self._noted_s = now_s
            newest = list(self._run.running.items())[-_NOTED_JOBS:]
            self._notes = {
                number: note
                for number, job in newest
                if job.logs and now_s - job.started_s > _NOTES_S and (note := results.last_line(Path(job.logs[0])))
            }
        self._say_failures(_INTERRUPT_S)
        self._screen.write(self._diary.news(self._run, self._name, self._notes, now_s))

    def _say_failures(self, wait_s: float) -> None:
        """Write failures that are `wait_s` old; none after Ctrl-C, which ends all jobs."""
        while self._failed and (self._is_interrupted or time.monotonic() - self._failed[0][0] >= wait_s):
            _, job = self._failed.popleft()
            if not self._is_interrupted and job.rule not in SPEAKING and (stage := stage_of(job.rule)):
                log = job.logs[0] if job.logs else ""
                text = results.tail(Path(log), 2**16) if log else ""
                self._write(failure_lines(self._run.words_of(stage), job.name, self._typed(log), text))

    def _last_lines(self) -> list[str]:
        run, now_s = self._run, time.monotonic()
        jobs = run.done, run.due
        if self._is_interrupted:
            return [closing.stopped_line(self._chunks(), jobs)]
        if self._has_failed or self._says_error:
            return [closing.failed_line(jobs, self._typed(self._log))] if self._has_failed and run.due else []
        targets = self._targets
        if self._is_idle:
            page = results.report_of(self._results)
            name = f"{self._name}, the demo," if self._runs_demo else self._name
            return [closing.idle_line(name, targets, self._typed(str(page)) if page.exists() else "")]
        if not run.done:
            return []
        seconds, stages = now_s - run.started_s, run.seconds_by_stage(now_s)
        if targets or not self._config:
            return closing.partial_lines(targets or [self._name], run.done, seconds, stages)
        outcome = results.outcome_of(self._config, Path(self._typed(str(self._results))))
        return closing.closing_lines(outcome, run.done, seconds, stages, self._verify)

    def _write(self, lines: Sequence[str]) -> None:
        self._screen.write([[(line, "")] for line in lines])

    @property
    def _name(self) -> str:
        return str(self._config["dataset"]["name"]) if self._config else "run"

    @property
    def _targets(self) -> list[str]:
        """What was asked for; empty where it is everything."""
        settings = self._workflow.dag_settings if self._workflow else None
        if settings is None:
            return []
        asked = {*settings.targets, *settings.until, *settings.omit_from} - {"all"}
        return sorted(map(str, asked))

    @property
    def _verify(self) -> str:
        """The command that checks all results of this run's config. Snakemake wants targets before --configfile."""
        settings = self._workflow.config_settings
        files = [shlex.quote(self._typed(str(file))) for file in settings.configfiles or ()]
        if len(files) == 1 and not settings.config_args:
            return f"unchoke verify -c {files[0]}"
        flags = [f"--configfile {' '.join(files)}"] if files else []
        flags += [f"--config {shlex.join(settings.config_args)}"] if settings.config_args else []
        return " ".join(["snakemake --cores 1 verify", *flags])

    @property
    def _runs_demo(self) -> bool:
        return self._workflow is not None and runs_demo(self._workflow, self._config)

    def _typed(self, path: str) -> str:
        """A path as a user types it in the folder where the run was started."""
        if not path:
            return ""
        shown = os.path.relpath(path, self._began_in)
        return str(Path(path).absolute()) if shown.startswith("..") else shown

    def _chunks(self) -> tuple[int, int]:
        return results.chunks_done(self._config, self._results) if self._config else (0, 0)

    def _take_interrupts(self) -> None:
        """Say in a line that a run was stopped before its first job, where Python would show its own frames."""
        others = sys.excepthook

        def hook(kind: type[BaseException], error: BaseException, frames: Any) -> None:
            if issubclass(kind, KeyboardInterrupt):
                print(closing.stopped_line((0, 0), (0, 0)), file=sys.stderr)
            else:
                others(kind, error, frames)

        sys.excepthook = hook
