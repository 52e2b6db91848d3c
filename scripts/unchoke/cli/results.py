"""Where the results of a run lie."""

from pathlib import Path


def results_of(dataset: str) -> Path:
    """The folder of a dataset's results, below the working directory."""
    return Path("results", dataset)
