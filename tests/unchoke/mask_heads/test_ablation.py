"""Mask heads against plain PyTorch; members together and alone; batches; trainings cut short; memory that runs out."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from sklearn.metrics import jaccard_score
from small_trainings import CLASSES, CPU, PIXELS, SIDE, Drawn, fit_head, mask_settings, same
from torch import nn
from torch.nn.functional import interpolate

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.mask_heads import batches, losses, steps
from unchoke.mask_heads.head import MaskHead, TrainedMaskHead, kind_of, predict, read_mask_checkpoint, save_mask_head
from unchoke.mask_heads.kinds import unet
from unchoke.mask_heads.layers import Standardise
from unchoke.training import resume
from unchoke.training.batches import batch_count

CHANNELS, STRIDES = {"s4": 5, "s8": 7}, {"s4": 4, "s8": 8}
KINDS = ("linear", "decoder", "unet")
each_kind = pytest.mark.parametrize("kind", KINDS)


pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(kind: str, patches: int, seed: int) -> Drawn:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.normal(size=(patches, 1, 4, 4)).astype(np.float32))
    fields_BHW = interpolate(coarse, (SIDE, SIDE), mode="bilinear")[:, 0].numpy()
    label = np.digitize(fields_BHW, [-0.4, 0.5]).astype(np.uint8)
    label[rng.random(label.shape) < 0.1] = 255
    if kind == "unet":
        noise = rng.normal(size=(patches, 3, SIDE, SIDE))
        pixels = np.clip(128 + 50 * fields_BHW[:, None] + 20 * noise, 0, 255).astype(np.uint8)
        return Drawn(*PIXELS, {"pixels": pixels}, label)
    maps = {}
    for name, width in CHANNELS.items():
        means = fields_BHW.reshape(patches, SIDE // STRIDES[name], STRIDES[name], -1, STRIDES[name]).mean((2, 4))
        mixed = means[:, None] * rng.normal(size=(width, 1, 1)) * 9 + 5
        maps[name] = (mixed + rng.normal(size=mixed.shape)).astype(np.float16)
    return Drawn(CHANNELS, STRIDES, maps, label)


def fit(settings: dict[str, Any], states: Path | None = None, **given: Any) -> TrainedMaskHead:
    parts = {split: drawn(settings["kind"], *facts) for split, facts in (("train", (10, 1)), ("val", (6, 2)))}
    return fit_head(settings, states, **{**parts, **given})


def tensors(patches: Drawn) -> dict[str, torch.Tensor]:
    return batches.tensors_of(patches.maps, CPU)


def built(kind: str, **given: Any) -> nn.Module:
    torch.manual_seed(0)
    channels, strides = PIXELS if kind == "unet" else (CHANNELS, STRIDES)
    return kind_of({"kind": kind}).build(channels, strides, CLASSES, mask_settings(kind, **given))


# --- the networks


@each_kind
def test_logits_are_at_the_resolution_of_pixels(kind: str) -> None:
    assert built(kind)(tensors(drawn(kind, 2, 0))).shape == (2, CLASSES, SIDE, SIDE)


def test_the_linear_head_is_one_convolution_of_all_maps_joined_at_the_finest() -> None:
    head, maps = built("linear"), tensors(drawn("linear", 3, 0))
    joined = torch.cat([maps["s4"], interpolate(maps["s8"], scale_factor=2, mode="bilinear")], 1)
    weight = torch.cat([head.weigh[name].weight for name in ("s4", "s8")], 1)
    logits = nn.functional.conv2d(joined, weight, head.weigh["s4"].bias)
    expected = interpolate(logits, scale_factor=4, mode="bilinear")
    torch.testing.assert_close(head(maps), expected, rtol=1e-4, atol=1e-4)
    assert sum(part.numel() for part in head.parameters()) == CLASSES * (sum(CHANNELS.values()) + 1)


def test_the_decoder_adds_each_finer_map_on_the_way_up() -> None:
    head, maps = built("decoder").eval(), tensors(drawn("decoder", 2, 0))
    up = interpolate(head.lateral["s8"](maps["s8"]), scale_factor=2, mode="bilinear")
    expected = interpolate(
        head.close(head.smooth["s4"](up + head.lateral["s4"](maps["s4"]))), scale_factor=4, mode="bilinear"
    )
    torch.testing.assert_close(head(maps), expected)


def test_the_u_nets_width_is_that_of_its_first_level() -> None:
    widths = [
        part.out_channels for part in unet.build(*PIXELS, 2, {"width": 64}).modules() if isinstance(part, nn.Conv2d)
    ]
    assert widths == [64, 64, 128, 128, 256, 256, 128, 128, 128, 64, 64, 64, 32, 32, 2]


def test_maps_are_standardised_by_the_moments_of_train() -> None:
    train = drawn("linear", 9, 4)
    train.maps["s8"][:, 2] = 7.3  # a channel that is constant
    moments, pixels_K = batches.survey(train, CLASSES, 4)
    head = built("linear")
    head.standardise.take(moments)
    standard = head.standardise(tensors(train))
    for name, x in standard.items():
        plain = train.maps[name].astype(np.float64)
        deviation = plain.std((0, 2, 3), keepdims=True)
        expected = (plain - plain.mean((0, 2, 3), keepdims=True)) / np.where(deviation > 0, deviation, 1)
        np.testing.assert_allclose(x.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert not standard["s8"][:, 2].any()
    assert pixels_K.tolist() == [int((train.label == place).sum()) for place in range(CLASSES)]


# --- batches


@given(
    patches=st.integers(1, 23),
    batch_size=st.integers(1, 7),
    chunk_size=st.integers(1, 6),
    held=st.floats(0.1, 30),
    seed=st.integers(0, 5),
)
def test_batches_hold_every_patch_once_and_are_full_but_for_the_last(
    patches: int, batch_size: int, chunk_size: int, held: float, seed: int
) -> None:
    label = np.zeros((patches, 1, 1), np.uint8)
    data = Drawn({"x": 1}, {"x": 1}, {"x": np.arange(patches, dtype=np.float16).reshape(-1, 1, 1, 1)}, label)
    budget_mb = held * batches.patch_mb(data)
    data.reads.clear()
    found = [list(batches.batches(data, batch_size, seed, 2, chunk_size, budget_mb)) for _ in range(2)]
    places = [[int(x) for x in batch.maps["x"].ravel()] for batch in found[0]]
    assert sorted(place for part in places for place in part) == list(range(patches))
    assert [len(part) for part in places[:-1]] == [batch_size] * (len(places) - 1)
    assert len(places) == batch_count(len(data), batch_size)
    assert places == [[int(x) for x in batch.maps["x"].ravel()] for batch in found[1]]
    most = patches if patches <= held else max(chunk_size, held / 2)
    assert all(len(read) <= max(1, most) for read in data.reads)


def test_seeds_and_epochs_give_other_orders() -> None:
    data = drawn("linear", 12, 0)
    orders = [
        np.concatenate([batch.label for batch in batches.batches(data, 5, seed, epoch, 4, 1e9)]).tobytes()
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert len(set(orders)) == 3


def test_what_fits_is_read_once_and_gives_the_same_batches_and_head() -> None:
    train = drawn("linear", 10, 1)
    once = fit(mask_settings("linear"), train=train)
    assert [len(read) for read in train.reads] == [1, 10]  # how large a patch is, then all
    train.reads.clear()
    streamed = fit(mask_settings("linear"), train=train, budget_mb=2 * 4 * batches.patch_mb(train))
    assert max(map(len, train.reads)) == 3 and len(train.reads) > 3 * 2 * 4  # chunks, in three epochs of two seeds
    assert once.curves["val_iou"].shape == streamed.curves["val_iou"].shape
    assert not same(once, streamed)  # the buffer bounds the shuffle


def test_patches_are_turned_with_their_labels() -> None:
    label = np.arange(32, dtype=np.uint8).reshape(2, 4, 4).repeat(8, 0)
    batch = batches.Batch({"pixels": label[:, None].repeat(3, 1)}, label)
    turned = batches.turned(batch, np.random.default_rng(0))
    assert all(np.array_equal(turned.maps["pixels"][:, channel], turned.label) for channel in range(3))
    kinds = {bytes(part) for part in turned.label}
    assert 8 < len(kinds) <= 16
    assert all(np.array_equal(np.unique(one), np.unique(other)) for one, other in zip(turned.label, label, strict=True))


def test_cached_features_are_not_turned() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)cannot be turned.*kind decoder.*augment to false"):
        fit(mask_settings("decoder", augment=True))
    turned, plain = (fit(mask_settings("unet", augment=augment, epochs=1)) for augment in (True, False))
    assert not same(turned, plain)


# --- one member in plain PyTorch


def plain_member(settings: dict[str, Any], rate: float, seed: int) -> tuple[nn.Module, list[float], list[float]]:
    """The network at its end, the mean loss of every epoch, and scikit-learn's mean Jaccard index on val."""
    train, val = drawn(settings["kind"], 10, 1), drawn(settings["kind"], 6, 2)
    torch.manual_seed(seed)
    model = kind_of(settings).build(train.channels, train.strides, CLASSES, settings)
    for part in model.modules():
        if isinstance(part, Standardise):
            part.take(batches.survey(train, CLASSES, 3)[0])
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=settings["weight_decays"][0])
    counts = [int((train.label == place).sum()) for place in range(CLASSES)]
    weights = torch.tensor([sum(counts) / (CLASSES * n) for n in counts])
    loss_of = nn.CrossEntropyLoss(weights if settings["class_weights"] == "balanced" else None, ignore_index=255)
    steps = settings["epochs"] * math.ceil(len(train) / settings["batch_size"])
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    losses, scores = [], []
    for epoch in range(settings["epochs"]):
        model.train()
        of_epoch = []
        for batch in batches.batches(train, settings["batch_size"], seed, epoch, 3, 1e9):
            optimizer.zero_grad()
            loss = loss_of(model(batches.tensors_of(batch.maps, CPU)), torch.from_numpy(batch.label).long())
            loss.backward()
            optimizer.step()
            if settings["schedule"] == "cosine":
                cosine.step()
            of_epoch.append(loss.item())
        losses.append(float(np.mean(of_epoch)))
        found = model.eval()(tensors(val)).argmax(1).numpy()
        known = val.label != 255
        scores.append(
            jaccard_score(val.label[known], found[known], average="macro", labels=np.unique(val.label[known]))
        )
    return model, losses, scores


