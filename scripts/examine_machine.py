"""Print a page on whether this machine can run this config; the status is 1 if it cannot."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from unchoke.api.doctor import examine_machine
from unchoke.api.findings import page
from unchoke.errors import UnchokeError
from unchoke.machine.commands import argument_parser, run


def main(argv: Sequence[str] | None = None) -> None:
    parser = argument_parser(__doc__)
    parser.add_argument("--config", type=json.loads, required=True, help="the whole config, as JSON")
    parser.add_argument("--results", type=Path, required=True, help="the dataset's folder of results")
    parser.add_argument("--weights", type=json.loads, required=True, help="weights file of every encoder, as JSON")
    args = parser.parse_args(argv)
    weights = {name: Path(path) for name, path in args.weights.items()}
    findings = examine_machine(args.config, args.results, weights)
    print(page(findings))
    if not all(finding.fine for finding in findings):
        raise UnchokeError("The run would not end well.", do="mend what is marked with !")


if __name__ == "__main__":
    sys.exit(run(main))
