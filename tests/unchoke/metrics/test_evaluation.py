"""Intervals and comparisons against what statistics says they must be."""

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binomtest, norm
from scipy.stats import t as student_t
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

from unchoke.metrics.classification import softmax
from unchoke.metrics.evaluation import METRICS, compare, evaluate
from unchoke.metrics.influences import Scored

BETWEEN_0_AND_1 = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "average_precision")


def accuracy_of(right_RN: np.ndarray) -> Scored:
    """The accuracy of replicates that are right or not about each image."""
    right_RN = right_RN.astype(float)
    value_R = right_RN.mean(1)
    return Scored(value_R, (right_RN - value_R[:, None]) / right_RN.shape[1])


def predictions(images: int, classes: int = 4, replicates: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels (N,) and logits (R, N, C) of a fair classifier."""
    rng = np.random.default_rng(seed)
    label_N = rng.integers(0, classes, images)
    return label_N, (rng.normal(size=(replicates, images, classes)) + 1.5 * np.eye(classes)[label_N]).astype(np.float32)


def test_figures_are_means_over_the_replicates() -> None:
    label_N, logits_RNC = predictions(300, replicates=3)
    figures = evaluate(label_N, logits_RNC)
    each = [accuracy_score(label_N, logits.argmax(1)) for logits in logits_RNC]
    assert figures["accuracy"].value == pytest.approx(np.mean(each))
    assert figures["accuracy"].sd == pytest.approx(np.std(each, ddof=1))
    f1 = [f1_score(label_N, logits.argmax(1), average="macro") for logits in logits_RNC]
    assert figures["macro_f1"].value == pytest.approx(np.mean(f1))
    auroc = [roc_auc_score(label_N, softmax(logits), multi_class="ovr") for logits in logits_RNC]
    assert figures["auroc"].value == pytest.approx(np.mean(auroc))


def test_losses_are_reported_before_and_after_calibration() -> None:
    label_N, logits_RNC = predictions(300, replicates=2)
    figures = evaluate(label_N, logits_RNC, temperatures=[0.5, 3.0])
    for end, temperatures in (("", (0.5, 3.0)), ("_raw", (1, 1))):
        each = [softmax(logits / t) for logits, t in zip(logits_RNC, temperatures, strict=True)]
        assert figures[f"log_loss{end}"].value == pytest.approx(np.mean([log_loss(label_N, one) for one in each]))
        brier = [np.square(one - np.eye(4)[label_N]).sum(1).mean() for one in each]
        assert figures[f"brier{end}"].value == pytest.approx(np.mean(brier))
    plain = evaluate(label_N, logits_RNC)
    for name in ("ece", "log_loss", "brier"):
        assert repr(plain[f"{name}_raw"]) == repr(figures[f"{name}_raw"]) == repr(plain[name]) != repr(figures[name])
    assert all(plain[name] == figures[name] for name in BETWEEN_0_AND_1)


@pytest.mark.parametrize("per_group", [1, 10])
def test_the_interval_of_a_loss_is_students_by_groups_on_logarithms(per_group: int) -> None:
    """Groups of one size: that of the means of the groups."""
    label_N, logits_RNC = predictions(400)
    groups = np.repeat(np.arange(400 // per_group), per_group).astype(str).astype(object)
    found = evaluate(label_N, logits_RNC, groups)["log_loss"]
    loss_N = -np.log(softmax(logits_RNC[0])[np.arange(400), label_N])
    mean_G = loss_N.reshape(-1, per_group).mean(1)
    half_width = student_t.ppf(0.975, len(mean_G) - 1) * mean_G.std(ddof=1) / np.sqrt(len(mean_G)) / loss_N.mean()
    assert (found.low, found.high) == pytest.approx(loss_N.mean() * np.exp([-half_width, half_width]))
    assert found.units == len(mean_G)


def test_one_replicate_has_no_deviation() -> None:
    assert all(np.isnan(figure.sd) for figure in evaluate(*predictions(50)).values())


def test_the_interval_of_accuracy_is_that_of_the_binomial() -> None:
    label_N, logits_RNC = predictions(2000)
    found = evaluate(label_N, logits_RNC)["accuracy"]
    expected = binomtest(round(found.value * 2000), 2000).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_twenty_of_twenty_right_are_not_sure() -> None:
    label_N = np.arange(20) % 2
    found = evaluate(label_N, np.eye(2)[label_N][None])
    assert found["accuracy"].value == 1 and found["accuracy"].low == pytest.approx(0.025 ** (1 / 20))
    assert found["balanced_accuracy"].low < 0.9 and found["auroc"].low < 0.95 and found["macro_f1"].low < 0.9
    assert all(found[name].high == 1 for name in BETWEEN_0_AND_1)
    assert np.isnan([found["log_loss"].low, found["brier"].high]).all()  # all losses are the same


def test_the_interval_of_auroc_is_that_of_resampling_it_whole() -> None:
    label_N, logits_RNC = predictions(300, classes=2)
    found = evaluate(label_N, logits_RNC)["auroc"]
    score_N, positive_N = softmax(logits_RNC[0])[:, 1], label_N == 1
    above_PQ = (score_N[positive_N, None] > score_N[~positive_N]).astype(float)
    assert above_PQ.mean() == pytest.approx(roc_auc_score(label_N, score_N)) == found.value
    weight_BN = np.random.default_rng(1).multinomial(300, np.full(300, 1 / 300), 2000)
    weight_BP, weight_BQ = weight_BN[:, positive_N], weight_BN[:, ~positive_N]
    drawn = ((weight_BP @ above_PQ) * weight_BQ).sum(1) / (weight_BP.sum(1) * weight_BQ.sum(1))
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_the_interval_of_macro_f1_is_scikit_learns_without_each_image() -> None:
    label_N, logits_RNC = predictions(60)
    found, predicted_N = evaluate(label_N, logits_RNC)["macro_f1"], logits_RNC[0].argmax(1)
    rows = np.arange(60)
    left_out = [f1_score(label_N[rows != row], predicted_N[rows != row], average="macro") for row in rows]
    half_width = student_t.ppf(0.975, 59) * np.sqrt(59 / 60 * ((left_out - np.mean(left_out)) ** 2).sum())
    half_width /= found.value * (1 - found.value)
    assert (found.low, found.high) == pytest.approx(expit(logit(found.value) + np.array([-half_width, half_width])))


def test_replicates_widen_the_interval_by_their_own_variation() -> None:
    """Draws of a few shots differ by more than the images tell."""
    label_N, logits_RNC = predictions(4000, replicates=3)
    shaken = logits_RNC + np.array([0, 1.5, 3])[:, None, None] * np.eye(4)[0]
    found = evaluate(label_N, shaken)["accuracy"]
    assert found.high - found.low > 2 * student_t.ppf(0.975, 2) * found.sd / np.sqrt(3)
    alike = evaluate(label_N, np.repeat(logits_RNC[:1], 3, 0))["accuracy"]
    assert (alike.low, alike.high) == pytest.approx(
        (evaluate(label_N, logits_RNC[:1])["accuracy"].low, evaluate(label_N, logits_RNC[:1])["accuracy"].high)
    )


def test_units_are_images_or_groups() -> None:
    label_N, logits_RNC = predictions(30)
    groups = np.array([f"patient {row % 3}" for row in range(30)], object)
    alone, grouped = evaluate(label_N, logits_RNC), evaluate(label_N, logits_RNC, groups)
    assert {figure.units for figure in alone.values()} == {30} and {f.units for f in grouped.values()} == {3}
    assert compare(accuracy_of(np.ones((1, 30))), accuracy_of(np.zeros((1, 30))), groups).units == 3


def test_groups_widen_the_interval() -> None:
    """Ten copies of each image in one group tell no more than the image: the interval is √10 as wide as if they did."""
    label_N, logits_RNC = predictions(400)
    groups = np.repeat([f"patient {number}" for number in range(400)], 10).astype(object)
    copied = np.repeat(label_N, 10), np.repeat(logits_RNC, 10, axis=1)
    width = {
        name: figures["accuracy"].high - figures["accuracy"].low
        for name, figures in {
            "images": evaluate(label_N, logits_RNC),
            "grouped": evaluate(*copied, groups),
            "as if apart": evaluate(*copied),
        }.items()
    }
    assert width["grouped"] == pytest.approx(width["images"], rel=0.1)
    assert width["grouped"] / width["as if apart"] == pytest.approx(np.sqrt(10), rel=0.15)


def test_images_without_a_group_stand_alone() -> None:
    label_N, logits_RNC = predictions(200)
    alone = evaluate(label_N, logits_RNC, np.full(200, "", object))
    assert repr(alone) == repr(evaluate(label_N, logits_RNC))


def test_every_interval_holds_its_figure() -> None:
    figures = evaluate(*predictions(500, classes=12, replicates=2))
    assert set(figures) == set(METRICS)
    assert all(figure.low <= figure.value <= figure.high for name, figure in figures.items() if "ece" not in name)


def test_a_test_split_of_one_class_has_no_auroc() -> None:
    figures = evaluate(np.zeros(20, int), np.random.default_rng(0).normal(size=(1, 20, 3)))
    assert np.isnan(figures["auroc"].value) and np.isnan(figures["auroc"].low)
    assert np.isfinite(figures["accuracy"].value)


def test_compared_heads_are_compared_on_the_same_images() -> None:
    """Two heads that err on the same images but for a few differ surely, though their intervals overlap."""
    rng = np.random.default_rng(0)
    one_N = rng.random(1000) < 0.7
    two_N = one_N.copy()
    two_N[np.flatnonzero(one_N)[:20]] = False
    found = compare(accuracy_of(one_N[None]), accuracy_of(two_N[None]))
    assert found.difference == pytest.approx(0.02) and found.images == 1000
    assert 0 < found.low < 0.02 < found.high
    sd = np.sqrt(0.02 * 0.98 / 1000)
    assert found.high - found.low == pytest.approx(2 * norm.ppf(0.975) * sd, rel=0.15)
    assert found.p_value == pytest.approx(2 * student_t.sf(0.02 / np.sqrt(0.02 * 0.98 / 999), 999))


@pytest.mark.parametrize("seed", range(20))
def test_a_p_value_agrees_with_the_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, two = rng.random((5, 200)) < 0.7, rng.random((5, 200)) < 0.66
    found = compare(accuracy_of(one), accuracy_of(two))
    assert (found.p_value < 0.05) == (found.low > 0 or found.high < 0)


def test_two_replicates_vary_as_the_images_do() -> None:
    """By hand: images that never vary, replicates that differ by 0.1 and 0.3."""
    one, two = np.ones((2, 10), bool), np.ones((2, 10), bool)
    two[0, :1], two[1, :3] = False, False
    found = compare(accuracy_of(one), accuracy_of(two))
    image_N = np.array([1, 0.5, 0.5, *[0] * 7]) - 0.2
    images, replicates = 10 / 9 * (image_N**2).sum() / 100, 0.02 / 2
    degrees = (images + replicates) ** 2 / (images**2 / 9 + replicates**2)
    half_width = student_t.ppf(0.975, degrees) * np.sqrt(images + replicates)
    assert (found.low, found.high) == pytest.approx((0.2 - half_width, 0.2 + half_width))


def test_a_head_does_not_differ_from_itself() -> None:
    right = np.random.default_rng(0).random((2, 100)) < 0.5
    found = compare(accuracy_of(right), accuracy_of(right))
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_one_group_tells_nothing_of_others() -> None:
    label_N, logits_RNC = predictions(200)
    figures = evaluate(label_N, logits_RNC, np.full(200, "slide 1", object))
    assert np.isfinite(figures["accuracy"].value)
    assert np.isnan([figures["accuracy"].low, figures["accuracy"].high]).all()
    right = logits_RNC.argmax(-1) == label_N
    found = compare(accuracy_of(right), accuracy_of(~right), np.full(200, "slide 1", object))
    assert np.isfinite(found.difference) and np.isnan([found.low, found.high]).all()


def test_no_interval_leaves_0_to_1() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        label_N = np.r_[np.ones(10, int), np.zeros(50, int)]
        score_N = rng.normal(size=60) + 2.5 * label_N
        found = evaluate(label_N, np.stack([-score_N, score_N], 1)[None])
        assert all(0 <= figure.low <= figure.high <= 1 for name, figure in found.items() if name in BETWEEN_0_AND_1)
