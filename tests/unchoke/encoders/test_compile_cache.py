"""The cache of compiled encoders: whole, or not there."""

import os
from pathlib import Path

import pytest

from unchoke.encoders import compile_cache
from unchoke.encoders.compile_cache import kept_code


def write(root: Path, key: str) -> None:
    with kept_code(key, root) as folder:
        (folder / "a").mkdir(exist_ok=True)
        (folder / "a/code.so").write_bytes(b"library" * 100)


def found(root: Path, key: str) -> bool:
    """Whether the code is there and whole when the next process opens it."""
    with kept_code(key, root) as folder:
        return (folder / "a/code.so").exists()


def test_code_is_found_again_and_inductor_is_led_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "before")
    with kept_code("k", tmp_path) as folder:
        assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == str(folder)
    assert os.environ["TORCHINDUCTOR_CACHE_DIR"] == "before"
    write(tmp_path, "k")
    assert found(tmp_path, "k") and not found(tmp_path, "other")


@pytest.mark.parametrize("damage", ["cut", "changed", "deleted", "added", "list cut", "list deleted"])
def test_a_damaged_folder_is_not_used(tmp_path: Path, damage: str) -> None:
    write(tmp_path, "k")
    code, listing = tmp_path / "k/a/code.so", tmp_path / "k.json"
    if damage == "cut":
        os.truncate(code, 50)
    elif damage == "changed":
        code.write_bytes(b"Library" * 100)
    elif damage == "deleted":
        code.unlink()
    elif damage == "added":
        (tmp_path / "k/b.so").write_bytes(b"half")
    elif damage == "list cut":
        os.truncate(listing, 10)
    else:
        listing.unlink()
    assert not found(tmp_path, "k")
    write(tmp_path, "k")
    assert found(tmp_path, "k")


def test_a_compilation_that_ends_by_an_error_leaves_nothing_to_use(tmp_path: Path) -> None:
    write(tmp_path, "k")
    with pytest.raises(KeyboardInterrupt), kept_code("k", tmp_path):
        raise KeyboardInterrupt
    assert not found(tmp_path, "k")


def test_the_code_used_least_recently_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compile_cache, "KEPT", 2)
    for place, key in enumerate("abc"):
        write(tmp_path, key)
        os.utime(tmp_path / f"{key}.json", (place, place))
    write(tmp_path, "d")
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["c", "d"]
