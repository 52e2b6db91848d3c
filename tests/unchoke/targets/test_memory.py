"""The memory that jobs ask for, from what was measured, sealed and set; by hand."""

import pytest

from unchoke.files import json_bytes
from unchoke.signed import signed_bytes
from unchoke.targets.memory import chunk_mb, chunk_vram_mb, head_mb, mask_head_mb


@pytest.fixture
def plan(tmp_path):
    def write(device):
        peaks = {"peaks_mb": {}, "host_mb": 700.4, "peak_mb": 1200.6, "device": device}
        (tmp_path / "b0.json").write_text("{}")
        (tmp_path / "b0.peaks.json").write_bytes(signed_bytes(peaks))
        return tmp_path / "b0.json"

    return write


def test_a_chunk_takes_twice_what_planning_took_and_a_shard_its_features_thrice(plan):
    """64 rows of 3 pools of 2,048 numbers of 2 bytes are 0.75 MB."""
    assert chunk_mb(plan("cpu")) == 1401
    assert chunk_mb(plan("cpu"), shard_rows=64 * 16) == round(1400.8 + 3 * 16 * 0.75) == 1437


@pytest.mark.parametrize(("device", "expected"), [("cuda", 1201), ("cpu", 0), ("mps", 0)])
def test_only_a_card_has_memory_of_its_own(plan, device, expected):
    assert chunk_vram_mb(plan(device)) == expected


def test_before_there_is_a_plan_or_a_seal_snakemake_is_told_so(tmp_path):
    for ask in (chunk_mb, chunk_vram_mb):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path / "b0.json")
    with pytest.raises(FileNotFoundError):
        head_mb({"train_views": ["identity"], "test_views": ["identity"], "pool": "avg"}, tmp_path / "b0.sealed.json")


@pytest.mark.parametrize(("precision", "expected"), [({}, 2024), ({"precision": "float64"}, 2048)])
def test_a_head_holds_its_features_thrice(tmp_path, precision, expected):
    """1,024 images × 1,024 numbers × 2 views are 8 MB in float32."""
    seal = tmp_path / "b0.sealed.json"
    seal.write_bytes(json_bytes({"images": 1024, "widths": {"avg": 1024, "max": 1}}))
    settings = {"train_views": ["identity", "hflip"], "test_views": ["identity"], "pool": "avg", **precision}
    assert head_mb(settings, seal) == expected


def test_a_mask_head_holds_its_patches_and_the_activations_of_a_batch():
    """A batch of 8 patches of 64 × 64 px with 512 numbers a pixel: 64 MB."""
    assert mask_head_mb({"batch_size": 8, "memory_mb": 500}, 64) == 2000 + 500 + 64
