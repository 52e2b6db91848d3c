"""Snakemake's logger ``unchoke``: a few lines of progress on a terminal, plain lines elsewhere, and a closing summary.

Snakemake finds this package by its name. It wires events to ``unchoke.progress``, where all that is shown is computed.
"""

from snakemake_logger_plugin_unchoke.early import say_early_errors
from snakemake_logger_plugin_unchoke.handler import LogHandler

__all__ = ["LogHandler"]

say_early_errors()
