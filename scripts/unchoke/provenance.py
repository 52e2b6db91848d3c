"""On what machine, with which releases and from which commit something was computed."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("unchoke", "torch", "timm", "numpy", "scipy", "zarr", "pillow", "pandas", "snakemake")


def environment() -> dict[str, str | None]:
    """Releases of what matters for the figures, platform, processors and commit; None where unknown."""
    facts: dict[str, str | None] = {name: _release(name) for name in PACKAGES}
    facts |= {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "commit": _commit(Path(__file__).parent),
    }
    return facts


def _release(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(folder: Path) -> str | None:
    """The commit that `folder` is at, with ``-dirty`` where files differ from it; None outside a repository."""
    try:
        return subprocess.run(
            ["git", "-C", folder, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
