"""Of every kind of result a changed bit and a missing file are named; the plain command makes it again."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Clone, assert_same_bytes, jobs

from unchoke.api.verify import Expected, verify_results
from unchoke.machine.receipts import read_receipt, receipts_of
from unchoke.signed import signed_content

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
        if file.is_file() and file.name != "readings.jsonl":  # a log that grows, no result
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


def test_every_table_of_a_run_is_found_in_the_receipt_of_its_job(finished: tuple[Clone, str]) -> None:
    listed = {}
    for receipt in (finished[0].results / "receipts").rglob("*.json"):
        listed |= dict.fromkeys(read_receipt(receipt), receipt)
    tables = {path for path in listed if path.suffix in (".csv", ".db") or is_plain_json(path)}
    assert {path.name for path in tables} >= {"manifest.csv", "manifest.json", "1.csv", "rates.csv", "experiments.db"}
    for path in tables:
        assert listed[path] in receipts_of(path), path


def is_plain_json(path: Path) -> bool:
    """Whether a file is JSON without a digest of its own, and none of a Zarr group."""
    return path.suffix == ".json" and path.name != "zarr.json" and signed_content(path.read_bytes()) is None


def test_jobs_refuse_tables_that_were_changed_and_the_command_they_name_mends_them(
    finished: tuple[Clone, str], rerun: Clone
) -> None:
    selection, rows, record = (rerun.results / name for name in ("selection.csv", "rows/1.csv", "manifest.json"))
    selection.write_bytes(selection.read_bytes().replace(b"\n2,,-1", b"\n2,subset,-1"))
    assert said_of(rerun, selection) == "results/few/receipts/select_rows.json"
    flip(rows)
    (rerun.results / "features/tiny.zarr/avg/c/1/0").unlink()
    assert said_of(rerun, rows) == "results/few/receipts/build_manifest.json"
    receipts = [f"results/few/receipts/{job}.json" for job in ("select_rows", "build_manifest")]
    rerun.snakemake("--cores", "2", "--forcerun", *receipts)
    assert_same_bytes(rerun, finished[0])
    flip(record)
    assert f"where:    {record.relative_to(rerun.folder)}" in rerun.snakemake("-n", ok=False)


def said_of(clone: Clone, path: Path) -> str:
    """The target of the command that a run names which finds a file changed."""
    said = clone.snakemake("--cores", "2", ok=False)
    found = re.search(f"where: +{path.relative_to(clone.folder)}\n +do: .*--forcerun (.*)\n", said)
    assert found, said
    return found[1]


def flip(path: Path) -> None:
    """One bit of a file is another, and its time stays, as on a failing disk."""
    data, state = bytearray(path.read_bytes()), path.stat()
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
