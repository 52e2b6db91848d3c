"""Files of weights: one for all encoders with the same weights."""

from unchoke.targets.weights import encoder_weights, local_weights, weights_files, weights_name


def name_of(model, weights, seed=0):
    return weights_name({"model": model, "weights": weights, "seed": seed})


def test_encoders_share_a_file_of_weights_where_their_weights_are_the_same_and_nowhere_else():
    settings = [("a", "pretrained"), ("b", "pretrained"), ("a", "untrained"), ("a", "x/w.pt"), ("a", "y/w.pt")]
    names = [name_of(model, weights) for model, weights in settings]
    assert len(set(names)) == len(names)
    assert name_of("a", "pretrained", 0) == name_of("a", "pretrained", 1)
    assert name_of("a", "untrained", 0) != name_of("a", "untrained", 1)
    assert name_of("a", "packaged", 0) == name_of("a", "packaged", 1) not in names
    assert "/" not in name_of("hf-hub:timm/a", "x/w.pt")


def test_weights_lie_beside_their_card():
    encoder = {"model": "b0", "weights": "untrained", "seed": 3}
    files = {
        "weights": "resources/weights/b0.untrained-3.safetensors",
        "card": "resources/weights/b0.untrained-3.json",
    }
    assert encoder_weights(encoder) == weights_files("b0.untrained-3") == files


def test_only_a_path_is_a_file_to_wait_for():
    assert local_weights({"weights": "w.pt"}) == ["w.pt"]
    assert [local_weights({"weights": origin}) for origin in ("pretrained", "packaged", "untrained")] == [[], [], []]
