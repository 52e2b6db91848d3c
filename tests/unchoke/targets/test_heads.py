"""Which heads stand on which encoders, what they wait for, and what their results depend on."""

from small_configs import MASK_HEADS, image_config, mask_config, taught_config

from unchoke.targets.heads import (
    head_places,
    head_settings,
    head_stores,
    mask_head_flags,
    mask_head_inputs,
    mask_head_settings,
    trained_places,
)

WEIGHTS = "resources/weights/test_resnet.pretrained"


def test_a_head_stands_on_the_encoders_that_it_names_or_on_all():
    places = [("b0", "all"), ("vit", "all"), ("vit", "turned")]
    assert head_places(image_config()) == trained_places(image_config()) == places
    assert head_places(image_config(heads={})) == []


def test_heads_on_pixels_stand_beside_those_on_maps():
    assert head_places(mask_config()) == [("tiny", "linear"), ("pixels", "unet")]
    assert head_places(mask_config(segment={"heads": ["unet"]})) == [("pixels", "unet")]
    named = {"linear": {"kind": "linear", "encoders": ["tiny"]}}
    assert head_places(mask_config(mask_heads=named)) == [("tiny", "linear")]


def test_where_a_teacher_segments_no_head_is_trained():
    config = taught_config(segment={"head": "teacher"})
    assert (head_places(config), trained_places(config)) == ([("teacher", "teacher")], [])
    assert len(trained_places(taught_config())) == len(MASK_HEADS) + 1


def test_a_head_waits_for_every_view_that_it_reads_once():
    stems = ["<results>/features/vit@hflip", "<results>/features/vit"]
    assert head_stores(image_config(), "vit", "turned") == {
        "metadata": [f"{stem}.zarr/zarr.json" for stem in stems],
        "seals": [f"{stem}.sealed.json" for stem in stems],
    }


def test_the_encoders_of_a_head_do_not_touch_its_result():
    config = image_config()
    assert "encoders" not in head_settings(config, "turned")
    assert head_settings(config, "turned").keys() | {"encoders"} == config["heads"]["turned"].keys()


def test_a_mask_head_depends_on_the_figure_that_chooses_and_on_distilling_where_it_does():
    config = taught_config(evaluation={"mask_metric": "mean_iou_in_truth"})
    linear, student = (mask_head_settings(config, head) for head in ("linear", "student"))
    assert linear["choose_by"] == student["choose_by"] == "mean_iou_in_truth"
    assert ("distil" in linear, "distil" in student) == (False, True)
    assert not {"encoders"} & (linear.keys() | student.keys())


def test_a_mask_head_reads_maps_and_encoder_or_pixels_and_its_teacher():
    config = taught_config()
    tiny, teacher = "<results>/features/tiny", "<results>/features/teacher"
    maps = {
        "weights": f"{WEIGHTS}.safetensors",
        "card": f"{WEIGHTS}.json",
        "metadata": f"{tiny}.zarr/zarr.json",
        "seal": f"{tiny}.sealed.json",
    }
    answers = {
        "teacher": f"{teacher}.zarr/zarr.json",
        "teacher_seal": f"{teacher}.sealed.json",
        "teacher_quarantine": "<results>/quarantine/teacher.json",
    }
    assert mask_head_inputs(config, "tiny", "linear") == maps
    assert mask_head_inputs(config, "tiny", "student") == maps | answers
    assert mask_head_inputs(config, "pixels", "unet") == {}


def test_a_mask_heads_command_is_told_what_there_is():
    config = taught_config()
    files = mask_head_inputs(config, "tiny", "student")
    assert mask_head_flags(config, "pixels", "unet", {}) == []
    assert mask_head_flags(config, "tiny", "student", files) == [
        *("--store", "<results>/features/tiny.zarr"),
        *("--weights", f"{WEIGHTS}.safetensors", "--card", f"{WEIGHTS}.json", "--strides", "4", "8"),
        *("--teacher", "<results>/features/teacher.zarr"),
    ]
