"""Compiled encoders: the features of the eager one, the same bytes in every process, with any number of threads."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unchoke.encoders import compiled
from unchoke.encoders.compiled import compile_encoder, why_eager
from unchoke.encoders.encoder import CPU, Encoder, Forward
from unchoke.encoders.pools.pool import find_pool
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction, chunk_settings
from unchoke.signed import signed_bytes

FACTS = {"model": "m", "sha256": "s", "trained": False, "data_config": {"mean": (0.5,) * 3, "std": (0.2,) * 3}}


class Small(torch.nn.Module):
    """What EfficientNets are made of, once."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.steps = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.BatchNorm2d(8), torch.nn.SiLU())

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        x = self.steps(x)
        return x * x.mean((2, 3), keepdim=True).sigmoid()


def small_encoder() -> Encoder:
    model = Small().eval().requires_grad_(False).to(memory_format=torch.channels_last)
    return Encoder(model, CPU, torch.float32, 17, FACTS, {"avg": find_pool("avg", model)})


def pictures() -> torch.Tensor:
    return torch.randint(0, 256, (4, 3, 17, 17), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


COMPILED = """
import sys, torch
from unchoke_tests_compiled import pictures, small_encoder
from pathlib import Path
from unchoke.encoders.ways import in_its_way
torch.set_num_threads(int(sys.argv[1]))
sys.stdout.buffer.write(in_its_way(small_encoder(), Path(sys.argv[2]), 4).encode(pictures())["avg"].tobytes())
"""


def features_of_process(threads: int, folder: Path) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What a process of its own makes of the pictures."""
    way = folder / "small.way.json"
    way.write_bytes(signed_bytes({"compiled_threads": 1}))
    module = folder / "unchoke_tests_compiled.py"
    module.write_text(Path(__file__).read_text())
    path = os.pathsep.join([str(folder), str(Path(compiled.__file__).parents[2])])
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, str(threads), str(way)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        check=True,
    )
    return np.frombuffer(done.stdout, np.float32).reshape(4, 8)


@pytest.mark.skipif(bool(why_eager(CPU)), reason=why_eager(CPU))
def test_features_are_the_eager_ones_and_the_same_over_threads_and_restarts(tmp_path: Path) -> None:
    eager = small_encoder().encode(pictures())["avg"]
    first, again = (features_of_process(threads, tmp_path) for threads in (1, 2))
    np.testing.assert_allclose(first, eager, rtol=1e-5, atol=1e-6)
    assert first.tobytes() == again.tobytes()
    assert len(list((tmp_path / "unchoke/compiled").glob("*.json"))) == 1  # the second process found it


def doubled(forward: Forward) -> Forward:
    return lambda x: {name: 2 * values for name, values in forward(x).items()}


def test_what_was_compiled_computes_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "why_eager", lambda _: "")
    eager = small_encoder()
    made = compile_encoder(eager, 4, doubled)
    np.testing.assert_array_equal(made.encode(pictures())["avg"], 2 * eager.encode(pictures())["avg"])
    settings = [chunk_settings(encoder, Extraction(64, 4)) for encoder in (eager, made)]
    assert "compiled" not in settings[0] and settings[1] == {**settings[0], "compiled_threads": torch.get_num_threads()}


def test_what_cannot_be_compiled_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Forward) -> Forward:
        raise RuntimeError("graph break\nand pages of it")

    monkeypatch.setattr(compiled, "why_eager", lambda _: "")
    with pytest.raises(UnchokeError, match=r"(?s)found: +graph break\n.*compile: off"):
        compile_encoder(small_encoder(), 4, fails)
    monkeypatch.setattr(compiled, "why_eager", lambda _: "there is no C++ compiler")
    with pytest.raises(UnchokeError, match="no C\\+\\+ compiler"):
        compile_encoder(small_encoder(), 4, doubled)


def test_without_a_compiler_or_a_processor_encoders_are_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cuda" in why_eager(torch.device("cuda"))
    monkeypatch.setattr("torch._inductor.cpp_builder.get_cpp_compiler", fail_to_find)
    assert "C++ compiler" in why_eager(CPU)


def fail_to_find() -> str:
    from torch._inductor.exc import InvalidCxxCompiler

    raise InvalidCxxCompiler
