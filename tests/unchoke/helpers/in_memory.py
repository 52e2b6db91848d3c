"""Whether the tests' temporary folders can lie in memory."""

import os
import shutil
from pathlib import Path

from unchoke.machine.memory_watch import free_memory_mb

ROOM_MB = 4096  # tests take far less; containers often have 64 MB
FREE_MB = 8192  # of the machine: what lies in memory leaves less of it to the tests' processes


def has_room(folder: Path) -> bool:
    """Whether tests can write there, and run what they write, and neither it nor the machine gets full."""
    if not os.access(folder, os.W_OK) or os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return False
    return shutil.disk_usage(folder).free / 2**20 >= ROOM_MB and free_memory_mb() >= FREE_MB
