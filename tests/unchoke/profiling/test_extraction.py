"""The profile of extraction names the step that was made slow, and says what it costs."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from slow_steps import COUNT, DELAY_S, THREADS, USUAL_S, slowed

from unchoke.encoders.encoder import Encoder
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.images.steps import BATCH_STEPS, DECODE, FORWARD, PICTURE_STEPS, READ, RESIZE
from unchoke.profiling import extraction, steps
from unchoke.profiling.extraction import profile_extraction
from unchoke.profiling.sample import Effort, Images, run_sample

SETTINGS = Extraction(chunk_size=32, micro_batch=8)
SHORT = Effort(seconds=0.1, images=64, seed=0)


@pytest.fixture
def as_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is absent."""
    monkeypatch.setattr(extraction, "_absent", lambda *_: dict.fromkeys(extraction.REMEDIES, "left out"))


@pytest.mark.usefixtures("as_on_a_card")
@pytest.mark.parametrize("step", [*PICTURE_STEPS, *BATCH_STEPS])
def test_a_slow_step_is_named_and_its_cost_foretold(
    step: str, sample: Images, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a made clock, on which one thread does everything."""
    monkeypatch.setattr(extraction, "STEPS", sorted({step, READ, FORWARD}))  # the others take time alone
    with slowed(step, extraction) as slow:
        found = profile_extraction(replace(sample, threads=0), encoder, SETTINGS, SHORT)
    [row] = [row for row in found["steps"] if row["step"] == step]
    assert found["bottleneck"] == step
    assert found["verdict"].startswith(f"{step} is the bottleneck; without it at most 4.00 × ")
    assert 1 / found["images_per_s"] == pytest.approx(DELAY_S + 8 * USUAL_S)
    assert slow.cost_s == pytest.approx(DELAY_S)
    assert (row["saved_s"], row["alone_s"]) == pytest.approx((DELAY_S + USUAL_S, DELAY_S + USUAL_S))


@pytest.mark.usefixtures("as_on_a_card", "one_thread")
@pytest.mark.parametrize("step", [DECODE, FORWARD])
def test_what_threads_do_at_once_is_foretold_too(
    step: str, sample: Images, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three profiles one is undisturbed by other work of the machine."""
    monkeypatch.setattr(extraction, "STEPS", [DECODE, FORWARD])
    for _ in range(3):
        with slowed(step, extraction, THREADS, is_made=False) as slow:
            found = profile_extraction(sample, encoder, SETTINGS, SHORT)
        [row] = [row for row in found["steps"] if row["step"] == step]
        if found["bottleneck"] == step and row["saved_s"] == pytest.approx(slow.cost_s, rel=0.1):
            return
    raise AssertionError(found)


def test_what_is_replaced_does_not_run(sample: Images, encoder: Encoder) -> None:
    keeping = steps.Keeping()
    run_sample(sample, encoder, SETTINGS, keeping)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError

    for step in (READ, DECODE, RESIZE):
        without = steps.Without(step, keeping)
        without.begin(sample.paths[0])
        assert without.take(step, refuse) is keeping.kept[step, sample.paths[0]]


@pytest.mark.parametrize("step", [READ, DECODE])
def test_what_has_no_room_is_replaced_by_the_picture_of_the_nearest_size(
    step: str, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, side in (("a", 10), ("b", 100), ("c", 90)):
        Image.new("RGB", (side, side)).save(tmp_path / f"{name}.png")
    room = {READ: sum((tmp_path / name).stat().st_size for name in ("a.png", "b.png")), DECODE: 4 * (10**2 + 100**2)}
    monkeypatch.setattr(steps, "ROOM_BYTES", room[step])
    keeping = steps.Keeping()
    run_sample(Images("folder", tmp_path, ["a.png", "b.png", "c.png"], 0), encoder, SETTINGS, keeping)
    assert (step, "c.png") not in keeping.kept
    assert keeping.result(step, "c.png") is keeping.kept[step, "b.png"]


def test_unreadable_images_are_counted_and_left_out(sample: Images, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    for path in sample.paths:
        (tmp_path / path).write_bytes((sample.root / path).read_bytes())
    found = profile_extraction(
        replace(sample, root=tmp_path, paths=[*sample.paths, "broken.png"]), encoder, SETTINGS, SHORT
    )
    assert list(found["unreadable"]) == ["broken.png"]
    assert found["images"] == COUNT
    assert found["idle"] == {"reason": "There is no CUDA card here whose idle time could be measured."}
    assert found["absent"] == {
        "to device": "the encoder runs on the processor, where the pictures are",
        "JPEG draft": "no image of the sample is a JPEG",
        "simplejpeg": "no image of the sample is a JPEG",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == [*sample.paths, "broken.png"]


def test_jpegs_are_run_with_each_setting_and_the_slowest_is_named(encoder: Encoder, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (1600, 1600, 3), np.uint8)
    for number in range(COUNT):
        side = 1600 if number == 7 else 64
        Image.fromarray(pixels[:side, :side]).save(tmp_path / f"{number:02}.jpg")
    sample = Images("folder", tmp_path, sorted(path.name for path in tmp_path.iterdir()), THREADS)
    found = profile_extraction(sample, encoder, SETTINGS, SHORT)
    installed = importlib.util.find_spec("simplejpeg") is not None
    tried = ["JPEG draft", "simplejpeg"] if installed else ["JPEG draft"]
    assert [row["step"] for row in found["remedies"]] == tried and not set(tried) & set(found["absent"])
    [slowest] = found["slowest"]  # one of 32
    assert (slowest["path"], slowest["width"], slowest["height"], slowest["format"]) == ("07.jpg", 1600, 1600, "JPEG")
    assert slowest["why"].startswith("625.0 × the pixels of the median image; ")


@pytest.mark.parametrize(
    ("settings", "missing", "told"),
    [
        (replace(SETTINGS, decoder="simplejpeg"), "", "the run has it"),
        (SETTINGS, "simplejpeg", "it is not installed: pip install 'unchoke[simplejpeg]'"),
        (SETTINGS, "webdataset", ""),
    ],
)
def test_a_decoder_is_tried_where_it_is_installed_and_not_in_use(
    settings: Extraction, missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else name)
    keeping = steps.Keeping()
    keeping.taken.add(DECODE)
    assert extraction._useless("simplejpeg", keeping, {"JPEG", "PNG"}, settings) == told


def test_rows_of_arrays_have_no_decoder(encoder: Encoder, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (COUNT, 40, 40, 3), np.uint8))
    sample = Images("npy", tmp_path, [f"x.npy[{row}]" for row in range(COUNT)], THREADS)
    found = profile_extraction(sample, encoder, SETTINGS, SHORT)
    assert found["absent"]["decode"] == "the source holds pixels, which need no decoder"
    assert DECODE not in {row["step"] for row in found["steps"]}


def test_a_source_without_a_readable_image_is_refused(sample: Images, encoder: Encoder, tmp_path: Path) -> None:
    for path in sample.paths:
        (tmp_path / path).write_bytes(b"not an image")
    with pytest.raises(UnchokeError, match=r"(?s)too few images.*0 readable images of 32.*quarantine"):
        profile_extraction(replace(sample, root=tmp_path), encoder, SETTINGS, SHORT)


def test_ten_readable_images_are_too_few(sample: Images, encoder: Encoder) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)10 readable images of 10.*at least 32"):
        profile_extraction(replace(sample, paths=sample.paths[:10]), encoder, SETTINGS, SHORT)
