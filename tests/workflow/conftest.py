"""A workflow of its own for every test: a few real images, a tiny encoder, and snakemake in a subprocess."""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from forked import run_snakemake
from numpy.typing import NDArray
from PIL import Image

from unchoke.sources.kinds.digits import MTIME_NS, digit_files

REPOSITORY = Path(__file__).parents[2]
CONFIG = {
    "dataset": {"name": "few", "kind": "folder", "path": "images", "max_bad_share": 0.2},
    "chunk_size": 16,
    "cleaning": None,
    "encoders": {
        "tiny": {"model": "test_resnet", "weights": "untrained", "image_size": 32, "pools": ["avg", "max"]},
    },
    "heads": {
        "logistic": {"kind": "logistic", "c": [0.01, 1.0]},
        "neighbours": {"kind": "knn", "pool": "max", "k": [1, 3]},
    },
}
MASK_CONFIG = {
    "dataset": {"name": "blobs", "kind": "masks", "path": "blobs"},
    "patches": {"size": 64, "overlap": 16, "per_chunk": 4},
    "encoders": {"tiny": {"model": "test_resnet", "weights": "untrained", "strides": [4, 8]}},
    "mask_heads": {
        "linear": {"kind": "linear", "epochs": 1},
        "unet": {"kind": "unet", "width": 4, "epochs": 1},
    },
    "segment": {"pixels_per_job": 12_800},  # of 8 images 6 share 3 jobs a head; 2 of 3 bands have jobs of their own
    "evaluation": {"resamples": 100, "hd95": True, "mask_metric": "mean_iou_in_truth"},
}
# Height and width of the images, px, by their paths below images/ and less their ending: 26 patches, 7 chunks.
BLOBS = {
    "test/large": (100, 140),
    "test/odd": (97, 131),
    "test/small": (40, 30),
    "train/a": (100, 140),
    "train/b": (40, 30),
    "train/c": (64, 64),
    "val/large": (97, 100),
    "val/small": (30, 40),
}
# Clones share the commands of this repository, and so one warm worker, which reads torch once a process of tests.
ENVIRONMENT = {**os.environ, "UNCHOKE_WARM_IDLE_S": "60", "UNCHOKE_WARM_STAY": "1"}
del ENVIRONMENT[
    "OMP_NUM_THREADS"
]  # that of the tests' own processes: jobs have as many threads as Snakemake gives them
# A folder's name of what Snakemake, shells, globs and printf take for something of their own.
ODD = '{3f2a} {{cookiecutter.name}} } { a*b? [x] it\'s "q" $HOME %s back\\slash größe-图'
FLAWED = ("0/broken.png", "1/quote' and \"space\nand line.png", "1/größe-图.png")


