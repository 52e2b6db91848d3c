"""How far an output sees: textbook formulas, networks that see everything, and what the halo is good for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from timm import create_model
from torch import nn

from unchoke.mask_heads.head import kind_of
from unchoke.mask_heads.kinds import unet
from unchoke.mask_heads.receptive_field import measure_radius_px, whole_patch_layers

pytestmark = pytest.mark.usefixtures("one_thread")


# --- formulas


def textbook(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Radius of the receptive field of a stack of padded convolutions (Araujo et al. 2019), and its stride, px."""
    radius, stride = 0, 1
    for kernel, step in zip(kernels, strides, strict=True):
        radius += stride * (kernel // 2)
        stride *= step
    return radius, stride


@settings(max_examples=10)
@given(st.lists(st.sampled_from([1, 3, 5, 7]), min_size=1, max_size=4))
def test_a_stack_of_convolutions_sees_the_sum_of_its_radii(kernels: list[int]) -> None:
    inputs = [3, *[2] * (len(kernels) - 1)]
    layers = [nn.Conv2d(width, 2, k, padding=k // 2) for width, k in zip(inputs, kernels, strict=True)]
    assert measure_radius_px(nn.Sequential(*layers), 1, 32) == textbook(kernels, [1] * len(kernels))[0]


@pytest.mark.parametrize("dilation", [2, 3])
def test_a_dilated_convolution_sees_further(dilation: int) -> None:
    assert measure_radius_px(nn.Conv2d(3, 1, 3, padding=dilation, dilation=dilation), 1, 32) == dilation


def enlarged_radius(radius: int, stride: int) -> int:
    """Of features of this radius that are enlarged bilinearly to pixels.

    Feature i looks from pixel stride · i, the first of its cell. It has a weight in all pixels whose centre is nearer
    than a stride to that of the cell, the last of which is stride · i + 3 · stride / 2 - 1.
    """
    return radius + stride + stride // 2 - 1


# resnet18: a 7×7 of stride 2, a 3×3 maximum of stride 2, then 3×3s: four of stride 4, four of which the first has
# stride 2 and the others are of stride 8
RESNET18 = {1: ([7, 3, *[3] * 4], [2, 2, *[1] * 4]), 2: ([7, 3, *[3] * 8], [2, 2, *[1] * 4, 2, 1, 1, 1])}


@pytest.mark.parametrize("level", [1, 2])
def test_resnet18_sees_what_its_layers_add_up_to(level: int) -> None:
    model = create_model("resnet18", pretrained=False).eval()
    radius, stride = textbook(*RESNET18[level])
    assert (radius, stride) == {1: (21, 4), 2: (49, 8)}[level]

    def forward(x: torch.Tensor) -> torch.Tensor:
        (features,) = model.forward_intermediates(x, indices=[level], intermediates_only=True)
        return nn.functional.interpolate(features, scale_factor=stride, mode="bilinear", align_corners=False)

    assert measure_radius_px(forward, stride, 256) == enlarged_radius(radius, stride)


@pytest.mark.parametrize("kind", ["linear", "decoder"])
def test_a_head_on_two_strides_sees_as_far_as_the_coarser_and_its_own_convolutions(kind: str) -> None:
    model = create_model("resnet18", pretrained=False).eval()
    channels, strides = {"s4": 64, "s8": 128}, {"s4": 4, "s8": 8}
    head = kind_of({"kind": kind}).build(channels, strides, 2, {"width": 4}).eval()

    def forward(x: torch.Tensor) -> torch.Tensor:
        maps = model.forward_intermediates(x, indices=[1, 2], intermediates_only=True)
        return head(dict(zip(channels, maps, strict=True)))

    alone = enlarged_radius(49, 8)
    found = measure_radius_px(forward, 8, 288)
    assert alone <= found <= alone + {"linear": 4, "decoder": 4 + 2 * 4}[kind]


def test_the_u_net_sees_less_than_a_halo_of_32_px() -> None:
    model = unet.build({"pixels": 3}, {"pixels": 1}, 2, {"width": 4}).eval()
    found = measure_radius_px(lambda x: model({"pixels": x}), 4, 128)
    assert 2 + 4 + 8 + 4 + 2 < found <= 32


# --- networks that see the whole patch


class Squeeze(nn.Module):
    """Squeeze-and-excite: every channel times a function of its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Hardsigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weigh(x.mean((2, 3), keepdim=True))


@pytest.mark.parametrize(
    "model",
    [Squeeze(), nn.InstanceNorm2d(3), nn.GroupNorm(1, 3), create_model("mobilenetv3_small_050", features_only=True)],
    ids=["squeeze-and-excite", "instance norm", "group norm", "mobilenetv3"],
)
def test_what_looks_at_the_whole_patch_has_no_bounded_receptive_field(model: nn.Module) -> None:
    model.eval()

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = model(x)
        y = y[2] if isinstance(y, list) else y
        return nn.functional.interpolate(y, x.shape[-2:], mode="bilinear")

    assert measure_radius_px(forward, 1, 64, 256) is None


def test_attention_has_no_bounded_receptive_field() -> None:
    model = create_model("vit_tiny_patch16_224", pretrained=False, img_size=64, depth=1).eval()

    def forward(x: torch.Tensor) -> torch.Tensor:
        (features,) = model.forward_intermediates(x, indices=[0], intermediates_only=True)
        return nn.functional.interpolate(features, x.shape[-2:], mode="bilinear")

    assert measure_radius_px(forward, 16, 64, 64) is None


def test_the_input_grows_until_it_is_large_enough() -> None:
    sizes = []
    wide = nn.Conv2d(3, 1, 41, padding=20)

    def forward(x: torch.Tensor) -> torch.Tensor:
        sizes.append(x.shape[-1])
        return wide(x)

    assert measure_radius_px(forward, 1, 32, 256) == 20
    assert sizes == [32, 64, 128]
    assert measure_radius_px(forward, 1, 32, 64) is None


def test_layers_with_statistics_of_the_patch_are_named() -> None:
    layers = {
        "batch": nn.BatchNorm2d(4),
        "instance": nn.InstanceNorm2d(4),
        "running": nn.InstanceNorm2d(4, track_running_stats=True),
        "group": nn.Sequential(nn.GroupNorm(2, 4)),
    }
    assert whole_patch_layers(nn.ModuleDict(layers)) == ["instance", "group.0"]


# --- receptive field and halo

SIZE, HEIGHT, WIDTH = 32, 61, 75


def reflected(image_HWC: NDArray[np.float32], step: int, overlap: int) -> NDArray[np.float32]:
    """The image out to the end of its last patches."""
    ends = [(max(1, -(-(side - overlap) // step)) - 1) * step + SIZE - side for side in image_HWC.shape[:2]]
    return np.pad(image_HWC, [*((0, max(0, end)) for end in ends), (0, 0)], mode="reflect")


def whole_and_stitched(model: nn.Module, overlap: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (H, W, K) of the whole reflected image, and those of its patches without their halos."""
    rng = np.random.default_rng(0)
    step, halo = SIZE - overlap, overlap // 2
    image = reflected(rng.random((HEIGHT, WIDTH, 3), dtype=np.float32), step, overlap)

    def predict(part_HWC: NDArray[np.float32]) -> NDArray[np.float32]:
        x = torch.from_numpy(part_HWC.transpose(2, 0, 1)[None].copy())
        with torch.inference_mode():
            return model({"pixels": x})[0].numpy().transpose(1, 2, 0)

    whole = predict(image)
    stitched = np.full_like(whole, np.nan)
    for y0 in range(0, image.shape[0] - overlap, step):
        for x0 in range(0, image.shape[1] - overlap, step):
            patch = predict(image[y0 : y0 + SIZE, x0 : x0 + SIZE])
            top, left = (0 if start == 0 else halo for start in (y0, x0))
            bottom, right = (
                SIZE if start + SIZE >= end else step + halo
                for start, end in zip((y0, x0), image.shape[:2], strict=True)
            )
            stitched[y0 + top : y0 + bottom, x0 + left : x0 + right] = patch[top:bottom, left:right]
    return whole[:HEIGHT, :WIDTH], stitched[:HEIGHT, :WIDTH]


class Small(nn.Module):
    """Batch norm with running statistics, a step down by 2, and back."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 2, 3, padding=1),
            nn.Upsample(scale_factor=2, mode="bilinear"),
        )

    def forward(self, maps: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.layers(maps["pixels"])


@pytest.fixture
def small() -> nn.Module:
    torch.manual_seed(0)
    model = Small()
    with torch.no_grad():
        model({"pixels": torch.rand(2, 3, 16, 16)})  # running statistics that are not 0 and 1
    return model.eval()


def test_patches_show_unless_the_halo_holds_the_receptive_field(small: nn.Module) -> None:
    radius_px = measure_radius_px(lambda x: small({"pixels": x}), 2, SIZE)
    assert radius_px == 5
    whole, stitched = whole_and_stitched(small, 2 * radius_px)
    np.testing.assert_allclose(stitched, whole, rtol=1e-5, atol=1e-5)
    whole, stitched = whole_and_stitched(small, 4)
    assert np.abs(stitched - whole).max() > 1e-3


def test_batch_norm_in_training_has_no_bounded_receptive_field(small: nn.Module) -> None:
    assert measure_radius_px(lambda x: small.train()({"pixels": x}), 2, SIZE, 64) is None
