"""A workflow of its own for every test: a few real images, a tiny encoder, and snakemake in a subprocess."""

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from unchoke.sources.digits import MTIME_NS, digit_files

REPOSITORY = Path(__file__).parents[2]
CONFIG = {
    "dataset": {"name": "few", "kind": "folder", "path": "images", "max_bad_share": 0.2},
    "chunk_size": 16,
    "encoders": {
        "tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg", "max"]},
    },
    "heads": {
        "logistic": {"kind": "logistic", "c": [0.01, 1.0]},
        "neighbours": {"kind": "knn", "pool": "max", "k": [1, 3]},
    },
}
ENVIRONMENT = {**os.environ, "UNCHOKE_WARM_IDLE_S": "20"}
FLAWED = ("0/broken.png", "1/quote' and \"space\nand line.png", "1/größe-图.png")


@dataclass(frozen=True)
class Clone:
    """A folder in which the workflow runs as in a fresh clone."""

    folder: Path
    name: str = "few"

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.name

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments, "--quiet", "host", "--configfile", "my.yaml"]

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        """Output of snakemake with these arguments, after it has ended as expected."""
        done = subprocess.run(
            self.command(*arguments), cwd=self.folder, capture_output=True, text=True, env=ENVIRONMENT
        )
        output = done.stdout + done.stderr
        assert (done.returncode == 0) == ok, output
        return output

    def configure(self, **sections: object) -> None:
        (self.folder / "my.yaml").write_text(yaml.safe_dump({**CONFIG, **sections}))

    def add_images(self, names: list[str]) -> None:
        files = digit_files()
        for name in names:
            write_image(self.folder / "images" / name, files[name])

    def copy_to(self, folder: Path) -> "Clone":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Clone(folder)

    def times(self, pattern: str) -> dict[str, int]:
        return {str(file.relative_to(self.folder)): file.stat().st_mtime_ns for file in self.results.glob(pattern)}


def write_image(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))


def jobs(output: str, rule: str) -> int:
    """How many jobs of rules whose name starts so were run."""
    starts = tuple(f"{kind} {rule}" for kind in ("rule", "localrule", "checkpoint", "localcheckpoint"))
    return sum(line.startswith(starts) for line in output.splitlines())


def store_digests(clone: Clone) -> dict[str, str]:
    """SHA-256 of every file whose bytes are promised."""
    files = [
        file
        for pattern in (
            "manifest.*",
            "rows/*",
            "features/*.zarr/**/*",
            "features/*.sealed.json",
            "quarantine.*",
            "heads/**/*",
            "checkpoints/**/*",
        )
        for file in clone.results.glob(pattern)
        if file.is_file()
    ]
    return {str(file.relative_to(clone.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def make_clone(folder: Path, **sections: object) -> Clone:
    """24 digits of each of two classes, one broken file, and names that shells trip over."""
    folder.mkdir(parents=True)
    for name in ("workflow", "config", "environment.yml"):
        (folder / name).symlink_to(REPOSITORY / name)
    # A copy of the commands, so that the clone has a warm worker of its own.
    shutil.copytree(
        REPOSITORY / "scripts", folder / "scripts", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    clone = Clone(folder)
    clone.configure(**sections)
    names = sorted(digit_files())
    clone.add_images([name for digit in "01" for name in [n for n in names if n.startswith(f"{digit}/")][:22]])
    broken, quoted, foreign = FLAWED
    files = digit_files()
    write_image(folder / "images" / broken, files[names[0]][:50])
    write_image(folder / "images" / quoted, files["1/0001.png"])
    write_image(folder / "images" / foreign, files["1/0011.png"])
    return clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "clone with spaces")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after one undisturbed run, and what snakemake said; tests work on copies of it."""
    clone = make_clone(tmp_path_factory.mktemp("finished") / "clone")
    return clone, clone.snakemake("--cores", "2", "--resources", "gpu=1")


@pytest.fixture
def rerun(finished: tuple[Clone, str], tmp_path: Path) -> Clone:
    return finished[0].copy_to(tmp_path / "clone")
