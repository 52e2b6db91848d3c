"""Are groups (patients, slides) drawn into train, val and test by chance, with sizes and classes alike in all three?

Limits: no two seeds draw one test set; the mean size of a group differs by less than a tenth between the splits; every
        split keeps its share of the rows to within a median group.

Simulation: for each set of groups `draw_splits` draws with shares of 0.15 for val and test, once for each seed. Sizes
are all different (1 to 100), equal, or log-normal; groups have one class, or rows of several. Where few groups hold
most rows, a split cannot have its share of rows and of groups at once: that setting is shown without a limit.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from common import Limit, benchmark_parser, report
from numpy.typing import NDArray

from unchoke.manifest.splits import draw_splits
from unchoke.names import SPLITS

SHARES = {"val": 0.15, "test": 0.15}
SHARE_S = np.array([1 - sum(SHARES.values()), *SHARES.values()])
HEADER = ["", "test sets", *(f"size in {split}" for split in SPLITS), "largest error of a share", "classes in test"]


@dataclass(frozen=True)
class Groups:
    """G groups with rows of C classes."""

    rows_GC: NDArray[np.int64]

    @property
    def size_G(self) -> NDArray[np.int64]:
        return np.asarray(self.rows_GC.sum(1))

    def draw(self, seed: int) -> NDArray[np.str_]:
        """The split of each group."""
        group, label = (part.repeat(self.rows_GC.ravel()) for part in map(np.ravel, np.indices(self.rows_GC.shape)))
        drawn = draw_splits([f"c{c}" for c in label], [f"g{g}" for g in group], [""] * len(group), SHARES, seed)
        return np.array(drawn)[np.cumsum(self.size_G) - self.size_G]


def settings(rng: np.random.Generator) -> dict[str, Groups]:
    """Groups by what they are called in the table."""
    different, heavy = np.arange(1, 101), np.ceil(rng.lognormal(2.5, 1, 100)).astype(np.int64)
    two, three = np.eye(2, dtype=np.int64)[np.arange(100) % 2], np.eye(3, dtype=np.int64)[np.arange(100) % 3]
    return {
        "100 sizes, two classes": Groups(different[:, None] * two),
        "100 sizes, mixed classes": Groups(rng.multinomial(different, [0.7, 0.2, 0.1])),
        "100 equal groups, three classes": Groups(5 * three),
        "log-normal, one class": Groups(np.minimum(heavy, 60)[:, None]),
        "log-normal, the largest a tenth of all": Groups(np.append(heavy, heavy.sum() // 9)[:, None]),
    }


def simulate(name: str, groups: Groups, seeds: int) -> tuple[list[str], list[Limit]]:
    """A row of the table, and whether it is as it should be."""
    size_G = groups.size_G
    drawn_RG = np.stack([groups.draw(seed) for seed in range(seeds)])
    mean_S = np.array([np.nanmean([size_G[row == split].mean() for row in drawn_RG]) for split in SPLITS])
    rows_RS = np.stack([(drawn_RG == split) @ size_G for split in SPLITS], 1)
    error = np.abs(rows_RS - SHARE_S * size_G.sum()).max() / np.median(size_G)
    share_C = np.mean([groups.rows_GC[row == "test"].sum(0) / groups.rows_GC.sum(0) for row in drawn_RG], 0)
    sets = len({tuple(row == "test") for row in drawn_RG})
    cells = [f"{sets} of {seeds}", *(f"{mean:.1f}" for mean in mean_S), f"{error:.2f} median groups"]
    row = [name, *cells, " ".join(f"{share:.3f}" for share in share_C)]
    spread = float(np.ptp(mean_S) / size_G.mean())
    limits = [
        Limit(f"{name}: test sets", str(sets), f"{seeds}", sets == seeds),
        Limit(f"{name}: largest error of a share, median groups", f"{error:.2f}", "1", bool(error <= 1)),
        Limit(f"{name}: spread of mean sizes", f"{spread:.3f}", "0.1", spread <= 0.1),
    ]
    return row, limits


def compare(args: argparse.Namespace) -> int:
    table, limits, figures = [HEADER], [], {}
    for name, groups in settings(np.random.default_rng(0)).items():
        row, held = simulate(name, groups, args.seeds)
        table.append(row)
        limits += [] if "tenth" in name else held
        figures[name] = dict(zip(HEADER[1:], row[1:], strict=True))
    return report(args, table, limits, figures)


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="draws of each setting")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