@pytest.mark.parametrize("metric", ["mean_iou", "mean_iou_in_truth"])
def test_the_score_on_val_is_the_mean_that_the_settings_name(metric: str) -> None:
    """Val lacks a class, which an untrained network predicts somewhere."""
    val = drawn("linear", 6, 2)
    val.label[val.label == 2] = 0
    head = fit(mask_settings("linear", epochs=1, learning_rates=[1e-9], seeds=[0], choose_by=metric), val=val)
    found = predict(head.modules(), val.maps).argmax(1)
    true_N, found_N = val.label[val.label != 255], found[val.label != 255]
    assert set(np.unique(found_N)) > {2}
    classes = [0, 1, 2] if metric == "mean_iou" else [0, 1]
    expected = jaccard_score(true_N, found_N, average="macro", labels=classes)
    assert head.curves["val_iou"].item() == pytest.approx(expected)


@each_kind
@pytest.mark.parametrize(
    "given",
    [{}, {"class_weights": "balanced", "schedule": "constant", "weight_decays": [0.1]}],
    ids=["cosine", "balanced constant decay"],
)
def test_every_member_is_what_plain_pytorch_trains(kind: str, given: dict[str, Any]) -> None:
    settings = mask_settings(kind, **given)
    head = fit(settings)
    for place, rate in enumerate(settings["learning_rates"]):
        for number, seed in enumerate(settings["seeds"]):
            model, losses, scores = plain_member(settings, rate, seed)
            np.testing.assert_allclose(head.curves["train_loss"][:, place, number], losses, rtol=1e-3)
            np.testing.assert_allclose(head.curves["val_iou"][:, place, number], scores, atol=2e-3)
            if rate == head.chosen["learning_rate"]:
                for name, tensor in model.state_dict().items():
                    off = torch.linalg.vector_norm((head.replicates[number][name] - tensor).double())
                    assert off <= 3e-3 * torch.linalg.vector_norm(tensor.double()), name
    assert head.history["val_iou"] == pytest.approx(head.curves["val_iou"][-1].mean(1), abs=1e-6)


