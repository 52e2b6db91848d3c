"""Install this project and extras of it into the Python that runs this. A terminal sees what pip is doing."""

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence

WHEEL = re.compile(r"(?:Downloading|Using cached) ([\w.]+?)-\d\S*\.(?:whl|tar\.gz) \(([\d.]+) ([kMG]?B)\)")
BYTES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def progress(lines: Iterable[str]) -> Iterator[str]:
    """What a terminal shows after each line of pip's output."""
    said, total = "looking for packages", 0.0
    for line in lines:
        if found := WHEEL.search(line):
            name, number, unit = found.groups()
            total += float(number) * BYTES[unit]
            said = f"{total / 1e9:.2f} GB, the last of it {name} of {number} {unit}"
        elif line.startswith("Installing collected packages"):
            said = f"unpacking {line.count(',') + 1} packages of {total / 1e9:.2f} GB"
        yield said


def main(argv: Sequence[str] | None = None) -> int:
    (package,) = sys.argv[1:] if argv is None else argv
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--editable", package]
    if not sys.stdout.isatty():
        return subprocess.run([*pip, "--quiet"], check=False).returncode
    print(f"Installing {package}: on Linux 6.5 GB once unpacked, 5.5 GB of them torch and CUDA; see docs/install.md.")
    process, said, start = subprocess.Popen(pip, stdout=subprocess.PIPE, text=True), ["starting pip"], time.monotonic()
    reader = threading.Thread(target=lambda: said.extend(progress(process.stdout or ())), daemon=True)
    reader.start()
    while reader.is_alive():
        reader.join(1)
        print(f"\r\033[K  {time.monotonic() - start:4.0f} s: {said[-1]}", end="", flush=True)
    print()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main())
