"""What the page is made from: the files of a finished run, and the flags that name them."""

import argparse
import io
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from unchoke.cleaning.clean import followed, selected
from unchoke.experiments.board import floors, leaderboard, ranking_of, readings_of
from unchoke.experiments.leaderboard import few_units, remarks
from unchoke.machine.commands import or_none
from unchoke.machine.receipts import read_json, read_result
from unchoke.manifest.classes import label_warnings
from unchoke.names import IMAGE_TASKS
from unchoke.page.verdict import Floor, Row
from unchoke.report.thumbnails import Picture, thumbnails
from unchoke.sources.source import add_source_flags
from unchoke.store.run_record import RunRecord
from unchoke.store.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS, read_findings, read_selection, read_table


@dataclass(frozen=True)
class PageFiles:
    """A finished run of one dataset; its files are read when they are asked for."""

    database: Path
    """experiments.db, which lies in the folder of the dataset's results."""
    manifest_file: Path
    selection_file: Path | None
    """None for masks."""
    quarantine_file: Path
    rates_file: Path
    findings_files: list[Path]
    """Of pixels and of features; empty where images are not cleaned."""
    inspected_file: Path | None
    """None where no rule looks at features."""
    figures: Path
    """Folder of the figures that other jobs drew."""
    stores: list[Path]
    """Sealed Zarr stores."""
    maps: dict[str, tuple[str, str]]
    """By encoder the store and the pool that its map shows; none for masks."""
    kind: str
    root: Path
    max_pixels: int
    config: dict[str, Any]
    decided_file: Path | None = None
    """None where the user decides about no image."""

    @property
    def results(self) -> Path:
        """The dataset's folder."""
        return self.database.parent

    @cached_property
    def rows(self) -> list[Row]:
        """Of the view ``leaderboard``, the best head on val first."""
        return list(leaderboard(self.database))

    @property
    def floor(self) -> Floor | None:
        """Chance; see ``experiments.leaderboard.floors``."""
        return floors(self.database)

    @property
    def ranking(self) -> tuple[str, str]:
        """The task, and the metric that ranks."""
        return ranking_of(self.database)

    @property
    def remarks(self) -> list[str]:
        """What a reader must know of all figures of test."""
        return remarks(self.rows, readings_of(self.database))

    @property
    def warnings(self) -> list[str]:
        """Why figures of test may say little: it is small, or classes are."""
        task = self.ranking[0]
        classes = label_warnings(self.manifest, task) if task in IMAGE_TASKS else []
        return [text.removeprefix("warning: ") for text in few_units(self.rows)] + classes

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """A row an image."""
        return read_table(self.manifest_file, MANIFEST_COLUMNS)

    @property
    def in_use(self) -> pd.DataFrame:
        """The manifest with the images that cleaning or the subset leaves out marked."""
        return selected(self.manifest_file, self.selection_file)

    @property
    def quarantine(self) -> pd.DataFrame:
        """A row an image that no head may use."""
        return read_table(self.quarantine_file, QUARANTINE_COLUMNS)

    @property
    def findings(self) -> pd.DataFrame:
        """Of cleaning, a row an image and rule; the action is ``drop`` only where the image went."""
        if not self.findings_files or self.selection_file is None:
            return pd.DataFrame()
        return followed(read_findings(self.findings_files), read_selection(self.selection_file))

    @property
    def rules(self) -> dict[str, Any]:
        """Settings of the rules of cleaning by name, None where off; none where images are not cleaned."""
        cleaning = self.config["cleaning"]
        return cleaning["rules"] | (cleaning["features"] or {"rules": {}})["rules"] if cleaning else {}

    @property
    def inspected(self) -> dict[str, Any]:
        """The summary of rules about features; empty without."""
        return read_json(self.inspected_file) if self.inspected_file else {}

    @property
    def rates(self) -> pd.DataFrame:
        """Seconds and rates by stage."""
        return pd.read_csv(io.BytesIO(read_result(self.rates_file)), dtype={"encoder": str}, keep_default_na=False)

    def group(self, row: Row) -> Path:
        """The Zarr group of a head's results."""
        return RunRecord(self.results, row["encoder"], row["head"]).group

    def paths_of(self, image_ids: list[int]) -> list[str]:
        """Paths of images below the root."""
        paths: list[str] = self.manifest.set_index("image_id")["path"].loc[image_ids].tolist()
        return paths

    def pictures(self, paths: list[str], side_px: int) -> list[Picture]:
        """Thumbnails of images, or why there are none."""
        return thumbnails(self.kind, self.root, paths, side_px, self.max_pixels)


def add_page_flags(parser: argparse.ArgumentParser) -> None:
    """Flags of every file of ``PageFiles``."""
    parser.add_argument("--database", type=Path, required=True, help="experiments.db of the dataset")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest with the images' paths")
    parser.add_argument("--selection", type=or_none(Path), help="CSV of the images left out; none for masks")
    parser.add_argument("--quarantine", type=Path, required=True, help="CSV of the images that no head may use")
    parser.add_argument("--rates", type=Path, required=True, help="CSV of seconds and rates by stage")
    parser.add_argument("--findings", type=Path, nargs="*", default=[], help="CSV tables of the findings of cleaning")
    parser.add_argument("--inspected", type=Path, help="JSON: summary of the rules about features")
    parser.add_argument("--decided", type=Path, help="JSON: the user's decisions about single images")
    parser.add_argument("--figures", type=Path, required=True, help="folder of the figures of other jobs")
    parser.add_argument("--stores", type=Path, nargs="*", default=[], help="sealed Zarr stores")
    parser.add_argument("--maps", type=json.loads, default={}, help="JSON: store and pool to map, by encoder")
    add_source_flags(parser)
    parser.add_argument("--config", type=json.loads, required=True, help="JSON: the config of the run")


def read_page_files(args: argparse.Namespace) -> PageFiles:
    """The files that the flags name."""
    names = ("database", "figures", "stores", "maps", "kind", "root", "max_pixels", "config")
    tables = ("manifest", "selection", "quarantine", "rates")
    given = {name: vars(args)[name] for name in names} | {f"{name}_file": vars(args)[name] for name in tables}
    found = {"findings_files": args.findings, "inspected_file": args.inspected, "decided_file": args.decided}
    return PageFiles(**given, **found)
