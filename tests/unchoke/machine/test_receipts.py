"""Tables and JSON files of results are read as their jobs wrote them, or not at all."""

import os
from pathlib import Path

import pytest
from PIL import Image

import build_manifest
from unchoke.errors import UnchokeError
from unchoke.files import write_atomic, write_if_changed
from unchoke.machine import receipts
from unchoke.machine.commands import run
from unchoke.machine.receipts import read_json, read_result
from unchoke.store.tables import MANIFEST_COLUMNS, ROW_COLUMNS, read_table

# A file of results, and the job that writes it.
FILES = {
    "manifest.csv": "build_manifest",
    "manifest.json": "build_patches",
    "patches.csv": "build_patches",
    "grids.json": "build_patches",
    "rows/17.csv": "build_manifest",
    "mask_rows/3.csv": "build_patches",
    "decisions.json": "read_decisions",
    "selection.csv": "select_rows",
    "repeats/2.csv": "draw_repeat/2",
    "repeats/2.json": "draw_repeat/2",
    "findings.csv": "clean_images",
    "cleaning.csv": "clean_images",
    "cleaning.json": "clean_images",
    "feature_findings.csv": "inspect_features",
    "feature_findings.json": "inspect_features",
    "distances.csv": "inspect_features",
    "to_label.csv": "list_to_label",
    "to_label.json": "list_to_label",
    "quarantine.csv": "list_quarantine",
    "quarantine/tiny.csv": "list_quarantine/tiny",
    "quarantine/tiny.json": "check_quarantine/tiny",
    "rates.csv": "summarise_rates",
    "experiments.db": "build_database",
}


def written(results: Path, name: str, data: bytes = b"{}") -> tuple[Path, Path]:
    """A file of results and, by the command that writes it, the receipt of its job."""
    path, receipt = results / name, results / "receipts" / f"{FILES[name]}.json"
    assert run(lambda _: write_atomic(path, data), ["--receipt", str(receipt)]) == 0
    return path, receipt


def flip(path: Path, place: int = 0) -> None:
    """One bit of a file is another; its size and times stay, as on a failing disk."""
    data, state = bytearray(path.read_bytes()), path.stat()
    data[place] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_changed_bit_is_refused_with_what_makes_it_again(tmp_path, name):
    path, receipt = written(tmp_path, name, b'{"a": 1}')
    assert read_result(path) == b'{"a": 1}'
    flip(path)
    with pytest.raises(UnchokeError) as caught:
        read_result(path)
    of_the_whole = "f9d86028c6e0d64e225186f96acb69338b2c59764df79162107f5c4bb34d1310"  # sha256sum
    assert f"expected: sha256 {of_the_whole}, as {receipt.name} has it" in str(caught.value)
    assert "found:    sha256 " in str(caught.value)
    assert f"where:    {path}" in str(caught.value)
    remade = (
        "put a copy of it back"
        if name.startswith(("manifest.", "repeats/"))
        else f"snakemake --cores all --forcerun {receipt}"
    )
    assert remade in str(caught.value)


def test_a_path_from_the_working_directory_is_found_in_the_receipt_too(tmp_path, monkeypatch):
    flip(written(tmp_path, "rows/17.csv")[0])
    for folder, path in ((tmp_path, "rows/17.csv"), (tmp_path / "rows", "17.csv")):
        monkeypatch.chdir(folder)
        with pytest.raises(UnchokeError, match="changed after"):
            read_result(Path(path))


@pytest.mark.parametrize(
    ("former", "now"),
    [("build_mask_database.json", "build_database.json"), ("draw_mask_head/b0/a.b.json", "draw_head/b0/a.b.json")],
)
def test_a_job_that_is_called_otherwise_now_leaves_one_receipt(tmp_path, former, now):
    receipts = tmp_path / "receipts"
    for receipt in (receipts / former, receipts / now):
        assert run(lambda _: write_atomic(tmp_path / "result", b"new"), ["--receipt", str(receipt)]) == 0
    assert list(receipts.rglob("*.json")) == [receipts / now]


