"""The wheel and the source distribution hold the package, and nothing that lies beside it by chance."""

import configparser
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import videorep

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("videorep", "tests", "tools", "README.md", "LICENSE", "setup.cfg", "pyproject.toml", "MANIFEST.in")
BUILD = "from setuptools import build_meta; build_meta.build_wheel('made'); build_meta.build_sdist('made')"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of both distributions, built from a copy of the sources."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy)
    (copy / "made").mkdir()
    subprocess.run([sys.executable, "-c", BUILD], cwd=copy, check=True, capture_output=True)
    return copy / "made"


def test_the_wheel_holds_every_module_and_nothing_else(made):
    (path,) = made.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
    about = f"videorep-{videorep.__version__}.dist-info"
    modules = {each.relative_to(ROOT).as_posix() for each in (ROOT / "videorep").rglob("*.py")}
    assert {name for name in names if not name.startswith(about)} == {*modules, "videorep/py.typed"}
    assert {f"{about}/entry_points.txt"} <= names and [name for name in names if name.endswith("LICENSE")]


def test_the_source_distribution_can_be_built_again(made):
    (path,) = made.glob("*.tar.gz")
    with tarfile.open(path) as source:
        names = {name.split("/", 1)[-1] for name in source.getnames()}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "videorep/py.typed"} <= names
    assert not [name for name in names if name.startswith(("tests", "tools"))]


def test_the_citation_names_this_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {videorep.__version__}" in lines
    assert f"abstract: {setup['metadata']['description']}" in lines
