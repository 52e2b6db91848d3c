"""``unchoke init``: a config that holds, for folders with any name, and nothing overwritten."""

import errno
import io
import os
import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from snakemake.cli import parse_args

from unchoke.cli import expectations
from unchoke.cli.launch import SNAKEFILE
from unchoke.cli.main import main
from unchoke.config.load import load_config
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.kinds import folder as folders

NASTY = "Fotos 2024 {größe} 'q' \"d\" #1: 图 *a? $HOME %s \\n"
CLASSES = ["null", "it's", 'Äpfel & "Birnen": #1', "图书 馆"]


def picture(seed: int, kind: str = "JPEG", deep: bool = False) -> bytes:
    values = np.random.default_rng(seed).integers(0, 65536 if deep else 256, (40, 60), np.uint16 if deep else np.uint8)
    data = io.BytesIO()
    Image.fromarray(values).save(data, kind)
    return data.getvalue()


def write_photographs(folder: Path, classes: list[str], count: int = 8) -> None:
    for place, label in enumerate(classes):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            (folder / label / f"Foto {number} ß 图.jpg").write_bytes(picture(100 * place + number))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No encoder is built and timed."""
    monkeypatch.setattr(expectations, "examine_machine", lambda *_: [])


def test_a_folder_of_photographs_becomes_a_config(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "IMAGE_ENDINGS", folders.PLAIN_ENDINGS)  # as without the extra heif
    write_photographs(folder / NASTY, CLASSES)
    (folder / NASTY / "null/16 bit.png").write_bytes(picture(1, "PNG", deep=True))
    (folder / NASTY / "null/cut.jpg").write_bytes(picture(2)[:200])
    (folder / NASTY / "null/IMG_1.HEIC").write_bytes(b"heic")
    (folder / NASTY / "tow").mkdir()
    (folder / NASTY / "tow/1.jpg").write_bytes(picture(3))
    assert main(["init", NASTY, "-o", "my config.yaml"]) == 0
    text = Path("my config.yaml").read_text()
    loaded = load_config(yaml.safe_load(text), [Path("my config.yaml")])
    assert (loaded["dataset"]["path"], loaded["dataset"]["kind"]) == (NASTY, "folder")
    assert loaded["encoders"]["lite0"]["image_size"] == 64
    out, err = capsys.readouterr()
    assert "unchoke run -c 'my config.yaml'" in out
    for said in (
        "35 images",
        "null (10)",
        "tow (1)",
        "class 'tow' with 1 image",
        "1 × .heic: pip install 'unchoke[heif]'",
        "images/s",
        "MB needed",
    ):
        assert said in text and said in err, said
    assert "# splits: train 25, val 5, test 5" in text


@pytest.mark.parametrize("name", ["photos.yaml", "Anna's photos.yaml", "größe 花.yaml"])
def test_the_commands_in_the_comments_can_be_pasted(folder: Path, untimed: None, name: str) -> None:
    write_photographs(folder / "photos", ["a", "b"])
    assert main(["init", "photos", "-o", name]) == 0
    [unchoke, by_hand] = [
        line for line in Path(name).read_text().splitlines() if " -c " in line or "--configfile" in line
    ]
    assert shlex.split(unchoke.partition("run ")[2])[-2:] == ["-c", name]
    _, args = parse_args(shlex.split(by_hand.partition("or ")[2])[1:])
    assert [Path(file) for file in args.configfile] == [Path(name)]
    assert Path(args.snakefile) == SNAKEFILE  # no clone is here, in which Snakemake would find it


def test_nothing_is_overwritten(folder: Path, untimed: None, capsys: pytest.CaptureFixture[str]) -> None:
    write_photographs(folder / "few", ["a", "b"])
    Path("few.yaml").write_text("mine")
    assert main(["init", "few"]) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    Path("few.yaml").unlink()
    Path("few.yaml").symlink_to("elsewhere.yaml")
    assert main(["init", "few"]) == 1
    assert not Path("elsewhere.yaml").exists()
    assert main(["init", "few", "-o", "no/where.yaml"]) == 1
    assert "folder of the config is missing" in capsys.readouterr().err


def test_results_that_are_there_are_said(folder: Path, untimed: None, capsys: pytest.CaptureFixture[str]) -> None:
    write_photographs(folder / "few", ["a", "b"])
    manifest = folder / "results/few/manifest.csv"
    settings = SplitSettings(seed=0, val=0.15, test=0.15)
    build_manifest("folder", Path("few"), None, settings, 64, manifest, manifest.parent / "rows")
    (folder / "few/a/Foto 0 ß 图.jpg").unlink()
    assert main(["init", "few"]) == 0
    assert "15 images" in Path("few.yaml").read_text()
    assert "results/few is there already" in capsys.readouterr().err
    assert main(["init", "few", "--name", "other"]) == 0
    assert "there already" not in capsys.readouterr().err
    assert yaml.safe_load(Path("other.yaml").read_text())["dataset"]["name"] == "other"


def test_the_folder_that_one_is_in_has_a_name_and_absolute_paths_stay(
    folder: Path, untimed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photographs(folder / "Vögel/2024/x", ["a", "b"])
    monkeypatch.chdir(folder / "Vögel/2024/x/a")
    for given, name, path in (("..", "x", ".."), (str(folder / "Vögel/2024/x"), "y", str(folder / "Vögel/2024/x"))):
        assert main(["init", given, *(["--name", "y"] if name == "y" else [])]) == 0
        text = Path(f"{name}.yaml").read_text()
        assert yaml.safe_load(text)["dataset"]["path"] == path
        assert ("relative to" in text) == (path == "..")


def test_masks_become_a_config(folder: Path, untimed: None) -> None:
    for name in ("images", "masks"):
        (folder / "cells" / name).mkdir(parents=True)
        for number in range(9):
            values = np.full((70, 90), number, np.uint8) if name == "images" else np.eye(70, 90, dtype=np.uint8)
            Image.fromarray(values).save(folder / "cells" / name / f"{number}.png")
    assert main(["init", "cells"]) == 0
    loaded = load_config(yaml.safe_load(Path("cells.yaml").read_text()))
    assert loaded["dataset"]["classes"] == {"background": [0], "foreground": [1]}
    assert (loaded["patches"]["size"], sorted(loaded["mask_heads"])) == (128, ["decoder", "linear"])


def test_words_become_a_config(folder: Path, untimed: None, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("images", "gt"):
        (folder / "street" / name).mkdir(parents=True)
    for number in range(9):
        Image.fromarray(np.full((300, 400), number, np.uint8)).save(folder / f"street/images/{number}.png")
        if number:
            (folder / f"street/gt/gt_{number}.txt").write_text("10,10,90,10,90,40,10,40,word\n")
    assert main(["init", "street"]) == 0
    text = Path("street.yaml").read_text()
    loaded = load_config(yaml.safe_load(text))
    assert (loaded["dataset"]["kind"], loaded["patches"]["size"]) == ("text", 256)
    assert {name: head["kind"] for name, head in loaded["mask_heads"].items()} == {"db": "db"}
    assert loaded["encoders"]["lite0"]["strides"] == [4, 8, 16]
    assert "8 words to find" in text and "1 images without a class, mask or words" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "count", "said"),
    [(["cat"], 8, "found:    1 ('cat')"), (["a", "b"], 1, "The val split is empty"), ([], 0, "an empty folder")],
)
def test_what_a_run_would_refuse_is_refused_at_once(
    folder: Path, untimed: None, capsys: pytest.CaptureFixture[str], classes: list[str], count: int, said: str
) -> None:
    Path("few").mkdir()
    write_photographs(folder / "few", classes, count)
    assert main(["init", "few"]) == 1
    assert said in capsys.readouterr().err
    assert not Path("few.yaml").exists()


def test_pictures_none_of_which_can_be_read_are_refused(
    folder: Path, untimed: None, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photographs(folder / "few", ["a", "b"])
    for file in (folder / "few").rglob("*.jpg"):
        file.write_bytes(b"")
    assert main(["init", "few"]) == 1
    assert "empty file" in capsys.readouterr().err


def test_a_folder_that_may_not_be_read_is_named(
    folder: Path, untimed: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photographs(folder / "few", ["a", "b"])
    scandir = os.scandir

    def scan(place: str) -> object:  # root may read everything
        if str(place).endswith("b"):
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", scan)
    assert main(["init", "few"]) == 1
    assert "Permission denied\n  where:    few/b" in capsys.readouterr().err


def test_a_name_that_is_none_is_refused(folder: Path, untimed: None, capsys: pytest.CaptureFixture[str]) -> None:
    write_photographs(folder / "few", ["a", "b"])
    assert main(["init", "few", "--name", "a/b", "-o", "my.yaml"]) == 1
    assert "dataset.name" in capsys.readouterr().err
