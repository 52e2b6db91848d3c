"""What YAML takes in silence stops the run with its file and line: double keys, and values read as something else."""

from pathlib import Path

import pytest
import yaml

from unchoke.config.load import load_config
from unchoke.config.text import check_arguments, check_files, check_text, places
from unchoke.errors import UnchokeError

EXAMPLES = sorted((Path(__file__).parents[3] / "config").rglob("*.yaml"))


def refused(text: str) -> str:
    with pytest.raises(UnchokeError) as caught:
        check_text(text, "my.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("chunk_size: 64\nheads: {}\nchunk_size: 32\n", "chunk_size", 3),
        ("dataset:\n  classes: {cell: 1, cell: 2}\n", "dataset.classes.cell", 2),
        ("heads:\n  a: {kind: ridge}\n  b: {}\n  a: {kind: knn}\n", "heads.a", 4),
        ("list:\n- {k: 1,\n   k: 2}\n", "list.0.k", 3),
        ("base: &b {k: 1,\n k: 2}\nuse: *b\n", "base.k", 2),
        ("a: &a {k: 1}\nb:\n  <<: *a\n  <<: *a\n", "b.<<", 4),
        ('"k": 1\nk: 2\n', "k", 2),
        ('{"a": 1,\n\t"b": {"c": 1,\n\t"c": 2}}', "b.c", 3),
    ],
)
def test_a_key_that_stands_twice_is_named_with_its_line(text: str, key: str, line: int) -> None:
    message = refused(text)
    assert f"stands twice: {key}." in message and f"my.yaml:{line}\n" in message


def test_json_that_yaml_does_not_take_is_checked_too() -> None:
    assert "stands twice: a." in refused('{"text": "\\ud83d\\ude00", "a": 1, "a": 2}')


@pytest.mark.parametrize(
    "value",
    ["010", "007", "-012", "00", "1:30", "190:20:30", "1:30.5", "1_000", "1_000.5", "0b11", "2024-01-31"],
)
def test_what_yaml_reads_as_something_else_is_refused(value: str) -> None:
    text = f"a: 1\nb:\n- {value}\n"
    assert str(yaml.safe_load(text)["b"][0]) != value or value == "2024-01-31"  # which is no text
    message = refused(text)
    assert f"found:    {value} (" in message and "my.yaml:3" in message and "else: b.0." in message
    check_text(f"b: '{value}'\n", "my.yaml")
    check_text(f'b: "{value}"\n', "my.yaml")


@pytest.mark.parametrize(
    "value", ["0", "10", "-3", "0.5", "1e-4", "1.0e-4", "0x1F", "a:b", "data_1", "0.10", "C:\\x", "~"]
)
def test_what_is_read_as_it_is_written_passes(value: str) -> None:
    check_text(f"a: {value}\n", "my.yaml")


def test_a_merged_key_may_be_overridden_and_names_may_return_elsewhere() -> None:
    check_text("a: &a {k: 1, l: 2}\nb: {<<: *a, k: 3}\nc: {k: 4}\nd: [*a, *a]\n", "my.yaml")


def test_our_own_files_pass() -> None:
    check_files(EXAMPLES)
    assert len(EXAMPLES) > 5


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config", "chunk_size=1", "seed=0", "chunk_size=2"],
        ["-n", "-C", "heads={a: {kind: knn}, a: {kind: ridge}}", "--cores", "1"],
        ["--config=a=1", "a=2", "--config", "a=3"],
    ],
)
def test_the_command_line_may_not_say_a_key_twice(arguments: list[str]) -> None:
    with pytest.raises(UnchokeError, match=r"stands twice: (a|chunk_size)\."):
        check_arguments(arguments)


def test_other_arguments_are_not_looked_at() -> None:
    check_arguments(["--resources", "gpu=1", "gpu=1", "--config", "a=1", "--default-resources", "a=1"])


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("chunk_size: true", ["chunk_size: expected a number or text, found True", "my.yaml:2: true"]),
        ("chunk_size: on", ["chunk_size", "my.yaml:2: on"]),
        ("subset: {fraction: yes}", ["subset.fraction", "my.yaml:2: yes"]),
        ("heads: {r: {kind: ridge, penalty: [1, yes]}}", ["heads.r.penalty.1", "my.yaml:2: yes"]),
        ("encoders: {b0: {model: yes}}", ["encoders.b0.model", "my.yaml:2: yes"]),
        ("chunk_size: many", ["chunk_size", "my.yaml:2: many"]),
        ("subset: {uncertain: 5, head: logistik}", ["subset.head: no head 'logistik'", "my.yaml:2: logistik"]),
    ],
)
def test_a_value_of_another_type_is_named_with_its_line(tmp_path: Path, text: str, parts: list[str]) -> None:
    file = tmp_path / "my.yaml"
    file.write_text(f"cleaning: null\n{text}\n")
    with pytest.raises(UnchokeError, match="The config does not hold") as caught:
        load_config(yaml.safe_load(file.read_text()), [file])
    assert [part for part in parts if part not in str(caught.value)] == []


def test_words_for_true_pass_where_true_is_meant() -> None:
    raw = yaml.safe_load("decoding: {jpeg_draft: yes}")
    assert load_config(raw)["decoding"]["jpeg_draft"] is True


def test_the_last_file_with_a_value_is_named(tmp_path: Path) -> None:
    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    files[0].write_text("x: {k: 1, l: 2}\n")
    files[1].write_text("\nx: {k: 3}\n")
    known = places(files)
    assert known["x", "k"] == f"{files[1]}:2: 3" and known["x", "l"] == f"{files[0]}:1: 2"
