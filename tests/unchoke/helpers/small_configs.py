"""Configs as the Snakefile has them: of images, of masks, and of masks with a teacher."""

from typing import Any

from unchoke.config.model import load_config

ENCODERS = {
    "b0": {"model": "efficientnet_b0", "weights": "untrained", "pools": ["avg", "max"]},
    "vit": {"model": "vit", "weights": "w/vit.pt", "views": ["hflip", "identity"]},
}
HEADS = {
    "all": {"kind": "knn"},
    "turned": {
        "kind": "logistic",
        "encoders": ["vit"],
        "train_views": ["identity", "hflip"],
        "test_views": ["hflip"],
    },
}
MASK_HEADS = {
    "linear": {"kind": "linear"},
    "unet": {"kind": "unet"},
}
PATCHES = {"size": 64, "overlap": 16, "per_chunk": 4}


def image_config(**sections: Any) -> dict[str, Any]:
    dataset = {"name": "few", "kind": "folder", "path": "images"}
    return load_config({"dataset": dataset, "encoders": ENCODERS, "heads": HEADS, **sections})


def mask_config(**sections: Any) -> dict[str, Any]:
    return load_config(
        {
            "dataset": {"name": "blobs", "kind": "masks", "path": "blobs"},
            "patches": PATCHES,
            "encoders": {"tiny": {"model": "test_resnet", "strides": [4, 8]}},
            "mask_heads": MASK_HEADS,
            **sections,
        }
    )


def taught_config(**sections: Any) -> dict[str, Any]:
    """With a teacher, whose features are stored too, and a student."""
    teacher = {"file": "t.py", "checkpoint": "t.pt", "features": True}
    student = {"kind": "decoder", "distil": {"features": 1, "logits": 2}}
    return mask_config(teacher=teacher, mask_heads={**MASK_HEADS, "student": student}, **sections)
