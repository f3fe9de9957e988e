"""Fixtures that several test files share."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """The folder of real videos, digits and weights that lies beside the checkout; absent in a plain clone."""
    if not SHARED.is_dir():
        pytest.skip(f"needs the data at {SHARED}, which is not part of the project")
    return SHARED
