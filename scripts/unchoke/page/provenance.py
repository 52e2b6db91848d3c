"""Where the figures come from: images, encoders, releases, digests of the seals, and the config."""

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from unchoke.files import file_sha256
from unchoke.page.files import PageFiles
from unchoke.store.chunks import seal_file
from unchoke.store.origin import read_origin
from unchoke.store.read import read_seal
from unchoke.store.run_record import RunRecord

_NO_RELEASES = ("device", "platform", "processors", "commit", "host")


@dataclass(frozen=True)
class Seal:
    """A store of the run."""

    store: str
    rows: int
    model: str
    weights_sha256: str
    seal_sha256: str


@dataclass(frozen=True)
class Provenance:
    """What another run would need to give the same figures."""

    machine: dict[str, str]
    releases: dict[str, str]
    seals: list[Seal]
    config: str
    """YAML."""


def provenance_of(files: PageFiles) -> Provenance:
    """Machine and releases are those that trained the best head."""
    facts: dict[str, str] = {}
    if files.rows:
        best = files.rows[0]
        facts = RunRecord(files.results, best["encoder"], best["head"]).run["environment"]
    machine = {name: str(facts[name]) for name in ("platform", "processors", "device", "commit") if facts.get(name)}
    releases = {name: str(value) for name, value in facts.items() if name not in _NO_RELEASES and value}
    config = yaml.safe_dump(files.config, sort_keys=False, allow_unicode=True, width=100)
    return Provenance(machine, releases, list(_seals(files)), config)


def _seals(files: PageFiles) -> Iterator[Seal]:
    for store in files.stores:
        settings = read_origin(store).get("settings", {})
        rows = int(read_seal(store)["images"])
        weights = str(settings.get("weights_sha256", ""))
        yield Seal(store.stem, rows, str(settings.get("model", "")), weights, file_sha256(seal_file(store)))
