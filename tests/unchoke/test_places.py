"""Files of the workflow are found around the library of a checkout, and inside that of a wheel."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from wheels import build_wheel

from unchoke import places

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("built"))


def files_below(folder, *ends):
    return {str(file.relative_to(REPOSITORY)) for file in (REPOSITORY / folder).rglob("*") if file.suffix in ends}


def test_a_checkout_holds_them_around_its_library():
    assert Path(places.SNAKEFILE) == REPOSITORY / "workflow/Snakefile"
    assert Path(places.PROFILES, "default/config.yaml").is_file()
    assert Path(places.SCRIPTS) == Path(places.CODE) == Path(places.LIBRARIES) == REPOSITORY / "scripts"


def test_a_wheel_carries_workflow_commands_and_examples(wheel):
    with zipfile.ZipFile(wheel) as archive:
        modes = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    carried = {name.removeprefix("unchoke/checkout/") for name in modes if name.startswith("unchoke/checkout/")}
    commands = {f"scripts/{file.name}" for file in REPOSITORY.glob("scripts/*.py")}
    assert carried >= commands | {"workflow/Snakefile", "environment.yml", "config/config.yaml"}
    assert carried >= files_below("workflow", ".smk", ".rst", ".yaml") | files_below("config/examples", ".yaml", ".py")
    assert not [name for name in carried if name.startswith("scripts/unchoke")]
    assert modes["unchoke/checkout/scripts/warm"] & 0o111 == 0o111


def test_the_client_of_a_wheel_runs_its_own_commands(wheel, tmp_path):
    site = tmp_path / "site-packages"
    shutil.unpack_archive(wheel, site, "zip")
    warm = site / "unchoke/checkout/scripts/warm"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, "-I", "-S", warm, "--cold", "print_preset", "knn"]
    said = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    code = "from unchoke import places; print(places.SNAKEFILE, places.SCRIPTS, places.CODE)"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout.split()
    assert found == [str(site / f"unchoke{end}") for end in ("/checkout/workflow/Snakefile", "/checkout/scripts", "")]
    assert "kind: knn" in said.stdout, said


def test_a_file_of_an_example_is_found_where_the_working_directory_has_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "config/examples/teachers/torch_teacher.py"
    assert places.find_beside(name) == str(REPOSITORY / name)
    assert places.find_beside("nowhere.py") == "nowhere.py"
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert places.find_beside(name) == name
