"""The wheel of this checkout, built without an index."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]
PARTS = ("workflow", "scripts", "config", "environment.yml", "pyproject.toml", "setup.py", "README.md", "LICENSE")


def build_wheel(folder):
    """The wheel, built below `folder` from a copy of the sources, into which setuptools writes."""
    pytest.importorskip("setuptools", minversion="77")
    source, built = folder / "source", folder / "wheel"
    source.mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for part in PARTS:
        copy = shutil.copy if (REPOSITORY / part).is_file() else lambda *a: shutil.copytree(*a, ignore=ignored)
        copy(REPOSITORY / part, source / part)
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(built)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next(built.glob("*.whl"))


def unpack(wheel, folder):
    """Unpack a wheel as pip does: with the bits that make commands executable."""
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            Path(archive.extract(info, folder)).chmod(info.external_attr >> 16 & 0o777)
    return folder
