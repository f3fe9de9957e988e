"""Fixtures that several test files share."""

import atexit
import os
import shutil
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