@each_kind
def test_a_member_does_not_depend_on_the_others(kind: str) -> None:
    together = fit(mask_settings(kind))
    for number, seed in enumerate([0, 3]):
        alone = fit(mask_settings(kind, learning_rates=[together.chosen["learning_rate"]], seeds=[seed]))
        ours, theirs = together.replicates[number], alone.replicates[0]
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_training_leaves_the_random_numbers_of_others_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    fit(mask_settings("linear", epochs=1)).modules()
    assert torch.equal(torch.get_rng_state(), before)


@each_kind
@pytest.mark.parametrize("loss", ["dice", "focal", "cross_entropy+dice"])
def test_a_head_learns_by_every_loss(kind: str, loss: str) -> None:
    head = fit(mask_settings(kind, loss=loss, learning_rates=[0.02], seeds=[0], epochs=16))
    curve = head.curves["train_loss"][:, 0, 0]
    assert curve[-1] < 0.7 * curve[0] and head.history["val_iou"][0] > 0.4


# --- what is kept and chosen


def test_the_best_epochs_weights_are_those_of_a_training_that_ends_there() -> None:
    given = {"learning_rates": [0.3], "seeds": [0], "schedule": "constant"}
    best = fit(mask_settings("decoder", **given, epochs=7, keep="best"))
    curve = best.curves["val_iou"][:, 0, 0]
    epoch = int(curve.argmax())
    assert epoch < 6, "this test needs data on which val gets worse"
    ended = fit(mask_settings("decoder", **given, epochs=epoch + 1))
    assert all(torch.equal(best.replicates[0][name], ended.replicates[0][name]) for name in best.replicates[0])
    assert best.history["val_iou"] == ended.history["val_iou"] == [pytest.approx(float(curve.max()))]


