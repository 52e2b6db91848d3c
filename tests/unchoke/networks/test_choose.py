"""The choice among the trainings of a network, its figures on test, and its checkpoint."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import accuracy_score
from small_results import fake_seal

from unchoke.errors import UnchokeError
from unchoke.files import write_atomic
from unchoke.networks.build import build_network
from unchoke.networks.checkpoint import read_network
from unchoke.networks.choose import Choice, Key, MemberFile, choose_network, member_keys, save_network
from unchoke.networks.images import HeldImages
from unchoke.networks.sources import Sources
from unchoke.store.chunks import seal_file
from unchoke.store.read import FeatureStore
from unchoke.store.run_record import find_runs, run_of, write_run

CPU = torch.device("cpu")
CLASSES = ["ant", "bee", "cat"]
SIZE = 16
FACTS = {
    "model": "small_cnn",
    "image_size": SIZE,
    "trained": False,
    "weights_sha256": "",
    "data_config": {"mean": [0.5, 0.25, 0.5], "std": [0.5, 0.5, 0.25]},
}
SETTINGS: dict[str, Any] = {
    "blocks": "all",
    "cache": "activations",
    "checkpointing": False,
    "dropout": 0.0,
    "drop_path": 0.0,
    "precision": "float32",
    "learning_rates": [0.1, 0.01],
    "weight_decays": [0.0],
    "seeds": [3, 5],
    "choose_by": "accuracy",
    "start": None,
}


@dataclass(frozen=True)
class Grouped(HeldImages):
    """Images without groups."""

    group_N: NDArray[np.object_] = field(default_factory=lambda: np.full(12, "", object))


def pixels(seed: int, views: int = 1) -> Grouped:
    rng = np.random.default_rng(seed)
    x_VN = rng.integers(0, 256, (views, 12, 3, SIZE, SIZE), np.uint8)
    return Grouped(np.arange(12) + 100 * seed, rng.integers(0, 3, 12), x_VN)


@pytest.fixture(scope="module")
def sources() -> Sources:
    images: Any = {"train": pixels(1), "val": pixels(2, views=2), "test": pixels(3, views=2)}
    return Sources({}, CLASSES, images, FACTS, None)


@pytest.fixture(scope="module")
def members() -> dict[Key, MemberFile]:
    """The second rate is better over both seeds, though one seed of the first is best of all."""
    scores = dict(zip(member_keys(SETTINGS), [0.9, 0.1, 0.6, 0.7], strict=True))
    return {
        key: MemberFile(
            build_network(FACTS, SETTINGS, 3, place, None).trained.state_dict(),
            score,
            {"train_loss": [1.0, 0.5], "val_score": [0.0, score]},
            {"micro_batch": 4 + place},
        )
        for place, (key, score) in enumerate(scores.items())
    }


@pytest.fixture(scope="module")
def choice(members: dict[Key, MemberFile], sources: Sources) -> Choice:
    return choose_network(members, SETTINGS, sources, CPU)


@torch.no_grad()
def expected_logits(members: dict[Key, MemberFile], key: Key, images: HeldImages) -> NDArray[np.float64]:
    """Logits of the mean over the views of plain PyTorch's probabilities."""
    model = build_network(FACTS, SETTINGS, 3, 0, None).trained.eval()
    model.load_state_dict(members[key].tensors)
    mean, std = (torch.tensor(FACTS["data_config"][name]).view(1, 3, 1, 1) for name in ("mean", "std"))  # type: ignore[index]
    views = [model((torch.from_numpy(x_N) / 255 - mean) / std).double().numpy() for x_N in images.x_VN]
    return np.log(np.mean([softmax(logits_NC, 1) for logits_NC in views], 0))


def test_the_setting_with_the_best_mean_over_its_seeds_is_chosen(choice: Choice) -> None:
    assert choice.head.fitted.chosen == {"learning_rate": 0.01, "weight_decay": 0.0}
    assert choice.members == [(0.01, 0.0, 3), (0.01, 0.0, 5)]
    assert choice.head.fitted.history["val_score"] == pytest.approx([0.5, 0.65])
    assert choice.head.fitted.curves["val_score"].shape == (2, 2, 2)  # epochs, settings, seeds
    np.testing.assert_allclose(choice.head.fitted.curves["val_score"][1], [[0.9, 0.1], [0.6, 0.7]])
    assert choice.network.micro_batch == 6


def test_its_figures_are_those_of_plain_pytorch(
    choice: Choice, members: dict[Key, MemberFile], sources: Sources
) -> None:
    test: Any = sources.images["test"]
    expected = np.stack([expected_logits(members, key, test) for key in choice.members])
    found = choice.head.logits_RNC["test"]
    np.testing.assert_allclose(softmax(found, -1), softmax(expected, -1), atol=1e-5)
    accuracy = np.mean([accuracy_score(test.label_N, logits_NC.argmax(1)) for logits_NC in expected])
    assert choice.head.figures["test"]["accuracy"].value == pytest.approx(accuracy)


def test_what_is_saved_is_a_run_like_that_of_a_head_and_predicts_the_same(
    tmp_path: Path, choice: Choice, sources: Sources
) -> None:
    store = tmp_path / "features" / "pixels~16.zarr"
    write_atomic(seal_file(store), fake_seal(images=36, invalid=[]))
    group, checkpoint = tmp_path / "heads/pixels.zarr/cnn", tmp_path / "checkpoints/pixels/cnn.safetensors"
    save_network(choice, {"identity": FeatureStore(store, {})}, group, checkpoint)
    write_run(tmp_path / "runs/pixels/cnn.json", 1.0, "cpu", members=[])
    (run,) = find_runs(tmp_path)
    assert run == run_of(tmp_path / "runs/pixels/cnn.json")
    assert run.is_current and run.seal["images"] == 36 and run.steps == {}
    assert run.facts["settings"]["kind"] == "network" and run.facts["settings"]["pool"] == "all"
    network = read_network(checkpoint)
    test: Any = sources.images["test"]
    both_views = test.x_VN.reshape(-1, *test.x_VN.shape[2:])
    np.testing.assert_array_equal(network.logits(both_views, views=2), choice.head.logits_RNC["test"])
    temperatures = np.array(choice.head.temperatures)[:, None, None]
    expected = softmax(choice.head.logits_RNC["test"].astype(np.float64) / temperatures, -1).mean(0)
    np.testing.assert_allclose(network.probabilities(both_views, views=2), expected, atol=1e-9)


def test_trainings_that_all_diverged_are_refused(members: dict[Key, MemberFile], sources: Sources) -> None:
    lost = {key: MemberFile(member.tensors, np.nan, member.curves, member.facts) for key, member in members.items()}
    with pytest.raises(UnchokeError, match="lower its learning_rates"):
        choose_network(lost, SETTINGS, sources, CPU)
