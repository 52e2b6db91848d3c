"""What heads on whole images predict, as an object: its protocol. ``heads.targets`` has one for each kind.

A head has K outputs: the logits of K classes, or of K labels, or the number. An image is y: the place of its class,
int64 (N,); the number, float64 (N, 1); or of labels 0 and 1, uint8 (N, K). Heads learn a number less its mean on train,
over its deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from unchoke.metrics.evaluation import Figure

Tensors = dict[str, torch.Tensor]


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
