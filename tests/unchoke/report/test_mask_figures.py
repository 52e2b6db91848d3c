"""The figures of mask heads in the report, on ordinary and on odd data."""

import json
import math
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import same_color
from matplotlib.contour import ContourSet
from PIL import Image
from small_masks import (
    CLASSES,
    HEIGHT,
    PER_CHUNK,
    SECONDS,
    SETTINGS,
    SPLITS,
    WIDTH,
    add_mask_head,
    curves_of,
    predicted_of,
    truth_of,
    write_dataset,
)
from small_results import write_rounding

from report.test_figures import ODD_NAMES, picture, texts
from unchoke.experiments.board import leaderboard
from unchoke.experiments.database import build_database
from unchoke.features.timings import summarise_rates
from unchoke.files import write_atomic
from unchoke.metrics import iou as overlaps
from unchoke.metrics.units import Bootstrap
from unchoke.names import IGNORED
from unchoke.report import mask_pictures
from unchoke.report.confusion import draw_confusion, share_text
from unchoke.report.curves import draw_curves
from unchoke.report.durations import draw_durations
from unchoke.report.head import draw_head
from unchoke.report.leaderboard import columns_of, draw_leaderboard, table_rows
from unchoke.report.mask_overlays import PREDICTION, TRUTH, Overlay, draw_mask_overlays, ranked, shown_of
from unchoke.report.mask_pictures import MaskFiles, Views, block_means, every, read_views, reduced
from unchoke.report.results import read_mask_head
from unchoke.report.style import png_bytes
from unchoke.signed import read_signed, signed_bytes
from unchoke.store.run_record import SEGMENTATION

SCRIPTS = Path(__file__).parents[3] / "scripts"
HISTORY = {"learning_rate": [1e-3, 1e-2], "weight_decay": [0.0, 0.0], "val_iou": [0.6, 0.8]}
CHOSEN = {"learning_rate": 1e-2, "weight_decay": 0.0}


@pytest.fixture(autouse=True)
def _warnings_are_errors() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture
def files(tmp_path: Path) -> MaskFiles:
    """A dataset with one head."""
    write_dataset(tmp_path / "data", tmp_path)
    add_mask_head(tmp_path, "a")
    return MaskFiles(
        root=tmp_path / "data",
        paths={image_id: f"images/{image_id}.png" for image_id in range(len(SPLITS))},
        grids=tmp_path / "grids.json",
        mask_rows=tmp_path / "mask_rows",
        stitched=tmp_path / "stitched/tiny/a",
        classes=CLASSES,
        ignore=None,
        max_pixels=10**6,
    )


# --- the leaderboard


def board_of(tmp_path: Path) -> list[dict[str, Any]]:
    write_dataset(tmp_path / "data", tmp_path)
    build_database(tmp_path, tmp_path / "experiments.db", SEGMENTATION, bootstrap=Bootstrap(50))
    return list(leaderboard(tmp_path / "experiments.db"))


def test_the_board_shows_every_mean_iou_and_says_untrained(tmp_path: Path) -> None:
    add_mask_head(tmp_path, "best", shift_px=2)
    add_mask_head(tmp_path, "unet", encoder="pixels")
    add_mask_head(tmp_path, "silent", scored=False)
    rows = board_of(tmp_path)
    shown = texts(draw_leaderboard(rows, "mean IoU"))
    assert f"{rows[0]['test_mean_iou']:.3f} best on val" in shown and f"{rows[1]['test_mean_iou']:.3f}" in shown
    assert "tiny (untrained weights)" in shown and "pixels (untrained" not in shown
    assert f"over images {rows[0]['test_over_images']:.3f} ± {rows[0]['test_over_images_sd']:.3f}" in shown
    assert "mean IoU on 4 test images" in shown and "silent" not in shown


def test_a_board_without_heads_or_without_scores_says_so(tmp_path: Path) -> None:
    assert "No head has been trained" in texts(draw_leaderboard([]))
    add_mask_head(tmp_path, "silent", scored=False)
    assert "No head has segmented test images" in texts(draw_leaderboard(board_of(tmp_path)))


