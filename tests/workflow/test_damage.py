"""Of every kind of result a changed bit and a missing file are named; the plain command makes it again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Clone, assert_same_bytes, jobs

from unchoke.verification import Expected, verify_results

pytestmark = pytest.mark.xdist_group("run")

# One of each kind that no rule asks for by name, or that nothing reads once the run is done.
DELETED = (
    "checkpoints/tiny/logistic.safetensors",
    "features/tiny.origin.json",
    "features/tiny.sealed.json",
    "features/tiny.zarr/max/zarr.json",
    "features/tiny.zarr/zarr.json",
    "heads/tiny.zarr/neighbours/test_label/c/0",
    "heads/tiny.zarr/neighbours/zarr.json",
    "manifest.json",
    "quarantine/tiny.csv",
    "quarantine/tiny.json",
    "receipts/build_database.json",
    "rows/1.csv",
    "runs/tiny/neighbours.json",
    "selection.csv",
)


def expected_of(clone: Clone) -> Expected:
    """What the rule tells the command of a run that is whole."""
    return Expected(
        stores=[clone.results / "features/tiny.zarr"],
        receipts=list((clone.results / "receipts").rglob("*.json")),
        plans=[clone.results / "plans/tiny.json"],
        weights=list(clone.folder.glob("resources/weights/*.safetensors")),
    )


def one_of_each_kind(clone: Clone) -> Iterator[Path]:
    """A file for every path that is another when numbers and names of heads are left out."""
    kinds = {}
    for file in sorted([*clone.results.rglob("*"), *clone.folder.glob("resources/weights/*")]):
        if file.is_file():
            kinds[re.sub(r"\d+|logistic|neighbours", "", str(file.relative_to(clone.folder)))] = file
    return iter(kinds.values())


def test_a_changed_bit_or_a_missing_file_of_any_kind_is_named(rerun: Clone) -> None:
    expected, tried = expected_of(rerun), 0

    def named() -> set[Path]:
        return {file.path for file in verify_results(rerun.results, expected) if file.found}

    assert not named()
    for file in one_of_each_kind(rerun):
        whole = file.read_bytes()
        place = len(whole) // 2
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert file in named(), f"a changed bit in {file}"
        file.unlink()
        assert file in named(), f"without {file}"
        file.write_bytes(whole)
        tried += 1
    assert tried > 50


def test_deleted_files_of_all_kinds_come_back_by_the_plain_command(finished: tuple[Clone, str], rerun: Clone) -> None:
    for name in DELETED:
        (rerun.results / name).unlink()
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 0
    assert_same_bytes(rerun, finished[0])
    assert all((rerun.results / name).exists() for name in DELETED)
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")


def test_validity_of_one_chunk_costs_that_chunk_alone(finished: tuple[Clone, str], rerun: Clone) -> None:
    before = rerun.times("features/tiny.zarr/*/c/[02]*")
    (rerun.results / "features/tiny.zarr/valid/c/1").unlink()
    assert jobs(rerun.snakemake("--cores", "2"), "extract_chunk") == 1
    assert rerun.times("features/tiny.zarr/*/c/[02]*") == before
    assert_same_bytes(rerun, finished[0])
