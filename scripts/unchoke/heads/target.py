"""What heads on whole images predict: a class, a number, or any number of labels; one object each.

A head has K outputs: the logits of K classes, or of K labels, or the number. An image is y: the place of its class,
int64 (N,); the number, float64 (N, 1); or of labels 0 and 1, uint8 (N, K). Heads learn a number less its mean on train,
over its deviation.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cells import labels_in, number_in, quoted
from unchoke.errors import SplitError
from unchoke.heads import losses, scores
from unchoke.metrics import calibration, evaluation, label_sets, numbers
from unchoke.metrics.classification import SPOKEN
from unchoke.metrics.evaluation import Figure
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION

Tensors = dict[str, torch.Tensor]
LEAST = 1e-3
"""Of a probability that a fitted indicator stands for."""


@dataclass(frozen=True)
class Reading:
    """How the outputs of each replicate are read, chosen on val."""

    temperatures: list[float]
    """Of logits of classes; 1 for all else."""
    thresholds: list[list[float]] = field(default_factory=list)
    """Of labels: the logit from which on an image gets each of them."""
    notes: list[str] = field(default_factory=list)
    """What a reader must know of the choice."""


class Target(Protocol):
    """The functions that tell one kind of target from another."""

    task: str

    def names(self, cells: Sequence[str]) -> list[str]:
        """The names of the outputs, from the cells of train."""

    def values(self, cells: Sequence[str], names: Sequence[str], split: str) -> NDArray[Any]:
        """y of some images; UnchokeError where it cannot be told from those of train."""

    def warnings(self, split: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
        """What a reader of figures of the split must know."""

    def scale(self, y_N: torch.Tensor) -> Tensors:
        """Tensors for the checkpoint that bring y of train to a mean of 0 and a deviation of 1; none for classes."""

    def inwards(self, y_N: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """y as heads learn it."""

    def outwards(self, outputs: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """Outputs in units of y."""

    def indicators(self, y_N: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """y as numbers, (N, K)."""

    def of_indicators(self, fitted: torch.Tensor) -> torch.Tensor:
        """Outputs from indicators that were fitted by least squares, float64 (N, K)."""

    def of_votes(self, share_NK: torch.Tensor, k: int) -> torch.Tensor:
        """Outputs from the mean indicators of k neighbours."""

    def loss(
        self,
        outputs_SLKB: torch.Tensor,
        y_SB: torch.Tensor,
        weight_SB: torch.Tensor,
        weight_K: torch.Tensor,
        smoothing: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each member (S, L), and its gradient by the outputs."""

    def average_views(self, outputs: torch.Tensor, views: int) -> torch.Tensor:
        """Outputs (…, V·N, K) of all views to (…, N, K)."""

    def score(self, outputs: torch.Tensor, y_N: torch.Tensor, figure: str) -> torch.Tensor:
        """As ``rows.score``; outputs averaged over views."""

    def read(self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], names: Sequence[str]) -> Reading:
        """How outputs are to be read, from those of val."""

    def evaluate(
        self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], group_N: NDArray[np.object_], reading: Reading
    ) -> dict[str, Figure]:
        """Figures with their intervals."""


