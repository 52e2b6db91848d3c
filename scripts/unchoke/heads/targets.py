"""What heads on whole images predict: a class, a number, or any number of labels; an object each."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.cells import labels_in, number_in, quoted
from unchoke.errors import SplitError
from unchoke.heads import losses, scores
from unchoke.heads.target import Reading, Target, Tensors
from unchoke.metrics import calibration, evaluation, label_sets, numbers
from unchoke.metrics.classification import SPOKEN
from unchoke.metrics.evaluation import Figure
from unchoke.names import CLASSIFICATION, MULTILABEL, REGRESSION

Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
LEAST = 1e-3
"""Of a probability that a fitted indicator stands for."""


def _mean_of_views(outputs: torch.Tensor, views: int) -> torch.Tensor:
    *outer, rows, width = outputs.shape
    return outputs if views == 1 else outputs.reshape(*outer, views, rows // views, width).mean(-3)


def _unweighted(loss: Loss) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """A loss of numbers or labels as ``Target.loss``: their heads have no class weights and no smoothing."""

    def given(
        outputs_SLKB: torch.Tensor,
        y_SB: torch.Tensor,
        weight_SB: torch.Tensor,
        weight_K: torch.Tensor,
        smoothing: float,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return loss(outputs_SLKB, y_SB)

    return given


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

    loss = staticmethod(_unweighted(losses.squared_error))
    average_views = staticmethod(_mean_of_views)

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

    loss = staticmethod(_unweighted(losses.binary_cross_entropy))

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
