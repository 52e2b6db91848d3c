"""Teachers: the user's own Python, asked once a patch; what goes wrong in it is shown with what was expected."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from scipy.special import softmax
from small_patches import (
    PER_CHUNK,
    SIZE,
    build,
    cut_by_hand,
    patches_of,
    random_picture,
    write_pairs,
    write_picture,
)
from small_results import fake_seal

from unchoke.config.load import load_config
from unchoke.encoders.teacher import MICRO_BATCH, Teacher, keep_teacher, load_teacher
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction
from unchoke.features.teacher import describe_teacher, predict_teacher, run_teacher
from unchoke.hashing import sha256_bytes
from unchoke.manifest.quarantine import check_quarantine, list_quarantine
from unchoke.names import NO_MASK
from unchoke.store import chunks
from unchoke.store.read import open_complete
from unchoke.store.seal import seal_store

CPU = torch.device("cpu")
EXAMPLES = Path(__file__).parents[3] / "config/examples/teachers"
TEXT = """
import torch
from torch.nn.functional import avg_pool2d

def load(checkpoint, device):
    weight = torch.load(checkpoint, weights_only=True).to(device)
    def predict(patches):
        assert patches.dtype == torch.float32 and patches.max() <= 1
        features = avg_pool2d(patches, 8)
        return {"logits": torch.einsum("kc,bchw->bkhw", weight, features), "features": features}
    return predict
