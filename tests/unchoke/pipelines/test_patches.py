"""Samples of patches: of train and val alone, image by image."""

import numpy as np
import pandas as pd

from unchoke.pipelines.compare import draw_sample
from unchoke.pipelines.patches import draw_patches, patches_in_use, whole_images
from unchoke.pipelines.rounds import feature_difference
from unchoke.pipelines.work import Features

IMAGES, EACH = 20, 6


def table() -> pd.DataFrame:
    splits = np.array(["train", "val", "test", "train"])[np.arange(IMAGES) % 4]
    manifest = pd.DataFrame({"image_id": range(IMAGES), "path": "a.png", "size_bytes": 1, "mtime_ns": 1, "label": ""})
    manifest = manifest.assign(split=splits, group="", excluded=["no mask", *[""] * (IMAGES - 1)])
    of_image = np.repeat(np.arange(IMAGES), EACH)
    patches = pd.DataFrame({"patch_id": range(IMAGES * EACH), "image_id": of_image, "excluded": ""})
    return patches_in_use(manifest, patches)


def test_a_sample_has_whole_images_of_train_and_val() -> None:
    sample = draw_sample(table(), 50, 0)
    assert set(sample["split"]) == {"train", "val"} and 0 not in set(sample["image_id"])
    assert len(sample) == 50 and sample["patch_id"].is_monotonic_increasing
    assert (sample["split"] == "val").sum() == 25  # half of them: four images of 6, and one patch of the last image
    counts = sample[sample["split"] == "val"].groupby("image_id").size()
    assert sorted(counts) == [1, EACH, EACH, EACH, EACH]
    assert whole_images(sample, pd.Series(True, sample.index)) == counts.index[counts == EACH].tolist()


def test_an_image_with_a_patch_that_cannot_be_used_is_not_whole() -> None:
    part = draw_patches(table().query("split == 'val'"), 12, 1).reset_index(drop=True)
    usable = pd.Series(part.index != 3)
    assert whole_images(part, usable) == [part["image_id"].iloc[-1]]


def test_maps_in_float16_have_a_difference_that_does_not_overflow() -> None:
    one, other = (Features(np.full((4, 1000), value, np.float16), np.ones(4, bool)) for value in (202.0, 200.0))
    assert np.isclose(feature_difference(one, other), 0.01)
