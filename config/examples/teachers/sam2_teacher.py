"""SAM 2 as a teacher of foreground and background: https://github.com/facebookresearch/sam2, installed by

    pip install "git+https://github.com/facebookresearch/sam2.git"
    wget https://dl.fbaipublicfiles.com/segment_anything_2/092824/sam2.1_hiera_small.pt

SAM 2 finds masks, but does not know what they show. So they become logits of two classes, background and foreground:

- Without prompts, its automatic generator proposes masks on a grid of points. Those that take more than MOST of a
  patch are taken for background. A pixel's logit is that of the best predicted IoU among the masks that hold it, and
  -CONFIDENT where there is none.
- With prompts, `boxes_of` gives boxes for a patch, from a detector of yours or from colours. The mask that SAM 2 gives
  each box has logits of its own; a pixel takes the largest.

Features are the image embedding, (B, 256, 64, 64). Their size is the same whatever that of the patch, for SAM 2 sees
every patch enlarged to 1024 px.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

CONFIGS = {  # within the package sam2, by the stem of the checkpoint
    "sam2.1_hiera_tiny": "configs/sam2.1/sam2.1_hiera_t.yaml",
    "sam2.1_hiera_small": "configs/sam2.1/sam2.1_hiera_s.yaml",
    "sam2.1_hiera_base_plus": "configs/sam2.1/sam2.1_hiera_b+.yaml",
    "sam2.1_hiera_large": "configs/sam2.1/sam2.1_hiera_l.yaml",
}
MOST = 0.5  # share of a patch that a thing may take
CONFIDENT = 6.0  # largest logit, which is a probability of 0.998


def boxes_of(patch_SS3: np.ndarray) -> np.ndarray | None:
    """Boxes of the things in a patch, float (P, 4), x0, y0, x1, y1 in px; None: let SAM 2 propose masks itself."""
    return None


def load(checkpoint: Path, device: torch.device) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
    """What Unchoke calls with patches, float32 (B, 3, S, S) from 0 to 1."""
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator
    from sam2.build_sam import build_sam2
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    model = build_sam2(CONFIGS[checkpoint.stem], str(checkpoint), device=str(device))
    generator = SAM2AutomaticMaskGenerator(model, points_per_side=16, output_mode="binary_mask")
    predictor = SAM2ImagePredictor(model)

    def foreground(patch_SS3: np.ndarray) -> np.ndarray:
        boxes_P4 = boxes_of(patch_SS3)
        if boxes_P4 is None:
            return automatic_logits(generator.generate(patch_SS3), patch_SS3.shape[0])
        predictor.set_image(patch_SS3)
        masks = [
            predictor.predict(box=box, multimask_output=False, return_logits=True)[0][0]  # (S, S)
            for box in boxes_P4
        ]
        return np.max([np.full(patch_SS3.shape[:2], -CONFIDENT), *masks], axis=0)

    def predict(patches: torch.Tensor) -> dict[str, torch.Tensor]:
        pictures = list((patches * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
        logits_BSS = torch.from_numpy(np.stack([foreground(picture) for picture in pictures])).float()
        logits_BSS = logits_BSS.clamp(-CONFIDENT, CONFIDENT)
        predictor.set_image_batch(pictures)
        features = predictor.get_image_embedding()
        # The softmax of these two is the sigmoid of the foreground's logit.
        return {"logits": torch.stack([-logits_BSS / 2, logits_BSS / 2], 1), "features": features}

    return predict


def automatic_logits(found: list[dict], size: int) -> np.ndarray:
    """The foreground's logits (S, S), of what ``SAM2AutomaticMaskGenerator.generate`` gives for a patch."""
    logits_SS = np.full((size, size), -CONFIDENT)
    for mask in found:
        if mask["area"] <= MOST * size**2:
            iou = np.clip(mask["predicted_iou"], 0.5, 0.999)
            inside_SS = mask["segmentation"]
            logits_SS[inside_SS] = np.maximum(logits_SS[inside_SS], np.log(iou / (1 - iou)))
    return logits_SS
