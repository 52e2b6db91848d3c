"""All figures of one mask head."""

import numpy as np
from matplotlib.figure import Figure

from unchoke.report.confusion import draw_confusion
from unchoke.report.mask_curves import draw_mask_curves
from unchoke.report.mask_overlays import Overlay, draw_mask_overlays, ranked
from unchoke.report.mask_pictures import MaskFiles, read_views
from unchoke.report.results import MaskResults


def draw_mask_head(head: MaskResults, files: MaskFiles) -> dict[str, Figure]:
    """The figures by name."""
    facts, counts = head.facts, head.test_counts
    tried = (facts["history"], facts["settings"], facts["chosen"])
    overlays = [
        Overlay(read_views(files, image_id), counts[image_id], rank, files.paths[image_id])
        for image_id, rank in ranked(counts).items()
    ]
    note = f"Pixels of {len(counts):,} test images."
    return {
        "curves": draw_mask_curves(head.curves, head.seconds, *tried, head.title),
        "overlays": draw_mask_overlays(overlays, facts["classes"], len(counts), head.title),
        "confusion": draw_confusion(np.sum(list(counts.values()), 0), facts["classes"], head.title, note, shares=True),
    }
