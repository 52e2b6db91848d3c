"""How pytest-xdist shares the tests out: a group, or else a module, goes to one process; the longest begin first."""

from collections.abc import Iterable

import pytest
from xdist.scheduler import LoadGroupScheduling

LONGEST = (
    "slurm",
    "run",
    "masks",
    "killed",
    "killed masks",
    "teacher",
    "cleaning",
    "tests/unchoke/pipelines/test_compare.py",
    "tests/unchoke/machine/test_worker.py",
)
"""Of the groups and modules. One that began late would leave the other processes without work at the end."""


def unit_of(nodeid: str, groups: Iterable[str]) -> str:
    """What goes to one process: the groups of a test; else its module, so that each makes its fixtures once."""
    return "_".join(sorted(groups)) or nodeid.partition("::")[0]


def place_of(item: pytest.Item) -> int:
    """When a test begins: those of ``LONGEST``, other runs of Snakemake, all others."""
    unit = unit_of(item.nodeid, [mark.args[0] for mark in item.iter_markers("xdist_group")])
    if unit in LONGEST:
        return LONGEST.index(unit)
    return len(LONGEST) + (not item.nodeid.startswith("tests/workflow/"))


class Units(LoadGroupScheduling):
    """The scheduler of ``--dist loadgroup``, for modules too."""

    def _split_scope(self, nodeid: str) -> str:
        group = super()._split_scope(nodeid)
        return unit_of(nodeid, [group] if group != nodeid else [])