class Classes:
    """One class of several."""

    task = CLASSIFICATION

    def names(self, cells: Sequence[str]) -> list[str]:
        """The classes in order."""
        return sorted(set(cells))

    def values(self, cells: Sequence[str], names: Sequence[str], split: str) -> NDArray[Any]:
        """Places of the classes."""
        if unseen := sorted(set(cells) - set(names)):
            raise SplitError(
                f"The {split} split has a class of which train has no readable image.", found=", ".join(unseen[:5])
            )
        place = {label: index for index, label in enumerate(names)}
        return np.array([place[label] for label in cells], np.int64)

    def warnings(self, split: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
        """None: ``manifest.classes`` warns of classes."""
        return []

    def scale(self, y_N: torch.Tensor) -> Tensors:
        """Nothing."""
        return {}

    def inwards(self, y_N: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """As it is."""
        return y_N

    def outwards(self, outputs: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """As they are."""
        return outputs

    def indicators(self, y_N: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """1 for the class, 0 for the others."""
        return torch.nn.functional.one_hot(y_N, n_outputs).double()

    def of_indicators(self, fitted: torch.Tensor) -> torch.Tensor:
        """Logarithms; values below LEAST count as LEAST, and the larger of two such still comes first."""
        return (fitted.clamp_min(LEAST).log() + LEAST * fitted).float()

    def of_votes(self, share_NK: torch.Tensor, k: int) -> torch.Tensor:
        """Logarithms, with one more vote that is divided among all classes."""
        return ((k * share_NK + 1 / share_NK.shape[1]) / (k + 1)).log()

    loss = staticmethod(losses.cross_entropy)
    average_views = staticmethod(scores.average_views)
    score = staticmethod(scores.class_score)

    def read(self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], names: Sequence[str]) -> Reading:
        """Temperatures."""
        temperatures, notes = calibration.fit_temperatures(y_N, outputs_RNK)
        return Reading(temperatures, notes=notes)

    def evaluate(
        self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], group_N: NDArray[np.object_], reading: Reading
    ) -> dict[str, Figure]:
        """See ``metrics.evaluation``."""
        return evaluation.evaluate(y_N, outputs_RNK, group_N, reading.temperatures)


class Numbers(Classes):
    """A number."""

    task = REGRESSION
    NAME = "target"

    def names(self, cells: Sequence[str]) -> list[str]:
        """One output."""
        return [self.NAME]

    def values(self, cells: Sequence[str], names: Sequence[str], split: str) -> NDArray[Any]:
        """The numbers, (N, 1)."""
        return np.array([[number_in(cell)] for cell in cells], np.float64)

    def warnings(self, split: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
        """Where all numbers are equal."""
        if len(set(map(number_in, cells))) > 1:
            return []
        lost = "nothing can be learnt" if split == "train" else "R² and Spearman's rank correlation are undefined"
        return [f"the target of {split} is constant, {cells[0]}: {lost}"]

    def scale(self, y_N: torch.Tensor) -> Tensors:
        """Mean and deviation (n), in float64; a constant target has deviation 1."""
        deviation = y_N.std(correction=0)
        return {"target_mean": y_N.mean(), "target_scale": torch.where(deviation > 0, deviation, 1.0)}

    def inwards(self, y_N: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """Less the mean, over the deviation."""
        return (y_N - tensors["target_mean"]) / tensors["target_scale"]

    def outwards(self, outputs: torch.Tensor, tensors: Tensors) -> torch.Tensor:
        """In units of the target, float64."""
        mean, scale = (tensors[name].to(outputs.device) for name in ("target_mean", "target_scale"))
        return outputs.double() * scale + mean

    def indicators(self, y_N: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """As it is."""
        return y_N.double()

    def of_indicators(self, fitted: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return fitted

    def of_votes(self, share_NK: torch.Tensor, k: int) -> torch.Tensor:
        """As they are."""
        return share_NK

    @staticmethod
    def loss(
        outputs_SLKB: torch.Tensor,
        y_SB: torch.Tensor,
        weight_SB: torch.Tensor,
        weight_K: torch.Tensor,
        smoothing: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared error."""
        return losses.squared_error(outputs_SLKB, y_SB)

    @staticmethod
    def average_views(outputs: torch.Tensor, views: int) -> torch.Tensor:
        """Their mean."""
        return _mean_of_views(outputs, views)

    @staticmethod
    def score(outputs: torch.Tensor, y_N: torch.Tensor, figure: str) -> torch.Tensor:
        """Of constant predictions Spearman's rank correlation is undefined; they are chosen last."""
        if figure != "mae" and bool((y_N == y_N[0]).all()):
            raise _no_choice(figure, "images with one and the same target")
        value, finite = _each(outputs, lambda each: numbers.good(figure, y_N[:, 0].cpu().numpy(), each))
        return torch.where(finite & value.isnan(), -1.0, value)

    def read(self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], names: Sequence[str]) -> Reading:
        """Nothing is chosen."""
        return Reading([1.0] * len(outputs_RNK))

    def evaluate(
        self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], group_N: NDArray[np.object_], reading: Reading
    ) -> dict[str, Figure]:
        """See ``metrics.numbers``."""
        return numbers.evaluate(y_N[:, 0], outputs_RNK, group_N)


class Labels(Classes):
    """Any number of labels."""

    task = MULTILABEL

    def names(self, cells: Sequence[str]) -> list[str]:
        """The labels that images of train have, in order."""
        return sorted({label for cell in cells for label in labels_in(cell)})

    def values(self, cells: Sequence[str], names: Sequence[str], split: str) -> NDArray[Any]:
        """0 and 1, (N, K); labels that train lacks are left out, of which ``warnings`` tells."""
        place, y_NK = {label: index for index, label in enumerate(names)}, np.zeros((len(cells), len(names)), np.uint8)
        for row, cell in enumerate(cells):
            y_NK[row, [place[label] for label in labels_in(cell) if label in place]] = 1
        return y_NK

    def warnings(self, split: str, cells: Sequence[str], names: Sequence[str]) -> list[str]:
        """Labels that train lacks, labels that no image has, and those that all have."""
        counts = Counter(label for cell in cells for label in labels_in(cell))
        found = []
        if unseen := sorted(counts.keys() - set(names)):
            found.append(f"labels of {split} that train lacks are left out: {quoted(unseen)}")
        if none := [name for name in names if not counts[name]]:
            found.append(
                f"no image of {split} has the label {quoted(none)}: average precision and AUROC do not count it"
            )
        if every := [name for name in names if counts[name] == len(cells)]:
            found.append(f"every image of {split} has the label {quoted(every)}: the AUROC does not count it")
        return found

    def indicators(self, y_N: torch.Tensor, n_outputs: int) -> torch.Tensor:
        """As they are."""
        return y_N.double()

    def of_indicators(self, fitted: torch.Tensor) -> torch.Tensor:
        """Logits of what lies between LEAST and 1 - LEAST; beyond, the larger still comes first."""
        return (torch.logit(fitted.clamp(LEAST, 1 - LEAST)) + LEAST * fitted).float()

    def of_votes(self, share_NK: torch.Tensor, k: int) -> torch.Tensor:
        """Logits, with one more vote of which half is for the label."""
        return torch.logit((k * share_NK.double() + 0.5) / (k + 1)).float()

    @staticmethod
    def loss(
        outputs_SLKB: torch.Tensor,
        y_SB: torch.Tensor,
        weight_SB: torch.Tensor,
        weight_K: torch.Tensor,
        smoothing: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Binary cross-entropy of each label."""
        return losses.binary_cross_entropy(outputs_SLKB, y_SB)

    @staticmethod
    def average_views(outputs: torch.Tensor, views: int) -> torch.Tensor:
        """Logits of the mean probability."""
        return outputs if views == 1 else torch.logit(_mean_of_views(outputs.double().sigmoid(), views)).float()

    @staticmethod
    def score(outputs: torch.Tensor, y_N: torch.Tensor, figure: str) -> torch.Tensor:
        """Figures that need thresholds take those that suit these images best."""
        some_K, every_K = y_N.bool().any(0), y_N.bool().all(0)
        if not bool(some_K.any()) or (figure == "auroc" and not bool((some_K & ~every_K).any())):
            raise _no_choice(figure, "no label that some have and others have not")
        return _each(outputs, lambda each: label_sets.good(figure, y_N.cpu().numpy(), each))[0]

    def read(self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], names: Sequence[str]) -> Reading:
        """Thresholds."""
        found = [label_sets.thresholds(y_N.astype(bool), outputs_NK).tolist() for outputs_NK in outputs_RNK]
        none = [name for name, some in zip(names, y_N.sum(0).tolist(), strict=True) if not some]
        notes = [f"val sets no threshold for {quoted(none)}, taken the probability 0.5"] if none else []
        return Reading([1.0] * len(outputs_RNK), found, notes)

    def evaluate(
        self, y_N: NDArray[Any], outputs_RNK: NDArray[np.floating], group_N: NDArray[np.object_], reading: Reading
    ) -> dict[str, Figure]:
        """See ``metrics.label_sets``."""
        return label_sets.evaluate(y_N, outputs_RNK, group_N, reading.thresholds)


CLASSES = Classes()
_TARGETS: dict[str, Target] = {one.task: one for one in (CLASSES, Numbers(), Labels())}


def target_of(settings: Mapping[str, Any]) -> Target:
    """What a head with these settings predicts: classes, unless they name another ``task``."""
    return _TARGETS[settings.get("task", CLASSIFICATION)]


def _mean_of_views(outputs: torch.Tensor, views: int) -> torch.Tensor:
    *outer, rows, width = outputs.shape
    return outputs if views == 1 else outputs.reshape(*outer, views, rows // views, width).mean(-3)


def _each(outputs: torch.Tensor, good: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A score of each (N, K) of outputs (…, N, K), NaN where one is not finite; and whether all are finite."""
    flat, outer = outputs.reshape(-1, *outputs.shape[-2:]), outputs.shape[:-2]
    finite = torch.isfinite(flat).flatten(1).all(1)
    values = torch.full((len(flat),), torch.nan, dtype=torch.float64, device=outputs.device)
    for place in torch.nonzero(finite).flatten().tolist():
        values[place] = float(good(flat[place : place + 1].cpu().numpy())[0])
    return scores.comparable(values).reshape(outer), finite.reshape(outer)


def _no_choice(figure: str, found: str) -> SplitError:
    return SplitError(
        f"No head can be chosen by {SPOKEN[figure]}: it is undefined on val.",
        found=found,
        expected="images that differ in what is predicted",
        do="set evaluation.metric to another figure, or change dataset.split",
    )
