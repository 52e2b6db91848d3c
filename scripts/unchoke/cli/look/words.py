"""Images with words as polygons: how many words there are, and how many of them count."""

from pathlib import Path

from unchoke.cli.look.found import Found
from unchoke.errors import UnchokeError
from unchoke.polygons.mmocr import parse_mmocr
from unchoke.regular_files import MOST_TABLE_BYTES, read_regular
from unchoke.sources.kinds.text import IMAGES, TRUTHS, Annotations, read_words

_ENDING = ".txt"
_FOUND = {"": "images with words, a text file each", ".json": "images with words in MMOCR's JSON"}
_OF_CSV = "images with words, a CSV with a row a word"


def is_folder(path: Path) -> bool:
    """Whether a folder has images/ and gt/, and in gt/ a text file; else gt/ may hold masks or a class of images."""
    if not all((path / name).is_dir() for name in (IMAGES, TRUTHS)):
        return False
    return any(file.suffix.lower() == _ENDING for file in (path / TRUTHS).rglob("*"))


def is_mmocr(path: Path) -> bool:
    """Whether a JSON file is one of MMOCR's with at least one image."""
    try:
        return bool(parse_mmocr(read_regular(path, MOST_TABLE_BYTES)))
    except (OSError, ValueError, RecursionError):
        return False


def look_at(path: Path) -> Found:
    """The source at `path`, a folder, a JSON or a CSV. UnchokeError where no word counts: nothing could be learnt."""
    annotations = read_words(path)
    words = [word for each in annotations.values() for word in each.words]
    usable = [word for word in words if not word.fault]
    ignored = sum(word.ignored for word in usable)
    if len(usable) == ignored:
        raise _nothing_to_learn(annotations, len(words), ignored, path)
    without = sum(not each.words and not each.fault for each in annotations.values())
    notes = [f"{len(usable) - ignored:,} words to find, {ignored:,} ignored; {without:,} images without words."]
    if len(usable) < len(words):
        first = next(word for word in words if word.fault)
        notes.append(
            f"! {len(words) - len(usable):,} words that cannot be used, one of them for: {first.fault}; the run lists "
            "them in quarantined_words.csv"
        )
    what = _FOUND.get("" if path.is_dir() else path.suffix.lower(), _OF_CSV)
    return Found({"kind": "text", "path": str(path)}, what, notes)


def _nothing_to_learn(annotations: dict[str, Annotations], words: int, ignored: int, path: Path) -> UnchokeError:
    return UnchokeError(
        "There is no word to learn from.",
        found=f"{words:,} words in the annotations of {len(annotations):,} images, of which {ignored:,} are ignored "
        f"and {words - ignored:,} cannot be used",
        expected="x1,y1,…,x4,y4,transcription a line, as ICDAR has it, MMOCR's JSON, or a CSV with the column polygon",
        where=str(path.absolute()),
        do="correct the annotations",
    )
