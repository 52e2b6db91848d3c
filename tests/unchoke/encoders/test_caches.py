"""How large a cache will be, from shapes alone, and what is said where it is too large."""

import pytest

from unchoke.encoders.caches import plan_caches, refuse_large, size_of
from unchoke.errors import UnchokeError


def request(**changes: object) -> dict[str, object]:
    asked = {"model": "resnet18", "image_size": 64, "blocks": 2, "dtype": "float16", "views": ["identity", "hflip"]}
    return {**asked, "networks": ["net", "other"], "limit_gb": 1.0, **changes}


@pytest.mark.parametrize(
    ("changes", "shape", "size"),
    [
        ({}, (256, 4, 4), 256 * 16 * 2 * 2),
        ({"dtype": "float32", "views": ["identity"]}, (256, 4, 4), 256 * 16 * 4),
        ({"blocks": 0, "dtype": "uint8", "views": ["identity"]}, (3, 64, 64), 3 * 64 * 64),
        ({"blocks": 0, "dtype": "uint8", "views": ["identity"], "image_size": None}, (3, 224, 224), 3 * 224 * 224),
        (
            {"model": None, "blocks": 0, "dtype": "uint8", "views": ["identity"], "image_size": 24},
            (3, 24, 24),
            3 * 24 * 24,
        ),
    ],
)
def test_a_size_is_that_of_all_numbers(changes: dict[str, object], shape: tuple[int, ...], size: int) -> None:
    """ResNet-18 halves 64 px four times before its last two blocks, which see 256 channels."""
    found = size_of(request(**changes), 1000)
    assert found.shape == shape and found.bytes == 1000 * size


def test_what_is_larger_than_allowed_is_refused_with_the_ways_out(capsys: pytest.CaptureFixture[str]) -> None:
    size = size_of(request(), 100_000)  # 1.64 GB
    small = {"tiny~last2": request(limit_gb=2.0), "tiny~pixels": request(limit_gb=None)}
    assert plan_caches(small, 100_000) == dict.fromkeys(small, size)
    assert capsys.readouterr().out.count("1.64 GB (100,000 images × 2 views × 256 × 4 × 4 float16)") == 2
    said = r"(?s)tiny~last2.*1\.64 GB.*100,000 images.*2 views.*1 GB.*networks\.net\.cache_gb, shared by other"
    with pytest.raises(UnchokeError, match=rf"{said}.*fewer train_views.*cache: none"):
        refuse_large("tiny~last2", request(), size)


def test_blocks_that_there_are_not_are_refused_with_those_there_are() -> None:
    with pytest.raises(UnchokeError, match=r"(?s)blocks: 40.*1 to 8"):
        size_of(request(blocks=40), 1)
