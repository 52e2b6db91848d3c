"""Every figure of the report, on ordinary and on odd data."""

import io
import json
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from unchoke.metrics.classification import softmax
from unchoke.metrics.parts import class_figures, group_figures
from unchoke.report.confusion import draw_confusion, frequent_pairs, strongest
from unchoke.report.curves import draw_curves
from unchoke.report.durations import draw_durations
from unchoke.report.embedding import draw_embedding, project
from unchoke.report.head import draw_head
from unchoke.report.head_files import ImageFiles
from unchoke.report.leaderboard import columns_of, draw_leaderboard, table_rows
from unchoke.report.mistakes import Mistake, caption, draw_mistakes, percent, worst_mistakes
from unchoke.report.pages import MOST_ROWS, table_page
from unchoke.report.parts import draw_parts, worst_groups
from unchoke.report.quarantine import MOST_REASONS, count_reasons, draw_quarantine
from unchoke.report.reliability import Raw, binned, draw_reliability
from unchoke.report.results import HeadResults
from unchoke.report.settings import draw_settings
from unchoke.report.steps import draw_steps
from unchoke.report.style import plain, png_bytes
from unchoke.report.thumbnails import thumbnails

ODD_NAMES = ["größe-图", "a$b_{c}$", "not \udcff utf-8", "two\nlines", "x" * 300, "", "مرحبا"]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def texts(figure):
    """All words on a figure."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # which png_bytes ignores too
        figure.draw_without_rendering()
    return " | ".join(text.get_text() for text in figure.findobj(Text))


def picture(figure):
    """The figure as its reader sees it: a PNG that Pillow can decode."""
    with Image.open(io.BytesIO(png_bytes(figure))) as image:
        image.load()
        assert min(image.size) >= 100
        return image


def guesses(n_classes, rows=60, seed=0, replicates=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, n_classes, rows), softmax(rng.normal(0, 2, (replicates, rows, n_classes)))


def run_of(encoder, head, accuracy, **other):
    row = {
        "encoder": encoder,
        "head": head,
        "test": accuracy,
        "test_accuracy": accuracy,
        "weights": "trained",
        "is_best": 0,
        "task": "classification",
    }
    ends = {"test_low": accuracy - 0.1, "test_high": accuracy + 0.1, "test_images": 50, "seconds": 1.0}
    return {**row, **ends, **other}


def test_the_leaderboard_shows_every_accuracy_and_says_untrained():
    rows = [run_of("b0", "knn", 0.8, is_best=1), run_of("b1", "knn", 0.712, weights="untrained")]
    shown = texts(draw_leaderboard(rows))
    assert "0.800 best on val" in shown and "0.712" in shown
    assert "b1 (untrained weights)" in shown and "b0 (untrained" not in shown
    assert "untrained" not in texts(draw_leaderboard(rows[:1]))


@pytest.mark.parametrize(("value", "seen"), [(0.1, False), (0.75, True)])
def test_a_far_floor_is_named_and_does_not_press_the_heads_together(value, seen):
    figure = draw_leaderboard([run_of("b0", "knn", 0.8), run_of("b0", "ridge", 0.82)], floor=("ant", value))
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert f"always ant: {value:.3f}" in texts(figure)
    assert 0.6 < low < 0.7 and high < 1.1
    assert (low <= value <= high) == seen


def test_a_leaderboard_without_heads_or_intervals_is_drawn():
    assert "No head has been trained" in texts(draw_leaderboard([]))
    picture(draw_leaderboard([run_of("b0", "knn", 0.8, test_low=None, test_high=None)]))


def test_intervals_are_named_only_where_there_are_some():
    none = run_of("b0", "knn", 0.8, test_low=None, test_high=None)
    assert "95 % intervals" in texts(draw_leaderboard([none, run_of("b1", "knn", 0.7)]))
    assert "interval" not in texts(draw_leaderboard([none]))


def test_the_table_compares_every_head_with_the_best():
    names = ("balanced_accuracy", "macro_f1", "auroc", "average_precision", "ece", "log_loss", "brier", "sd")
    other = {"pool": "avg", "chosen": '{"k": 3}', "val": 0.5, **{f"test_{name}": None for name in names}}
    other |= {"kind": "knn", "replicates": 1}
    against = {"difference": -0.1, "difference_low": -0.2, "difference_high": 0.05, "p_value": 0.25}
    against |= {"p_adjusted": 0.5, "told_apart": 0, "edges": '["k"]', "warnings": '["a", "b"]'}
    against |= {"start": "probe", "gain": 0.25, "gain_low": 0.125, "gain_high": 0.375}
    rows = [run_of("b0", head, 0.8, is_best=best, **other, **against) for head, best in (("knn", 1), ("ridge", 0))]
    first, second = (dict(zip(columns_of("classification"), cells, strict=True)) for cells in table_rows(rows))
    assert first["chosen"] == "k 3 (edge of grid)" and first["95 % interval"] == "0.7000 to 0.9000"
    assert (first["against the best on val"], first["p"]) == ("is the best", None)
    assert (second["against the best on val"], second["its 95 % interval"]) == (-0.1, "-0.2000 to 0.0500")
    assert (second["p adjusted"], second["told apart"], second["warnings"]) == (0.5, "no", "a; b")
    assert (second["began with"], second["gain's 95 % interval"]) == ("probe", "0.1250 to 0.3750")


def steps_of(count, micro_batch=64):
    numbers = np.arange(1, count + 1)
    table = {"step": numbers, "epoch": numbers // 10, "loss": 1 / numbers, "rate": 1e-3, "seconds": 0.1}
    return pd.DataFrame({**table, "images_per_s": 640.0, "micro_batch": micro_batch, "peak_mb": 900.0, "retries": 0})


def test_the_steps_of_a_training_lie_below_the_budget():
    halved = steps_of(5000)
    halved.loc[300:, ["micro_batch", "retries"]] = 32, 2
    figure = draw_steps({"seed 0": halved, "seed 1": steps_of(7)}, 4096, "lite0 · last4")
    loss, _, memory = figure.axes
    assert [len(line.get_xdata()) for line in loss.lines] == [1000, 7]
    np.testing.assert_allclose(loss.lines[0].get_xdata()[:2], [3, 8])  # medians of the first five steps, the next five
    assert "budget 4,096 MB" in texts(figure) and memory.lines[-1].get_ydata()[0] == 4096
    assert "Images at once: 64, 32." in texts(figure) and "tried again 2 times" in texts(figure)
    picture(figure)


def test_many_encoders_and_heads_have_a_line_each():
    rows = [run_of(f"e{i}", f"h{j}", 0.5 + i / 100) for i in range(9) for j in range(12)]
    small, large = (picture(draw_leaderboard(part)).height for part in (rows[:3], rows))
    assert large > 3 * small


LOGISTIC = {
    "c": [0.01, 0.1, 1.0],
    "gradient": [1e-5, None, 1e-3],
    "iterations": [3, 4, 5],
    "val_score": [0.5, None, 0.7],
}


def test_a_path_has_a_panel_for_the_score_and_for_everything_written_down():
    figure = draw_settings(LOGISTIC, {"c": LOGISTIC["c"], "choose_by": "accuracy"}, {"c": 1.0}, "b0 · logistic")
    assert [axes.get_title("left") for axes in figure.axes] == [
        "accuracy on val",
        "largest entry of the gradient",
        "iterations",
    ]
    score = figure.axes[0].lines[0].get_ydata()
    np.testing.assert_array_equal(score, [0.5, np.nan, 0.7])
    assert "1 of 3 trials have no finite score" in texts(figure)


def test_settings_that_are_words_are_not_joined_by_a_line():
    history = {"distance": ["cosine", "euclidean"], "val_score": [0.5, 0.6]}
    figure = draw_settings(history, {"distance": ["cosine"], "choose_by": "accuracy"}, {"distance": "cosine"}, "t")
    assert figure.axes[0].lines[0].get_linestyle() == "None"
    assert "euclidean" in texts(figure)


def test_few_shot_draws_become_their_mean_and_range():
    history = {"draw": [0, 0, 1, 1], "k": [1, 3, 1, 3], "val_score": [0.2, 0.4, 0.4, 0.8]}
    figure = draw_settings(history, {"k": [1, 3], "choose_by": "accuracy"}, {"shots": 5}, "t")
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.3, 0.6])
    assert "Means over 2 draws" in texts(figure)


def test_nothing_finite_at_all_is_drawn():
    history = {"c": [1.0, 2.0], "gradient": [None, None], "val_score": [None, None]}
    picture(draw_settings(history, {"c": [1.0], "choose_by": "accuracy"}, {"c": 1.0}, "t"))


def curves_of(epochs, rates, seeds):
    rng = np.random.default_rng(0)
    curves = {name: rng.random((epochs, len(rates), seeds), np.float32) for name in ("train_loss", "val_score")}
    history = {"learning_rate": rates, "weight_decay": [0.0] * len(rates), "val_score": [0.5] * len(rates)}
    settings = {"learning_rates": rates, "weight_decays": [0.0], "choose_by": "accuracy"}
    return curves, history, settings, {"learning_rate": rates[1], "weight_decay": 0.0}, "b0 · linear"


def test_learning_curves_are_means_over_seeds_and_name_what_was_chosen():
    arguments = curves_of(4, [0.1, 0.2, 0.3], 2)
    figure = draw_curves(*arguments)
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    np.testing.assert_allclose(lines["learning rate 0.2 (chosen)"], arguments[0]["val_score"][:, 1].mean(-1), rtol=1e-6)
    assert "weight decay" not in texts(figure)  # which did not vary


def test_of_many_settings_the_best_and_the_chosen_one_are_named():
    figure = draw_curves(*curves_of(3, [n / 100 for n in range(1, 41)], 1))
    assert "31 others" in texts(figure) and "(chosen)" in texts(figure)


def test_a_member_that_diverged_leaves_a_gap():
    arguments = curves_of(5, [0.1, 0.2], 1)
    arguments[0]["train_loss"][2:, 0] = np.inf
    arguments[0]["val_score"][2:, 0] = np.nan
    line = draw_curves(*arguments).axes[0].lines[0].get_ydata()
    assert np.isnan(line).tolist() == [False, False, True, True, True]
    picture(draw_curves(*curves_of(1, [0.1, 0.2], 1)))


@pytest.mark.parametrize(("n_classes", "numbers"), [(2, True), (20, True), (21, False), (200, False), (1000, False)])
def test_a_confusion_matrix_has_numbers_while_there_is_room(n_classes, numbers):
    count_CC = np.eye(n_classes, dtype=np.int64) * 7
    count_CC[0, 1] = 12345
    classes = [(ODD_NAMES + [f"class {n}" for n in range(n_classes)])[n] for n in range(n_classes)]
    figure = draw_confusion(count_CC, classes, "b0 · knn")
    written = {text.get_text() for text in figure.axes[0].texts}
    assert written == ({"7", "12345"} if numbers else set())
    assert numbers or "12345 ×" in texts(figure)
    assert len(figure.axes[0].get_xticks()) <= 25
    picture(figure)


def test_no_cell_of_a_large_matrix_is_lost():
    values_CC = np.zeros((7, 7))
    values_CC[6, 2] = 0.5
    np.testing.assert_array_equal(np.argwhere(strongest(values_CC, 3)), [[2, 0]])
    assert strongest(values_CC, 3).max() == 0.5


def test_frequent_pairs_leave_out_the_diagonal_and_what_never_happened():
    assert frequent_pairs(np.array([[9, 1, 0], [4, 9, 0], [0, 0, 9]]), 5) == [(1, 0, 4), (0, 1, 1)]


def test_the_bins_hold_what_the_calibration_error_is_made_of():
    label_N, probability_RNC = guesses(3, rows=500)
    confidence_B, right_B, share_B = binned(label_N, probability_RNC)
    probability_NC = probability_RNC[0]
    assert share_B.sum() == pytest.approx(1)
    assert np.nansum(right_B * share_B) == pytest.approx((probability_NC.argmax(1) == label_N).mean())
    assert np.nansum(confidence_B * share_B) == pytest.approx(probability_NC.max(1).mean())


def parts_of(n_classes, n_groups, rows=400):
    """Figures of a head that never predicts the first class, and takes images for a class that is not there."""
    rng = np.random.default_rng(0)
    label_N = np.r_[0, 0, rng.integers(0, n_classes, rows - 2)]
    predicted_RN = np.where(rng.random((2, rows)) < 0.7, label_N, n_classes)
    predicted_RN[predicted_RN == 0] = n_classes
    group_N = np.array([f"patient {number}" for number in rng.integers(0, n_groups or 1, rows)], object)
    figures = class_figures(label_N, predicted_RN, n_classes + 1, group_N)
    classes = {f"c{place}": one for place, one in enumerate(figures)}
    return classes, group_figures(predicted_RN == label_N, group_N) if n_groups else {}


@pytest.mark.parametrize(("n_classes", "n_groups"), [(2, 0), (9, 1), (9, 8), (30, 8), (9, 1000), (300, 1000)])
def test_the_worst_classes_and_groups_are_named_and_all_are_drawn(n_classes, n_groups):
    classes, groups = parts_of(n_classes, n_groups, 4000)
    figure = draw_parts(classes, groups, 0.7, "t")
    said = texts(figure)
    assert "never predicted" in said and "no image on test" in said
    worst = sorted(groups, key=lambda name: groups[name].value)
    assert ("groups (images)" in said or "groups with" in said) == (n_groups > 0)
    assert all(f"{name} (" in said for name in worst[:10])
    assert all((f"{name} (" in said) == (len(groups) <= 20) for name in worst[-1:])
    bars = [[bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)] for axes in figure.axes]
    drawn = [
        round(sum(heights)) for axes, heights in zip(figure.axes, bars, strict=True) if "of all" in axes.get_xlabel()
    ]
    many = max(len(classes), len(groups)) > 20
    assert drawn == ([len(classes), len(groups)][: 1 + bool(groups)] if many else [])
    assert picture(figure).height < 1300


def test_of_equally_bad_groups_that_with_more_images_is_worse():
    groups = group_figures(np.zeros((1, 5), bool), np.array([*"aabbb"], object))
    assert worst_groups(groups) == ["b", "a"]


def test_figures_from_few_units_are_hollow():
    groups = group_figures(np.ones((1, 39), bool), np.array(["few"] * 19 + ["enough"] * 20, object))
    figure = draw_parts(parts_of(2, 0)[0], groups, 1.0, "t")
    dots = [line for line in figure.axes[1].lines if line.get_marker() == "o" and len(line.get_xdata())]
    faces = {float(dot.get_ydata()[0]): dot.get_markerfacecolor() for dot in dots}
    assert [faces[place] == "white" for place in (0, 1)] == [False, True]  # "enough", of equals the larger, is first


@pytest.mark.parametrize("n_classes", [2, 200])
def test_reliability_quotes_the_leaderboards_error(n_classes):
    label_N, probability_RNC = guesses(n_classes, replicates=3)
    raw = Raw(np.sqrt(probability_RNC) / np.sqrt(probability_RNC).sum(-1, keepdims=True), [0.5, 0.62, 0.5], 0.3456)
    figure = draw_reliability(label_N, probability_RNC, {"value": 0.1234, "low": None, "high": None}, raw, "t")
    shown = texts(figure).replace("\n", " ")
    assert "Expected calibration error 0.123; 0.346 before calibration." in shown and "3 seeds or draws" in shown
    assert "t: reliability on test, temperatures 0.5 to 0.62" in shown
    (line,) = [line for line in figure.axes[0].lines if line.get_label() == "before calibration"]
    confidence_B, right_B, share_B = binned(label_N, raw.probability_RNC)
    np.testing.assert_array_equal(line.get_xydata(), np.stack([confidence_B, right_B], 1)[share_B > 0])
    picture(figure)


def test_the_worst_mistakes_are_wrong_and_sorted_by_confidence():
    label_N, probability_RNC = guesses(4, rows=200)
    rows = worst_mistakes(label_N, probability_RNC[0])
    confidence = probability_RNC[0].max(1)
    wrong = probability_RNC[0].argmax(1) != label_N
    assert len(rows) == 20 and wrong[rows].all()
    assert confidence[rows].tolist() == sorted(confidence[wrong], reverse=True)[:20]


def test_without_mistakes_the_figure_says_so():
    assert not len(worst_mistakes(np.array([0, 1]), np.eye(2)))
    assert "all 1,000 test images are right" in texts(draw_mistakes([], 0, 1000, "t"))


def test_mistakes_show_names_of_all_kinds_and_say_why_a_picture_is_missing(tmp_path):
    Image.new("RGB", (300, 200), "red").save(tmp_path / "red.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pictures = thumbnails("folder", tmp_path, ["red.png", "gone.png", "broken.png"], 100, 10**6)
    assert pictures[0].shape == (67, 100, 3)
    assert pictures[1] == "no such file or directory"
    mistakes = [Mistake(pictures[place % 3], name, name, 0.5, name) for place, name in enumerate(ODD_NAMES)]
    figure = draw_mistakes(mistakes, 99, 1000, "t")
    assert "no such file or directory" in texts(figure) and "7 most confident of 99" in texts(figure)
    picture(figure)


def test_a_thumbnail_may_be_of_a_row_of_an_array(tmp_path):
    pixels_NHW = np.random.default_rng(0).integers(0, 256, (3, 40, 20), np.uint8)
    np.save(tmp_path / "x.npy", pixels_NHW)
    gone, whole = thumbnails("npy", tmp_path, ["x.npy[3]", "x.npy[2]"], 40, 20 * 40)
    assert gone == "the array has 3 rows"
    np.testing.assert_array_equal(whole, np.stack([pixels_NHW[2]] * 3, -1))
    assert thumbnails("npy", tmp_path, ["x.npy[0]"], 10, 20 * 40)[0].shape == (10, 5, 3)
    assert "above decoding.max_pixels" in thumbnails("npy", tmp_path, ["x.npy[0]"], 10, 20 * 40 - 1)[0]


def test_the_mistakes_of_a_head_are_shown_by_the_rows_of_their_array(tmp_path):
    grey_N = np.array([10, 60, 110, 160, 210], np.uint8)
    np.save(tmp_path / "x.npy", np.repeat(grey_N, 12).reshape(5, 3, 4))
    manifest = pd.DataFrame({"image_id": [7, 8, 9, 10, 11], "path": [f"x.npy[{row}]" for row in range(5)]})
    history = {"c": [1.0, 2.0], "val_score": [0.5, 0.6]}
    facts = {"history": history, "settings": {"c": [1.0, 2.0], "choose_by": "accuracy"}, "chosen": {"c": 2.0}}
    probability_NC = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8]])
    ece = {"value": 0.1, "low": 0.0, "high": 0.2}
    facts |= {"classes": ["ant", "bee"], "temperatures": [0.5], "metrics": {"test": {"ece": ece, "ece_raw": ece}}}
    label_N, image_id_N = np.array([0, 1, 0]), np.array([8, 11, 9])
    head = HeadResults("t", facts, label_N, np.log(probability_NC[None]) / 2, image_id_N, {})
    np.testing.assert_allclose(head.probability_NC, probability_NC)
    belongings = pd.DataFrame(
        {"group": ["", "p", "q", "p", "q"], "unit": ["", "p", "q", "p", "q"]}, manifest["image_id"]
    )
    figures = draw_head("classification", head, ImageFiles(manifest, belongings, tmp_path, 100, "npy"))
    assert all(text in texts(figures["parts"]) for text in ("ant (2)", "bee (1)", "p (1)", "q (2)"))
    mistakes = figures["mistakes"]
    assert "temperature 0.5" in texts(figures["reliability"])
    assert [axes.images[0].get_array()[0, 0, 0] for axes in mistakes.axes if axes.images] == [110, 210]
    assert all(name in texts(mistakes) for name in ("x.npy[2]", "x.npy[4]"))


def test_a_mistake_is_never_certain():
    assert percent(0.99999) == "> 99 %" and percent(0.5) == "50 %"
    assert caption(Mistake("", "4", "9", 0.61, "")) == "4 → 9\n61 %"


def test_the_map_keeps_distances_of_features_that_lie_in_a_plane():
    rng = np.random.default_rng(0)
    plane_N2 = rng.normal(size=(40, 2))
    place_N2, share_2 = project(plane_N2 @ np.linalg.qr(rng.normal(size=(9, 9)))[0][:2])
    assert share_2.sum() == pytest.approx(1) and share_2[0] >= share_2[1]
    for one, two in ((0, 1), (3, 30)):
        assert np.hypot(*(place_N2[one] - place_N2[two])) == pytest.approx(np.hypot(*(plane_N2[one] - plane_N2[two])))


@pytest.mark.parametrize("x_ND", [np.zeros((5, 4)), np.arange(5.0)[:, None], np.ones((1, 3))])
def test_features_without_two_directions_have_a_map(x_ND):
    place_N2, share_2 = project(x_ND)
    assert place_N2.shape == (len(x_ND), 2) and np.isfinite(share_2).all()
    picture(draw_embedding(place_N2, share_2, np.array(["a"] * len(x_ND), object), "t"))


def test_of_many_classes_the_frequent_ones_have_a_colour():
    label_N = np.array([f"c{place}" for place in range(200)] + ODD_NAMES * 3, object)
    place_N2 = np.random.default_rng(0).normal(size=(len(label_N), 2))
    figure = draw_embedding(place_N2, np.array([0.5, 0.25]), label_N, "t")
    assert "the 21 most frequent of 207 classes" in texts(figure) and "50.0% of the variance" in texts(figure)
    picture(figure)


def test_the_quarantine_is_counted_by_reason():
    listed = pd.DataFrame({"reason": ["b", "a", "b", *(f"r{n}" for n in range(30))]})
    counts = count_reasons(listed)
    assert next(iter(counts.items())) == ("b", 2) and sum(counts.values()) == 33
    assert len(counts) == MOST_REASONS + 1 and counts["17 other reasons"] == 17
    assert "33 images in quarantine" in texts(draw_quarantine(listed))
    assert "No image is in quarantine" in texts(draw_quarantine(listed[:0]))


def rates_of(*encoders):
    rows = [
        (encoder, stage, seconds, 100 / seconds, stage == "decode")
        for encoder in encoders
        for stage, seconds in (("read", 1.0), ("decode", 4.0), ("encode", 2.0), ("write", 0.5))
    ]
    return pd.DataFrame(rows, columns=["encoder", "stage", "seconds", "images_per_s", "bottleneck"])


def test_durations_show_seconds_and_rates_with_and_without_heads():
    figure = draw_durations(rates_of("b0"), [run_of("b0", "knn", 0.5, seconds=0.25)])
    assert "4 s, 25 images/s" in texts(figure) and "0.25 s" in texts(figure)
    colours = [bar.get_facecolor() for bar in figure.axes[0].patches]
    assert [colour == colours[1] for colour in colours] == [False, True, False, False]
    assert len(draw_durations(rates_of("b0"), []).axes) == 1
    assert len(draw_durations(rates_of(*(f"e{n}" for n in range(30))), []).axes[0].patches) == 40


def test_a_page_escapes_what_it_shows_and_survives_odd_names():
    page = table_page("T", "", ["a_b"], [["<script>"], ["\udcff"], [None], [0.123456]]).decode("utf-8")
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<th>a b</th>" in page and ">0.1235<" in page and ">-<" in page


def test_a_long_page_says_what_it_leaves_out():
    page = table_page("T", "", ["n"], [[n] for n in range(MOST_ROWS + 5)]).decode()
    assert page.count("<tr>") == MOST_ROWS + 1 and re.search("first 2,000 of 2,005 rows", page)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_plain_text_can_be_drawn_and_is_short(name):
    shown = plain(name, 20)
    assert len(shown) <= 20 and shown.isprintable()
    assert shown.encode().decode() == shown


def test_the_same_data_give_the_same_bytes():
    rows = [run_of("b0", "knn", 0.8)]
    assert png_bytes(draw_leaderboard(rows)) == png_bytes(draw_leaderboard(json.loads(json.dumps(rows))))
    one, two = (png_bytes(draw_curves(*curves_of(3, [0.1, 0.2], 2))) for _ in range(2))
    assert one == two
    assert b"matplotlib" not in one.lower()


def test_figures_leave_the_users_settings_alone():
    import matplotlib

    before = dict(matplotlib.rcParams)
    picture(draw_leaderboard([run_of("b0", "knn", 0.8)]))
    assert dict(matplotlib.rcParams) == before
