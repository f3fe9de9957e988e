"""Fixtures that several test files share."""

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="videorep-tests-")  # nothing of the user's is read or written
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real videos, digits and weights that lies beside the checkout; absent in a plain clone."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the data at {SHARED}, which is not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def made_chain(tmp_path_factory):
    from chain_building import make_chain

    return make_chain(tmp_path_factory.mktemp("made") / "chain")


@pytest.fixture(scope="session")
def live_chain(tmp_path_factory):
    """Videos, shards and classifiers, see `live_building.make_chain`; not to be changed."""
    from live_building import make_chain

    return make_chain(tmp_path_factory.mktemp("live") / "chain")


@pytest.fixture
def chain(made_chain, tmp_path):
    """Shards, runs and an export that came of one another, see `chain_building.make_chain`; to be changed."""
    from chain_building import copy_chain

    return copy_chain(made_chain, tmp_path / "chain")


@pytest.fixture(scope="session")
def whole_build(tmp_path_factory):
    """The folder of an uninterrupted build, see `shard_building.build`; not to be changed."""
    from shard_building import build

    folder = tmp_path_factory.mktemp("whole") / "shards"
    build(folder)
    return folder


@pytest.fixture
def config_file(tmp_path):
    """Writes a file of settings; gives its path."""

    def write(text):
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def ctrl_c_is_heeded():
    """Whoever runs the tests in the background of a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def stored_percepts(tmp_path_factory):
    """Settings of a source of percepts, and the arrays in its shards, see `batch_shards.write_percepts`."""
    from batch_shards import write_percepts

    from videorep.config import DataConfig

    folder = tmp_path_factory.mktemp("percepts") / "shards"
    return DataConfig(path=str(folder), stride=2), write_percepts(folder)


@pytest.fixture(scope="session")
def stored_clips(tmp_path_factory):
    """The path of shards of clips, and the clips in grey and in colour, see `batch_shards.write_clips`."""
    from batch_shards import write_clips

    folder = tmp_path_factory.mktemp("clips") / "shards"
    return str(folder), *write_clips(folder)
