"""From pictures to predictions, on a small trained head of a tiny encoder: the same as what its training has stored."""

import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from PIL import Image
from scipy.special import softmax

import unchoke
from unchoke.api import predict
from unchoke.config.heads import Knn, Linear, Logistic
from unchoke.encoders.encoder import load_encoder
from unchoke.encoders.weights import fetch_weights
from unchoke.errors import UnchokeError
from unchoke.features.chunk import Extraction, save_chunk
from unchoke.features.images import extract_chunk
from unchoke.heads.train import save_head, train_head
from unchoke.manifest.images import SplitSettings, build_manifest
from unchoke.sources.kinds.digits import digit_files
from unchoke.store.read import FeatureStore, open_complete
from unchoke.store.seal import seal_store
from unchoke.store.tables import MANIFEST_COLUMNS, ROW_COLUMNS, read_table

CPU = torch.device("cpu")
VIEWS = ["identity", "hflip", "crop_0"]
HEADS = {
    "logistic": Logistic(kind="logistic", choose_by="accuracy", c=[0.1, 1.0]).model_dump(),
    "views": Logistic(
        kind="logistic", choose_by="accuracy", c=[1.0], pool="max", train_views=VIEWS, test_views=VIEWS
    ).model_dump(),
    "seeds": Linear(kind="linear", choose_by="accuracy", seeds=[0, 1], epochs=2).model_dump(),
    "neighbours": Knn(kind="knn", choose_by="accuracy", k=[3]).model_dump(),
}
CHUNK = 16


