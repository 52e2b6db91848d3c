"""A clone of the repository in a temporary folder, in which the workflow runs with a warm worker of its own."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
EVERYTHING = ("--cores", "all", "--resources", "gpu=1")
LIMIT_S = 3600.0  # of one process, after which the benchmark fails
STOP_S = 10.0  # within which a worker that was told to stop has ended


@dataclass(frozen=True)
class Clone:
    """A folder in which the workflow runs as in a fresh clone; its workers' sockets lie below it too."""

    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        """That of this process, with this Python first, sockets of the clone's own, and `more`."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("UNCHOKE_WARM")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}"
        return kept | {"PATH": path, "XDG_RUNTIME_DIR": str(self.folder)} | more

    def configure(self, name: str, **sections: Any) -> None:
        """Write ``<name>.yaml``, whose results go to ``results/<name>``; sections left out are the defaults."""
        sections["dataset"] = {"name": name, "kind": "folder", **sections["dataset"]}
        (self.folder / f"{name}.yaml").write_text(yaml.safe_dump(sections))

    def results(self, name: str) -> Path:
        """The results of that config."""
        return self.folder / "results" / name

    def start(self, name: str, *arguments: str, **environment: str) -> "subprocess.Popen[bytes]":
        """Snakemake with that config and these arguments, in a session of its own; it prints to ``<name>.log``."""
        command = [sys.executable, "-m", "snakemake", *arguments, "--quiet", "all", "--configfile", f"{name}.yaml"]
        with self._log(name).open("wb") as log:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment(**environment),
                start_new_session=True,
            )

    def snakemake(self, name: str, *arguments: str, **environment: str) -> None:
        """As ``start``, to its end; RuntimeError with the end of what it printed where it fails."""
        process = self.start(name, *arguments, **environment)
        if (status := wait_within(process)) != 0:
            raise RuntimeError(f"snakemake {' '.join(arguments)} ended with {status}\n{self.said(name)}")

    def said(self, name: str) -> str:
        """The end of what Snakemake printed in the last run of that config."""
        return self._log(name).read_text(errors="replace")[-3000:]

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def warm(self, *arguments: str) -> str:
        """What the client of this clone prints."""
        command = [str(self.folder / "scripts" / "warm"), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.environment(), capture_output=True, timeout=60)
        return done.stdout.decode(errors="replace")

    def stop_worker(self) -> None:
        """End the clone's worker: told to, and killed where it does not."""
        words = self.warm("--stop").replace(",", " ").split()
        if "pid" not in words:
            return
        pid = int(words[words.index("pid") + 1])
        if not has_ended(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            has_ended(pid)


def make_clone(folder: Path) -> Clone:
    """Links to what the workflow reads, and a copy of the commands, which is what gives it workers of its own."""
    folder.mkdir(parents=True)
    for name in ("workflow", "config", "environment.yml"):
        (folder / name).symlink_to(REPOSITORY / name)
    strangers = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(REPOSITORY / "scripts", folder / "scripts", ignore=strangers)
    return Clone(folder)


@contextlib.contextmanager
def temporary_clone(folder: Path) -> Iterator[Clone]:
    """A clone at `folder` that is gone afterwards, with its worker."""
    clone = make_clone(folder)
    try:
        yield clone
    finally:
        clone.stop_worker()
        shutil.rmtree(folder)


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, also where the benchmark is ended by SIGTERM."""
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="unchoke-bench-") as folder:
        yield Path(folder)


def _end(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)


def run_within(command: Sequence[str], limit_s: float = LIMIT_S, **options: Any) -> None:
    """Run a command that must end well."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    if (status := wait_within(process, limit_s)) != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")


def wait_within(process: "subprocess.Popen[bytes]", limit_s: float = LIMIT_S) -> int:
    """Status of a process that leads its session; whatever else happens, the session is killed."""
    try:
        return process.wait(limit_s)
    except BaseException:
        kill_session(process)
        raise


def kill_session(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL for a process that leads its session and for its jobs, unless it has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def has_ended(pid: int) -> bool:
    """Whether a process ends within STOP_S."""
    end = time.monotonic() + STOP_S
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_alive(pid)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
