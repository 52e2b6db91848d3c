"""What a run makes of networks: a training for every setting and seed, results as heads have them, and caches."""

from pathlib import Path

from unchoke.config.load import load_config
from unchoke.targets.memory import cache_mb
from unchoke.targets.networks import network_members, network_places
from unchoke.targets.results import finished_runs, receipts, report_files
from unchoke.targets.stores import feature_stores, stores
from unchoke.targets.untried import untried_encoders

TINY = {"model": "test_resnet", "weights": "untrained", "image_size": 32}
LAST = {"encoder": "tiny", "blocks": 2, "learning_rates": [0.1, 0.01], "seeds": [0, 3]}
CONFIG = load_config(
    {
        "encoders": {"tiny": TINY},
        "heads": {},
        "networks": {"last": LAST, "cnn": {"model": "small_cnn", "image_size": 24}},
        "chunks_per_shard": 4,
    }
)


def test_a_network_is_trained_with_every_setting_and_seed() -> None:
    assert network_places(CONFIG) == [("tiny", "last"), ("pixels", "cnn")]
    members = [f"rate{rate}_decay0.0_seed{seed}" for rate in (0.1, 0.01) for seed in (0, 3)]
    assert network_members(CONFIG, "last") == members
    assert receipts(CONFIG)["train_member/last"] == members


def test_a_network_has_the_results_of_a_head_and_its_steps() -> None:
    assert finished_runs(CONFIG) == [
        f"<results>/heads/{place}/zarr.json" for place in ("tiny.zarr/last", "pixels.zarr/cnn")
    ]
    assert {f"<results>/report/pixels/cnn/{name}.png" for name in ("steps", "mistakes")} <= set(report_files(CONFIG))
    found = receipts(CONFIG)
    assert found["plan_network"] == found["choose_network"] == ["last", "cnn"]
    assert found["draw_steps/tiny"] == ["last"] and "plan_caches" in found[""]


def test_caches_are_stores_beside_features() -> None:
    assert feature_stores(CONFIG) == ["tiny", "tiny~last2", "pixels~24"]
    store = stores(CONFIG)["features/tiny~last2"]
    assert store.array_files([7]) == ["<results>/features/tiny~last2.zarr/activations/c/7/0/0/0"]
    assert list(store.numbers(9)) == [0, 1, 2]


def test_an_encoder_is_asked_for_its_cuts_until_they_are_stored(tmp_path: Path) -> None:
    assert untried_encoders(CONFIG, tmp_path)["tiny"]["blocks"] == [2]


def test_a_chunk_of_a_cache_takes_six_bytes_for_two(tmp_path: Path) -> None:
    sizes = tmp_path / "caches.json"
    sizes.write_text('{"pixels~24": {"shape": [3, 512, 512]}}')
    assert (
        cache_mb(None, sizes, "pixels~24", 64) - cache_mb(None, sizes, "pixels~24", 0) == 12 * 3 * 512**2 * 64 // 2**20
    )
