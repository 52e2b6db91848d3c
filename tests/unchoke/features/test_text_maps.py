"""Chunks of maps hold what the outlines of words say, and change with the words and the settings alone."""

from pathlib import Path

import numpy as np
import pytest

from unchoke import versions
from unchoke.errors import UnchokeError
from unchoke.features.text_maps import TextSettings, draw_text_maps
from unchoke.files import write_atomic
from unchoke.polygons.maps import Window, draw_maps, target_of
from unchoke.store import chunks as stores
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store
from unchoke.store.tables import PATCH_COLUMNS, TEXT_ROW_COLUMNS, read_table, table_bytes

SIZE, PER_CHUNK, HEIGHT, WIDTH = 64, 4, 100, 140
SETTINGS = TextSettings(SIZE, PER_CHUNK, 8)
WORD = ((20, 30), (100, 40), (98, 60), (18, 50))
TEXT = "[[[[20,30],[100,40],[98,60],[18,50]],false]]"
PLACES = ((0, 0), (0, 48), (48, 0), (48, 48), (0, 96), (48, 96))


def write_rows(out: Path, words: dict[int, str]) -> None:
    rows = [(patch, 0, y0, x0, HEIGHT, WIDTH, words.get(patch, TEXT)) for patch, (y0, x0) in enumerate(PLACES)]
    for chunk in range(2):
        data = table_bytes(TEXT_ROW_COLUMNS, rows[chunk * PER_CHUNK : (chunk + 1) * PER_CHUNK])
        write_atomic(out / f"mask_rows/{chunk}.csv", data)
    patches = [(patch, 0, y0, x0, SIZE, SIZE, 0, "") for patch, (y0, x0) in enumerate(PLACES)]
    write_atomic(out / "patches.csv", table_bytes(PATCH_COLUMNS, patches))


def draw(out: Path, settings: TextSettings = SETTINGS) -> list[dict[str, np.ndarray]]:
    found = []
    for chunk in range(2):
        file = out / f"mask_rows/{chunk}.csv"
        count = draw_text_maps(out / "labels.zarr", chunk, read_table(file, TEXT_ROW_COLUMNS), file, settings)
        found.append(stores.read_chunk(out / "labels.zarr", chunk))
        assert count == found[-1]["valid"].sum()
    return found


def test_every_patch_is_cut_out_of_the_maps_of_the_image(tmp_path: Path) -> None:
    write_rows(tmp_path, {})
    whole = draw_maps([target_of(WORD, ignored=False)], Window(0, 0, 200, 200), HEIGHT, WIDTH)
    for number, (y0, x0) in enumerate(PLACES):
        chunk, place = draw(tmp_path)[number // PER_CHUNK], number % PER_CHUNK
        cut = np.s_[y0 : y0 + SIZE, x0 : x0 + SIZE]
        np.testing.assert_array_equal(chunk["mask"][place], whole.kernels_HW[cut])
        np.testing.assert_array_equal(chunk["threshold"][place], whole.threshold_HW[cut])
        assert chunk["valid"][place]


def test_patches_without_words_are_background_and_those_of_unknown_words_are_not_valid(tmp_path: Path) -> None:
    write_rows(tmp_path, {0: "[]", 1: ""})
    first, second = draw(tmp_path)
    assert first["valid"].tolist() == [True, False, True, True]
    assert (first["mask"][0] == 0).all() and (first["mask"][1] == 255).all() and (first["threshold"][:2] == 255).all()
    assert second["valid"].tolist() == [True, True, False, False]


def test_narrow_words_are_ignored(tmp_path: Path) -> None:
    write_rows(tmp_path, {})
    (wide, _), (narrow, _) = draw(tmp_path), draw(tmp_path, TextSettings(SIZE, PER_CHUNK, 25))
    assert (wide["mask"] == 1).any() and not (narrow["mask"] == 1).any()
    assert (narrow["threshold"] == 255).all()


def test_the_maps_are_a_sealed_store_that_knows_its_rows_and_settings(tmp_path: Path) -> None:
    write_rows(tmp_path, {})
    draw(tmp_path)
    seal = seal_store(tmp_path / "labels.zarr", tmp_path / "patches.csv", tmp_path / "mask_rows")
    sizes = {"size": SIZE, "chunk_size": PER_CHUNK, "smallest_word": 8}
    classes = [["background", [0]], ["text", [1]]]
    assert seal["settings"] == {"version": versions.TEXT_MAPS, "task": "detection", "classes": classes, **sizes}
    store = open_complete(tmp_path / "labels.zarr")
    assert store.rows("threshold", np.array([5])).dtype == np.uint8
    write_rows(tmp_path, {5: "[]"})
    with pytest.raises(UnchokeError, match=r"Chunk 1 of labels"):
        seal_store(tmp_path / "labels.zarr", tmp_path / "patches.csv", tmp_path / "mask_rows")


def test_kernels_lie_d_px_within_every_edge(tmp_path: Path) -> None:
    """For the golden numbers of this version: a convex outline, shrunk, is where all its edges are d px away."""
    write_rows(tmp_path, {})
    maps = draw(tmp_path)[0]
    assert versions.TEXT_MAPS == 1
    area, length = 80 * 20 + 10 * 2, 2 * (np.hypot(80, 10) + np.hypot(2, 20))
    x_HW, y_HW = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    inside_HW = np.ones((200, 200), bool)
    for (x, y), (x2, y2) in zip(WORD, (*WORD[1:], WORD[0]), strict=True):
        across_HW = ((x2 - x) * (y_HW - y) - (y2 - y) * (x_HW - x)) / np.hypot(x2 - x, y2 - y)
        inside_HW &= across_HW > area * 0.84 / length
    for place, (y0, x0) in enumerate(PLACES[:PER_CHUNK]):
        np.testing.assert_array_equal(
            maps["mask"][place][:52, :92] == 1, inside_HW[y0 : y0 + SIZE, x0 : x0 + SIZE][:52, :92]
        )