"""
WEIGHT_K3 = torch.tensor([[4.0, -3.0, 2.0], [-1.0, 5.0, -2.0]])
SETTINGS = Extraction(PER_CHUNK, MICRO_BATCH, 10**6)


def write_teacher(folder: Path, text: str = TEXT) -> tuple[Path, Path]:
    file, checkpoint = folder / "mine.py", folder / "weights.pt"
    file.write_text(text)
    torch.save(WEIGHT_K3, checkpoint)
    return file, checkpoint


def teacher_in(folder: Path, text: str = TEXT, n_classes: int = 2, features: bool = True) -> Teacher:
    return load_teacher(*write_teacher(folder, text), SIZE, n_classes, features, CPU)


def answer(folder: Path, text: str, patches: int = 3, **given: Any) -> dict[str, Any]:
    images = torch.from_numpy(np.stack([random_picture(SIZE, SIZE, seed) for seed in range(patches)]))
    return teacher_in(folder, text, **given).encode(images.permute(0, 3, 1, 2))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images, their patches, and the sealed store of what the teacher says."""
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder)
    build(folder, folder / "out")
    teacher = teacher_in(folder)
    for chunk in range(-(-len(patches_of(folder / "out")) // PER_CHUNK)):
        run_teacher(folder / "teacher.zarr", chunk, folder / f"out/rows/{chunk}.csv", folder, teacher, SETTINGS, 2)
    seal_store(folder / "teacher.zarr", folder / "out/patches.csv", folder / "out/rows")
    return folder


def test_answers_are_those_of_the_teacher_for_patches_cut_by_hand(data: Path) -> None:
    store, paths = open_complete(data / "teacher.zarr"), sorted((data / "images").rglob("*.png"))
    for patch in patches_of(data / "out").itertuples():
        pixels_HW3 = np.asarray(Image.open(paths[patch.image_id]))
        cut = cut_by_hand(pixels_HW3, patch.y0, patch.x0) / 255
        features = cut.reshape(8, 8, 8, 8, 3).mean((1, 3)).transpose(2, 0, 1)
        np.testing.assert_allclose(store.group["features"][patch.Index], features, rtol=2e-3)
        logits = np.einsum("kc,chw->khw", WEIGHT_K3.numpy(), features)
        np.testing.assert_allclose(store.group["logits"][patch.Index], logits, rtol=2e-3, atol=2e-3)
    assert store.group["logits"].dtype == np.float16


def test_the_seal_holds_the_digests_of_file_and_checkpoint(data: Path) -> None:
    settings = open_complete(data / "teacher.zarr").seal["settings"]
    assert settings["file_sha256"] == sha256_bytes((data / "mine.py").read_bytes())
    assert settings["weights_sha256"] == sha256_bytes((data / "weights.pt").read_bytes())


def test_features_are_left_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    assert list(answer(tmp_path, TEXT, features=False)) == ["logits"]


def test_probabilities_are_the_softmax_of_logits_brought_to_the_pixels(data: Path) -> None:
    found = predict_teacher(data / "teacher.zarr", 0, SIZE)
    logits = chunks.read_chunk(data / "teacher.zarr", 0)["logits"].astype(np.float64)
    places = np.clip((np.arange(SIZE) + 0.5) / 8 - 0.5, 0, 7)  # of pixels on the grid of 8 × 8, as squares
    low = np.minimum(places.astype(int), 6)
    share = places - low
    rows = logits[:, :, low] * (1 - share)[:, None] + logits[:, :, low + 1] * share[:, None]
    pixels = rows[..., low] * (1 - share) + rows[..., low + 1] * share
    np.testing.assert_allclose(found, softmax(pixels, 1), atol=1e-3)
    assert found.dtype == np.float16 and found.shape == (PER_CHUNK, 2, SIZE, SIZE)


def test_padding_and_patches_that_could_not_be_read_have_no_probabilities(data: Path) -> None:
    chunk, patches = divmod(len(patches_of(data / "out")), PER_CHUNK)
    unread = np.isnan(predict_teacher(data / "teacher.zarr", chunk, SIZE)).all((1, 2, 3))
    assert unread.tolist() == [False] * patches + [True] * (PER_CHUNK - patches)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"kc,bchw->bkhw", weight', '"kc,bchw->bkhw", weight[:1]'), r"logits \(3, 1, 8, 8\).*logits \(3, 2, h, w\)"),
        (('bkhw", weight, features)', 'bkhw", weight, features)[0]'), r"logits \(2, 8, 8\).*\(3, 2, h, w\), finite"),
        (('bkhw", weight, features)', 'bkhw", weight, features) / 0'), r"logits with numbers that are not finite"),
        ((', "features": features}', "}"), r"only logits.*a dict with the tensor features \(3, C, h, w\)"),
        (('return {"logits": torch', "return features; {0: torch"), r"Tensor.*a dict with the tensor logits"),
        (("def load", "def lode"), r"no function load.*load\(checkpoint: Path, device: torch.device\)"),
        (("avg_pool2d(patches, 8)", "avg_pool2d(patches, 'a')"), r"has failed.*TypeError.*mine.py, line 9"),
        (("torch.load(", "torch.lode("), r"has failed.*AttributeError.*mine.py, line 6.*teacher.checkpoint"),
        (("import torch", "import torchh"), r"has failed.*ModuleNotFoundError.*mine.py, line 2"),
    ],
)
def test_what_is_wrong_with_a_teacher_is_said(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    assert change[0] in TEXT
    with pytest.raises(UnchokeError, match=f"(?s){message}"):
        answer(tmp_path, TEXT.replace(*change))


def test_a_teacher_that_runs_out_of_memory_is_asked_in_halves(tmp_path: Path) -> None:
    tight = TEXT.replace(
        "        assert", "        if len(patches) > 2: raise torch.OutOfMemoryError('2 GB')\n        assert"
    )
    found, expected = answer(tmp_path, tight, 4), answer(tmp_path, TEXT, 4)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-5)


def test_a_teacher_is_loaded_once_until_one_of_its_files_changes(tmp_path: Path) -> None:
    files = write_teacher(tmp_path)
    first = keep_teacher(*files, SIZE, 2, True, CPU)
    assert keep_teacher(*files, SIZE, 2, True, CPU) is first
    files[0].write_text(TEXT + "\n")
    assert keep_teacher(*files, SIZE, 2, True, CPU).sha256 != first.sha256