def test_what_no_receipt_lists_is_read_as_it_is(tmp_path):
    (tmp_path / "manifest.csv").write_bytes(b"older than receipts")
    assert read_result(tmp_path / "manifest.csv") == b"older than receipts"
    written(tmp_path, "grids.json")
    assert read_result(tmp_path / "manifest.csv") == b"older than receipts"
    assert read_result(tmp_path / "grids.json") == b"{}"


def test_a_changed_receipt_is_refused(tmp_path):
    path, receipt = written(tmp_path, "selection.csv")
    flip(receipt, len(receipt.read_bytes()) // 2)
    with pytest.raises(UnchokeError, match=r"(?s)receipt is missing or changed.*delete it and run snakemake again"):
        read_result(path)


def test_a_receipt_is_read_once_for_the_rows_of_all_chunks(tmp_path, monkeypatch):
    def write_rows(_):
        for chunk in range(20):
            write_atomic(tmp_path / f"rows/{chunk}.csv", b"image_id,path,size_bytes,mtime_ns\n")

    assert run(write_rows, ["--receipt", str(tmp_path / "receipts/build_manifest.json")]) == 0
    readings, read_signed = [], receipts.read_signed
    monkeypatch.setattr(receipts, "read_signed", lambda *of: readings.append(of) or read_signed(*of))
    for chunk in range(20):
        assert read_table(tmp_path / f"rows/{chunk}.csv", ROW_COLUMNS).empty
    assert len(readings) == 1


def test_a_job_that_is_killed_while_it_writes_leaves_no_receipt_that_its_files_contradict(tmp_path):
    path, receipt = written(tmp_path, "manifest.json", b"1")

    class Killed(BaseException):
        pass

    def killed(_):
        assert receipt.exists()
        assert not write_if_changed(path, b"1")
        assert read_json(path) == 1
        assert write_if_changed(path, b"2")
        raise Killed

    with pytest.raises(Killed):
        run(killed, ["--receipt", str(receipt)])
    assert not receipt.exists()
    assert read_json(path) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_a_file_that_is_not_json_is_named(tmp_path, content):
    (tmp_path / "record.json").write_bytes(content)
    with pytest.raises(UnchokeError, match=r"record\.json"):
        read_json(tmp_path / "record.json")


def listed(folder: Path) -> int:
    """Exit status of the command that lists the images of `folder`."""
    source = ["--kind", "folder", "--path", str(folder / "images"), "--seed", "0", "--val", "0.3", "--test", "0.3"]
    made = ["--manifest", str(folder / "manifest.csv"), "--rows", str(folder / "rows"), "--chunk-size", "4"]
    receipt = ["--receipt", str(folder / "receipts/build_manifest.json")]
    return run(build_manifest.main, [*source, *made, *receipt])


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.json"])
def test_the_listing_does_not_go_on_from_a_changed_manifest(tmp_path, capsys, name):
    for number in range(20):
        path = tmp_path / f"images/{number % 2}/{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number).save(path)
    assert listed(tmp_path) == 0
    whole = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.suffix in (".csv", ".json")}
    assert len(whole) == 8  # manifest and record, five chunks, receipt
    flip(tmp_path / name, whole[tmp_path / name].rindex(b"2"))
    before = {file: file.read_bytes() for file in whole}
    assert listed(tmp_path) == 1
    said = capsys.readouterr().err
    assert f"where:    {tmp_path / name}" in said
    assert "delete it and run snakemake again" in said
    assert {file: file.read_bytes() for file in whole} == before
    (tmp_path / name).unlink()
    assert listed(tmp_path) == 0
    assert {file: file.read_bytes() for file in whole} == whole
    assert len(read_table(tmp_path / "manifest.csv", MANIFEST_COLUMNS)) == 20