@dataclass(frozen=True)
class Finished:
    """What a run has left."""

    folder: Path
    manifest: pd.DataFrame

    def checkpoint(self, head: str) -> Path:
        return self.folder / "checkpoints" / f"{head}.safetensors"

    def path(self, image_id: int) -> Path:
        return self.folder / "images" / self.manifest["path"][image_id]

    def test(self, head: str) -> tuple[list[int], np.ndarray]:
        """Ids of the test images, and their probabilities as the training has stored them."""
        group = zarr.open_group(self.folder / "heads" / head, mode="r")
        temperature_R11 = np.array(group.attrs["unchoke"]["temperatures"])[:, None, None]
        return group["test_image_id"][:].tolist(), softmax(group["test_logits"][:] / temperature_R11, -1).mean(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """52 digits of three classes, one of them cut short, in three views, and four heads."""
    folder = tmp_path_factory.mktemp("run")
    files = digit_files()
    for digit in "014":
        for place, name in enumerate([name for name in sorted(files) if name.startswith(f"{digit}/")][:17]):
            file = folder / "images" / digit / f"{place}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(files[name])
    (folder / "images" / "0" / "broken.png").write_bytes(files["0/0000.png"][:50])
    split = SplitSettings(seed=0, val=0.2, test=0.4)
    build_manifest("folder", folder / "images", None, split, CHUNK, folder / "manifest.csv", folder / "rows")
    weights = folder / "resources" / "weights" / "tiny.safetensors"
    fetch_weights("test_resnet", "untrained", 0, weights, weights.with_suffix(".json"))
    encoder = load_encoder(weights, weights.with_suffix(".json"), 32, ["avg", "max"], CPU, "float16")
    features = {view: extracted(folder, encoder, view) for view in VIEWS}
    manifest = read_table(folder / "manifest.csv", MANIFEST_COLUMNS)
    finished = Finished(folder, manifest)
    for name, settings in HEADS.items():
        head = train_head({view: features[view] for view in settings["test_views"]}, manifest, settings, CPU)
        save_head(head, features, settings, folder / "heads" / name, finished.checkpoint(name))
    return finished


def extracted(  # type: ignore[no-untyped-def]
    folder: Path, encoder, view: str, dtype: str = "float16"
) -> FeatureStore:
    store = folder / (f"{view}.zarr" if dtype == "float16" else f"{view}.{dtype}.zarr")
    settings = Extraction(CHUNK, micro_batch=6, view=view, store=dtype)
    for chunk in range(4):
        rows = folder / "rows" / f"{chunk}.csv"
        features = extract_chunk(read_table(rows, ROW_COLUMNS), folder / "images", encoder, settings, 2)
        save_chunk(store, chunk, rows, features, encoder, settings)
    seal_store(store, folder / "manifest.csv", folder / "rows")
    return open_complete(store)


@pytest.fixture(autouse=True)
def in_its_folder(run: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder)


@pytest.mark.parametrize("name", HEADS)
def test_predictions_are_the_runs_own(run: Finished, name: str) -> None:
    ids, expected_NC = run.test(name)
    found = unchoke.predict([run.path(i) for i in ids], run.checkpoint(name), device="cpu", image_ids=ids)
    np.testing.assert_allclose(found.probabilities_NC, expected_NC, rtol=1e-3, atol=1e-4)
    assert found.labels == [found.classes[place] for place in expected_NC.argmax(1)]
    np.testing.assert_array_equal(found.probability_N, found.probabilities_NC.max(1))
    assert not any(found.reasons)


def test_a_head_on_float32_features_predicts_from_float32_features(run: Finished, tmp_path: Path) -> None:
    weights = Path("resources", "weights", "tiny.safetensors")
    encoder = load_encoder(weights, weights.with_suffix(".json"), 32, ["avg", "max"], CPU, "float16")
    store, half = extracted(run.folder, encoder, "identity", "float32"), unchoke.open_features("identity.zarr")
    features_ND = store.features("avg")
    assert features_ND.dtype == np.float32
    np.testing.assert_array_equal(features_ND.astype(np.float16), half.features("avg"))
    settings = HEADS["logistic"]
    head = train_head({"identity": store}, run.manifest, settings, CPU)
    save_head(head, {"identity": store}, settings, tmp_path / "head", tmp_path / "head.safetensors")
    ids = [int(i) for i in np.flatnonzero(store.valid())[:9]]
    read = unchoke.load_head(tmp_path / "head.safetensors")
    found = unchoke.predict([run.path(i) for i in ids], read, device="cpu").probabilities_NC
    expected_NC = read.probabilities(store.features(settings["pool"])[ids])
    rounded_NC = read.probabilities(half.features(settings["pool"])[ids])
    assert np.abs(found - expected_NC).max() < 0.1 * np.abs(rounded_NC - expected_NC).max()


def test_the_views_have_a_say(run: Finished) -> None:
    """The head of three views differs from itself on the first alone, and crops draw from the image's id."""
    ids, expected_NC = run.test("views")
    head, paths = unchoke.load_head(run.checkpoint("views")), [run.path(i) for i in ids]
    plain = replace(head, settings={**head.settings, "test_views": ["identity"]})
    assert np.abs(unchoke.predict(paths, plain, device="cpu").probabilities_NC - expected_NC).max() > 1e-3
    assert np.abs(unchoke.predict(paths, head, device="cpu").probabilities_NC - expected_NC).max() > 1e-3


def test_a_path_a_picture_and_an_array_are_the_same(run: Finished) -> None:
    path = run.path(20)
    with Image.open(path) as image:
        array = np.asarray(image.convert("RGB"))
        mixed = unchoke.predict([str(path), path, image, image, array], run.checkpoint("logistic"), device="cpu")
    assert len(np.unique(mixed.probabilities_NC, axis=0)) == 1
    assert mixed.names == [str(path), str(path), "PngImageFile", "PngImageFile", "ndarray"]
    for single in (path, array, Image.fromarray(array)):
        one = unchoke.predict(single, run.checkpoint("logistic"), device="cpu")
        np.testing.assert_allclose(one.probabilities_NC, mixed.probabilities_NC[:1], rtol=1e-3)
    stack = unchoke.predict(np.stack([array, array]), run.checkpoint("logistic"), device="cpu")
    assert stack.labels == mixed.labels[:2]


def test_a_picture_is_turned_and_made_grey_as_its_file(run: Finished, tmp_path: Path) -> None:
    """An EXIF orientation, and 16-bit grey, which Pillow's own conversion to RGB would cut off."""
    turned, deep = tmp_path / "turned.jpg", tmp_path / "deep.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(run.path(20)).convert("RGB").resize((40, 24)).save(turned, exif=exif)
    Image.fromarray(np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)).save(deep)
    files = unchoke.predict([turned, deep], run.checkpoint("logistic"), device="cpu")
    opened = unchoke.predict([Image.open(turned), Image.open(deep)], run.checkpoint("logistic"), device="cpu")
    np.testing.assert_array_equal(opened.probabilities_NC, files.probabilities_NC)


def test_what_cannot_be_read_has_a_reason_and_no_prediction(run: Finished) -> None:
    good = run.path(20)
    bad = {
        "broken.png": run.folder / "images" / "0" / "broken.png",
        "nowhere": run.folder / "nowhere.png",
        "nul": "a\0b.png",
        "folder": run.folder,
        "float": np.zeros((8, 8, 3)),
        "grey": np.zeros((8, 8), np.uint8),
        "empty": np.zeros((0, 8, 3), np.uint8),
        "none": None,
        "lazy": Image.open(run.folder / "images" / "0" / "broken.png"),
    }
    found = unchoke.predict([good, *bad.values(), good], run.checkpoint("logistic"), device="cpu")
    table = found.table()
    assert list(table["reason"] == "") == [True, *[False] * len(bad), True]
    assert found.labels[1:-1] == [None] * len(bad)
    assert table["label"].notna().tolist() == table["probability"].notna().tolist() == (table["reason"] == "").tolist()
    assert np.isnan(found.probabilities_NC[1:-1]).all() and np.isnan(found.probability_N[1:-1]).all()
    np.testing.assert_allclose(found.probabilities_NC[0], found.probabilities_NC[-1], rtol=1e-3)
    reasons = dict(zip(bad, found.reasons[1:-1], strict=True))
    assert reasons["nowhere"] == "no such file or directory"
    assert reasons["float"] == "an array of float64 (8, 8, 3), not of uint8 (height, width, 3)"
    assert reasons["none"] == "a NoneType, not a path, a PIL image or an array"
    assert reasons["broken.png"].startswith("broken image") and reasons["lazy"].startswith("cannot be read")