def test_a_rate_that_diverges_is_unknown_and_never_chosen() -> None:
    head = fit(mask_settings("linear", learning_rates=[3e37, 0.01]))
    assert np.isnan(head.history["val_iou"][0]) and head.chosen["learning_rate"] == 0.01
    assert same(replace(head, curves={}), replace(fit(mask_settings("linear", learning_rates=[0.01])), curves={}))


@pytest.mark.parametrize("keep", ["last", "best"])
def test_where_all_diverge_it_is_said_with_what_to_do(keep: str) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)linear.*infinite.*lower its learning_rates"):
        fit(mask_settings("linear", learning_rates=[2e37, 3e37], keep=keep))


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_without_labels_is_refused(split: str) -> None:
    patches = drawn("linear", 4, 1)
    patches.label[:] = 255
    with pytest.raises(UnchokeError, match=rf"(?s)No pixel of the {split} split.*masks"):
        fit(mask_settings("linear"), **{split: patches})


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_rounds_and_little_else(precision: str) -> None:
    exact, rounded = (fit(mask_settings("decoder", precision=name)) for name in ("float32", precision))
    assert not same(exact, rounded)
    np.testing.assert_allclose(exact.curves["train_loss"], rounded.curves["train_loss"], rtol=0.1)
    assert rounded.replicates[0]["close.1.weight"].dtype == torch.float32


# --- trainings that were interrupted


def interrupted(settings: dict[str, Any], states: Path, after: int) -> None:
    def stop(epoch: int, _: int, __: float) -> None:
        if epoch == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(settings, states, progress=stop)