@dataclass(frozen=True)
class Clone:
    """A folder in which the workflow runs as in a fresh clone."""

    folder: Path
    name: str = "few"
    config: dict[str, Any] = field(default_factory=lambda: CONFIG)

    @property
    def results(self) -> Path:
        return self.folder / "results" / self.name

    @property
    def environment(self) -> dict[str, str]:
        """Of the processes that work in this clone; a worker of its own ends with the run."""
        shared = (self.folder / "scripts").is_symlink()
        return ENVIRONMENT if shared else {**ENVIRONMENT, "UNCHOKE_WARM_STAY": "0", "UNCHOKE_WARM_IDLE_S": "20"}

    def with_own_worker(self) -> "Clone":
        """The same clone with a copy of the commands, so that its worker serves, and dies with, no other test."""
        (self.folder / "scripts").unlink()
        ignored = shutil.ignore_patterns("*.pyc.*", "*.egg-info")  # the first are being written by another process
        shutil.copytree(REPOSITORY / "scripts", self.folder / "scripts", ignore=ignored)
        return self

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments, "--quiet", "host", "--configfile", "my.yaml"]

    def snakemake(self, *arguments: str, ok: bool = True) -> str:
        """Output of snakemake with these arguments, after it has ended as expected."""
        status, output = run_snakemake(self.command(*arguments)[3:], self.folder, self.environment)
        assert (status == 0) == ok, output
        return output

    def configure(self, **sections: object) -> None:
        (self.folder / "my.yaml").write_text(yaml.safe_dump({**self.config, **sections}))

    def add_images(self, names: list[str]) -> None:
        files = digit_files()
        for name in names:
            write_image(self.folder / "images" / name, files[name])

    def copy_to(self, folder: Path) -> "Clone":
        shutil.copytree(self.folder, folder, symlinks=True)
        return replace(self, folder=folder)

    def logs(self, rule: str) -> str:
        """What jobs of the rule have written to their logs."""
        logs = self.folder / "logs" / self.name
        return "".join(log.read_text() for log in [*logs.glob(f"{rule}.log"), *logs.glob(f"{rule}/**/*.log")])

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
            "fingerprints.sealed.json",
            "fingerprints.zarr/**/*",
            "findings.csv",
            "cleaning.*",
            "selection.csv",
            "features/*.zarr/**/*",
            "features/*.sealed.json",
            "quarantine.*",
            "heads/**/*",
            "checkpoints/**/*",
            "patches.csv",
            "grids.json",
            "mask_rows/*",
            "labels.zarr/**/*",
            "labels.sealed.json",
            "stitched/**/*",
            "scores/**/*",
            "words.csv",
            "quarantined_words.csv",
            "text/**/*",
        )
        for file in clone.results.glob(pattern)
        if file.is_file()
    ]
    return {str(file.relative_to(clone.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def assert_same_bytes(clone: Clone, other: Clone) -> None:
    """Every file whose bytes are promised is in both; those that differ are named."""
    made, expected = store_digests(clone), store_digests(other)
    differ = sorted(path for path in made.keys() | expected.keys() if made.get(path) != expected.get(path))
    assert not differ, "\n".join(f"{path}: {made.get(path)}, expected {expected.get(path)}" for path in differ)


def empty_clone(clone: Clone, **sections: object) -> Clone:
    """The workflow and a config, without images."""
    clone.folder.mkdir(parents=True)
    for name in ("workflow", "config", "scripts", "environment.yml"):
        (clone.folder / name).symlink_to(REPOSITORY / name)
    clone.configure(**sections)
    return clone


def make_clone(folder: Path, **sections: object) -> Clone:
    """24 digits of each of two classes, one broken file, and names that shells trip over."""
    clone = empty_clone(Clone(folder), **sections)
    names = sorted(digit_files())
    clone.add_images([name for digit in "01" for name in [n for n in names if n.startswith(f"{digit}/")][:22]])
    broken, quoted, foreign = FLAWED
    files = digit_files()
    write_image(folder / "images" / broken, files[names[0]][:50])
    write_image(folder / "images" / quoted, files["1/0001.png"])
    write_image(folder / "images" / foreign, files["1/0011.png"])
    return clone


def make_masked_clone(folder: Path, **sections: object) -> Clone:
    """Eight small pictures of bright blobs in three splits, with their masks."""
    clone = empty_clone(Clone(folder, "blobs", MASK_CONFIG), **sections)
    for name, (height, width) in BLOBS.items():
        add_blobs(clone, name, height, width)
    return clone


def add_blobs(clone: Clone, name: str, height: int, width: int) -> None:
    """A picture with its mask: 0, and 255 where a blob is."""
    random = np.random.default_rng(len(name) * height + width)
    y_H1, x_1W = np.ogrid[:height, :width]
    inside_HW = np.zeros((height, width), bool)
    for y, x, radius_px in random.uniform((0, 0, 6), (height, width, 20), (4, 3)):
        inside_HW |= (y_H1 - y) ** 2 + (x_1W - x) ** 2 < radius_px**2
    grey_HW = np.clip(70 + 100 * inside_HW + random.normal(0, 25, inside_HW.shape), 0, 255).astype(np.uint8)
    write_png(clone.folder / f"blobs/images/{name}.png", grey_HW)
    write_png(clone.folder / f"blobs/masks/{name}.png", inside_HW * np.uint8(255))


def write_png(path: Path, values_HW: NDArray[np.uint8]) -> None:
    data = io.BytesIO()
    Image.fromarray(values_HW).save(data, "PNG")
    write_image(path, data.getvalue())


@pytest.fixture(scope="session", autouse=True)
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One worker for this process of tests, whose socket lies where no other process of tests looks."""
    ENVIRONMENT["XDG_RUNTIME_DIR"] = str(tmp_path_factory.getbasetemp())
    yield
    subprocess.run([REPOSITORY / "scripts/warm", "--stop"], env=ENVIRONMENT, stdout=subprocess.DEVNULL, check=False)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone whose folder, and that of its images, have a name that holds all that is special somewhere."""
    clone = make_clone(tmp_path / ODD)
    (clone.folder / "images").rename(clone.folder / ODD)
    odd = replace(clone, config={**CONFIG, "dataset": {**CONFIG["dataset"], "path": ODD}})
    odd.configure()
    return odd


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone after one undisturbed run, and what snakemake said; tests work on copies of it.

    One process of tests makes it, while others that want it wait; each has a copy of its own.
    """
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "first finished"
    shared.mkdir(exist_ok=True)
    clone, said = Clone(shared / "clone"), shared / "said"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            shutil.rmtree(clone.folder, ignore_errors=True)
            said.write_text(make_clone(clone.folder).snakemake("--cores", "8", "--resources", "gpu=1"))
    return clone.copy_to(tmp_path_factory.mktemp("finished") / "clone"), said.read_text()


@pytest.fixture
def rerun(finished: tuple[Clone, str], tmp_path: Path) -> Clone:
    return finished[0].copy_to(tmp_path / "clone")
