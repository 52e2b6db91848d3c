"""The config: closed, described, and the one origin of its schema, its defaults and its table."""

import json
from pathlib import Path
from typing import get_args

import jsonschema
import pytest
import yaml

from unchoke.config import docs
from unchoke.config.base import Section
from unchoke.config.dataset import KINDS
from unchoke.config.encoders import POOLS
from unchoke.config.heads import Head
from unchoke.config.load import load_config
from unchoke.config.model import Config
from unchoke.errors import UnchokeError
from unchoke.sources.locations import fields_of

REPOSITORY = Path(__file__).parents[3]
DEFAULTS = Config().model_dump()
EXAMPLES = sorted((REPOSITORY / "config" / "examples").glob("*.yaml"))


def subclasses(model):
    return [inner for child in model.__subclasses__() for inner in [child, *subclasses(child)]]


def sections(value, path=()):
    """The path of every section of a config, without the maps whose keys are names."""
    if isinstance(value, Section):
        yield path
        value = dict(value)
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from sections(inner, (*path, name))


def section_at(config, path):
    for name in path:
        config = config[name]
    return config


def changed(path, value):
    """The default config with the value at `path` set, or taken out where it is None."""
    config = json.loads(json.dumps(DEFAULTS))
    *way, last = path.split(".")
    if value is None:
        del section_at(config, way)[last]
    else:
        section_at(config, way)[last] = value
    return config


def error_of(config):
    with pytest.raises(UnchokeError, match="The config does not hold") as caught:
        load_config(config)
    return str(caught.value)


KEYS = [(path, key) for path in sections(Config()) for key in section_at(DEFAULTS, path)]


# --- what is written from the model


@pytest.mark.parametrize(
    ("name", "expected"),
    [(docs.SCHEMA, docs.config_schema), (docs.DEFAULTS, docs.config_defaults), (docs.TABLE, docs.config_table)],
)
def test_files_written_from_the_model_are_up_to_date(name, expected):
    assert (REPOSITORY / name).read_text() == expected(), f"{name} is stale: run `make docs`"


def test_every_key_of_every_section_is_described():
    assert not [
        f"{model.__name__}.{name}"
        for model in subclasses(Section)
        for name, field in model.model_fields.items()
        if not (field.description or "").strip()
    ]


def test_every_key_stands_in_the_table():
    table = (REPOSITORY / docs.TABLE).read_text()
    places = {("encoders", "lite0"): ("encoders", "NAME")} | {
        ("heads", name): ("heads", "NAME") for name in DEFAULTS["heads"]
    }
    keys = {".".join([*places.get(path, path), key]) for path, key in KEYS}
    assert not [key for key in keys if f"| `{key}` |" not in table]


def test_the_schema_takes_the_defaults_and_refuses_unknown_keys():
    schema = json.loads((REPOSITORY / docs.SCHEMA).read_text())
    jsonschema.validate(DEFAULTS, schema)
    for path in map(".".join, sections(Config())):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed(f"{path}.nonsense".lstrip("."), 1), schema)


def test_the_default_file_is_what_an_empty_config_gives():
    assert load_config(yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())) == load_config({})


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_hold(path):
    example = yaml.safe_load(path.read_text())
    assert load_config(example)["dataset"]["name"] == example["dataset"]["name"]


# --- defaults


def test_keys_that_a_section_leaves_out_are_filled_in():
    config = load_config(
        {
            "dataset": {"name": "pets", "kind": "folder", "path": "images", "split": {"seed": 7}},
            "encoders": {"s": {"model": "vit_small_patch14_dinov2"}},
            "heads": {"knn": {"kind": "knn"}},
        }
    )
    assert config["dataset"]["split"] == {**DEFAULTS["dataset"]["split"], "seed": 7}
    assert config["encoders"]["s"]["pools"] == ["avg"]
    assert config["heads"]["knn"] == {
        "kind": "knn",
        "pool": "avg",
        "encoders": None,
        "train_views": ["identity"],
        "test_views": ["identity"],
        "choose_by": "accuracy",
        "shots": None,
        "draws": 1,
        "k": [10, 20, 100, 200],
        "temperature": 0.07,
    }
    assert config["chunk_size"] == DEFAULTS["chunk_size"]


