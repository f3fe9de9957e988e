"""The wheel and the source distribution hold the package, and nothing that lies beside it by chance."""

import configparser
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest
from syntax_trees import FILES, ROOT, imported_modules, tree_of

import videorep

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
    own = [each for end in ("*.py", "*.j2", "*.toml", "py.typed") for each in (ROOT / "videorep").rglob(end)]
    assert {name for name in names if not name.startswith(about)} == {each.relative_to(ROOT).as_posix() for each in own}
    assert {f"{about}/entry_points.txt"} <= names and [name for name in names if name.endswith("LICENSE")]


def test_the_source_distribution_can_be_built_again(made):
    (path,) = made.glob("*.tar.gz")
    with tarfile.open(path) as source:
        names = {name.split("/", 1)[-1] for name in source.getnames()}
    assert {"setup.cfg", "pyproject.toml", "README.md", "LICENSE", "videorep/py.typed"} <= names
    assert "videorep/report/comparison.html.j2" in names
    assert not [name for name in names if name.startswith(("tests", "tools"))]


def test_the_citation_names_this_version():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {videorep.__version__}" in lines
    assert f"abstract: {setup['metadata']['description']}" in lines


# Where the module's name is not the distribution's. TensorFlow brings protobuf and reads events for TensorBoard.
DISTRIBUTIONS = {
    "grpc": "grpcio",
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "google": "tensorflow",
}
NOT_IMPORTED = {"tensorboard"}
OF_AN_EXTRA = {"tensorflow_io": "remote", "pyarrow": "parquet", "tensorflow_serving": "serving", "grpc": "serving"}
OF_AN_EXTRA |= {"ai_edge_litert": "litert", "tf2onnx": "onnx", "onnxruntime": "onnx", "onnx": "onnx", "aiohttp": "demo"}
OF_AN_EXTRA |= {"openvino": "openvino", "keras_hub": "hub", "apache_beam": "beam"}


def test_setup_declares_what_the_package_imports_and_nothing_else():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    declared = {
        re.match(r"[\w-]+", line)[0] for line in setup["options"]["install_requires"].split("\n") if line.strip()
    }
    roots = {module.split(".")[0] for path in FILES for module in imported_modules(tree_of(path))}
    for root, extra in OF_AN_EXTRA.items():
        assert root in roots and root.replace("_", "-") in setup["options.extras_require"][extra]
    imported = {
        DISTRIBUTIONS.get(root, root) for root in roots - OF_AN_EXTRA.keys() - sys.stdlib_module_names - {"videorep"}
    }
    assert imported <= declared
    assert declared <= imported | NOT_IMPORTED


# What an extra brings beside modules that somebody imports: CUDA libraries, a linter, an S3 server that tests start.
NOT_IMPORTED_OF_EXTRAS = {"tensorflow", "ruff", "moto"}
MODULES = {"tensorflow-serving-api": "tensorflow_serving", "grpcio": "grpc", "scikit-image": "skimage"}
MODULES |= {"markdown-it-py": "markdown_it"}


def test_every_extra_is_imported_by_the_package_its_tools_or_its_tests():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = "\n".join(setup["options.extras_require"].values()).replace(";", "\n").split("\n")
    names = {re.match(r"\s*([\w-]+)", line)[1] for line in lines if line.strip()}
    paths = [*FILES, *(ROOT / "tools").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    roots = {module.split(".")[0] for path in paths for module in imported_modules(tree_of(path))}
    modules = {MODULES.get(name, name.replace("-", "_")) for name in names - NOT_IMPORTED_OF_EXTRAS}
    assert modules <= roots
