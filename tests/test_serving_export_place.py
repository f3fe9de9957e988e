"""Where an export may lie."""

import pytest

from videorep.config import DataConfig, FinetuneConfig
from videorep.errors import OutputError
from videorep.runs import create_run
from videorep.serving.export import export


@pytest.mark.parametrize(
    ("place", "what"),
    [
        ("run", "RUN"),
        ("run/inner/serving", "RUN"),
        (".", "RUN"),
        ("data", "the DATA of RUN"),
        ("data/serving", "the DATA of RUN"),
        ("first/serving", "the --init of RUN"),
    ],
)
def test_no_version_lies_in_or_above_what_it_is_made_from(tmp_path, place, what):
    for name in ("data", "first"):
        (tmp_path / name).mkdir()
    config = FinetuneConfig(data=DataConfig(str(tmp_path / "data")), init=str(tmp_path / "first"))
    run = create_run(tmp_path / "run", config)
    with pytest.raises(OutputError, match=f"expected --out outside {what} "):
        export(run.path, tmp_path / place)