def test_a_picture_of_more_pixels_than_the_run_read_is_refused(run: Finished) -> None:
    head = unchoke.load_head(run.checkpoint("logistic"))
    small = replace(head, encoder={**head.encoder, "max_pixels": 63})
    found = unchoke.predict([run.path(20), np.zeros((8, 8, 3), np.uint8)], small, device="cpu")
    assert all("above decoding.max_pixels 63" in reason for reason in found.reasons)


def test_nothing_in_nothing_out(run: Finished) -> None:
    found = unchoke.predict([], run.checkpoint("logistic"), device="cpu")
    assert found.probabilities_NC.shape == (0, 3) and found.labels == [] and found.table().empty


def test_more_images_than_a_chunk_have_the_predictions_of_each_alone(run: Finished) -> None:
    paths = [run.path(i) for i in range(len(run.manifest))]
    together = unchoke.predict(paths, run.checkpoint("neighbours"), device="cpu")
    assert len(paths) > 3 * CHUNK
    alone = [unchoke.predict(path, run.checkpoint("neighbours"), device="cpu").labels[0] for path in paths]
    assert together.labels == alone and alone.count(None) == 1


def test_features_and_head_from_python(run: Finished) -> None:
    store, head = unchoke.open_features(str(run.folder / "identity.zarr")), unchoke.load_head(run.checkpoint("seeds"))
    ids, expected_NC = run.test("seeds")
    x_ND = store.features(head.settings["pool"])[ids]
    assert head.classes == ["0", "1", "4"] and head.logits(x_ND).shape == (2, len(ids), 3)
    np.testing.assert_allclose(head.probabilities(x_ND), expected_NC, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(head.probabilities(x_ND).sum(1), 1)


def test_weights_are_found_by_their_digest_or_asked_for(
    run: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, image = run.folder / "resources" / "weights" / "tiny.safetensors", run.path(20)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        UnchokeError, match=r"found: +nothing\n +expected: +test_resnet, untrained, sha256 [0-9a-f]{64}"
    ):
        unchoke.predict(image, run.checkpoint("logistic"), device="cpu")
    found = unchoke.predict(image, run.checkpoint("logistic"), right, device="cpu")
    assert found.labels[0] is not None
    other = tmp_path / "resources" / "weights" / "other.safetensors"
    card = fetch_weights("test_resnet", "untrained", 1, other, other.with_suffix(".json"))
    with pytest.raises(UnchokeError, match=r"found: +other\.safetensors"):
        unchoke.predict(image, run.checkpoint("logistic"), device="cpu")
    with pytest.raises(UnchokeError, match=f"found: +sha256 {card['sha256']}"):
        unchoke.predict(image, run.checkpoint("logistic"), other, device="cpu")
    with pytest.raises(UnchokeError, match=r"found: +no file"):
        unchoke.predict(image, run.checkpoint("logistic"), tmp_path / "none.safetensors", device="cpu")


def test_features_of_another_version_are_refused(run: Finished) -> None:
    head = unchoke.load_head(run.checkpoint("logistic"))
    old = replace(head, encoder={**head.encoder, "version": 0})
    with pytest.raises(UnchokeError, match="another version"):
        unchoke.predict(run.path(20), old, device="cpu")


def test_as_many_ids_as_images(run: Finished) -> None:
    with pytest.raises(UnchokeError, match="not as many"):
        unchoke.predict(run.path(20), run.checkpoint("logistic"), device="cpu", image_ids=[1, 2])


def test_the_card_is_leased_within_the_budget(run: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def lease(name: str, budget_mb: float) -> torch.device:
        asked.append((name, budget_mb))
        return CPU

    monkeypatch.setattr(predict, "lease_device", lease)
    unchoke.predict(run.path(20), run.checkpoint("logistic"), device="cuda", vram_mb=2000)
    assert asked == [("cuda", 2000)]


def test_the_encoder_is_loaded_once(run: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    head, weights = unchoke.load_head(run.checkpoint("logistic")), Path("resources", "weights", "tiny.safetensors")
    one, two = (predict.load_encoder_of(head, weights, CPU, 4096) for _ in range(2))
    assert one is two


def test_the_package_is_light_until_it_is_used() -> None:
    code = (
        "import sys, unchoke; print(*sys.modules); assert {'predict', 'load_head', 'open_features'} <= {*dir(unchoke)}"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "pandas", "numpy"} & set(loaded)
    with pytest.raises(AttributeError, match="no attribute 'predcit'"):
        unchoke.predcit  # noqa: B018