def test_the_table_has_a_cell_for_every_column(tmp_path: Path) -> None:
    for name, shift_px in (("best", 2), ("other", 6)):
        add_mask_head(tmp_path, name, shift_px=shift_px)
    add_mask_head(tmp_path, "silent", scored=False)
    rows, columns = list(table_rows(board_of(tmp_path))), columns_of(SEGMENTATION)
    best, other, silent = (dict(zip(columns, cells, strict=True)) for cells in rows)
    assert (best["against the best on val"], best["its 95 % interval"], best["exact"]) == ("is the best", None, "yes")
    assert other["against the best on val"] < 0 and " to -0." in other["its 95 % interval"]
    assert other["chosen"] == "learning rate 0.01, weight decay 0"
    assert (silent["test"], silent["exact"], silent["against the best on val"]) == (None, None, None)


# --- learning curves


def test_the_clock_and_the_epochs_show_the_same_scores() -> None:
    curves = curves_of(5)
    figure = draw_curves(curves, HISTORY, SETTINGS, CHOSEN, "b0 · probe", SECONDS)
    loss, by_epoch, by_time = figure.axes
    label = "learning rate 0.01 (chosen)"
    lines = [{line.get_label(): line for line in axes.lines}[label] for axes in (by_epoch, by_time)]
    for line in lines:
        np.testing.assert_allclose(line.get_ydata(), curves["val_iou"][:, 1].mean(-1), rtol=1e-6)
    np.testing.assert_array_equal(lines[0].get_xdata(), np.arange(1, 6))
    np.testing.assert_array_equal(lines[1].get_xdata(), SECONDS)
    np.testing.assert_allclose(loss.lines[1].get_ydata(), curves["train_loss"][:, 1].mean(-1), rtol=1e-6)
    shown = texts(figure)
    assert "seconds" in shown and "best epoch" in shown and "all 4 trainings" in shown


def test_one_epoch_and_settings_that_diverged_are_drawn() -> None:
    curves = curves_of(3)
    curves["train_loss"][1:, 0] = np.inf
    curves["val_iou"][1:, 0] = np.nan
    figure = draw_curves(curves, HISTORY, SETTINGS | {"keep": "last"}, CHOSEN, "t", SECONDS[:3])
    assert np.isnan(figure.axes[2].lines[0].get_ydata()).tolist() == [False, True, True]
    assert "weights of the last epoch" in texts(figure)
    picture(draw_curves(curves_of(1), HISTORY, SETTINGS, CHOSEN, "t", SECONDS[:1]))


def test_the_clock_of_an_interrupted_training_has_its_last_epochs() -> None:
    curves = curves_of(5)
    figure = draw_curves(curves, HISTORY, SETTINGS, CHOSEN, "t", [2.0, 4.5])
    np.testing.assert_allclose(figure.axes[2].lines[0].get_ydata(), curves["val_iou"][3:, 0].mean(-1), rtol=1e-6)
    assert "starts anew after epoch 3" in " ".join(texts(figure).split())


# --- which images are shown


