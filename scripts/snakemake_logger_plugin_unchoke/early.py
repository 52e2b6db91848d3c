"""Errors of the command line, which come before Snakemake has set up its loggers."""

import logging
import sys

from unchoke.progress.failures import said_by_snakemake


class EarlyHandler(logging.Handler):
    """Prints a message without the frames of Snakemake; the loggers that a run sets up take its place."""

    def emit(self, record: logging.LogRecord) -> None:
        print("\n".join(said_by_snakemake(record.getMessage())), file=sys.stderr)


def say_early_errors() -> None:
    """Show errors of the command line as messages; Python itself would print them as they come."""
    logger = logging.getLogger("snakemake.logging")
    if not logger.handlers:
        logger.addHandler(EarlyHandler(logging.WARNING))
