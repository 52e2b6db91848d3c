"""The small network is one of timm's: made by name, parted into features and head, and small."""

import pytest
import timm
import torch
from timm.optim import create_optimizer_v2

from unchoke.networks import small_cnn
from unchoke.networks.layers import batch_norms

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("size", [(96, 96), (17, 40), (8, 8)])
def test_it_sees_any_size_and_its_parts_are_the_whole(size: tuple[int, int]) -> None:
    model = timm.create_model("small_cnn", num_classes=5).eval()
    x = torch.randn(2, 3, *size)
    features = model.forward_features(x)
    assert features.shape[:2] == (2, model.num_features)
    pooled = model.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.mean((2, 3)))
    torch.testing.assert_close(model(x), torch.nn.functional.linear(pooled, model.fc.weight, model.fc.bias))
    assert model(x).shape == (2, 5)


def test_without_classes_it_gives_features_and_it_has_timms_settings() -> None:
    model = timm.create_model(small_cnn.SMALL_CNN, num_classes=0).eval()
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 256)
    data = timm.data.resolve_model_data_config(model)
    assert (data["mean"], data["std"], data["crop_pct"]) == ((0.5,) * 3, (0.5,) * 3, 1.0)
    assert len(batch_norms(model)) == 4
    groups = create_optimizer_v2(model, "adamw", 1e-3, layer_decay=0.5).param_groups
    assert sorted({group["lr_scale"] for group in groups}) == [0.125, 0.25, 0.5, 1.0]