def test_a_loaded_config_is_plain_data_and_loads_to_itself():
    assert json.loads(json.dumps(load_config({}))) == load_config(load_config({})) == load_config({})


def test_a_run_may_stop_at_the_features():
    assert load_config({"heads": {}})["heads"] == {}


# --- wrong keys


@pytest.mark.parametrize(("path", "key"), KEYS, ids=lambda part: part if isinstance(part, str) else ".".join(part))
def test_a_misspelt_key_is_named_with_its_place_and_the_nearest(path, key):
    wrong = key + key[-1]
    message = error_of(changed(".".join([*path, wrong]), 1))
    assert f"unknown key '{wrong}': did you mean '{key}'?" in message
    assert ".".join(path) in message


def test_a_key_of_another_kind_of_head_is_unknown():
    assert "heads.logistic: unknown key 'temperature'" in error_of(changed("heads.logistic.temperature", 0.1))


@pytest.mark.parametrize(
    "path",
    ["dataset.name", "dataset.kind", "dataset.path", "encoders.lite0.model", "heads.logistic.kind"],
)
def test_a_missing_key_is_named_with_its_place(path):
    place, _, key = path.rpartition(".")
    assert f"{place}: the key '{key}' is missing" in error_of(changed(path, None))


def test_all_that_is_wrong_is_said_at_once():
    config = changed("dataset.kind", "foldr")
    config["gpu"]["devise"] = "cpu"
    assert all(part in error_of(config) for part in ("'folder'", "'device'"))


# --- wrong values


