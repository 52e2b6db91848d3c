"""PP-OCR's text detector as a teacher of background and text: https://github.com/RapidAI/RapidOCR, Apache-2.0.

    pip install "unchoke[ocr]"

The wheel of rapidocr holds the detector, so nothing is downloaded. Its path for teacher.checkpoint is printed by

    python config/examples/teachers/rapidocr_teacher.py

The detector gives the probability that a pixel belongs to a shrunk word, as a head of kind db does. It runs on the
processor. Sides of patches must be multiples of 32.

It was trained on whole photographs. Small patches lack what surrounds a word: they cut words, and textures look like
text. Take patches as large as your memory allows, for instance

    patches: {size: 1024, overlap: 256, per_chunk: 4}
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch

MODEL = "models/PP-OCRv6_det_small.onnx"  # within the package rapidocr
LEAST = 1e-4  # of a probability, whose logit stays finite in float16


def load(checkpoint: Path, device: torch.device) -> Callable[[torch.Tensor], dict[str, torch.Tensor]]:
    """What Unchoke calls with patches, float32 (B, 3, S, S) from 0 to 1."""
    session = onnxruntime.InferenceSession(str(checkpoint), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()

    def predict(patches: torch.Tensor) -> dict[str, torch.Tensor]:
        bgr_B3SS = np.ascontiguousarray((2 * patches - 1).cpu().numpy()[:, ::-1])
        (probability_B1SS,) = session.run(None, {entry.name: bgr_B3SS})[:1]
        logit_B1SS = torch.from_numpy(probability_B1SS).clamp(LEAST, 1 - LEAST).logit()
        # The softmax of these two is the probability of text.
        return {"logits": torch.cat([-logit_B1SS / 2, logit_B1SS / 2], 1)}

    return predict


if __name__ == "__main__":
    found = importlib.util.find_spec("rapidocr")  # without importing it, which loads OpenCV
    if found is None or found.origin is None:
        raise SystemExit('rapidocr is not installed: pip install "unchoke[ocr]"')
    print(Path(found.origin).parent / MODEL)
