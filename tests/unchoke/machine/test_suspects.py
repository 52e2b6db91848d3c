"""A picture that ends the process that decodes it is found and left out; others never are."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from warm_house import House, alive, wait_until

from unchoke.cleaning.fingerprint import fingerprint_chunk
from unchoke.features.labels import MaskSettings, cut_masks
from unchoke.machine.retries import run_again
from unchoke.machine.suspects import REASON, begin
from unchoke.mask_heads.predict import read_pixels
from unchoke.store import chunks

# Reads "pictures" by four threads: a name that starts with `deadly` ends the process, one with `once` the first time.
PICTURES = """
import os, signal, sys, time
from pathlib import Path
from unchoke.errors import UnreadableImageError
from unchoke.machine.suspects import in_flight, reading_threads

def read(name):
    try:
        with in_flight(name):
            first = Path(name + ".tried")
            if name.startswith("deadly") or (name.startswith("once") and not first.exists()):
                first.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if name.startswith("crash"):
                os.abort()
            if name.startswith("slow"):
                first.touch()
                time.sleep(60)
        return name
    except UnreadableImageError as error:
        return str(error)

def main(argv):
    with reading_threads(4) as each:
        print(*each(read, argv), sep="|", flush=True)
    if "end" in argv:
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def reader(house: House) -> House:
    """A house with the command `pictures`."""
    (house.folder / "scripts" / "pictures.py").write_text(PICTURES)
    return house


@pytest.mark.parametrize("warm", ["1", "0"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "deadly b", "c"], ["a", REASON, "c"]),
        (["deadly ü\n\udcff", "b", "crash", "deadly d", "e"], [REASON, "b", REASON, REASON, "e"]),
        (["a", "once", "c"], ["a", "once", "c"]),  # as somebody may kill the process at any time
    ],
)
def test_what_ends_the_process_twice_is_left_out_and_nothing_else(
    reader: House, names: list[str], expected: list[str], warm: str
) -> None:
    status, out, err = reader.warm("pictures", *names, UNCHOKE_WARM=warm)
    assert (status, out) == (0, "|".join(expected) + "\n"), err
    assert "runs again, one image after the other" in err
    assert err.count("counts as unreadable") == expected.count(REASON)


@pytest.mark.parametrize("warm", ["1", "0"])
def test_an_end_while_no_picture_is_read_is_no_pictures_fault(reader: House, warm: str) -> None:
    status, out, err = reader.warm("pictures", "a", "end", UNCHOKE_WARM=warm)
    assert (status, out) == (1, "a|end\n" * 2) and "ended" in err and "unreadable" not in err


def test_a_command_in_a_process_of_its_own_ends_with_its_client(reader: House) -> None:
    client = reader.start("--cold", "pictures", "slow")
    wait_until((reader.folder / "slow.tried").exists)
    children = Path(f"/proc/{client.pid}/task/{client.pid}/children").read_text().split()
    client.kill()
    client.communicate(timeout=10)  # ends when nobody has its outputs open
    wait_until(lambda: children and not any(alive(int(child)) for child in children))


def play(deaths: Iterator[str], cares: list[str]) -> Callable[[list[str], str], tuple[int | None, str]]:
    def attempt(arguments: list[str], care: str) -> tuple[int | None, str]:
        cares.append(care)
        last = next(deaths, "")
        return (None, last) if last else (0, "read")

    return attempt


@pytest.mark.parametrize(
    ("deaths", "status", "suspects"),
    [
        (["images", "reading 61", "reading 61"], 0, " 61"),
        (["images", "reading 61", "reading 62"], 0, ""),  # twice by chance
        (["images", "reading 61", "reading 62", "reading 61"], 0, " 61"),
        (["images", "reading 61", "reading 62", "reading 63", "reading 64"], 1, ""),
        (["images", "reading 61", "reading 61", "reading 62", "reading 62"], 0, " 61 62"),
        (["images", "read"], 1, ""),
        (["images", "taken"], 1, ""),
        (["taken"], 1, None),
        (["images", *(f"reading {n:02x}" for n in range(99) for _ in range(2))], 1, None),  # the machine is at fault
    ],
)
def test_two_ends_at_one_picture_alone_make_it_a_suspect(deaths: list[str], status: int, suspects: str | None) -> None:
    cares: list[str] = []
    first, *others = deaths
    assert run_again([], play(iter(others), cares), first, "ended") == status
    assert suspects is None or cares[-1] == "careful" + suspects


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What a careful run tells its client, which suspects b.png."""
    lines: list[str] = []
    begin(lines.append, f"careful {b'b.png'.hex()}")
    yield lines
    begin(None)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for number, name in enumerate("abc"):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{name}.png")
    return tmp_path


NAMES = ["a.png", "b.png", "c.png"]
ROWS = pd.DataFrame({"image_id": [0, 1, 2], "path": NAMES, "size_bytes": [70] * 3, "y0": [0] * 3, "x0": [0] * 3})
ROWS["patch_id"] = ROWS["image_id"]


def fingerprinted(folder: Path) -> tuple[list[bool], list[str]]:
    found = fingerprint_chunk(ROWS, "folder", folder, 100, 1024)
    return found.valid.tolist(), list(found.reasons.values())


def seen_by_a_mask_head(folder: Path) -> tuple[list[bool], list[str]]:
    return read_pixels(ROWS, folder, 8, 3, 100)[1].tolist(), [REASON]


def cut(folder: Path) -> tuple[list[bool], list[str]]:
    (folder / "rows.csv").touch()
    settings = MaskSettings(8, 3, {"low": [0, 1], "high": [2]}, None, 100)
    cut_masks(folder / "labels.zarr", 0, ROWS, folder / "rows.csv", folder, settings)
    invalid = chunks.read_record(folder / "labels.zarr", 0)["invalid"]
    valid_N = chunks.read_chunk(folder / "labels.zarr", 0)[chunks.VALID]
    return valid_N.tolist(), [entry["reason"].removeprefix("its mask: ") for entry in invalid]


@pytest.mark.parametrize("stage", [fingerprinted, seen_by_a_mask_head, cut])
def test_a_careful_stage_names_each_picture_before_it_is_read(
    pictures: Path, told: list[str], stage: Callable[[Path], tuple[list[bool], list[str]]]
) -> None:
    assert stage(pictures) == ([True, False, True], [REASON])
    begun = [bytes.fromhex(line.removeprefix("reading ")).decode() for line in told[::2]]
    assert list(dict.fromkeys(begun)) == ["a.png", "c.png"]
    assert set(told[1::2]) == {"read"}  # never two at once


def test_pictures_in_an_array_are_read_one_by_one(tmp_path: Path, told: list[str]) -> None:
    """As one slice, the first row would stand for all."""
    from unchoke.sources.source import open_images

    np.save(tmp_path / "images.npy", np.arange(3 * 8 * 8 * 3, dtype=np.uint8).reshape(3, 8, 8, 3))
    names = [f"images.npy[{row}]" for row in range(3)]
    readers = open_images("npy", tmp_path, names)
    assert len({id(reader.func.__self__) for reader in readers}) == 3  # type: ignore[attr-defined]


def test_pictures_are_mentioned_once_where_nothing_has_ended(pictures: Path) -> None:
    lines: list[str] = []
    begin(lines.append)
    fingerprinted(pictures)
    begin(None)
    assert lines == ["images"]
