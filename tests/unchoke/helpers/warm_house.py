"""A folder of commands with warm workers of its own, for tests that need the client and the worker."""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).parents[3] / "scripts"
COMMANDS = {
    "say": (
        "import os, sys\ndef main(argv):\n"
        "    print(*argv, os.getcwd(), os.getpid())\n    print('aside', file=sys.stderr)"
    ),
    "fail": 'def main(argv):\n    raise ValueError("on purpose")',
    "refuse": (
        "from unchoke.errors import UnchokeError\ndef main(argv):\n    raise UnchokeError('No.', do='ask better')"
    ),
    "parse": "import argparse\ndef main(argv):\n    argparse.ArgumentParser().parse_args(argv)",
    "count": "calls = []\ndef main(argv):\n    calls.append(1)\n    print(len(calls))",
    "last": (
        "import sys, time\nfrom pathlib import Path\ndef main(argv):\n"
        "    Path(argv[0]).touch()\n    time.sleep(60)\n    Path(argv[1]).touch()"
    ),
    "vanish": "import os\ndef main(argv):\n    os._exit(3)",
    "tell_terminal": "import sys\ndef main(argv):\n    print(sys.stdout.isatty(), sys.stdin.isatty())",
}


@dataclass(frozen=True)
class House:
    """A folder of commands with a client and workers of its own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(self.folder),
            "UNCHOKE_WARM_IDLE_S": "20",
            "UNCHOKE_LOCKS": str(self.folder / "locks"),
        }

    def start(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [str(self.folder / "scripts" / "warm"), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env=self.environment | more,
        )

    def warm(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        """Status, stdout and stderr of the client."""
        process = self.start(*arguments, **more)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def worker(self) -> int:
        """Process id of the worker; 0 where there is none."""
        words = self.warm("--status")[1].split()
        return int(words[1].rstrip(",")) if words[0] == "pid" else 0


def wait_until(happened, seconds: float = 20) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def link_library(folder: Path) -> None:
    """The library, with the code that Python has compiled; copies of the modules that find out where they lie."""
    folder.mkdir()
    for entry in (SCRIPTS / "unchoke").iterdir():
        if entry.is_file():
            shutil.copy2(entry, folder)
        elif entry.name != "machine":
            (folder / entry.name).symlink_to(entry)
    shutil.copytree(SCRIPTS / "unchoke" / "machine", folder / "machine", ignore=shutil.ignore_patterns("*.pyc.*"))


def build_house(folder: Path) -> House:
    """The client, the library and the commands above, in `folder`."""
    (folder / "scripts").mkdir()
    shutil.copy(SCRIPTS / "warm", folder / "scripts" / "warm")
    link_library(folder / "scripts" / "unchoke")
    ending = "\n\nif __name__ == '__main__':\n    import sys\n    main(sys.argv[1:])\n"
    for name, code in COMMANDS.items():
        (folder / "scripts" / f"{name}.py").write_text(code + ending)
    return House(folder)
