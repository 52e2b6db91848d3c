"""What a run tells on the terminal: its stages, rates and time left, its failures, and how it ended.

The logger plugin of Snakemake, ``snakemake_logger_plugin_unchoke``, hands events over and prints the answers.
"""
