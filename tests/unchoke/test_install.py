"""`make setup` runs pip, quietly in a pipe and with its progress on a terminal; what pip does is not tried here."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from install_packages import progress

COMMAND = Path(__file__).parents[2] / "scripts" / "install_packages.py"
PIP = """
import sys
print("  Downloading torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)", file=sys.stdout)
print("asked for", *sys.argv[1:], file=sys.stderr)
sys.exit(3)
"""
SAID = """\
Collecting torch>=2.6 (from unchoke==0.1.0)
  Obtaining dependency information for torch>=2.6 from https://example.org/torch-2.9.1-cp311.whl.metadata
  Downloading torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (30 kB)
  Downloading torch-2.9.1-cp311-cp311-manylinux_2_28_x86_64.whl (899.8 MB)
  Using cached nvidia_cublas_cu12-12.8.4.1-py3-none-manylinux_2_27_x86_64.whl (594.3 MB)
  Downloading docopt-0.6.2.tar.gz (25 kB)
Installing collected packages: torch, nvidia-cublas-cu12, docopt
"""


def test_progress_adds_up_what_pip_downloads() -> None:
    assert list(dict.fromkeys(progress(SAID.splitlines()))) == [
        "looking for packages",
        "0.90 GB, the last of it torch of 899.8 MB",
        "1.49 GB, the last of it nvidia_cublas_cu12 of 594.3 MB",
        "1.49 GB, the last of it docopt of 25 kB",
        "unpacking 3 packages of 1.49 GB",
    ]


def run_with_pip(folder: Path, **streams: int) -> subprocess.CompletedProcess[bytes]:
    """The command with a pip that says what it is asked for, and fails."""
    (folder / "pip.py").write_text(PIP)
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run([sys.executable, COMMAND, ".[packaged]"], env=environment, stderr=subprocess.PIPE, **streams)


def test_in_a_pipe_pip_is_quiet_and_its_status_and_errors_are_kept(tmp_path: Path) -> None:
    done = run_with_pip(tmp_path, stdout=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stderr.decode().split()[-4:] == ["install", "--editable", ".[packaged]", "--quiet"]


def test_on_a_terminal_one_line_says_what_is_downloaded(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    done = run_with_pip(tmp_path, stdout=its)
    os.close(its)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert done.returncode == 3 and "--quiet" not in done.stderr.decode()
    assert "6.5 GB" in shown and "0.90 GB, the last of it torch of 899.8 MB" in shown
