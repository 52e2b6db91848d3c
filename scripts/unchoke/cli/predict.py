"""Predict the classes of pictures by a head or a network of a run, as a CSV.

Columns: path, prediction, problem (why a picture has no prediction), and a probability for each class or label.
Heads that predict a number have no probabilities; several labels stand in one cell with ; between them.
Exit status: 0; 1 for an error; 2 for a wrong command line; 3 where a picture could not be read.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unchoke.cli.flags import note, subcommand
from unchoke.cli.pictures import SOME_UNREADABLE, add_flags, asked_head, listed, refuse_existing

if TYPE_CHECKING:
    from unchoke.labelling.answers import Predictions


def add_to(subcommands: Any) -> None:
    """Add the subcommand."""
    parser = subcommand(subcommands, "predict", __doc__, main)
    add_flags(parser)
    parser.add_argument("--out", type=Path, metavar="FILE", help="CSV to write; without it the table is printed")


def main(args: argparse.Namespace) -> int:
    """Write the table; the exit status."""
    refuse_existing(*([args.out] if args.out else []))
    checkpoint, config = asked_head(args)
    pictures = list(listed(args.pictures))

    from unchoke.api.predict import predict
    from unchoke.files import write_atomic

    predictions = predict(pictures, checkpoint, device=config["gpu"]["device"], vram_mb=config["gpu"]["vram_mb"])
    table = table_of(predictions)
    if args.out:
        write_atomic(args.out, table)
    else:
        sys.stdout.buffer.write(table)
    bad = sum(map(bool, predictions.reasons))
    note(f"{len(pictures) - bad:,} of {len(pictures):,} pictures" + (f", table: {args.out}" if args.out else ""))
    return SOME_UNREADABLE if bad else 0


def table_of(predictions: "Predictions") -> bytes:
    """The CSV of the predictions: a row a picture, without numbers where it could not be read."""
    from unchoke.store.tables import table_bytes

    header = ["path", "prediction", "problem", *(f"probability of {name}" for name in predictions.classes)]
    given = zip(
        predictions.names, predictions.labels, predictions.reasons, predictions.probabilities_NC.tolist(), strict=True
    )
    rows = [
        [name, label or "", reason, *([""] * len(values) if reason else map(repr, values))]
        for name, label, reason, values in given
    ]
    return table_bytes(header, rows)
