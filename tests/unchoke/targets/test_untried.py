"""Encoders are asked what they can do until a run has planned their memory and stored every array."""

import shutil

import pytest
from small_configs import image_config, mask_config

from unchoke.signed import signed_bytes
from unchoke.targets.untried import untried_encoders

B0 = {"model": "efficientnet_b0", "strides": [], "image_size": None, "pools": ["avg", "max"]}


def plan(results, name, model, image_size):
    (results / "plans").mkdir(exist_ok=True)
    (results / f"plans/{name}.json").write_text("{}")
    peaks = {"peaks_mb": {}, "model": model, "image_size": image_size}
    (results / f"plans/{name}.peaks.json").write_bytes(signed_bytes(peaks))


@pytest.fixture
def tried(tmp_path):
    """Results of b0 alone, and of vit in the first of its views."""
    plan(tmp_path, "b0", "efficientnet_b0", 224)
    plan(tmp_path, "vit", "vit", 224)
    for array in ("b0.zarr/avg", "b0.zarr/max", "vit@hflip.zarr/avg"):
        (tmp_path / "features" / array).mkdir(parents=True)
    return tmp_path


def test_what_was_planned_and_stored_is_not_asked_again(tried):
    assert untried_encoders(image_config(), tried) == {}


def test_without_results_every_encoder_is_asked_for_all_of_it(tmp_path):
    found = untried_encoders(image_config(), tmp_path)
    assert (list(found), found["b0"]) == (["b0", "vit"], B0)


def test_an_array_that_is_not_stored_is_asked_for(tried):
    shutil.rmtree(tried / "features/b0.zarr/max")
    assert untried_encoders(image_config(), tried) == {"b0": B0}


@pytest.mark.parametrize("change", [{"model": "resnet"}, {"image_size": 64}])
def test_another_model_or_image_size_than_the_planned_one_is_asked(tried, change):
    config = image_config()
    config["encoders"]["b0"] |= change
    assert untried_encoders(config, tried) == {"b0": B0 | change}


def test_a_damaged_plan_is_none(tried):
    (tried / "plans/b0.peaks.json").write_text("{}")
    assert list(untried_encoders(image_config(), tried)) == ["b0"]


def test_encoders_of_masks_see_patches_and_have_no_pools(tmp_path):
    expected = {"model": "test_resnet", "strides": [4, 8], "image_size": 64, "pools": []}
    assert untried_encoders(mask_config(), tmp_path) == {"tiny": expected}
