"""The doctor on images: classes by split, typing mistakes, and files that no run would read."""

from pathlib import Path

import pytest
from PIL import Image

from unchoke.api.findings import Finding
from unchoke.api.image_findings import decoding_rate, image_findings
from unchoke.config.load import load_config
from unchoke.images import decoders, heif, jpegs
from unchoke.sources.kinds import folder
from unchoke.sources.source import list_images


def findings(images: Path, decoder: str = "pillow", **dataset: object) -> dict[str, list[Finding]]:
    dataset = {"name": "few", "kind": "folder", "path": str(images), **dataset}
    config = load_config({"dataset": dataset, "decoding": {"decoder": decoder}})
    found: dict[str, list[Finding]] = {}
    for finding in image_findings(config, list_images("folder", images), images.parent / "results"):
        found.setdefault(finding.subject, []).append(finding)
    return found


def test_classes_have_their_counts_by_split_and_a_typing_mistake_is_asked_about(tmp_path: Path, place) -> None:  # type: ignore[no-untyped-def]
    names = [f"{label}/{number}.png" for label in ("one", "two") for number in range(20)]
    place(tmp_path / "images", *names, "tow/1.png")
    found = findings(tmp_path / "images", split={"val": 0.2, "test": 0.2})
    assert [finding.text for finding in found["classes"]] == [
        "3 (train/val/test): one 12/4/4, tow 1/0/0, two 12/4/4",
        "warning: class 'tow' has 1 image; did you mean 'two' (20 images)?",
    ]
    assert found["splits"][0].text == "25 train, 8 val, 8 test"
    assert all(finding.fine for several in found.values() for finding in several)


def test_classes_that_stop_a_run_are_marked(tmp_path: Path, place) -> None:  # type: ignore[no-untyped-def]
    place(tmp_path / "images", *(f"only/{number}.png" for number in range(9)))
    (said,) = findings(tmp_path / "images")["classes"]
    assert not said.fine and "There are too few classes" in said.text and "\n" not in said.text


def test_files_that_are_left_out_come_with_what_to_do(
    tmp_path: Path,
    place,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    monkeypatch.setattr(folder, "IMAGE_ENDINGS", folder.PLAIN_ENDINGS)
    place(tmp_path / "images", *(f"{label}/{number}.png" for label in "ab" for number in range(9)))
    for name in ("1.HEIC", "2.heic", "3.nef", "notes.txt"):
        (tmp_path / "images/a" / name).write_bytes(b"x")
    (said,) = findings(tmp_path / "images")["left out"]
    heic = f"2 × .heic ({heif.INSTALL} reads them, or save them as JPEG)"
    assert said.text == f"{heic}; 1 × .nef (develop them to JPEG or TIFF); 1 × .txt"


def test_the_rate_of_reading_is_measured_on_what_can_be_read(tmp_path: Path, place) -> None:  # type: ignore[no-untyped-def]
    place(tmp_path / "images", *(f"{label}/{number}.png" for label in "ab" for number in range(3)))
    config = load_config({"dataset": {"name": "few", "kind": "folder", "path": str(tmp_path / "images")}})
    assert decoding_rate(config, list_images("folder", tmp_path / "images")) is None
    Image.new("RGB", (8, 8)).save(tmp_path / "images/a/sound.png")
    rate = decoding_rate(config, list_images("folder", tmp_path / "images"))
    assert rate is not None and rate > 0


def test_a_decoder_that_is_not_installed_is_named_with_the_command(
    tmp_path: Path,
    place,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    place(tmp_path / "images", *(f"{label}/{number}.png" for label in "ab" for number in range(9)))
    assert "decoder" not in findings(tmp_path / "images")
    monkeypatch.setattr(decoders, "find_spec", lambda _: None)
    jpegs.check_decoder.cache_clear()
    (said,) = findings(tmp_path / "images", decoder="simplejpeg")["decoder"]
    assert not said.fine and said.text.endswith("pip install 'unchoke[simplejpeg]'")