@pytest.mark.parametrize(
    ("kind", "given"),
    [*((kind, {}) for kind in KINDS), ("decoder", {"keep": "best", "precision": "float16"})],
    ids=[*KINDS, "decoder best float16"],
)
def test_an_interrupted_training_goes_on_and_ends_in_the_same_bytes(
    kind: str, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(resume, "SAVE_EVERY_S", 0)
    settings = mask_settings(kind, epochs=4, augment=kind == "unet", **given)
    undisturbed = fit(settings)
    for after in (1, 2):
        interrupted(settings, tmp_path, after)
    saved = load_file(next(tmp_path.iterdir()))
    assert (saved["counters.epoch"], saved["counters.micro_batch"]) == (2, 4)
    told = []
    resumed = fit(settings, tmp_path, progress=lambda *facts: told.append(facts[:2]))
    assert same(resumed, undisturbed) and resumed.history == undisturbed.history
    assert told == [(3, 4), (4, 4)]
    assert "goes on after epoch 2 of 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change", [{"data_sha256": "others"}, {"batch_size": 5}, {"seeds": [1, 3]}], ids=lambda c: next(iter(c))
)
def test_a_state_of_another_training_is_not_used(
    change: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "SAVE_EVERY_S", 0)
    interrupted(mask_settings("linear"), tmp_path, 2)
    key = change if "data_sha256" in change else {}
    settings = mask_settings("linear", **({} if key else change))
    assert same(fit(settings, tmp_path, **key), fit(settings, **key))


# --- memory that runs out


class Tight(nn.Module):
    """A model that a card refuses when it is given more than `most` patches, at the second layer."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(0.5))
        self.second, self.most = nn.Conv2d(4, CLASSES, 1), most
        self.seen: list[int] = []

    def forward(self, maps: dict[str, torch.Tensor]) -> torch.Tensor:
        x = self.first(maps["pixels"])
        self.seen.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("tried to allocate 2 GB")
        return self.second(x)


def step(most: int, micro_batch: int) -> tuple[Tight, torch.Tensor, int]:
    torch.manual_seed(0)
    model, patches = Tight(most).train(), drawn("unet", 7, 1)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    label = torch.from_numpy(patches.label)
    found = steps.gradients(
        model,
        tensors(patches),
        label,
        losses.loss_of(mask_settings("unet")),
        torch.ones(3),
        "float32",
        scaler,
        micro_batch,
    )
    return model, *found


def test_a_step_that_ran_out_of_memory_is_repeated_in_halves_as_if_it_had_not_been() -> None:
    """Dropout and batch norm tell whether random numbers and running statistics were brought back."""
    failed, loss, micro_batch = step(most=2, micro_batch=8)
    fresh, expected, _ = step(most=2, micro_batch=2)
    assert failed.seen == [7, 4, 2, 2, 2, 1] and micro_batch == 2
    assert torch.equal(loss, expected)
    for ours, theirs in zip(failed.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)
    for ours, theirs in zip(failed.buffers(), fresh.buffers(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal", "dice"])
def test_a_head_that_ran_out_of_memory_once_is_as_if_it_had_not(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The linear head has no batch norm, so that the parts of a batch add up to the whole."""
    settings = mask_settings("linear", loss=loss)
    undisturbed, build, refusals = fit(settings), kind_of(settings).build, [0, 5]

    def build_tight(*arguments: Any) -> nn.Module:
        head = build(*arguments)
        forward, calls = head.forward, []

        def tight(maps: dict[str, torch.Tensor]) -> torch.Tensor:
            calls.append(1)
            if refusals and len(calls) > refusals[0]:
                refusals.pop(0)
                raise torch.OutOfMemoryError("tried to allocate 2 GB")
            return forward(maps)

        head.forward = tight
        return head

    monkeypatch.setattr(kind_of(settings), "build", build_tight)
    head = fit(settings)
    assert not refusals and head.micro_batch == 1 and undisturbed.micro_batch == 4
    np.testing.assert_allclose(head.curves["train_loss"], undisturbed.curves["train_loss"], rtol=1e-4)
    for ours, theirs in zip(head.replicates, undisturbed.replicates, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_card_that_does_not_hold_one_patch_says_what_to_do() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)a single image or patch.*2 GB.*a smaller model"):
        step(most=0, micro_batch=8)


def test_prediction_is_halved_too() -> None:
    torch.manual_seed(0)
    model, patches = Tight(2).eval(), drawn("unet", 7, 1)
    found = predict([model], patches.maps)
    model.most = 7
    np.testing.assert_allclose(found, predict([model], patches.maps), rtol=1e-5, atol=1e-7)
    assert model.seen[:3] == [7, 4, 2]


