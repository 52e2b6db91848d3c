"""What a run is for beside its stores: runs, figures, receipts."""

from collections import Counter

import pytest
from small_configs import image_config, mask_config, taught_config

from unchoke.targets.listing import listing_of
from unchoke.targets.masks import Masks
from unchoke.targets.results import (
    cleaning_tables,
    finding_tables,
    finished_runs,
    listing_inputs,
    mask_receipts,
    prediction_receipts,
    prediction_tables,
    receipt_files,
    receipts,
    report_files,
)

PAGES = [
    "<results>/report.html",
    "<results>/report/page.html",
    *(
        f"<results>/report/{page}.{kind}"
        for page in ("leaderboard", "quarantine", "durations")
        for kind in ("png", "html")
    ),
]


def test_the_database_waits_for_every_run_and_of_masks_for_their_scores():
    assert finished_runs(image_config(heads={"all": {"kind": "knn"}})) == [
        "<results>/heads/b0.zarr/all/zarr.json",
        "<results>/heads/vit.zarr/all/zarr.json",
    ]
    assert finished_runs(mask_config()) == [
        "<results>/heads/tiny.zarr/linear/zarr.json",
        "<results>/heads/pixels.zarr/unet/zarr.json",
        "<results>/scores/tiny/linear.json",
        "<results>/scores/pixels/unet.json",
        "<results>/grids.json",
    ]


def test_every_further_split_has_runs_and_receipts_of_its_own():
    dataset = {"name": "few", "kind": "folder", "path": "images", "split": {"repeats": 3}}
    config = image_config(dataset=dataset, heads={"all": {"kind": "knn", "encoders": ["b0"]}})
    folders = ["<results>", "<results>/repeats/1", "<results>/repeats/2"]
    assert finished_runs(config) == [f"{folder}/heads/b0.zarr/all/zarr.json" for folder in folders]
    found = receipts(config)
    assert (found["draw_repeat"], found["train_repeat/2/b0"]) == (["1", "2"], ["all"])
    assert not [folder for folder in receipts(image_config()) if "repeat" in folder]


def test_every_head_has_its_figures_and_a_teacher_none():
    found = report_files(image_config(heads={"all": {"kind": "knn", "encoders": ["b0"]}}))
    names = ("settings", "parts", "confusion", "reliability", "mistakes")
    heads = [f"<results>/report/b0/all/{name}.png" for name in names]
    pages = [*PAGES[:2], "<results>/review.html", *PAGES[2:]]
    assert found == [*pages, *heads, "<results>/report/b0/embedding.png", "<results>/report/vit/embedding.png"]
    masks = report_files(mask_config(segment={"heads": ["unet"]}))
    assert masks[8:] == [
        f"<results>/report/pixels/unet/{name}.png" for name in ("mask_curves", "mask_overlays", "mask_confusion")
    ]
    assert report_files(taught_config(segment={"head": "teacher"})) == PAGES


def test_jobs_of_encoders_and_heads_have_receipts_in_folders():
    found = receipts(image_config())
    assert found["train_head/vit"] == found["draw_head/vit"] == ["all", "turned"]
    assert found["check_quarantine"] == found["list_quarantine"] == ["b0", "vit"]
    assert {"clean_images", "draw_cleaning", "count_classes", "check_unusable", "list_unusable"} <= set(found[""])
    assert not {"clean_images", "draw_cleaning"} & set(receipts(image_config(cleaning=None))[""])


def test_rules_about_features_have_a_job_and_tables_of_their_own():
    assert "inspect_features" not in receipts(image_config())[""]
    assert finding_tables(image_config()) == ["<results>/findings.csv"]
    assert cleaning_tables(image_config(cleaning=None)) == finding_tables(image_config(cleaning=None)) == []
    inspected = image_config(cleaning={"features": {"encoder": "b0"}})
    assert "inspect_features" in receipts(inspected)[""]
    assert finding_tables(inspected) == ["<results>/findings.csv", "<results>/feature_findings.csv"]
    assert "<results>/feature_findings.json" in cleaning_tables(inspected)


def test_decisions_of_the_user_are_read_by_a_job():
    assert "read_decisions" not in receipts(image_config())[""] + receipts(image_config(cleaning=None))[""]
    assert "write_review" in receipts(image_config())[""] and "write_review" not in receipts(mask_config())[""]
    assert "read_decisions" in receipts(image_config(cleaning={"decisions": "mine.csv"}))[""]


def test_a_teacher_that_segments_is_described_and_listed_for():
    found = receipts(taught_config(segment={"head": "teacher"}))
    assert "describe_teacher" in found[""]
    assert found["check_quarantine"] == found["list_quarantine"] == ["teacher"]
    assert found["score_masks/teacher"] == ["teacher"]
    assert not [folder for folder in found if folder.startswith(("train", "draw"))]


@pytest.mark.parametrize("config", [image_config(), mask_config(), taught_config()])
def test_a_receipt_is_named_once(config):
    files = receipt_files(config)
    assert max(Counter(files).values()) == 1
    assert all(file.startswith("<results>/receipts/") and "//" not in file for file in files)


def test_every_mask_that_a_job_of_its_own_finishes_has_a_receipt():
    grids = {str(n): {"height": 9, "width": 9, "first": n, "split": split} for n, split in enumerate(("val", "test"))}
    masks = Masks(mask_config(segment={"pixels_per_job": 80}), grids)
    folder = "<results>/receipts/finish_mask"
    assert mask_receipts(masks, [("tiny", "linear")]) == [
        f"{folder}/tiny/linear/0.json",
        f"{folder}/tiny/linear/1.json",
    ]
    assert mask_receipts(Masks(mask_config(segment={"pixels_per_job": 81}), grids), [("tiny", "linear")]) == []


def test_images_without_a_label_are_predicted_by_every_head_and_by_no_network():
    config = image_config(heads={"one": {"kind": "knn", "encoders": ["b0"]}, "two": {"kind": "knn"}})
    places = [("b0", "one"), ("b0", "two"), ("vit", "two")]
    assert prediction_tables(config) == [f"<results>/unlabelled/{encoder}/{head}.csv" for encoder, head in places]
    assert len(prediction_receipts(config)) == 3


def test_a_list_of_images_to_label_has_its_files_and_what_it_is_made_from():
    config = image_config(subset={"diverse": 5, "encoder": "vit"})
    assert {"list_to_label", "draw_to_label"} <= set(receipts(config)[""])
    assert not {"list_to_label", "draw_to_label"} & set(receipts(image_config())[""])
    assert "<results>/report/to_label.png" in report_files(config)
    assert listing_inputs(config, listing_of(config))["metadata"] == ["<results>/features/vit@hflip.zarr/zarr.json"]
    asked = image_config(heads={"one": {"kind": "knn"}}, subset={"uncertain": 5, "head": "one"})
    assert listing_inputs(asked, listing_of(asked)) == {
        "metadata": ["<results>/features/b0.zarr/zarr.json"],
        "seals": ["<results>/features/b0.sealed.json"],
        "checkpoint": "<results>/checkpoints/b0/one.safetensors",
    }
