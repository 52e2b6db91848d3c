"""Snakemake's events in, lines out. In dry runs, and where more than progress is asked for, Snakemake's own lines."""

import logging
import sys
from functools import cached_property
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_unchoke.screen import Screen
from snakemake_logger_plugin_unchoke.telling import DEMO, Telling, runs_demo
from unchoke.progress.failures import said_by_snakemake

_UNTOLD = frozenset({LogEvent.SHELLCMD, LogEvent.PROGRESS, LogEvent.JOB_STARTED})
_SELECTS = "Select jobs to execute..."
_STARTS = "Assuming unrestricted shared filesystem usage."


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a record changes what is shown; the others are four of six of each job."""
    return getattr(record, "event", None) not in _UNTOLD and record.msg != _SELECTS


class LogHandler(LogHandlerBase):
    """The handler that Snakemake makes for ``--logger unchoke``."""

    def __post_init__(self) -> None:
        settings = self.common_settings
        stream = sys.stdout if settings.stdout else sys.stderr
        self.began_in = Path.cwd()
        self._stream = stream
        self._telling: Telling | None = None
        self._workflow: tuple[Any, dict[str, Any], Path] | None = None
        self._is_own = not self._snakemake_tells()

    def begin(self, workflow: Any, config: dict[str, Any], results: Path) -> None:
        """Take what the lines are computed from; the Snakefile calls it. config: with its defaults."""
        self._workflow = workflow, config, results
        if self.common_settings.dryrun and runs_demo(workflow, config):
            print(DEMO, file=self._stream)
        if self._is_own:
            for handler in workflow.logger_manager.logger.handlers:
                if isinstance(handler, QueueHandler):  # the way to this handler: what is not told need not go it
                    handler.addFilter(_is_told)

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a record, in the thread of Snakemake's queue of records."""
        if self._telling:
            self._telling.take(record)
        elif self._is_own and getattr(record, "event", None) == LogEvent.WORKFLOW_STARTED:
            screen = Screen(self._stream, colours=not self.common_settings.nocolor)
            self._telling = Telling(screen, self.began_in, self._workflow)
        elif not self._is_own or record.getMessage() != _STARTS:
            self._tell_of_start(record)

    def close(self) -> None:
        """Tell how the run ended."""
        if self._telling:
            self._telling.close()
            self._telling = None
        super().close()

    @property
    def writes_to_stream(self) -> bool:
        """True: Snakemake's own handler is left out."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """False: Snakemake's own log file stays."""
        return False

    @property
    def has_filter(self) -> bool:
        """True: every record is wanted."""
        return True

    @property
    def has_formatter(self) -> bool:
        """True: records are not written as they come."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """False: the graph is asked itself."""
        return False

    def _snakemake_tells(self) -> bool:
        """Whether Snakemake's own lines are asked for: those of each job, or none."""
        settings = self.common_settings
        quiet = {choice.name.lower() for choice in settings.quiet or ()}
        asks_more = settings.dryrun or settings.verbose or settings.debug_dag or settings.printshellcmds
        return asks_more or "rules" not in quiet or bool(quiet & {"all", "progress"})

    def _tell_of_start(self, record: logging.LogRecord) -> None:
        is_error = getattr(record, "event", None) == LogEvent.ERROR
        if is_error and not (self.common_settings.verbose or self.common_settings.debug_dag):
            said = said_by_snakemake(record.getMessage()) or record.getMessage().splitlines()
            print("\n".join(said), file=self._stream)
        else:
            self._snakemakes.handle(record)

    @cached_property
    def _snakemakes(self) -> logging.Handler:
        """The handler that Snakemake would have without this one."""
        from snakemake.logging import ColorizingTextHandler, DefaultFilter, DefaultFormatter

        settings = self.common_settings
        shown = (settings.quiet, settings.debug_dag, settings.verbose, settings.dryrun, settings.printshellcmds)
        handler: logging.Handler = ColorizingTextHandler(settings.nocolor, self._stream)
        handler.addFilter(DefaultFilter(*shown))
        handler.setFormatter(DefaultFormatter(settings.quiet, settings.show_failed_logs))
        return handler
