"""The command ``unchoke``: quick to start, quiet when nobody reads, and without tracebacks."""

import subprocess
import sys
from pathlib import Path

import pytest

from unchoke.cli import main as cli
from unchoke.cli import run

CONFIG = "dataset: {name: few, kind: folder, path: images}\n"


def unchoke(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "unchoke.cli.main", *arguments]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.yaml").write_text(CONFIG)
    return Path("my.yaml")


def test_help_reads_neither_torch_nor_pandas_nor_pydantic() -> None:
    code = (
        "import sys\nfrom unchoke.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "unchoke.cli.init" in loaded
    assert not {"torch", "pandas", "numpy", "pydantic", "yaml"} & set(loaded)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "-c", "my.yaml"], ["--configfile", "my.yaml"]),
        (["run", "a", "b", "-c", "my.yaml", "-n"], ["a", "b", "--configfile", "my.yaml", "--dry-run"]),
        (["run", "-c", "my.yaml", "a", "--cores", "3"], ["a", "--configfile", "my.yaml", "--cores", "3"]),
        (["run", "-c", "my.yaml", "--", "--forcerun", "x"], ["--configfile", "my.yaml", "--forcerun", "x"]),
        (["doctor", "-c", "my.yaml"], ["doctor", "--configfile", "my.yaml"]),
        (["profile", "-c", "my.yaml"], ["profile", "--configfile", "my.yaml"]),
        (["pipelines", "-c", "my.yaml"], ["compare_pipelines", "--configfile", "my.yaml"]),
        (["verify", "-c", "my.yaml", "--", "-q"], ["verify", "--configfile", "my.yaml", "-q"]),
    ],
)
def test_subcommands_become_snakemake(
    config: Path, arguments: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    became: list[list[str]] = []
    for module in (run, cli.checks):
        monkeypatch.setattr(module, "become", became.append)
    assert cli.main(arguments) == 0
    [command] = became
    place = command.index("--snakefile")
    assert command[1:place] + command[place + 2 :] == expected


def test_flags_of_snakemake_are_shown_their_place(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "-c", "my.yaml", "--resources", "gpu=2"])
    assert end.value.code == 2
    assert "behind --: -c FILE -- --resources" in capsys.readouterr().err


def test_a_missing_config_is_said_with_the_one_that_is_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "-c", "mi.yaml"]) == 1
    assert "do:       -c my.yaml" in capsys.readouterr().err
    assert cli.main(["leaderboard", "-c", "/nowhere/at.yaml"]) == 1
    assert "unchoke init FOLDER" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["a: [", "a: \x07", "- 1", "dataset: 3", "datset: {}", "x: \xff"])
def test_a_config_that_does_not_hold_is_an_error_in_words(
    config: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_bytes(text.encode("latin-1"))
    assert cli.main(["leaderboard", "-c", str(config)]) == 1
    assert capsys.readouterr().err.startswith("error: The config ")


def test_ctrl_c_ends_with_130(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(command: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "become", interrupted)
    assert cli.main(["run", "-c", "my.yaml"]) == 130


@pytest.mark.parametrize("arguments", [["--help"], ["init", "--help"], ["leaderboard", "--database", "none.db"]])
def test_nobody_who_stops_reading_gets_a_traceback(arguments: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(unchoke(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    assert process.stdout and process.stderr
    process.stdout.close()
    error = process.stderr.read().decode()
    process.wait()
    assert "Traceback" not in error and "Exception ignored" not in error
