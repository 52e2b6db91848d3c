"""One thread for each process of tests, read before NumPy and PyTorch are: pytest-xdist gives every core a process."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
