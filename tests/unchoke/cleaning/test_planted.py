"""The planted set through the stages: what was planted is found, all of it and nothing else."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted import (
    CORRUPT,
    EXACT,
    NEAR,
    ORIGINAL,
    PlantedFile,
    draw_pictures,
    exact_clusters,
    linked_pairs,
    near_clusters,
    pairs_within,
    plant,
)

from unchoke.cleaning.clean import clean_images, select_rows
from unchoke.cleaning.fingerprint import Fingerprinting, fingerprint_chunk, save_fingerprints
from unchoke.config.cleaning import Rules
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.names import SPLITS
from unchoke.store import chunks as stores
from unchoke.store import tables
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store

N_PICTURES, SIDE_PX = 64, 64
CHUNK_SIZE, CHUNKS_PER_JOB = 7, 3
MAX_PIXELS = 10**6
RULES = Rules().model_dump()


@dataclass(frozen=True)
class PlantedSet:
    """The files, and where their manifest and rows are."""

    root: Path
    files: list[PlantedFile]
    folder: Path

    @property
    def manifest(self) -> Path:
        return self.folder / "manifest.csv"

    def read_manifest(self) -> pd.DataFrame:
        return tables.read_table(self.manifest, tables.MANIFEST_COLUMNS)

    def paths_of(self, *plantings: str) -> set[str]:
        return {file.path for file in self.files if file.planting in plantings}


def fingerprint_set(planted: PlantedSet, store: Path, memory_mb: int, *, backwards: bool = False) -> None:
    """Every chunk, forwards or backwards, and the seal."""
    settings = Fingerprinting(CHUNK_SIZE * CHUNKS_PER_JOB, CHUNKS_PER_JOB, MAX_PIXELS)
    chunks = range(-(-len(planted.files) // settings.chunk_size))
    for chunk in reversed(chunks) if backwards else chunks:
        files = tables.rows_files(planted.folder / "rows", chunk, CHUNKS_PER_JOB)
        rows = pd.concat([tables.read_table(file, tables.ROW_COLUMNS) for file in files], ignore_index=True)
        found = fingerprint_chunk(rows, "folder", planted.root, MAX_PIXELS, memory_mb)
        save_fingerprints(store, chunk, rows, files, found, settings)
    seal_store(store, planted.manifest, planted.folder / "rows")


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> PlantedSet:
    folder = tmp_path_factory.mktemp("planted")
    files = plant(folder / "images", draw_pictures(N_PICTURES, SIDE_PX, SIDE_PX))
    planted = PlantedSet(folder / "images", files, folder)
    split = SplitSettings(0, 0.2, 0.2)
    build_manifest("folder", planted.root, None, split, CHUNK_SIZE, planted.manifest, folder / "rows")
    fingerprint_set(planted, folder / "fingerprints.zarr", 4096)
    return planted


@pytest.fixture(scope="module")
def findings(planted) -> pd.DataFrame:
    """What all rules find, and in ``other_path`` the path of the copy that stays."""
    paths = [planted.folder / name for name in ("findings.csv", "cleaning.csv", "cleaning.json")]
    clean_images(planted.folder / "fingerprints.zarr", planted.manifest, RULES, *paths)
    frame = tables.read_table(paths[0], tables.FINDING_COLUMNS)
    known = planted.read_manifest()["path"]
    return frame.assign(other_path=[known[other] if other >= 0 else "" for other in frame["other"]])


def paths_found(findings: pd.DataFrame, rule: str) -> set[str]:
    return set(findings.loc[findings["rule"] == rule, "path"])


def pairs_found(findings: pd.DataFrame, *rules: str) -> set[tuple[str, str]]:
    """All pairs of copies that the rules name, or that follow from those that they name."""
    rows = findings[findings["rule"].isin(rules) & (findings["other"] >= 0)]
    return linked_pairs(zip(rows["path"], rows["other_path"], strict=True))


def paths_in(clusters: list[list[PlantedFile]]) -> list[list[str]]:
    return [[file.path for file in cluster] for cluster in clusters]


def kept(cluster: list[PlantedFile]) -> PlantedFile:
    """Of test before val before train, then the first path, which is the smallest image_id."""
    return min(cluster, key=lambda file: (-SPLITS.index(file.split), file.path))


def test_the_set_holds_every_fault_it_is_said_to_hold(planted):
    assert [file.path for file in planted.files] == planted.read_manifest()["path"].tolist()
    for planting in (ORIGINAL, *EXACT, *NEAR, *CORRUPT):
        assert len(planted.paths_of(planting)) >= 4
    assert {file.split for file in planted.files} == set(SPLITS)


def test_exact_copies_are_found_all_of_them_and_nothing_else(planted, findings):
    clusters = exact_clusters(planted.files)
    assert len(clusters) >= 4 * len(EXACT)
    assert pairs_found(findings, "exact_duplicate") == pairs_within(paths_in(clusters))
    going = {file.path for cluster in clusters for file in cluster} - {kept(cluster).path for cluster in clusters}
    assert paths_found(findings, "exact_duplicate") == going


def test_of_copies_the_one_stays_that_should(planted, findings):
    expected = {file.path: kept(cluster).path for cluster in exact_clusters(planted.files) for file in cluster}
    rows = findings[findings["rule"] == "exact_duplicate"]
    assert rows["other_path"].tolist() == [expected[path] for path in rows["path"]]


def test_corrupt_files_are_unreadable_with_a_reason_and_nobodys_copies(planted, findings):
    corrupt = planted.paths_of(*CORRUPT)
    assert paths_found(findings, "unreadable") == corrupt
    assert set(findings.loc[findings["path"].isin(corrupt), "rule"]) == {"unreadable"}
    assert not corrupt & set(findings["other_path"])
    paths = planted.read_manifest()["path"]
    invalid = open_complete(planted.folder / "fingerprints.zarr").seal["invalid"]
    reasons = {paths[entry["image_id"]]: entry["reason"] for entry in invalid}
    assert set(reasons) == corrupt
    assert {reasons[path] for path in planted.paths_of("empty")} == {"empty file"}
    assert all(reasons[path].startswith("broken image: ") for path in planted.paths_of("truncated"))


def test_conflicting_labels_are_found_where_they_were_planted(planted, findings):
    torn = [cluster for cluster in exact_clusters(planted.files) if len({file.label for file in cluster}) > 1]
    assert {file.planting for cluster in torn for file in cluster} == {ORIGINAL, "relabelled"}
    assert paths_found(findings, "label_conflict") == {file.path for cluster in torn for file in cluster}


def test_leaks_are_found_where_they_were_planted_and_never_in_test(planted, findings):
    leaking = [cluster for cluster in exact_clusters(planted.files) if len({file.split for file in cluster}) > 1]
    assert len(leaking) == len(planted.paths_of("leaked"))
    going = {file.path for cluster in leaking for file in cluster if file.split != kept(cluster).split}
    assert paths_found(findings, "leak") == going
    assert not any(path.startswith("test/") for path in going)


def test_blank_pictures_are_found_and_are_no_copies(planted, findings):
    assert paths_found(findings, "blank") == planted.paths_of("blank")
    copies = {"exact_duplicate", "near_duplicate", "leak", "label_conflict"}
    assert not copies & set(findings.loc[findings["path"].isin(planted.paths_of("blank", "reshaped")), "rule"])


def test_near_copies_are_of_one_picture_and_those_encoded_again_are_found(planted, findings):
    found = pairs_found(findings, "exact_duplicate", "near_duplicate")
    assert found <= pairs_within(paths_in(near_clusters(planted.files)))
    in_pairs = {path for pair in found for path in pair}
    for planting in ("jpeg 90", "one value off", "brighter", "darker"):
        assert planted.paths_of(planting) <= in_pairs


def test_cleaning_leaves_the_test_split_its_copies_and_train_none(planted, findings, tmp_path):
    store, selection = planted.folder / "fingerprints.zarr", tmp_path / "selection.csv"
    left_out = select_rows(planted.manifest, store, RULES, None, None, selection)["left_out"].to_numpy(object)
    files = dict(zip(planted.read_manifest()["path"], left_out, strict=True))
    clusters = exact_clusters(planted.files)
    for cluster in clusters:
        stays = {file.path for file in cluster if not files[file.path]}
        assert stays == {kept(cluster).path} | {file.path for file in cluster if file.split == "test"}
    single = {file.path for file in planted.files} - {file.path for cluster in clusters for file in cluster}
    assert {path for path in single if files[path]} == planted.paths_of(*CORRUPT, "blank")


def bytes_below(store: Path) -> dict[str, bytes]:
    """Every file of a store, and its seal."""
    files = [*store.rglob("*"), stores.seal_file(store)]
    return {str(file.relative_to(store.parent)): file.read_bytes() for file in files if file.is_file()}


@pytest.mark.parametrize(("memory_mb", "backwards"), [(4096, True), (1, False)], ids=["backwards", "one by one"])
def test_neither_the_order_of_chunks_nor_the_batches_move_a_byte(planted, tmp_path, memory_mb, backwards):
    fingerprint_set(planted, tmp_path / "fingerprints.zarr", memory_mb, backwards=backwards)
    assert bytes_below(tmp_path / "fingerprints.zarr") == bytes_below(planted.folder / "fingerprints.zarr")


def test_an_image_alone_has_the_fingerprint_that_it_has_in_a_chunk(planted):
    store = open_complete(planted.folder / "fingerprints.zarr")
    rows = [pd.DataFrame({"path": [file.path], "size_bytes": [1]}) for file in planted.files]
    alone = [fingerprint_chunk(row, "folder", planted.root, MAX_PIXELS, 4096) for row in rows]
    for name in (stores.HASHES, stores.MEASURES):
        assert np.array_equal(np.concatenate([getattr(one, name) for one in alone]), store.group[name][:])
    assert np.array_equal(np.concatenate([one.valid for one in alone]), store.valid())


def test_linked_pairs_are_those_of_connected_components():
    links = [("a", "b"), ("d", "c"), ("b", "d"), ("x", "y"), ("y", "x")]
    assert linked_pairs(links) == {*pairs_within([["a", "b", "c", "d"]]), ("x", "y")}
    assert len(pairs_within([["a", "b", "c", "d"]])) == 6


def test_pictures_are_drawn_alike_from_one_seed():
    first, again = (list(draw_pictures(3, 20, 30, seed=5)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    assert not np.array_equal(first[0][:20, :20], first[1][:20, :20])
