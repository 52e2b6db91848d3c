"""What the tests of trained networks share."""

import pytest
from trained_networks import TrainedRun, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Networks of every kind, trained once."""
    return make_run(tmp_path_factory.mktemp("trained"))
