"""What several test modules share."""

from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("unchoke", deadline=None, max_examples=25)
hypothesis.settings.load_profile("unchoke")


@pytest.fixture
def place() -> Callable[..., Path]:
    """Put small files below a folder; what they hold does not matter to a listing."""

    def place_files(folder: Path, *names: str) -> Path:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(b"pixels")
        return folder

    return place_files
