"""How much faster are a hundred linear heads trained together than one after the other?

Peers:  the usual loop (TensorDataset, DataLoader with shuffling, nn.Linear, torch.optim.SGD) and a tight loop without a
        loader (rows picked by index from one standardised tensor), each a member at a time.
Limit:  at least 25 × the usual loop and 8 × the tight one; test accuracy of the members that both trained within 0.2 %
        of the tight loop's, which starts from the same weights and sees the same batches, and within 1 % of the usual
        loop's, whose order is another.

10 learning rates × 10 seeds, 20,000 × 1,280 float16 features of 10 classes, batches of 256, 20 epochs. A peer's time is
that of a few members times 100 over their number; the features are standardised beforehand for the peers, not timed.
"""

import argparse
import resource
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import torch
from common import TIMING_HEADER, Limit, benchmark_parser, median_wall, report, time_in_turn, timing_cells
from synthetic import draw_rows
from torch.utils.data import DataLoader, TensorDataset

from unchoke.config.heads import Linear
from unchoke.heads.kinds import linear
from unchoke.heads.rows import Rows, moments
from unchoke.heads.train import Fitted

CPU = torch.device("cpu")
CLASSES = 10
RATES = [10 ** (-3 + 2 * step / 9) for step in range(10)]
SEEDS = list(range(10))


class Peers:
    """One member at a time, the schedule and first weights as ours have them."""

    def __init__(self, rows: dict[str, Rows], settings: dict[str, Any]) -> None:
        self.settings = settings
        mean_D, scale_D = moments(rows["train"].x_ND, True)
        self.x = {split: (part.x_ND.float() - mean_D) / scale_D for split, part in rows.items()}
        self.y = {split: part.y_N for split, part in rows.items()}
        self.accuracies: dict[tuple[str, float, int], float] = {}

    def train(self, way: str, members: list[tuple[float, int]]) -> None:
        for rate, seed in members:
            width, generator = self.x["train"].shape[1], torch.Generator().manual_seed(seed)
            model = torch.nn.Linear(width, CLASSES)
            model.weight.data = torch.empty(width, CLASSES).normal_(0, 0.01, generator=generator).T.contiguous()
            torch.nn.init.zeros_(model.bias)
            optimizer = torch.optim.SGD(model.parameters(), rate, self.settings["momentum"])
            batches = -(-len(self.y["train"]) // self.settings["batch_size"])
            steps = batches * self.settings["epochs"]
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s, n=steps: (1 + np.cos(np.pi * s / n)) / 2)
            for epoch in range(self.settings["epochs"]):
                for x, y in getattr(self, way)(seed, epoch):
                    optimizer.zero_grad()
                    torch.nn.functional.cross_entropy(model(x), y).backward()
                    optimizer.step()
                    schedule.step()
            with torch.no_grad():
                right = model(self.x["test"]).argmax(1) == self.y["test"]
            self.accuracies[way, rate, seed] = float(right.float().mean())

    def loader(self, seed: int, epoch: int) -> DataLoader[Any]:
        data = TensorDataset(self.x["train"], self.y["train"])
        generator = torch.Generator().manual_seed(100 * seed + epoch)
        return DataLoader(data, self.settings["batch_size"], shuffle=True, generator=generator)

    def tight(self, seed: int, epoch: int) -> Any:
        order = torch.from_numpy(np.random.default_rng([seed, epoch]).permutation(len(self.y["train"])))
        for places in order.split(self.settings["batch_size"]):
            yield self.x["train"][places], self.y["train"][places]


def matrix_rate() -> float:
    """Floating point operations a second of large square products of float32."""
    square = torch.randn(2048, 2048)
    times = []
    for _ in range(5):
        started = time.perf_counter()
        square @ square
        times.append(time.perf_counter() - started)
    return 2 * 2048**3 / float(np.median(times))


def compare(args: argparse.Namespace) -> int:
    counts = {"train": args.rows, "val": args.rows // 4, "test": args.rows // 2}
    rows = draw_rows(counts, args.width, CLASSES)
    settings = Linear(
        kind="linear", choose_by="accuracy", optimizer="sgd", learning_rates=RATES, seeds=SEEDS, epochs=args.epochs
    ).model_dump()
    rate, fits, peers = matrix_rate(), [], Peers(rows, settings)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    fits.append(linear.fit(rows["train"], rows["val"], CLASSES, settings, CPU))
    more_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb
    place = RATES.index(fits[0].chosen["learning_rate"])  # members of the chosen rate: their weights are in the fit
    members = [(RATES[place], seed) for seed in SEEDS[: args.members]]
    sides = {
        "together": lambda: fits.append(linear.fit(rows["train"], rows["val"], CLASSES, settings, CPU)),
        "tight": partial(peers.train, "tight", members),
        "loader": partial(peers.train, "loader", members[: max(1, args.members // 2)]),
    }
    times = time_in_turn(sides, args.rounds)
    return show(args, times, fits[-1], peers, rows["test"], settings, {"rate": rate, "more_mb": more_mb})


def show(
    args: argparse.Namespace,
    times: dict[str, Any],
    fitted: Fitted,
    peers: Peers,
    test: Rows,
    settings: dict[str, Any],
    machine: dict[str, float],
) -> int:
    """The table and the limits."""
    together, all_members = median_wall(times["together"]), len(RATES) * len(SEEDS)
    found = {
        seed: float((linear.predict(part, settings, test.x_ND, CPU).argmax(1) == test.y_N).float().mean())
        for seed, part in enumerate(fitted.replicates)
    }
    table, limits, ratios = [["", *TIMING_HEADER, "100 members s", "× together"]], [], {}
    for side, runs in times.items():
        trained = len({key for key in peers.accuracies if key[0] == side}) or all_members
        whole = median_wall(runs) * all_members / trained
        ratios[side] = whole / together
        table.append([f"{side}, {trained} members", *timing_cells(runs), f"{whole:.1f}", f"{ratios[side]:.1f}"])
    for side, least, most in (("tight", 8, 0.002), ("loader", 25, 0.01)):
        gap = max(abs(found[seed] - right) for (way, _, seed), right in peers.accuracies.items() if way == side)
        limits.append(Limit(f"{side} over together", f"{ratios[side]:.1f} ×", f"{least} ×", ratios[side] >= least))
        limits.append(Limit(f"test accuracy against {side} differs by", f"{gap:.2%}", f"{most:.1%}", gap <= most))
    # Two products a step, each of 2 operations an entry: the gradient of the features is not asked for.
    operations = all_members * settings["epochs"] * args.rows * args.width * CLASSES * 4
    share = operations / together / machine["rate"]
    accuracy = float(np.mean(list(found.values())))
    print(f"accuracy {accuracy:.4f}; {share:.0%} of the machine's {machine['rate'] / 1e9:.0f} GFLOP/s")
    print(
        f"training took {machine['more_mb']:.0f} MB more than the features, {args.rows * args.width * 2 / 2**20:.0f} MB"
    )
    return report(args, table, limits, {"times": times, "ratios": ratios, "share": share, **machine})


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=20_000, help="training rows")
    parser.add_argument("--width", type=int, default=1280, help="features")
    parser.add_argument("--epochs", type=int, default=20, help="epochs of every member")
    parser.add_argument(
        "--members", type=int, default=4, help="members that the tight loop trains; the usual half of it"
    )
    parser.add_argument("--rounds", type=int, default=3, help="times that each side is measured")
    return compare(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