def test_the_results_of_a_teacher_say_what_those_of_a_head_say(data: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.zarr"
    chunks.seal_file(labels).write_bytes(fake_seal(settings={"classes": [["sky", [0]], ["sea", [1]]], "size": 64}))
    group, run = tmp_path / "heads/teacher.zarr/teacher", tmp_path / "run.json"
    facts = describe_teacher(data / "teacher.zarr", labels, data / "out/manifest.csv", group, run)
    assert facts["classes"] == ["sky", "sea"] and facts["reach_px"] is None and facts["patch_px"] == 64
    assert facts["images"] == {"train": 0, "val": 1, "test": 2}
    assert facts["settings"]["kind"] == "teacher" and facts["encoder"]["model"] == "mine"
    assert (group / "zarr.json").exists() and '"seconds"' in run.read_text()


# --- the examples


class FakeSam2:
    """The calls of the package sam2 that the example makes, with its names, arguments and shapes."""

    def __init__(self, model: str) -> None:
        assert model == "small"

    def set_image(self, image: Any) -> None:
        assert image.dtype == np.uint8 and image.shape[2] == 3
        self.side = image.shape[0]

    def predict(self, *, box: Any, multimask_output: bool, return_logits: bool) -> tuple[Any, Any, Any]:
        assert box.shape == (4,) and return_logits and not multimask_output
        logits_1SS = np.full((1, self.side, self.side), -9.0, np.float32)
        x0, y0, x1, y1 = box
        logits_1SS[:, y0:y1, x0:x1] = 9
        return logits_1SS, np.ones(1), np.zeros((1, 256, 256))

    def set_image_batch(self, image_list: list[Any]) -> None:
        self.patches = len(image_list)

    def get_image_embedding(self) -> torch.Tensor:
        return torch.zeros(self.patches, 256, 64, 64)


class FakeGenerator:
    """Proposes a thing, and what lies around it."""

    def __init__(self, model: str, *, points_per_side: int, output_mode: str) -> None:
        assert model == "small" and output_mode == "binary_mask"

    def generate(self, image: Any) -> list[dict[str, Any]]:
        thing_SS = np.zeros(image.shape[:2], bool)
        thing_SS[10:20, 30:50] = True
        masks = {0.9: thing_SS, 0.97: ~thing_SS}
        return [{"segmentation": mask, "area": int(mask.sum()), "predicted_iou": iou} for iou, mask in masks.items()]


def build_fake(config_file: str, ckpt_path: str, device: str) -> str:
    assert (config_file, device) == ("configs/sam2.1/sam2.1_hiera_s.yaml", "cpu")
    assert Path(ckpt_path).read_bytes() == b"weights"
    return "small"


@pytest.fixture
def sam2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The example beside a package of that name; its checkpoint."""
    for name, parts in {
        "sam2": {},
        "sam2.build_sam": {"build_sam2": build_fake},
        "sam2.automatic_mask_generator": {"SAM2AutomaticMaskGenerator": FakeGenerator},
        "sam2.sam2_image_predictor": {"SAM2ImagePredictor": FakeSam2},
    }.items():
        module = ModuleType(name)
        vars(module).update(parts)
        monkeypatch.setitem(sys.modules, name, module)
    (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"weights")
    return tmp_path / "sam2.1_hiera_small.pt"


def foreground_of(teacher: Teacher) -> Any:
    found = teacher.encode(torch.zeros(3, 3, SIZE, SIZE, dtype=torch.uint8))
    assert found["features"].shape == (3, 256, 64, 64) and found["logits"].shape == (3, 2, SIZE, SIZE)
    return softmax(found["logits"].astype(np.float64), 1)[:, 1]


def test_sam2s_own_masks_become_the_foreground_but_for_the_largest(sam2: Path) -> None:
    found = foreground_of(load_teacher(EXAMPLES / "sam2_teacher.py", sam2, SIZE, 2, True, CPU))
    expected = np.full((SIZE, SIZE), 1 / (1 + np.exp(6)))
    expected[10:20, 30:50] = 0.9  # the predicted IoU
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-4)


def test_sam2s_masks_of_boxes_become_the_foreground(sam2: Path, tmp_path: Path) -> None:
    text = (EXAMPLES / "sam2_teacher.py").read_text()
    prompted = tmp_path / "prompted.py"
    prompted.write_text(text.replace("    return None\n", "    return np.array([[3, 5, 9, 8], [40, 40, 50, 60]])\n"))
    found = foreground_of(load_teacher(prompted, sam2, SIZE, 2, True, CPU))
    assert (found[:, 5:8, 3:9] > 0.99).all() and (found[:, 40:60, 40:50] > 0.99).all()
    assert (found > 0.5).sum() == 3 * (3 * 6 + 20 * 10)


def test_sam2_is_imported_when_it_is_loaded_alone(tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)has failed.*No module named 'sam2'.*sam2_teacher.py, line \d+"):
        (tmp_path / "sam2.1_hiera_small.pt").write_bytes(b"weights")
        load_teacher(EXAMPLES / "sam2_teacher.py", tmp_path / "sam2.1_hiera_small.pt", SIZE, 2, True, CPU)


def text_detector(path: Path) -> Path:
    """An ONNX file with the interface of PP-OCR's detector: the sigmoid of the first channel less the third."""
    helper, size = onnx.helper, ["B", 3, "H", "W"]
    shapes = [("x", size), ("probability", ["B", 1, "H", "W"])]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes]
    weight = helper.make_tensor("weight", onnx.TensorProto.FLOAT, [1, 3, 1, 1], [1.0, 0.0, -1.0])
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["probability"]),
    ]
    graph = helper.make_graph(nodes, "detector", values[:1], values[1:], [weight])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def test_the_text_detector_sees_blue_first_and_answers_with_the_logits_of_its_probability(tmp_path: Path) -> None:
    file = text_detector(tmp_path / "detector.onnx")
    teacher = load_teacher(EXAMPLES / "rapidocr_teacher.py", file, SIZE, 2, False, CPU)
    images = torch.zeros(2, 3, SIZE, SIZE, dtype=torch.uint8)
    images[0, 2, :8], images[0, 0, 8:16] = 255, 255  # blue, then red; black elsewhere
    found = softmax(teacher.encode(images)["logits"].astype(np.float64), 1)
    sigmoid_of_2 = 1 / (1 + np.exp(-2.0))
    assert found.shape == (2, 2, SIZE, SIZE)
    np.testing.assert_allclose(found[0, 1, :8], sigmoid_of_2, rtol=1e-4)
    np.testing.assert_allclose(found[0, 1, 8:16], 1 - sigmoid_of_2, rtol=1e-4)
    np.testing.assert_allclose(found[1], 0.5, rtol=1e-4)