@pytest.mark.parametrize(
    ("path", "value", "nearest"),
    [
        ("dataset.kind", "foldre", "folder"),
        ("heads.logistic.kind", "logistics", "logistic"),
        ("encoders.lite0.pools", ["avgg"], "avg"),
        ("heads.logistic.pool", "maxx", "max"),
        ("encoders.lite0.precision", "float61", "float16"),
        ("heads.logistic.encoders", ["lite"], "lite0"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(path, value, nearest):
    message = error_of(changed(path, value))
    assert f"did you mean '{nearest}'?" in message
    assert path.removesuffix(".kind") in message


@pytest.mark.parametrize(
    ("path", "known"),
    [("dataset.kind", KINDS), ("encoders.lite0.pools", POOLS), ("gpu.device", ["auto", "cuda", "mps", "cpu"])],
)
def test_a_name_like_none_is_answered_with_all_of_them(path, known):
    message = error_of(changed(path, ["xyz"] if path.endswith("pools") else "xyz"))
    assert path in message
    assert all(name in message for name in known)


def test_a_head_that_reads_a_pool_its_encoder_lacks_is_told_where_to_add_it():
    message = error_of(changed("heads.neighbours.pool", "cls"))
    assert "heads.neighbours reads pool 'cls', but encoders.lite0.pools has only ['avg']" in message


def test_a_head_may_read_a_pool_that_the_encoders_it_names_have():
    config = changed("encoders.s", {"model": "vit_small_patch14_dinov2", "pools": ["cls"]})
    config["heads"] = {"tokens": {"kind": "knn", "pool": "cls", "encoders": ["s"]}}
    assert load_config(config)["heads"]["tokens"]["encoders"] == ["s"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("chunk_size", 0),
        ("chunk_size", "many"),
        ("encoders", {}),
        ("encoders.lite0.pools", []),
        ("encoders.lite0.micro_batch", 0),
        ("encoders.lite0.image_size", 7),
        ("dataset.max_bad_share", 1.1),
        ("dataset.path", ""),
        ("heads.neighbours.k", [0]),
        ("heads.neighbours.temperature", 0),
        ("heads.logistic.c", [-1.0]),
        ("decoding", "fast"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_place_and_what_was_found(path, value):
    message = error_of(changed(path, value))
    assert path in message
    assert repr(value[0] if isinstance(value, list) and value else value) in message


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a b", "a\n"])
def test_names_that_cannot_be_part_of_a_path_are_refused(name):
    for config in (changed("dataset.name", name), {"encoders": {name: DEFAULTS["encoders"]["lite0"]}}):
        assert "pattern" in error_of(config)


def test_shares_that_leave_nothing_to_train_on_are_refused():
    config = changed("dataset.split", {"val": 0.5, "test": 0.5})
    assert "dataset.split: val 0.5 and test 0.5 leave nothing to train on" in error_of(config)


@pytest.mark.parametrize(
    ("split", "sections", "parts"),
    [
        ({"repeats": 0}, {}, ["dataset.split.repeats", "greater than or equal to 1"]),
        ({"repeats": 101}, {}, ["dataset.split.repeats", "less than or equal to 100"]),
        ({"repeats": 5}, {"subset": {"fraction": 0.5}}, ["dataset.split.repeats 5: subset", "set subset to null"]),
    ],
)
def test_splits_that_cannot_be_repeated_are_refused(split, sections, parts):
    message = error_of(changed("dataset.split", split) | sections)
    assert [part for part in parts if part not in message] == []


def test_splits_are_repeated_where_nothing_speaks_against_it():
    assert load_config(changed("dataset.split", {"repeats": 5}))["dataset"]["split"]["repeats"] == 5
    assert load_config(DEFAULTS | {"subset": {"fraction": 0.5}})["dataset"]["split"]["repeats"] == 1


# --- images to label


@pytest.mark.parametrize(
    ("subset", "parts"),
    [
        ({"uncertain": 5}, ["uncertain needs a head"]),
        ({"diverse": 5, "head": "ridge"}, ["head is for uncertain"]),
        ({"uncertain": 5, "head": "rigde"}, ["subset.head: no head 'rigde'", "'ridge'"]),
        ({"diverse": 5, "encoder": "lite"}, ["subset.encoder: no encoder 'lite'", "'lite0'"]),
        ({"typical": 5, "pool": "max"}, ["subset.pool: encoders.lite0.pools has only ['avg']"]),
        ({"diverse": 5, "k": 3}, ["k is for typical, not for diverse"]),
        ({"fraction": 0.5, "encoder": "lite0"}, ["encoder is for diverse, typical, uncertain, not for fraction"]),
        ({"fraction": 0.5, "splits": ["unlabelled"]}, ["splits: heads are not trained on images without a label"]),
        ({"diverse": 0}, ["subset.diverse", "greater than or equal to 1"]),
        ({"diverse": 5, "splits": ["unlabeled"]}, ["subset.splits", "'unlabelled'"]),
    ],
)
def test_images_to_label_that_cannot_be_listed_are_refused(subset, parts):
    message = error_of(DEFAULTS | {"subset": subset})
    assert [part for part in parts if part not in message] == []


def test_numbers_have_no_margin_and_other_lists():
    dataset = {"name": "ages", "kind": "csv", "path": "ages.csv", "target": "regression"}
    config = {"dataset": dataset, "heads": {"ridge": {"kind": "ridge"}}}
    assert "subset.uncertain: is for classes" in error_of(config | {"subset": {"uncertain": 5, "head": "ridge"}})
    assert "subset: is drawn class by class" in error_of(config | {"subset": {"per_class": 5}})
    assert load_config(config | {"subset": {"diverse": 5}})["subset"]["diverse"] == 5


# --- where arrays are


def dataset_of(**section):
    return load_config({"dataset": {"name": "a", "path": "data", **section}})["dataset"]


def test_the_preset_pcam_names_the_files_that_its_authors_published():
    # The table of files in the README of github.com/basveeling/pcam.
    stem = "camelyonpatch_level_2_split_"
    assert fields_of(dataset_of(kind="hdf5", preset="pcam")) == {
        "images": {"train": f"{stem}train_x.h5:x", "val": f"{stem}valid_x.h5:x", "test": f"{stem}test_x.h5:x"},
        "labels": {"train": f"{stem}train_y.h5:y", "val": f"{stem}valid_y.h5:y", "test": f"{stem}test_y.h5:y"},
        "groups": {
            "train": f"{stem}train_meta.csv:wsi",
            "val": f"{stem}valid_meta.csv:wsi",
            "test": f"{stem}test_meta.csv:wsi",
        },
    }


def test_what_is_given_beside_a_preset_holds():
    preset = dataset_of(kind="hdf5", preset="pcam")
    images = {"train": "mine.h5:x", "valid": "b.h5:x", "testing": "c.h5:x"}
    assert dataset_of(kind="hdf5", preset="pcam", groups=None) == {**preset, "groups": None}
    found = dataset_of(kind="hdf5", preset="pcam", images=images)
    assert found == {**preset, "images": {"train": "mine.h5:x", "val": "b.h5:x", "test": "c.h5:x"}}
    assert load_config({"dataset": found})["dataset"] == found


def test_one_location_for_all_rows_stands_under_no_split():
    section = dataset_of(kind="zarr", images="a.zarr:x", labels="b/y.npy")
    assert fields_of(section) == {"images": {"": "a.zarr:x"}, "labels": {"": "b/y.npy"}}
    assert fields_of(dataset_of(kind="folder")) == {}
    json.dumps(section)


@pytest.mark.parametrize(
    ("section", "parts"),
    [
        ({"kind": "hdf5"}, ["dataset: images: the kind hdf5 needs a location"]),
        ({"kind": "npy", "images": "x.npy"}, ["dataset: labels: the kind npy needs a location"]),
        ({"kind": "folder", "labels": "y.npy"}, ["dataset: labels: is for the kinds hdf5, npy, zarr, not for folder"]),
        ({"kind": "npy", "preset": "pcam"}, ["preset: pcam is a dataset of kind hdf5, not npy"]),
        ({"kind": "hdf5", "preset": "pacm"}, ["dataset.preset", "'pcam'", "'pacm'"]),
        ({"kind": "hdf5", "images": {"trian": "a.h5:x"}, "labels": "a.h5:y"}, ["dataset.images", "'train'", "trian"]),
        (
            {"kind": "hdf5", "images": {"train": "a.h5:x", "training": "b.h5:x"}, "labels": "a.h5:y"},
            ["dataset.images: training: b.h5:x: there is a location for train already"],
        ),
        (
            {"kind": "hdf5", "images": {"train": "a.h5:x", "val": "a.h5:x"}, "labels": "a.h5:y"},
            ["dataset.images: val: a.h5:x:", "this one stands twice"],
        ),
        (
            {"kind": "hdf5", "images": {"train": "a.h5:x"}, "labels": "a.h5:y"},
            ["labels: has one location for all rows, but images has the splits train"],
        ),
        (
            {"kind": "hdf5", "preset": "pcam", "groups": {"train": "a.csv:wsi"}},
            ["groups: has the splits train, but images has the splits train, val, test"],
        ),
        (
            {"kind": "hdf5", "preset": "pcam", "split": {"group": "wsi"}},
            ["split.group: the kind hdf5 takes its groups from dataset.groups"],
        ),
        *(
            ({"kind": "hdf5", "images": location, "labels": "a.h5:y"}, ["dataset.images", repr(location)])
            for location in ("", ":x", "/data/a.h5:x", "../a.h5:x", 3, {}, ["a.h5:x"])
        ),
    ],
)
def test_locations_that_do_not_fit_are_refused(section, parts):
    message = error_of({"dataset": {"name": "a", "path": "data", **section}})
    assert [part for part in parts if part not in message] == []


# --- views and few shots


def test_a_head_that_reads_a_view_its_encoder_lacks_is_told_where_to_add_it():
    for key in ("train_views", "test_views"):
        message = error_of(changed(f"heads.neighbours.{key}", ["identity", "hflip"]))
        assert "heads.neighbours reads view 'hflip', but encoders.lite0.views has only ['identity']: add it" in message


def test_views_that_the_encoder_stores_may_be_read():
    config = changed("encoders.lite0.views", ["identity", "hflip", "crop_1"])
    config["heads"] = {"views": {"kind": "ridge", "train_views": ["identity", "crop_1"], "test_views": ["hflip"]}}
    assert load_config(config)["heads"]["views"]["train_views"] == ["identity", "crop_1"]


def test_a_misspelt_view_is_named_with_its_place():
    message = error_of(changed("encoders.lite0.views", ["identity", "hflpi"]))
    assert "encoders.lite0.views.1: unknown view 'hflpi': did you mean 'hflip'?" in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("heads.linear.shots", 0),
        ("heads.linear.draws", 0),
        ("heads.linear.seeds", [-1]),
        ("heads.linear.momentum", 1.0),
        ("heads.linear.label_smoothing", 1.0),
        ("heads.linear.learning_rates", [0.0]),
        ("heads.linear.weight_decays", [-0.1]),
        ("heads.linear.steps", 0),
        ("heads.ridge.penalty", [0.0]),
        ("evaluation.resamples", 10),
    ],
)
def test_numbers_of_heads_have_bounds(path, value):
    message = error_of(changed(path, value))
    assert path in message and "should be" in message


def whole_numbers(schema, path=()):
    """The schema of every integer that the config takes, by where it stands in the schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "integer":
            yield ".".join(path), schema
        for key, inner in schema.items():
            yield from whole_numbers(inner, (*path, str(key)))
    elif isinstance(schema, list):
        for place, inner in enumerate(schema):
            yield from whole_numbers(inner, (*path, str(place)))


WHOLE_NUMBERS = dict(whole_numbers(Config.model_json_schema()))


def test_whole_numbers_are_found_in_sections_lists_and_alternatives():
    found = " ".join(WHOLE_NUMBERS)
    assert all(key in found for key in ("chunk_size", "strides.items", "shots.anyOf", "seeds.items", "max_pixels"))


@pytest.mark.parametrize("place", WHOLE_NUMBERS)
def test_every_whole_number_has_a_largest_value_that_64_bits_hold(place):
    assert WHOLE_NUMBERS[place].get("maximum", 10**30) < 2**64


@pytest.mark.parametrize(
    ("path", "value", "limit"),
    [
        ("chunk_size", 10**30, 65_536),
        ("encoders.lite0.image_size", 10**7, 4096),
        ("encoders.lite0.micro_batch", 10**30, 65_536),
        ("encoders.lite0.seed", 2**64, 2**64 - 1),
        ("patches.size", 10**30, 4096),
        ("heads.linear.epochs", 10**30, 10**9),
        ("heads.linear.seeds", [10**30], 2**64 - 1),
        ("cleaning.memory_mb", 10**30, 2**24),
        ("decoding.threads", 10**30, 4096),
        ("evaluation.resamples", 10**30, 100_000),
    ],
)
def test_a_number_too_large_is_named_with_its_limit(path, value, limit):
    message = error_of(changed(path, value))
    assert path in message and f"less than or equal to {limit}" in message and str(value).strip("[]") in message


def test_a_model_whose_name_no_file_could_carry_is_refused():
    assert "at most 100 characters" in error_of(changed("encoders.lite0.model", "a" * 300))


# --- names that stand for modules


def test_every_kind_of_head_has_a_module_and_every_module_a_kind():
    kinds = [get_args(model.model_fields["kind"].annotation)[0] for model in get_args(get_args(Head)[0])]
    modules = (REPOSITORY / "scripts" / "unchoke" / "heads" / "kinds").glob("[!_]*.py")
    assert sorted(kinds) == sorted(module.stem for module in modules)


@pytest.mark.parametrize(("folder", "names"), [("sources/kinds", KINDS), ("encoders/pools/kinds", POOLS)])
def test_every_module_of_a_folder_may_be_chosen(folder, names):
    modules = (REPOSITORY / "scripts" / "unchoke" / folder).glob("[!_]*.py")
    assert names == sorted(module.stem for module in modules)


def test_packaged_weights_of_a_model_without_a_package_name_the_models_that_have_one():
    encoder = {"model": "efficientnet_b0", "weights": "packaged"}
    message = error_of({"encoders": {"lite": encoder}, "heads": {}})
    assert "encoders.lite: weights: no package brings the weights of 'efficientnet_b0'" in message
    assert "tf_efficientnet_lite0" in message and "tf_efficientnet_lite2" in message


# --- names become file names


@pytest.mark.parametrize("place", ["dataset", "encoders", "heads"])
def test_a_name_is_refused_where_a_file_name_would_be_too_long(place):
    def named(name):
        config = changed("dataset.name", name)
        if place != "dataset":
            config = json.loads(json.dumps(DEFAULTS))
            config[place][name] = next(iter(config[place].values()))
        return config

    load_config(named("a" * 100))
    message = error_of(named("a" * 300))
    assert place in message and "at most 100 characters" in message
    longest = f".{'a' * 100}@transverse.origin.json.{'h' * 64}.tmp"
    assert len(longest) <= 255


@pytest.mark.parametrize("name", ["{x}", "{{x}}", "a{", "}b"])
def test_braces_are_refused_where_snakemake_would_take_them_for_wildcards(name):
    assert "may not have braces" in error_of(changed("encoders.lite0.weights", f"{name}.pt"))
    assert "may not have braces" in error_of(changed("dataset.path", name))
    assert load_config({"dataset": {"name": "a", "kind": "folder", "path": name}})["dataset"]["path"] == name


def test_the_largest_picture_that_is_decoded_fits_into_cleaning() -> None:
    raw = {"dataset": {"name": "a", "kind": "folder", "path": "a"}}
    load_config(raw)
    large = {**raw, "decoding": {"max_pixels": 400_000_000}}
    with pytest.raises(
        UnchokeError, match=r"cleaning\.memory_mb: a picture of decoding\.max_pixels 400000000 takes 1726"
    ):
        load_config(large)
    load_config({**large, "cleaning": {"memory_mb": 1800}})
    load_config({**large, "cleaning": None})


def test_the_positive_class_is_of_those_heads_that_are_chosen_by_its_average_precision() -> None:
    heads = {"plain": {"kind": "ridge"}, "own": {"kind": "ridge", "choose_by": "average_precision"}}
    for metric, trained in (("accuracy", {"own"}), ("average_precision", {"plain", "own"})):
        evaluation = {"metric": metric, "positive": "ant"}
        loaded = load_config({"evaluation": evaluation, "heads": heads})["heads"]
        assert {name for name, head in loaded.items() if head.get("positive") == "ant"} == trained
    loaded = load_config({"evaluation": {"metric": "average_precision"}, "heads": heads})["heads"]
    assert not any("positive" in head for head in loaded.values())  # heads of today stay as they are


def test_one_metric_chooses_unless_a_head_names_its_own() -> None:
    heads = {
        "plain": {"kind": "ridge"},
        "own": {"kind": "ridge", "choose_by": "accuracy"},
        "protocol": {"preset": "eva_linear", "pool": "avg"},
    }
    loaded = load_config({"evaluation": {"metric": "auroc"}, "heads": heads})["heads"]
    assert {name: head["choose_by"] for name, head in loaded.items()} == {
        "plain": "auroc",
        "own": "accuracy",
        "protocol": "balanced_accuracy",
    }
