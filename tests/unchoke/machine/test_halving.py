"""Errors of memory, by type and by the text of several libraries; what is no such error is passed on."""

import pytest
import torch

from unchoke.errors import UnchokeError
from unchoke.machine.halving import in_halves, is_out_of_memory

ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] data. DefaultCPUAllocator: not enough memory: you tried to"),
]


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_what_ran_out_of_memory_is_done_in_halves(error: RuntimeError) -> None:
    tried = []

    def attempt(size: int) -> str:
        tried.append(size)
        if size > 2:
            raise error
        return "done"

    assert in_halves(attempt, 9) == ("done", 2)
    assert tried == [9, 5, 3, 2]


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("out of memory")], ids=str)
def test_other_errors_are_passed_on(error: Exception) -> None:
    assert not is_out_of_memory(error)
    with pytest.raises(type(error), match=str(error)):
        in_halves(lambda _: (_ for _ in ()).throw(error), 4)


def test_where_one_does_not_fit_the_error_says_what_to_do() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)single image.*2.00 GiB.*smaller model.*gpu.vram_mb"):
        in_halves(lambda _: (_ for _ in ()).throw(ERRORS[0]), 4)
