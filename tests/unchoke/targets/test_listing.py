"""A subset of the config is either a part to train on or a list of images to label."""

from unchoke.config.load import load_config
from unchoke.targets.listing import drawn_part, listing_of

DATASET = {"name": "few", "kind": "folder", "path": "images"}


def test_a_list_of_images_to_label_is_no_part_to_train_on():
    config = load_config({"dataset": {**DATASET, "split": {"repeats": 5}}, "subset": {"typical": 7}})
    assert drawn_part(config["subset"]) is None
    given = {"n": 7, "splits": ["unlabelled"], "encoder": "lite0", "seed": 0}
    assert listing_of(config) == given | {"how": "typical", "pool": "avg", "view": "identity", "k": 20}
    asked = load_config(
        {"dataset": DATASET, "subset": {"uncertain": 7, "head": "ridge", "splits": ["val", "unlabelled"]}}
    )
    assert listing_of(asked) == given | {"how": "uncertain", "head": "ridge", "splits": ["val", "unlabelled"]}
    drawn = load_config({"dataset": DATASET, "subset": {"per_class": 3}})
    assert drawn_part(drawn["subset"]) == {"fraction": None, "per_class": 3, "seed": 0, "splits": ["train"]}
    assert listing_of(drawn) is None and listing_of(load_config({"dataset": DATASET})) is None
