"""Pipes, devices and folders in the place of files are problems of the chain, told without waiting for them."""

import os

import pytest
from chain_building import call, with_origins

from videorep.provenance import verify


def put_pipe(path):
    os.mkfifo(path)


def put_device(path):
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("put", [put_pipe, put_device, os.mkdir])
@pytest.mark.parametrize(
    "file",
    ["model.keras", "metrics.jsonl", "provenance.json", "config.json", "checkpoints/ckpt-7.index"],
)
def test_what_is_no_regular_file_is_a_problem(chain, put, file):
    """It is not waited for, and not taken for a file that is gone."""
    path = chain / "second" / file
    path.unlink(missing_ok=True)
    put(path)
    problems, unchecked = verify(chain / "serving")
    assert any(str(path) in problem for problem in problems)
    assert not any(str(path) in each or "not finished" in each for each in unchecked)
    result = call("verify", chain / "second")
    assert result.exit_code == 1 and "is sound" not in result.output


@pytest.mark.parametrize("put", [put_pipe, put_device])
def test_what_is_no_regular_file_in_an_export_or_among_videos_is_a_problem(chain, put):
    put(chain / "serving" / "1" / "more")
    assert any("1/more: no regular file" in problem for problem in verify(chain / "serving")[0])
    with_origins(chain / "percepts", {}, {f"v{n}.mp4": "0" * 64 for n in range(4)})
    (chain / "videos").mkdir()
    put(chain / "videos" / "v0.mp4")
    problems, unchecked = verify(chain / "percepts", sources=chain / "videos")
    assert problems == [f"{chain / 'videos' / 'v0.mp4'}: no regular file; restore it"] and len(unchecked) == 3