@given(st.integers(1, 300), st.randoms())
def test_the_worst_the_median_and_the_best_are_among_six(images: int, random: Any) -> None:
    scores = [place / 1000 for place in range(images)]
    random.shuffle(scores)
    shown = ranked({7 * place: score for place, score in enumerate(scores)})
    found = [scores[image_id // 7] for image_id in shown]
    assert found == sorted(found)
    assert len(found) == min(images, 6)
    assert found[0] == 0 and found[-1] == max(scores)
    assert (images - 1) // 2 / 1000 in found
    if images > 2:
        names = {name: score for name, score in zip(shown.values(), found, strict=True) if name}
        assert names == {"worst": 0, "median": (images - 1) // 2 / 1000, "best": max(scores)}


@pytest.mark.parametrize(("scores", "ranks"), [([1.0] * 9, {""}), ([0.5] * 3, {""}), ([0.5, 1, 1], None)])
def test_images_with_one_score_have_no_ranks(scores: list[float], ranks: set[str] | None) -> None:
    shown = list(ranked(dict(enumerate(scores))).values())
    assert set(shown) == (ranks or {"worst", "median", "best"})
    assert shown_of(shown, 90, "H-mean").endswith("of 90 images, all with the same H-mean" if ranks else "of 90 images")


def test_an_image_without_labels_has_no_place() -> None:
    assert shown_of([""], 1, "H-mean") == "1 of 1 images"
    assert list(ranked({1: math.nan, 2: 0.5})) == [2]
    assert "no test image has a pixel that counts" in texts(draw_mask_overlays([], ["a"], 3, "t"))


# --- reading them


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.sampled_from([1, 5, 8]))
def test_windows_together_are_the_whole_image_reduced(height: int, width: int, factor: int, window_px: int) -> None:
    pixels_HW3 = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    oracle = [
        [pixels_HW3[y : y + factor, x : x + factor].mean((0, 1)) for x in range(0, width, factor)]
        for y in range(0, height, factor)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mask_pictures, "WINDOW_PX", window_px)
        read = window_reader(pixels_HW3)
        means = reduced(read, height, width, factor, block_means)
        places = reduced(window_reader(pixels_HW3[..., 0]), height, width, factor, every)
    np.testing.assert_allclose(means, oracle, atol=0.501)
    np.testing.assert_array_equal(places, pixels_HW3[::factor, ::factor, 0])


def window_reader(values: np.ndarray) -> Callable[[int, int, int, int], np.ndarray]:
    """A function that reads windows, as ``Windows.read``, and refuses those that reach beyond the border."""

    def read(y0: int, x0: int, height: int, width: int) -> np.ndarray:
        assert y0 + height <= values.shape[0] and x0 + width <= values.shape[1]
        return values[y0 : y0 + height, x0 : x0 + width]

    return read


def test_a_large_image_is_never_held() -> None:
    """Its pixels would take 540 MB."""

    def read(y0: int, x0: int, height: int, width: int) -> np.ndarray:
        assert height * width <= 2048**2
        return np.broadcast_to(np.uint8(200), (height, width, 3))

    tracemalloc.start()
    small = reduced(read, 9_000, 20_000, 34, block_means)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert small.shape == (265, 589, 3) and (small == 200).all()
    assert peak < 80e6


def test_views_are_the_image_its_mask_and_the_prediction(files: MaskFiles) -> None:
    views = read_views(files, 5)  # whose patches are in the last chunk
    assert isinstance(views, Views)
    with Image.open(files.root / "images/5.png") as image:
        np.testing.assert_array_equal(views.picture_HW3, np.asarray(image.convert("RGB")))
    np.testing.assert_array_equal(views.truth_HW, truth_of(5))
    np.testing.assert_array_equal(views.predicted_HW, predicted_of(5, 4))
    assert 2 * 5 // PER_CHUNK == 2


def test_views_are_reduced_alike(files: MaskFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_pictures, "SIDE_PX", 100)
    views = read_views(files, 3)
    assert isinstance(views, Views)
    assert views.picture_HW3.shape == (67, 100, 3)
    np.testing.assert_array_equal(views.truth_HW, truth_of(3)[::3, ::3])
    np.testing.assert_array_equal(views.predicted_HW, predicted_of(3, 4)[::3, ::3])


@pytest.mark.parametrize("name", ["images/2.png", "masks/2.png"])
def test_what_cannot_be_read_any_more_says_why(files: MaskFiles, name: str) -> None:
    (files.root / name).unlink()
    assert read_views(files, 2) == "no such file or directory"


# --- drawing them


def overlay_of(truth_HW: np.ndarray, predicted_HW: np.ndarray, classes: int, path: str = "a.png") -> Overlay:
    pixels_HW3 = np.full((*truth_HW.shape, 3), 90, np.uint8)
    counts_CC = overlaps.counts_of(truth_HW, np.minimum(predicted_HW, classes - 1), classes)
    return Overlay(Views(pixels_HW3, truth_HW, predicted_HW), counts_CC, "worst", path)


def outlines(figure: Any, colour: str) -> int:
    """Contours of a colour on the figure's first panel."""
    found = figure.axes[0].findobj(ContourSet)
    return sum(same_color(contour.get_edgecolor()[0], colour) for contour in found)


def test_overlays_show_both_outlines_the_scores_and_the_legend() -> None:
    overlay = overlay_of(truth_of(3), predicted_of(3, 4), 2)
    figure = draw_mask_overlays([overlay], list(CLASSES), 40, "b0 · probe")
    assert (outlines(figure, TRUTH), outlines(figure, PREDICTION)) == (1, 1)
    shown = texts(figure)
    mean = float(overlaps.mean_iou(overlay.counts_CC))
    legend = ("true outline", "predicted outline", "wrong class")
    for part in (f"worst: mean IoU {mean:.3f}", "1 of 40 images", "IoU: background", *legend):
        assert part in shown
    assert "does not count" not in shown


def test_what_does_not_count_is_in_the_legend_when_it_is_there() -> None:
    truth_HW = truth_of(3)
    truth_HW[:20] = IGNORED
    overlay = overlay_of(truth_HW, predicted_of(3, 4), 2)
    assert "does not count" in texts(draw_mask_overlays([overlay], ["a", "b"], 1, "t"))


@pytest.mark.parametrize("place", [0, 1, IGNORED])
def test_a_mask_of_one_class_alone_has_no_outline(place: int) -> None:
    flat_HW = np.full((30, 40), place, np.uint8)
    figure = draw_mask_overlays([overlay_of(flat_HW, flat_HW, 2)], ["a", "b"], 1, "t")
    assert outlines(figure, TRUTH) == outlines(figure, PREDICTION) == 0
    picture(figure)


def test_odd_names_many_classes_and_thin_images_are_drawn() -> None:
    rng = np.random.default_rng(0)
    shapes = [(1, 50), (50, 1), (1, 1), (300, 20), (20, 300), (40, 40)]
    drawn = [
        overlay_of(*rng.integers(0, 9, (2, *shape), dtype=np.uint8), 9, name)
        for shape, name in zip(shapes, ODD_NAMES, strict=False)
    ]
    drawn[3] = Overlay("no such file or directory", drawn[3].counts_CC, "", "gone.png")
    figure = draw_mask_overlays(drawn, [*ODD_NAMES, "one", "two"], 6, "t")
    assert "no such file or directory" in texts(figure) and "IoU:" not in texts(figure)
    picture(figure)


# --- confusion and durations


@pytest.mark.parametrize(
    ("count", "share", "text"),
    [
        (0, 0.0, "0.0 %\n0"),
        (7, 0.0001, "< 0.1 %\n7"),
        (999, 0.5, "50.0 %\n999"),
        (1234, 0.123, "12.3 %\n1.23 k"),
        (45_678_901, 0.9999, "> 99.9 %\n45.7 M"),
        (123_456_789_012, 1.0, "100.0 %\n123 G"),
    ],
)
def test_shares_and_large_counts_are_short(count: int, share: float, text: str) -> None:
    assert share_text(count, share) == text


@pytest.mark.parametrize("n_classes", [2, 9, 20, 30])
def test_a_confusion_of_pixels_has_shares_while_there_is_room(n_classes: int) -> None:
    count_CC = np.eye(n_classes, dtype=np.int64) * 3_000_000
    count_CC[0, 1] = 1_000_000
    figure = draw_confusion(count_CC, [f"c{n}" for n in range(n_classes)], "t", shares=True)
    written = {text.get_text() for text in figure.axes[0].texts}
    assert written == ({"75.0 %\n3.00 M", "25.0 %\n1.00 M", "100.0 %\n3.00 M"} if n_classes <= 20 else set())
    picture(figure)


def rates_of(*encoders: str) -> pd.DataFrame:
    rows = [(encoder, "encode", 2.0, 50.0, True) for encoder in encoders]
    return pd.DataFrame(rows, columns=["encoder", "stage", "seconds", "images_per_s", "bottleneck"])


def test_durations_count_patches_and_need_no_encoder() -> None:
    heads = [{"encoder": "pixels", "head": "unet", "seconds": 12.5}]
    both = texts(draw_durations(rates_of("b0"), heads, "patches"))
    assert "2 s, 50 patches/s" in both and "seconds for all patches" in both and "12.5 s" in both
    assert len(draw_durations(rates_of(), heads, "patches").axes) == 1
    assert "neither an encoder nor a head" in texts(draw_durations(rates_of(), [], "patches"))


# --- the commands


def test_the_commands_draw_everything_twice_alike(tmp_path: Path, files: MaskFiles, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    build_database(tmp_path, tmp_path / "experiments.db", SEGMENTATION, bootstrap=Bootstrap(50))
    summarise_rates([], tmp_path / "rates.csv")
    drawn = []
    for _ in range(2):
        draw_all(tmp_path, files)
        drawn.append({path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()})
    assert drawn[0] == drawn[1]
    assert drawn[0].keys() == {
        *("leaderboard.png", "leaderboard.html", "durations.png", "durations.html"),
        *("mask_curves.png", "mask_overlays.png", "mask_confusion.png"),
    }
    assert b"its figures are a floor" in drawn[0]["leaderboard.html"]
    assert b"patches per s" in drawn[0]["durations.html"]


def draw_all(tmp_path: Path, files: MaskFiles) -> None:
    pages: dict[str, dict[str, Any]] = {"draw_leaderboard": {}, "draw_durations": {"rates": tmp_path / "rates.csv"}}
    for command, flags in pages.items():
        name = command.split("_")[-1]
        outputs = {"picture": tmp_path / f"drawn/{name}.png", "table": tmp_path / f"drawn/{name}.html"}
        call(command, database=tmp_path / "experiments.db", **outputs, **flags)
    call(
        "draw_head",
        *("--group", tmp_path / "heads/tiny.zarr/a", "--manifest", tmp_path / "manifest.csv"),
        *("--root", files.root, "--max-pixels", files.max_pixels, "--folder", tmp_path / "drawn", SEGMENTATION),
        scores=tmp_path / "scores/tiny/a.json",
        run=tmp_path / "runs/tiny/a.json",
        classes=json.dumps(CLASSES),
        ignore=None,
        **{name: getattr(files, name) for name in ("stitched", "grids", "mask_rows")},
    )


def call(command: str, *first: Any, **flags: Any) -> None:
    words = [(f"--{name.replace('_', '-')}", str(value)) for name, value in flags.items()]
    import_module(command).main([*map(str, first), *(word for pair in words for word in pair)])


@pytest.mark.parametrize(("coarsened", "warned"), [(0, False), (3, True)])
def test_what_rounding_costs_the_maps_is_told_below_the_learning_curves(
    tmp_path: Path, files: MaskFiles, coarsened: int, warned: bool
) -> None:
    store = tmp_path / "features/tiny.zarr"
    write_rounding(store, coarsened)
    paths = tmp_path / "heads/tiny.zarr/a", tmp_path / "scores/tiny/a.json", tmp_path / "runs/tiny/a.json"
    shown = " ".join(texts(draw_head(SEGMENTATION, read_mask_head(*paths, store), files)["mask_curves"]).split())
    assert ("Warning: float16 costs 3 of the 64 features of s4" in shown) == warned
    assert "Warning" not in texts(draw_head(SEGMENTATION, read_mask_head(*paths), files)["mask_curves"])


def test_a_head_shows_the_counts_of_whole_test_images_alone(tmp_path: Path, files: MaskFiles) -> None:
    path = tmp_path / "scores/tiny/a.json"
    scores = read_signed(path, "file")
    scores["images"]["1"]["counts"] = [[10**9, 0], [0, 10**9]]  # of val
    scores["images"]["4"]["unread_px"] = 7
    write_atomic(path, signed_bytes(scores))
    head = read_mask_head(tmp_path / "heads/tiny.zarr/a", path, tmp_path / "runs/tiny/a.json")
    assert sum(counts_CC.sum() for counts_CC in head.test_counts.values()) == 3 * HEIGHT * WIDTH
    figures = draw_head(SEGMENTATION, head, files)
    assert {png_bytes(figure)[:4] for figure in figures.values()} == {b"\x89PNG"}
    assert "worst: mean IoU" in texts(figures["mask_overlays"]) and " G" not in texts(figures["mask_confusion"])
