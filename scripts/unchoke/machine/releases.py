"""The machine, the releases and the commit behind a result."""

import functools
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("unchoke", "torch", "timm", "numpy", "scipy", "zarr", "pillow", "pandas", "snakemake")


def environment() -> dict[str, str | None]:
    """Releases of the packages that affect results, platform, processors and commit; None where unknown."""
    facts: dict[str, str | None] = {name: _release(name) for name in PACKAGES}
    facts |= {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "commit": _commit(Path(__file__).parent),
    }
    return facts


@functools.cache
def made_by(device: str) -> dict[str, str | None]:
    """``environment()``, the host's name, and the name of the card or processor; asked once a process.

    device: cuda, mps or cpu, as torch calls its kind. It is for the records of chunks; the seal lacks it, since its
    bytes depend on data and settings alone.
    """
    return {**environment(), "host": platform.node(), "device": device_name(device)}


def device_name(device: str) -> str:
    """Name of the card, such as ``NVIDIA GeForce GTX 1650``, or of the processor."""
    if device == "cuda":
        import torch  # already imported by a process that uses a card

        return torch.cuda.get_device_name()
    return f"{device}: {_processor() or platform.processor() or platform.machine()}"


def _processor() -> str:
    if sys.platform != "linux":
        return ""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


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
