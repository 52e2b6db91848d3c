"""What a first config proposes is a config, and fits the pictures, the images there are and the machine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.cli.proposal import compiling, image_size, propose
from unchoke.config.load import load_config

KINDS = st.sampled_from(["folder", "masks", "text"])


@given(KINDS, st.integers(1, 20_000), st.integers(0, 10**6), st.booleans(), st.booleans())
def test_every_proposal_is_a_config(kind: str, side_px: int, n_train: int, card: bool, packaged: bool) -> None:
    proposal = propose(kind, side_px, n_train, card=card, packaged=packaged)
    dataset = {"name": "d", "kind": kind, "path": "d"}
    loaded = load_config({"dataset": dataset, **proposal.sections})
    load_config(
        {"dataset": dataset, **proposal.sections, "encoders": {**proposal.sections["encoders"], **proposal.other}}
    )
    assert max(loaded["heads"]["neighbours"]["k"], default=1) <= max(1, n_train // 2) if loaded["heads"] else True
    online = {encoder["weights"] for encoder in loaded["encoders"].values()} == {"pretrained"}
    assert ("needs a network once" in proposal.why) == online


@pytest.mark.parametrize(("side", "size"), [(1, 64), (64, 64), (65, 96), (100, 128), (224, 224), (4000, 224)])
def test_an_encoder_sees_no_more_pixels_than_there_are(side: int, size: int) -> None:
    assert image_size(side) == size


def test_compiling_is_advised_where_it_can_be_done_and_images_are_many() -> None:
    [line] = compiling(20_000, "")
    assert "compile: auto" in line and "20,000 images" in line
    assert compiling(19_999, "") == compiling(10**6, "there is no C++ compiler") == []