# --- checkpoints

FACTS = {"classes": ["sky", "sea", "land"], "patch_px": SIDE, "encoder": {"model": "blobs"}, "reach_px": 26}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[TrainedMaskHead, Path]]:
    folder = tmp_path_factory.mktemp("heads")

    def save(kind: str) -> tuple[TrainedMaskHead, Path]:
        head, path = fit(mask_settings(kind, learning_rates=[0.01, 3e37], epochs=2)), folder / f"{kind}.safetensors"
        facts = {**FACTS, "metrics": {"val": {"mean_iou": 0.5}}}
        save_mask_head(head, facts, folder / kind, path, {"val_counts": np.arange(4)})
        return head, path

    return save


@each_kind
def test_a_head_that_was_saved_predicts_the_same(
    kind: str, saved: Callable[[str], tuple[TrainedMaskHead, Path]]
) -> None:
    trained, path = saved(kind)
    head = read_mask_checkpoint(path)
    assert (head.settings, head.channels, head.strides) == (trained.settings, trained.channels, trained.strides)
    assert [head.classes, head.patch_px, head.encoder, head.radius_px] == list(FACTS.values())
    maps = drawn(kind, 5, 9).maps
    probabilities = predict(head.modules, maps)
    assert probabilities.shape == (5, CLASSES, SIDE, SIDE) and probabilities.dtype == np.float32
    np.testing.assert_array_equal(probabilities, predict(trained.modules(), maps))
    by_hand = [module(batches.tensors_of(maps, CPU)).softmax(1).numpy() for module in head.modules]
    np.testing.assert_allclose(probabilities, np.mean(by_hand, 0), rtol=1e-5, atol=1e-6)


def test_the_results_hold_history_and_curves_and_the_checkpoint_no_metrics(
    saved: Callable[[str], tuple[TrainedMaskHead, Path]],
) -> None:
    trained, path = saved("linear")
    group = zarr.open_group(path.with_suffix(""), mode="r")
    facts: Any = group.attrs["unchoke"]
    assert facts["metrics"] == {"val": {"mean_iou": 0.5}} and facts["version"] == versions.MASK_HEADS
    assert facts["chosen"] == trained.chosen and facts["replicates"] == 2
    assert facts["history"]["val_iou"] == [trained.history["val_iou"][0], None]  # the second diverged
    for name, curve in trained.curves.items():
        np.testing.assert_array_equal(group[f"curves/{name}"][:], curve)
    np.testing.assert_array_equal(group["val_counts"][:], np.arange(4))
    assert b"metrics" not in path.read_bytes()


def test_the_same_head_is_the_same_file(saved: Callable[[str], tuple[TrainedMaskHead, Path]]) -> None:
    first = saved("decoder")[1].read_bytes()
    assert saved("decoder")[1].read_bytes() == first


def test_a_file_that_is_no_mask_head_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for write in (
        lambda: None,
        lambda: path.write_bytes(b"pixels"),
        lambda: save_file({"x": torch.zeros(1)}, path),
        lambda: save_file(
            {"x": torch.zeros(1)}, path, {"unchoke": json.dumps({"version": versions.MASK_HEADS, "settings": {}})}
        ),
    ):
        write()
        with pytest.raises(UnchokeError, match=r"(?s)holds no mask head of Unchoke.*other.safetensors"):
            read_mask_checkpoint(path)


def test_a_head_of_another_version_is_refused(
    saved: Callable[[str], tuple[TrainedMaskHead, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved("linear")[1]
    monkeypatch.setattr(versions, "MASK_HEADS", versions.MASK_HEADS + 1)
    with pytest.raises(UnchokeError, match=r"(?s)another version.*train the head anew"):
        read_mask_checkpoint(path)


def test_modules_of_a_checkpoint_are_ready_to_predict(
    saved: Callable[[str], tuple[TrainedMaskHead, Path]],
) -> None:
    head: MaskHead = read_mask_checkpoint(saved("unet")[1])
    assert len(head.modules) == 2
    assert not any(module.training or part.requires_grad for module in head.modules for part in module.parameters())
