"""Networks taken away: predictions from pictures are those that the run has written."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trained_networks import GIVEN, TrainedRun

import unchoke
from unchoke.errors import UnchokeError
from unchoke.heads.checkpoint import read_checkpoint
from unchoke.networks.checkpoint import TrainedNetwork, read_network

NAMES = list(GIVEN)


@pytest.fixture(autouse=True)
def in_its_folder(run: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run.folder)


@pytest.mark.parametrize("name", NAMES)
def test_predictions_are_the_runs_own(run: TrainedRun, name: str) -> None:
    """To 1e-5, also of probabilities that no temperature brings together."""
    network = read_network(run.checkpoint(name))
    plain = replace(network, temperatures=[1.0] * len(network.replicates))
    for which, calibrated in ((run.checkpoint(name), True), (network, True), (plain, False)):
        ids, expected_NC = run.written(name, calibrated=calibrated)
        found = unchoke.predict([run.path(i) for i in ids], which, device="cpu", image_ids=ids)
        np.testing.assert_allclose(found.probabilities_NC, expected_NC, rtol=0, atol=1e-5)
        assert len(ids) > 2
    assert found.labels == [found.classes[place] for place in expected_NC.argmax(1)]
    assert found.classes == ["0", "1"] and not any(found.reasons)


def test_all_pictures_come_through_and_a_broken_one_has_its_reason(run: TrainedRun) -> None:
    """More than a chunk, among them one that cannot be read: each as it is alone."""
    paths = [run.path(i) for i in range(len(run.manifest))]
    for name in ("cut", "cnn"):
        together = unchoke.predict(paths, run.checkpoint(name), device="cpu")
        assert [place for place, reason in enumerate(together.reasons) if reason] == [6]
        assert np.isnan(together.probabilities_NC[6]).all() and together.labels[6] is None
        for place in (0, 5, 9):
            alone = unchoke.predict(paths[place], run.checkpoint(name), device="cpu")
            np.testing.assert_allclose(alone.probabilities_NC[0], together.probabilities_NC[place], atol=1e-5)
    assert unchoke.predict([], run.checkpoint("cut"), device="cpu").probabilities_NC.shape == (0, 2)


@pytest.mark.parametrize(("name", "store"), [("cut", "vit~last1"), ("cnn", "pixels~32")])
def test_a_network_takes_what_its_store_has(run: TrainedRun, name: str, store: str) -> None:
    network = unchoke.load_head(run.checkpoint(name))
    assert isinstance(network, TrainedNetwork)
    x = unchoke.open_features(f"features/{store}.zarr").features("pixels" if name == "cnn" else "activations")[:4]
    one = replace(network, settings={**network.settings, "test_views": ["identity"]})
    found = unchoke.predict([run.path(i) for i in range(4)], one, device="cpu").probabilities_NC
    np.testing.assert_allclose(network.probabilities(x), found, atol=1e-5)
    assert network.logits(x).shape == (len(network.replicates), 4, 2)


def test_weights_are_asked_for_where_a_part_is_frozen(
    run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("whole", "cnn"):
        assert unchoke.predict(run.path(0), run.checkpoint(name), device="cpu").labels[0] is not None
    for name in ("cut", "again"):
        checkpoint = run.checkpoint(name)
        with pytest.raises(UnchokeError, match=r"(?s)weights of the network's encoder.*found: +nothing.*test_.*sha256"):
            unchoke.predict(run.path(0), checkpoint, device="cpu")
        assert unchoke.predict(run.path(0), checkpoint, run.weights(name), device="cpu").labels[0] is not None
    with pytest.raises(UnchokeError, match=r"(?s)frozen part.*no such file"):
        unchoke.load_head(run.checkpoint("again")).probabilities(np.zeros((1, 3, 32, 32), np.uint8))


def test_another_version_cut_or_number_of_classes_is_refused(run: TrainedRun) -> None:
    cut, cnn = (read_network(run.checkpoint(name)) for name in ("cut", "cnn"))
    wrong = [
        (replace(cut, encoder={**cut.encoder, "version": 0}), "features of another version"),
        (replace(cnn, encoder={**cnn.encoder, "version": 0}), "pixels of another version"),
        (
            replace(cut, encoder={**cut.encoder, "boundary": "stem"}),
            "(?s)cut at another place.*expected: +boundary stem",
        ),
        (replace(cut, classes=["a", "b", "c"]), "(?s)does not fit its network.*last1 of test_vit for 3 classes"),
    ]
    for network, message in wrong:
        with pytest.raises(UnchokeError, match=message):
            unchoke.predict(run.path(0), network, device="cpu")


def test_a_head_is_no_network_and_a_network_no_head(run: TrainedRun, tmp_path: Path) -> None:
    with pytest.raises(UnchokeError, match=r"(?s)holds no head.*kind network"):
        read_checkpoint(run.checkpoint("cut"))
    for data in (b"", run.checkpoint("cut").read_bytes()[:-1], run.weights("cut").read_bytes()):
        (tmp_path / "other.safetensors").write_bytes(data)
        with pytest.raises(UnchokeError, match="holds no head of Unchoke"):
            unchoke.load_head(tmp_path / "other.safetensors")
