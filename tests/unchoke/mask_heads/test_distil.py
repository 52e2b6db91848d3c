"""What heads learn from a teacher: losses against float64, objectives, patches without masks, interruptions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file
from scipy.special import log_softmax, softmax
from small_trainings import CLASSES, CPU, PIXELS, SIDE, Drawn, fit_head, mask_settings, same
from torch.nn.functional import interpolate

from unchoke.mask_heads import batches, distil
from unchoke.mask_heads.distil import FEATURES, LOGITS
from unchoke.mask_heads.head import TrainedMaskHead, kind_of, save_mask_head
from unchoke.mask_heads.objectives import Objectives
from unchoke.mask_heads.teacher_patches import unmasked_images
from unchoke.training import resume

CHANNELS, STRIDES = {"s2": 5}, {"s2": 2}


pytestmark = pytest.mark.usefixtures("one_thread")


def blobs(kind: str, patches: int, seed: int, distilled: bool = False, masked: bool = True) -> Drawn:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(patches, 1, 2, 2)).astype(np.float32))
    fields_BHW = interpolate(coarse, (SIDE, SIDE), mode="bilinear")[:, 0].numpy()
    label = np.digitize(fields_BHW, [-0.3, 0.4]).astype(np.uint8)
    channels, strides = PIXELS if kind == "unet" else (CHANNELS, STRIDES)
    means, finer = (fields_BHW.reshape(patches, n, SIDE // n, n, SIDE // n).mean((2, 4))[:, None] for n in (4, 8))
    if kind == "unet":
        colours = [128 + 25 * fields_BHW, 60 + 140 * (label > 0), 60 + 140 * (label > 1)]
        pixels = np.clip(np.stack(colours, 1), 0, 255)
        maps: dict[str, NDArray[Any]] = {"pixels": pixels.astype(np.uint8)}
    else:
        mixed = np.concatenate([finer, finer**2, np.abs(finer), finer > -0.3, finer > 0.4], 1)
        maps = {"s2": (3 * mixed + 1).astype(np.float16)}
    if distilled:
        true = np.stack([label == place for place in range(CLASSES)], 1)
        maps |= {LOGITS: np.where(true, 4, -4).astype(np.float16)}
        maps |= {FEATURES: np.concatenate([7 * means + 2, -means], 1).astype(np.float16)}
    return Drawn(channels, strides, maps, label if masked else np.full_like(label, 255))


def settings_of(kind: str, **given: Any) -> dict[str, Any]:
    one = {"learning_rates": [0.02], "seeds": [0], "epochs": 4, "schedule": "constant"}
    return mask_settings(kind, **{**one, **given})


def distilling(features: int, logits: int, temperature: float = 2.0) -> dict[str, Any]:
    return {"distil": {"features": features, "logits": logits, "temperature": temperature}}


def fit(settings: dict[str, Any], states: Path | None = None, **given: Any) -> TrainedMaskHead:
    kind = settings["kind"]
    parts = {
        "train": blobs(kind, 6, 1),
        "val": blobs(kind, 6, 2),
        "teacher_patches": blobs(kind, 10, 3, distilled=True),
    }
    return fit_head(settings, states, **{**parts, **given})


# --- losses


@given(seed=st.integers(0, 1000), temperature=st.floats(0.5, 8))
def test_the_loss_of_logits_is_the_divergence_of_softened_probabilities(seed: int, temperature: float) -> None:
    rng = np.random.default_rng(seed)
    logits, teacher = rng.normal(0, 3, (2, 3, CLASSES, 5, 7))
    found = distil.logits_loss(torch.from_numpy(logits), torch.from_numpy(teacher), temperature)
    p, log_p = softmax(teacher / temperature, 1), log_softmax(teacher / temperature, 1)
    by_pixel = (p * (log_p - log_softmax(logits / temperature, 1))).sum(1)
    np.testing.assert_allclose(found, temperature**2 * by_pixel.mean((1, 2)), rtol=1e-9, atol=1e-12)


def test_coarse_logits_of_a_teacher_are_brought_to_the_pixels() -> None:
    teacher = torch.randn(2, CLASSES, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    enlarged = interpolate(teacher, (SIDE, SIDE), mode="bilinear")
    assert distil.logits_loss(enlarged, teacher, 1.5).abs().max() < 1e-12
    assert distil.logits_loss(enlarged.flip(1), teacher, 1.5).min() > 0.01


@given(seed=st.integers(0, 1000))
def test_the_loss_of_features_is_the_squared_error_to_standardised_ones(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found, teacher = rng.normal(2, 5, (2, 3, 4, 5, 7))
    mean_C, deviation_C = rng.normal(size=4), rng.uniform(0.1, 3, 4)
    loss = distil.features_loss(*map(torch.from_numpy, (found, teacher, mean_C, deviation_C)))
    standard = (teacher - mean_C[:, None, None]) / deviation_C[:, None, None]
    np.testing.assert_allclose(loss, ((found - standard) ** 2).mean((1, 2, 3)), rtol=1e-9)


@pytest.mark.parametrize("kind", ["decoder", "unet"])
def test_the_hidden_map_is_what_the_last_convolution_sees(kind: str) -> None:
    channels, strides = PIXELS if kind == "unet" else (CHANNELS, STRIDES)
    head: Any = kind_of({"kind": kind}).build(channels, strides, CLASSES, settings_of(kind)).eval()
    seen: list[torch.Tensor] = []
    head.close[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    maps = batches.tensors_of(blobs(kind, 2, 0).maps, CPU)
    head(maps)
    assert torch.equal(head.hidden(maps), seen[0])
    assert distil.projection_of(head, 9).weight.shape == (9, seen[0].shape[1], 1, 1)


# --- one member in plain PyTorch


@pytest.mark.parametrize("kind", ["decoder", "unet"])
def test_a_student_is_what_plain_pytorch_trains(kind: str) -> None:
    head = fit(settings_of(kind, **distilling(1, 2)))
    train, distilled = blobs(kind, 6, 1), blobs(kind, 10, 3, distilled=True)
    torch.manual_seed(0)
    model: Any = kind_of({"kind": kind}).build(distilled.channels, distilled.strides, CLASSES, settings_of(kind))
    projection = torch.nn.Conv2d(model.close[-1].in_channels, 2, 1)
    if kind == "decoder":
        model.standardise.take(batches.survey(distilled, CLASSES, 3)[0])
    plain = distilled.maps[FEATURES].astype(np.float64)
    standard = (plain - plain.mean((0, 2, 3), keepdims=True)) / plain.std((0, 2, 3), keepdims=True)
    distilled.maps["standard"] = standard.astype(np.float32)
    optimizer = torch.optim.AdamW([*model.parameters(), *projection.parameters()], 0.02, weight_decay=0.0)
    losses = []
    for epoch, data in enumerate([distilled, distilled, distilled, train]):
        of_epoch = []
        for batch in batches.batches(data, 4, 0, epoch, 3, 1e9):
            maps = batches.tensors_of(batch.maps, CPU)
            if epoch == 0:
                small = interpolate(projection(model.hidden(maps)), (4, 4), mode="bilinear")
                loss = torch.nn.functional.mse_loss(small, maps["standard"])
            elif epoch < 3:
                wanted = maps[LOGITS].div(2).softmax(1)
                found = model(maps).div(2).log_softmax(1)
                loss = 4 * (wanted * (wanted.log() - found)).sum(1).mean()
            else:
                loss = torch.nn.functional.cross_entropy(model(maps), torch.from_numpy(batch.label).long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            of_epoch.append(loss.item())
        losses.append(np.mean(of_epoch))
    np.testing.assert_allclose(head.curves["train_loss"].ravel(), losses, rtol=2e-3)
    for name, tensor in model.state_dict().items():
        off = torch.linalg.vector_norm((head.replicates[0][name] - tensor).double())
        assert off <= 5e-3 * torch.linalg.vector_norm(tensor.double()), name


# --- objectives by epoch


@pytest.mark.parametrize(("features", "logits"), [(0, 3), (2, 1), (1, 3), (4, 0)])
def test_objectives_switch_after_their_epochs(features: int, logits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    module = Objectives.module

    def spy(*arguments: Any) -> Any:
        found = module(*arguments)
        seen.append(type(found[0]).__name__)
        return found

    monkeypatch.setattr(Objectives, "module", spy)
    fit(settings_of("decoder", **distilling(features, logits)))
    # ten patches are three batches of a teacher, six are two of masks
    expected = ["FeatureDistillation"] * 3 * features + ["LogitDistillation"] * 3 * logits
    assert seen == expected + ["Decoder"] * 2 * (4 - features - logits)


def test_patches_without_a_mask_have_a_part_in_distillation_only() -> None:
    distilled, train = blobs("decoder", 10, 3, distilled=True), blobs("decoder", 6, 1)
    read: list[tuple[int, int]] = []
    fit(
        settings_of("decoder", **distilling(1, 1)),
        train=train,
        teacher_patches=distilled,
        budget_mb=0,  # nothing is held
        progress=lambda *_: read.append((sum(map(len, distilled.reads)), sum(map(len, train.reads)))),
    )
    of_distilled, of_train = (np.diff(part) for part in zip(*read, strict=True))
    assert of_distilled[0] >= 10 and not of_distilled[1:].any()
    assert not of_train[0] and (of_train[1:] >= 6).all()


def test_labels_of_distilled_patches_do_not_count() -> None:
    settings = settings_of("decoder", **distilling(1, 2))
    blind = blobs("decoder", 10, 3, distilled=True, masked=False)
    assert same(fit(settings), fit(settings, teacher_patches=blind))


@pytest.mark.parametrize(
    ("kind", "epochs", "rate"), [("linear", (0, 20), 0.05), ("decoder", (3, 17), 0.02), ("unet", (2, 18), 0.01)]
)
def test_a_student_learns_the_truth_from_a_teacher_without_any_mask(
    kind: str, epochs: tuple[int, int], rate: float
) -> None:
    blind = {
        "train": blobs(kind, 4, 1, masked=False),
        "teacher_patches": blobs(kind, 48, 3, distilled=True, masked=False),
    }
    settings = settings_of(kind, epochs=20, schedule="cosine", learning_rates=[rate], **distilling(*epochs))
    assert fit(settings, **blind).history["val_iou"][0] > 0.9


def test_turned_patches_keep_what_the_teacher_said_of_them() -> None:
    distilled = blobs("unet", 6, 3, distilled=True)
    turned = batches.turned(batches.Batch(*distilled.read(np.arange(6))), np.random.default_rng(0))
    exact = turned.maps["pixels"][:, 0].reshape(6, 4, 4, 4, 4).astype(float).mean((2, 4))
    said = 128 + 25 * (turned.maps[FEATURES][:, 0].astype(float) - 2) / 7
    np.testing.assert_allclose(exact, said, atol=1.5)
    assert not np.array_equal(turned.label, distilled.label)


# --- interruptions, and what is stored


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_distillation_goes_on_and_ends_in_the_same_bytes(
    after: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SAVE_EVERY_S", 0)
    settings = settings_of("decoder", schedule="cosine", keep="best", **distilling(2, 1))

    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings, tmp_path, progress=stop)
    assert any("projection.weight" in name for name in load_file(next(tmp_path.iterdir())))
    told: list[int] = []
    resumed = fit(settings, tmp_path, progress=lambda done, *_: told.append(done))
    assert told == list(range(after + 1, 5)) and same(resumed, fit(settings))


FACTS = {"classes": ["a", "b", "c"], "patch_px": SIDE, "encoder": None, "reach_px": 0}


def files_of(head: TrainedMaskHead, folder: Path) -> dict[str, bytes]:
    save_mask_head(replace(head, seconds=0.0), FACTS, folder / "head", folder / "head.safetensors")
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["linear", "decoder", "unet"])
def test_a_head_without_a_teacher_is_the_same_file_whatever_else_there_is(kind: str, tmp_path: Path) -> None:
    """`distil` is in no file but those of heads that distil, and a teacher draws none of their random numbers."""
    plain = fit(settings_of(kind), teacher_patches=None)
    null = fit({**settings_of(kind), "distil": None}, teacher_patches=None)
    assert same(plain, null)
    assert all(b"distil" not in data for data in files_of(plain, tmp_path).values())


def test_the_projection_is_no_part_of_the_checkpoint(tmp_path: Path) -> None:
    files = files_of(fit(settings_of("decoder", **distilling(1, 1))), tmp_path)
    assert set(load_file(tmp_path / "head.safetensors")) == set(load_names(tmp_path))
    assert b"distil" in files["head.safetensors"]


def load_names(folder: Path) -> list[str]:
    save_mask_head(
        fit(settings_of("decoder"), teacher_patches=None), FACTS, folder / "plain", folder / "plain.safetensors"
    )
    return list(load_file(folder / "plain.safetensors"))


# --- which images are distilled on


@pytest.mark.parametrize("reason", ["no mask", "no gt file"])
def test_images_without_a_mask_are_distilled_on_but_for_those_whose_group_is_held_out(reason: str) -> None:
    rows = [
        ("masked", "train", "", ""),
        ("none", "", "", reason),
        ("given to train", "train", "", reason),
        ("given to test", "test", "", reason),
        ("of a group that is in val", "", "p1", reason),
        ("in val", "val", "p1", ""),
        ("of a group that is in train", "", "p2", reason),
        ("in train", "train", "p2", ""),
        ("broken", "", "", "broken image"),
        ("vanished", "", "", "vanished"),
    ]
    frame = pd.DataFrame(rows, columns=["path", "split", "group", "excluded"]).assign(image_id=range(len(rows)))
    assert unmasked_images(frame).tolist() == [1, 2, 6]
