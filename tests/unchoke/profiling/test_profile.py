"""The profile names the step that was made slow, and says what it costs."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from unchoke.encoders.encoder import Encoder, load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.images.steps import BATCH_STEPS, DECODE, FORWARD, READ, RESIZE
from unchoke.profiling import profile, steps
from unchoke.profiling.profile import Effort, Sample, draw_sample, profile_pipeline

COUNT, DELAY_S, THREADS = 32, 0.02, 2
SETTINGS = Extraction(chunk_size=32, micro_batch=8)
SHORT = Effort(seconds=0.1, images=64, seed=0)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("encoder")
    weights, card = folder / "w.safetensors", folder / "card.json"
    fetch_weights("test_resnet", "untrained", 0, weights, card)
    return load_encoder(weights, card, 32, ["avg"], torch.device("cpu"), "float32")


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder, random = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(COUNT):
        Image.fromarray(random.integers(0, 255, (40, 40, 3), np.uint8)).save(folder / f"{number:02}.png")
    return Sample("folder", folder, sorted(path.name for path in folder.iterdir()), THREADS)


def delay(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work of `step` becomes slow wherever a profile or extraction takes it."""
    for kind in (steps.Steps, steps.Keeping, steps.Without, steps.Timed):
        taken = kind.take

        def take(own: Any, name: str, function: Any, *args: Any, _taken: Any = taken, **kwargs: Any) -> Any:
            if name != step:
                return _taken(own, name, function, *args, **kwargs)

            def slow(*given: Any, **more: Any) -> Any:
                time.sleep(DELAY_S * (len(given[0]) / THREADS if step in BATCH_STEPS else 1))
                return function(*given, **more)

            return _taken(own, name, slow, *args, **kwargs)

        monkeypatch.setattr(kind, "take", take)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("step", [READ, DECODE, RESIZE, FORWARD])
def test_a_slow_step_is_named_and_its_cost_foretold(
    step: str, sample: Sample, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        delay(step, slow)
        found = profile_pipeline(sample, encoder, SETTINGS, SHORT)
    mended_s = min(profile._run(sample, encoder, SETTINGS, steps.Steps())[0] for _ in range(3)) / COUNT
    [row] = [row for row in found["steps"] if row["step"] == step]
    assert found["bottleneck"] == step
    assert found["verdict"].startswith(f"{step} is the bottleneck; without it at most")
    assert row["saved_s"] == pytest.approx(1 / found["images_per_s"] - mended_s, rel=0.1)
    assert row["alone_s"] == pytest.approx(DELAY_S / (THREADS if step in BATCH_STEPS else 1), rel=0.5)


def test_what_is_replaced_does_not_run(sample: Sample, encoder: Encoder) -> None:
    keeping = steps.Keeping()
    profile._run(sample, encoder, SETTINGS, keeping)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError

    for step in (READ, DECODE, RESIZE):
        without = steps.Without(step, keeping)
        without.begin(sample.paths[0])
        assert without.take(step, refuse) is keeping.kept[step, sample.paths[0]]


def test_unreadable_images_are_counted_and_left_out(sample: Sample, encoder: Encoder, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    for path in sample.paths:
        (tmp_path / path).write_bytes((sample.root / path).read_bytes())
    found = profile_pipeline(
        replace(sample, root=tmp_path, paths=[*sample.paths, "broken.png"]), encoder, SETTINGS, SHORT
    )
    assert list(found["unreadable"]) == ["broken.png"]
    assert found["images"] == COUNT
    assert found["idle"] == {"reason": "There is no CUDA card here whose idle time could be measured."}
    assert found["absent"] == {"to device": "the encoder runs on the processor, where the pictures are"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [*sample.paths, "broken.png"]


def test_rows_of_arrays_have_no_decoder(encoder: Encoder, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 255, (COUNT, 40, 40, 3), np.uint8))
    sample = Sample("npy", tmp_path, [f"x.npy[{row}]" for row in range(COUNT)], THREADS)
    found = profile_pipeline(sample, encoder, SETTINGS, SHORT)
    assert found["absent"]["decode"] == "the source holds pixels, which need no decoder"
    assert DECODE not in {row["step"] for row in found["steps"]}


def test_ten_images_are_too_few(sample: Sample, encoder: Encoder) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)too few images.*10 images.*at least 32"):
        draw_sample(sample.paths[:10], SHORT)
    with pytest.raises(UnchokeError, match=r"(?s)10 readable images of 10"):
        profile_pipeline(replace(sample, paths=sample.paths[:10]), encoder, SETTINGS, SHORT)


def test_a_sample_is_drawn_by_its_seed() -> None:
    paths = [f"{number:03}" for number in range(100)]
    drawn = [draw_sample(paths, Effort(1, 40, seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0] == sorted(drawn[0])
    assert len(set(drawn[0])) == 40