# --- the config, and what is no reason to stop


def config_of(**sections: Any) -> dict[str, Any]:
    return {
        "dataset": {"name": "cells", "kind": "masks", "path": "cells"},
        "encoders": {"small": {"model": "resnet18", "strides": [4, 8]}},
        "teacher": {"file": "mine.py", "checkpoint": "mine.pt"},
        **sections,
    }


DECODER = {"kind": "decoder", "epochs": 5}


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"teacher": None, "segment": {"head": "teacher"}}, "segment.head: there is no teacher"),
        ({"teacher": None, "mask_heads": {"a": {**DECODER, "distil": {"logits": 1}}}}, "a.distil: there is no teacher"),
        ({"mask_heads": {"a": {**DECODER, "distil": {"features": 1}}}}, "needs teacher.features: true"),
        ({"mask_heads": {"a": {**DECODER, "distil": {"features": 3, "logits": 3}}}}, "ask for 6 epochs; 1 to 5"),
        ({"mask_heads": {"a": {**DECODER, "distil": {}}}}, "ask for 0 epochs"),
        ({"mask_heads": {"a": {"kind": "linear", "distil": {"features": 1}}}}, "a linear head has no map"),
        ({"encoders": {"teacher": {"model": "resnet18", "strides": [4]}}}, "encoders.teacher: 'teacher' is taken"),
        ({"encoders": {"pixels": {"model": "resnet18", "strides": [4]}}}, "encoders.pixels: 'pixels' is taken"),
        ({"dataset": {"name": "x", "kind": "folder", "path": "x"}, "encoders": {"s": {"model": "m"}}}, "has no masks"),
    ],
)
def test_what_cannot_be_distilled_is_refused(sections: dict[str, Any], message: str) -> None:
    with pytest.raises(UnchokeError, match=message):
        load_config(config_of(**sections))


def test_images_without_a_mask_are_listed_but_do_not_count(tmp_path: Path) -> None:
    write_pairs(tmp_path)
    write_picture(tmp_path / "images/train/unmasked.png", random_picture(SIZE, SIZE))
    build(tmp_path, tmp_path / "out")
    manifest, listed = tmp_path / "out/manifest.csv", tmp_path / "quarantine.csv"
    assert list_quarantine(manifest, [], listed)["reason"].tolist() == [NO_MASK]
    with pytest.raises(UnchokeError, match="Too many"):
        check_quarantine(manifest, listed, 0.1, tmp_path / "summary.json")
    found = check_quarantine(manifest, listed, 0.1, tmp_path / "summary.json", [NO_MASK])
    assert (found["images"], found["quarantined"]) == (6, 0)
