"""Feature maps of a stride are the deepest that timm itself gives for it."""

import numpy as np
import pytest
import timm
import torch

from unchoke.encoders.maps import feature_maps, find_maps
from unchoke.errors import UnchokeError

CONVOLUTIONAL = ["test_resnet", "resnet10t", "test_efficientnet", "test_convnext"]
X = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


def model_of(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0).eval()


@pytest.mark.parametrize("name", CONVOLUTIONAL)
@torch.inference_mode()
def test_maps_are_those_of_timms_network_of_features(name: str) -> None:
    """timm cuts its networks of features in another way: by their layers' names, the last layer of each stride."""
    model, own = model_of(name), timm.create_model(name, features_only=True).eval()
    own.load_state_dict(dict(zip(own.state_dict(), model.state_dict().values(), strict=False)))  # it has no last layers
    strides = own.feature_info.reduction()
    expected = dict(zip(strides, own(X), strict=True))
    for asked in (strides, strides[1:3], strides[::-1], [8]):
        found = feature_maps(model, X, find_maps(model, asked))
        assert list(found) == [f"s{stride}" for stride in asked]
        for stride in asked:
            assert found[f"s{stride}"].shape[-2:] == (64 // stride, 96 // stride)
            np.testing.assert_allclose(found[f"s{stride}"], expected[stride], rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_of_a_transformers_blocks_the_last_is_taken_normed_as_its_output() -> None:
    model = timm.create_model("test_vit", num_classes=0, img_size=64).eval()
    places = find_maps(model, [16])
    assert places == {"s16": 5}
    (found,) = feature_maps(model, X[..., :64], places).values()
    tokens = model.forward_features(X[..., :64])[:, model.num_prefix_tokens :]
    np.testing.assert_allclose(found, tokens.transpose(1, 2).reshape(found.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_no_map_stands_for_two_strides(name: str) -> None:
    places = find_maps(model_of(name), [4, 8, 16, 32])
    assert len(set(places.values())) == 4


@pytest.mark.parametrize(
    ("name", "stride", "known"),
    [("test_resnet", 3, "2, 4, 8, 16, 32"), ("test_vit", 8, "16"), ("test_convnext", 2, "4, 8, 16, 32")],
)
def test_a_stride_that_a_model_lacks_is_answered_with_those_that_it_has(name: str, stride: int, known: str) -> None:
    with pytest.raises(UnchokeError, match=rf"(?s)no feature map of this stride.*stride {stride}\n.*one of {known}\n"):
        find_maps(model_of(name), [stride])


def test_a_model_that_gives_no_maps_is_named() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)none: timm gives no maps of it.*Linear"):
        find_maps(torch.nn.Linear(2, 2), [4])
    assert find_maps(torch.nn.Linear(2, 2), []) == {}
