"""Images without a label in real runs: features, predictions, a list of those to label, and labels that come back."""

import csv
from pathlib import Path

import pytest
from conftest import CONFIG, Clone, empty_clone, jobs

from unchoke.sources.kinds.digits import digit_files

pytestmark = pytest.mark.xdist_group("run")  # that of test_run, which finishes the clone


def rows_of(clone: Clone, name: str) -> list[dict[str, str]]:
    with (clone.results / name).open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def new_digits(count: int) -> list[str]:
    """Names of digits that no clone has."""
    names = sorted(digit_files())
    return [name for digit in "01" for name in [n for n in names if n.startswith(f"{digit}/")][40 : 40 + count]]


def test_a_label_that_comes_back_costs_no_features(rerun: Clone) -> None:
    images, labels = rerun.folder / "images", {f"{place}.png": name for place, name in enumerate(new_digits(3))}
    (images / "unlabelled").mkdir()
    rerun.add_images(list(labels.values()))
    for waiting, name in labels.items():
        (images / name).rename(images / "unlabelled" / waiting)
    rerun.configure(subset={"diverse": 4})
    before = rerun.times("features/tiny.zarr/*/c/[01]/0")
    output = rerun.snakemake("--cores", "2")
    assert jobs(output, "extract_chunk") == 2  # the third chunk fills up, a fourth begins
    assert (jobs(output, "predict_unlabelled"), jobs(output, "list_to_label")) == (2, 1)
    waiting = {row["path"]: row for row in rows_of(rerun, "manifest.csv") if row["excluded"]}
    assert set(waiting) == {f"unlabelled/{name}" for name in labels}
    for head in ("logistic", "neighbours"):
        said = rows_of(rerun, f"unlabelled/tiny/{head}.csv")
        assert {row["path"] for row in said} == set(waiting) and {row["predicted"] for row in said} <= {"0", "1"}
    listed = rows_of(rerun, "to_label.csv")
    assert [row["rank"] for row in listed] == list("1234") and {row["path"] for row in listed} <= set(waiting)
    assert [row["path"] for row in rows_of(rerun, "quarantine.csv")] == ["0/broken.png"]
    page = (rerun.results / "report.html").read_text()
    assert "6, which count in no figure" in page and "Images to label" in page

    (rerun.results / "unlabelled/tiny/logistic.csv").unlink()
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "predict_unlabelled"), jobs(output, "train_head")) == (1, 0)

    times = rerun.times("features/**/[0-9]*")
    for name, label in labels.items():
        (images / "unlabelled" / name).rename(images / label)
    rerun.configure()
    output = rerun.snakemake("--cores", "2")
    assert (jobs(output, "extract_chunk"), jobs(output, "predict_unlabelled"), jobs(output, "train_head")) == (0, 0, 2)
    assert rerun.times("features/**/[0-9]*") == times and before.items() <= times.items()
    labelled = [row for row in rows_of(rerun, "manifest.csv") if row["path"] in labels.values()]
    assert len(labelled) == 6 and all(row["split"] and not row["excluded"] for row in labelled)
    assert "Nothing to be done" in rerun.snakemake("--cores", "2")


def test_without_any_label_there_are_features_and_a_list(tmp_path: Path) -> None:
    """Also cleaning, the report and the doctor do without; heads say what they lack."""
    clone = empty_clone(Clone(tmp_path / "clone"), heads={}, cleaning={}, subset={"typical": 5, "k": 3})
    names = new_digits(9)
    clone.add_images(names)
    (clone.folder / "images").rename(clone.folder / "all")
    (clone.folder / "images").mkdir()
    (clone.folder / "all").rename(clone.folder / "images/unlabelled")
    output = clone.snakemake("--cores", "2")
    assert jobs(output, "predict_unlabelled") == 0
    assert len(rows_of(clone, "to_label.csv")) == 5
    assert {row["label"] for row in rows_of(clone, "manifest.csv")} == {""}
    assert "18, which count in no figure" in (clone.results / "report.html").read_text()
    assert "18 images have no label" in clone.snakemake("doctor", "--cores", "1")
    clone.configure(heads=CONFIG["heads"])
    assert "no image has a label" in clone.snakemake("--cores", "2", ok=False) + clone.logs("build_manifest")
