"""Class tokens are told from places in every family of timm that has them, also where timm does not count them."""

import numpy as np
import pytest
import timm
import torch

from unchoke.encoders.pools.pool import feature_map, find_pool
from unchoke.errors import UnchokeError

# Model: side of the picture, px; tokens that are none of places; places along a side of its last map.
TOKENS = {
    "volo_d1_224": (224, 1, 14),
    "coat_lite_tiny": (224, 1, 7),
    "xcit_nano_12_p16_224": (224, 1, 14),
    "cait_xxs24_224": (224, 1, 14),
    "convit_tiny": (224, 1, 14),
    "deit_tiny_distilled_patch16_224": (224, 2, 14),
    "mvitv2_small_cls": (224, 1, 7),
    "vit_tiny_patch16_dinov3_qkvb": (256, 5, 16),
    "test_vit": (160, 1, 10),
}
TOKEN_ALONE = ("pit_ti_224", "pit_ti_distilled_224")
SEVERAL = {"coat_tiny": 224, "crossvit_tiny_240": 240}


def encoded(name, side):
    """A model that timm has drawn, and what it says of a picture."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0).eval()
    with torch.inference_mode():
        return model, model.forward_features(torch.rand(1, 3, side, side))


def pooled(name, model, raw):
    with torch.inference_mode():
        return find_pool(name, model)(feature_map(model, raw)).numpy()


@pytest.mark.parametrize("name", TOKENS)
def test_a_pool_of_places_leaves_the_tokens_out(name):
    side, tokens, across = TOKENS[name]
    model, raw = encoded(name, side)
    assert raw.shape[1] == tokens + across**2
    places = raw.double().numpy()[:, tokens:]
    np.testing.assert_allclose(pooled("avg", model, raw), places.mean(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pooled("max", model, raw), places.max(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(pooled("cls", model, raw), raw[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "cait_xxs24_224", "convit_tiny", "coat_lite_tiny"])
def test_pools_are_timms_own_where_it_has_both(name):
    model, raw = encoded(name, 224)
    for pool, own in (("avg", "avg"), ("cls", "token")):
        model.global_pool = own
        with torch.inference_mode():
            expected = model.forward_head(raw, pre_logits=True)
        np.testing.assert_allclose(pooled(pool, model, raw), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", TOKEN_ALONE)
def test_an_encoder_that_gives_its_class_token_alone_has_no_pool_of_places(name):
    model, raw = encoded(name, 224)
    np.testing.assert_array_equal(pooled("cls", model, raw), raw[:, 0])
    for pool in ("avg", "max"):
        with pytest.raises(UnchokeError, match=f"(?s)no pool '{pool}'.*its class token alone"):
            pooled(pool, model, raw)


@pytest.mark.parametrize("name", SEVERAL)
def test_an_encoder_with_branches_has_its_own_pooling_alone(name):
    model, raw = encoded(name, SEVERAL[name])
    assert pooled("head", model, raw).shape == (1, model.num_features)
    for pool in ("avg", "max", "cls"):
        with pytest.raises(UnchokeError, match=rf"(?s)no pool '{pool}'.*gives \d tensors"):
            pooled(pool, model, raw)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "levit_128s"])
def test_a_class_token_that_is_not_there_is_refused_before_any_picture(name):
    with pytest.raises(UnchokeError, match="no class token"):
        find_pool("cls", timm.create_model(name, num_classes=0))
