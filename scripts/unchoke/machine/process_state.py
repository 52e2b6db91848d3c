"""The state of the worker's own process: its code, its memory, its graphics card."""

import os
import resource
import sys
from typing import Any

from unchoke.places import CODE


def code_state() -> dict[str, tuple[int, int]]:
    """Time and size of every file of the code."""
    found, folders = {}, [CODE]
    while folders:  # takes a third of the time of rglob, before every command
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    state = entry.stat()
                    found[entry.path] = (state.st_mtime_ns, state.st_size)
                elif entry.name != "__pycache__" and entry.is_dir():
                    folders.append(entry.path)
    return found


def cuda_is_broken() -> bool:
    """Whether an error has left CUDA in a state that only a new process mends."""
    cuda = used_cuda()
    if cuda is None:
        return False
    try:
        cuda.synchronize()
    except RuntimeError:
        return True
    return False


def memory_text() -> str:
    """Most resident memory of this process, and its memory on the graphics card."""
    resident_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 if sys.platform == "linux" else 2**20)
    cuda = used_cuda()
    return f"{resident_mb} MB, {cuda.memory_reserved() // 2**20} MB on the card" if cuda else f"{resident_mb} MB"


def used_cuda() -> Any:
    """``torch.cuda`` where something has been computed on it; None also while torch is still being imported."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda is not None and getattr(cuda, "is_initialized", bool)() else None
