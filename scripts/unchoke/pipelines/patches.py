"""Pure: the patches of a dataset with masks as a table of which a sample is drawn, image by image."""

import numpy as np
import pandas as pd

_OF_IMAGE = ["image_id", "path", "size_bytes", "mtime_ns", "label", "split", "group"]


def patches_in_use(manifest: pd.DataFrame, patches: pd.DataFrame) -> pd.DataFrame:
    """A row for each patch that may be used, with its image's path, split and group.

    manifest, patches: the columns of ``tables.MANIFEST_COLUMNS`` and ``PATCH_COLUMNS``. `of_image` is how many patches
    the image has.
    """
    images = manifest.loc[manifest["excluded"] == "", _OF_IMAGE]
    used = patches[patches["excluded"] == ""].merge(images, on="image_id", validate="many_to_one")
    return used.assign(of_image=used.groupby("image_id")["patch_id"].transform("size"))


def draw_patches(part: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """The first `count` patches of images in a random order: all patches of each but the last."""
    order = np.random.default_rng(seed).permutation(part["image_id"].unique())
    turn = part["image_id"].map({image: place for place, image in enumerate(order.tolist())})
    return part.loc[turn.sort_values(kind="stable").index].head(count)


def whole_images(sample: pd.DataFrame, usable: pd.Series) -> list[int]:
    """Images of val of which every patch is in the sample and usable."""
    found = sample[usable & (sample["split"] == "val")].groupby("image_id")["of_image"].agg(["size", "first"])
    return [int(image) for image in found.index[found["size"] == found["first"]]]
