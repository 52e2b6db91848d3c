"""Can the text head fit ten street photographs when it is read on the same ten? And what does the example teacher find?

Peer:   none that anybody published for these ten: they are an excerpt.
Limit:  H-mean 1.0 on their 21 words that count, in real runs of Snakemake with EfficientNet-Lite0.

The photographs, and MMOCR's JSON of their 82 words of which 61 are ignored, lie beside the repository or in --images.
A CSV has each of them in train, val and test. That proves that the head can fit, and says nothing of new images. The
teacher, PP-OCR's detector, came trained; its thresholds are chosen on the same ten. It needs the extra `ocr`.
"""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import starmap
from pathlib import Path
from typing import Any

from clones import EVERYTHING, REPOSITORY, Clone, temporary_clone, temporary_folder
from common import PHOTOGRAPHS, Limit, benchmark_parser, report
from process_tree import watch

from unchoke.metrics.h_mean import FIGURES
from unchoke.names import SPLITS
from unchoke.store.run_record import read_scores

IMAGES = PHOTOGRAPHS.with_name("text10")
JSON = "textdet_test.json"
TEACHER = REPOSITORY / "config/examples/teachers/rapidocr_teacher.py"
ENCODERS = {"lite0": {"model": "tf_efficientnet_lite0", "weights": "packaged", "strides": [4, 8, 16]}}
FITTED = {
    "patches": {"size": 256, "overlap": 64, "per_chunk": 16},
    "encoders": ENCODERS,
    "mask_heads": {"db": {"kind": "db", "epochs": 30, "width": 32, "learning_rates": [0.003]}},
}
SIZES_PX = (1024, 512, 256)
"""Sides of the teacher's patches, which overlap by a quarter."""
WORDS = 21
HEAD = "the head"
READERS = ("head", "teacher")


def main() -> int:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--images", type=Path, default=IMAGES, help=f"folder of the photographs, with {JSON}")
    parser.add_argument("--readers", nargs="+", choices=READERS, default=READERS, help="who reads the words")
    args = parser.parse_args()
    if not (args.images / JSON).is_file():
        print(f"skipped: no {JSON} in {args.images}; name its folder with --images")
        return 0
    with temporary_folder() as folder, temporary_clone(folder / "clone") as clone:
        copy_thrice(args.images, clone.folder / "data")
        found = {HEAD: _read_by(clone, "fit", FITTED)} if "head" in args.readers else {}
        found |= _read_by_teacher(clone) if "teacher" in args.readers else {}
    table = [["read by", "s", "peak MB", "precision", "recall", "H-mean"], *starmap(_row, found.items())]
    limits = [
        Limit(f"words for {name}", str(each["words"]), str(WORDS), each["words"] == WORDS)
        for name, each in found.items()
    ]
    if HEAD in found:
        fitted = found[HEAD]["h_mean"]
        limits.append(Limit("H-mean of the head", f"{fitted:.3f}", "1", fitted == 1))
    return report(args, table, limits, found)


def _read_by_teacher(clone: Clone) -> dict[str, dict[str, Any]]:
    """What the teacher finds with patches of each size; nothing, with the reason, where it is not installed."""
    asked = subprocess.run([sys.executable, TEACHER], capture_output=True, text=True)
    if asked.returncode:
        print(f"skipped: the teacher: {asked.stderr.strip().splitlines()[-1]}")
        return {}
    teacher = {"file": str(TEACHER), "checkpoint": asked.stdout.strip()}
    return {
        f"the teacher, patches of {size} px": _read_by(clone, f"taught{size}", _taught(teacher, size))
        for size in SIZES_PX
    }


def _taught(teacher: dict[str, str], size: int) -> dict[str, Any]:
    """The config of a run in which the teacher reads patches of this side, px."""
    patches = {"size": size, "overlap": size // 4, "per_chunk": 4}
    return {"patches": patches, "encoders": ENCODERS, "teacher": teacher, "segment": {"head": "teacher"}}


def copy_thrice(images: Path, folder: Path) -> None:
    """The photographs in a folder of each split, and a CSV of their words with the splits."""
    rows = [row for split in SPLITS for row in _copied(images, folder, split)]
    with (folder / "words.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "polygon", "ignore", "split"), *rows])


def _copied(images: Path, folder: Path, split: str) -> Iterator[tuple[str, str, int, str]]:
    """The rows of one split, a word each; the photographs are copied."""
    (folder / split).mkdir(parents=True)
    for entry in json.loads((images / JSON).read_text())["data_list"]:
        name = Path(entry["img_path"]).name
        shutil.copy(images / name, folder / split / name)
        for word in entry["instances"] or [{"polygon": [], "ignore": False}]:
            yield f"{split}/{name}", " ".join(map(str, word["polygon"])), int(word["ignore"]), split


def _read_by(clone: Clone, name: str, sections: dict[str, Any]) -> dict[str, Any]:
    """Seconds and memory of a whole run, and its figures on test."""
    dataset = {"kind": "text", "path": "data/words.csv", "smallest_word": 0}
    clone.configure(name, dataset=dataset, gpu={"device": "cpu"}, **sections)
    seconds, peak_mb, _ = watch(clone.start(name, *EVERYTHING), clone.folder)
    (file,) = clone.results(name).glob("scores/*/*.json")
    scores = read_scores(file)
    words = [image["words"] for image in scores["images"].values() if image["split"] == "test"]
    counted = sum(not word["ignored"] for each in words for word in each)
    figures = {figure: scores["figures"]["test"][figure]["value"] for figure in FIGURES}
    return {"seconds": seconds, "peak_mb": peak_mb, "words": counted, **figures}


def _row(name: str, found: dict[str, Any]) -> list[str]:
    figures = [f"{found[figure]:.3f}" for figure in FIGURES]
    return [name, f"{found['seconds']:.0f}", f"{found['peak_mb']:.0f}", *figures]


if __name__ == "__main__":
    sys.exit(main())
