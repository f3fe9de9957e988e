"""The chain from an export back to the sources: whole, broken at each link, and with links that are gone."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from chain_building import FEATURES, call, change, sha256, with_origins, write_percepts

from videorep.data.shards.manifest import load_dataset, save_dataset
from videorep.models import build_model
from videorep.provenance import verify


def test_a_whole_chain_is_sound_from_every_link(chain):
    named = {"sources": chain / "clips", "backbone": chain / "net.keras"}
    end = f"what {chain / 'clips'} was made from: no hash of a video or shard is in it"
    for name in ("serving", "serving/1", "second", "first", "percepts"):
        assert verify(chain / name, **named) == ([], [end])
    result = call("verify", chain / "serving")
    assert result.exit_code == 0 and result.output.endswith("is sound\n")


def test_another_model_of_the_run_is_named_with_both_hashes(chain):
    before = sha256(chain / "second" / "model.keras")
    build_model("composite", FEATURES, (2,), 2, 2, output="gaussian", seed=9).save(chain / "second" / "model.keras")
    now = sha256(chain / "second" / "model.keras")
    problems, _ = verify(chain / "serving")
    assert len(problems) == 1 and before in problems[0] and now in problems[0]
    result = call("verify", chain / "serving")
    assert result.exit_code == 1 and before in result.output and "Traceback" not in result.output


def test_another_initial_model_is_named_with_both_hashes(chain):
    before = sha256(chain / "first" / "model.keras")
    build_model("composite", FEATURES, (2,), 2, 2, output="gaussian", seed=9).save(chain / "first" / "model.keras")
    for name in ("second", "serving"):
        (problem,), _ = verify(chain / name)
        assert before in problem and sha256(chain / "first" / "model.keras") in problem


def test_rebuilt_shards_are_named_with_both_hashes(chain):
    (before,) = load_dataset(chain / "percepts").provenance["shards"].values()
    write_percepts(chain / "percepts", seed=1)
    (now,) = load_dataset(chain / "percepts").provenance["shards"].values()
    problems, _ = verify(chain / "first")
    assert len(problems) == 1 and before in problems[0] and now in problems[0]


@pytest.mark.parametrize(
    "file", ["percepts/data-train.tfrecord-00000-of-00001", "first/model.keras", "second/config.json"]
)
def test_a_changed_byte_anywhere_is_a_problem_of_the_export(chain, file):
    change(chain / file)
    assert verify(chain / "serving")[0]


def test_a_changed_file_of_the_export_is_named(chain):
    change(chain / "serving" / "1" / "saved_model.pb")
    (problem,), _ = verify(chain / "serving")
    assert "saved_model.pb: its SHA-256 is" in problem


def test_a_missing_file_of_the_export_and_one_too_many_are_named(chain):
    version = chain / "serving" / "1"
    (version / "more").write_text("mine")
    facts = json.loads((version / "assets.extra" / "run.json").read_text())
    facts["files"]["variables/variables.index"] = "0" * 64
    (version / "assets.extra" / "run.json").write_text(json.dumps(facts))
    problems, _ = verify(chain / "serving")
    assert [problem.partition(": ")[2] for problem in problems] == [
        "more is not a file of this export; remove it",
        "variables/variables.index is missing; export again",
    ]


@pytest.mark.parametrize("checked", [True, False])
def test_an_export_without_a_check_is_told_by_inspect_and_verify(chain, checked):
    path = chain / "serving" / "1" / "assets.extra" / "run.json"
    facts = {"checked": checked, "signatures": {"serving_default": {}, "represent": {}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    told = call("inspect", chain / "serving").output.split("\n")
    assert f"checked: {'yes' if checked else 'no'}" in [" ".join(line.split()) for line in told]
    assert "signatures: serving_default, represent" in [" ".join(line.split()) for line in told]
    told = call("verify", chain / "serving").output
    assert ("1: no other program gave them when it was exported" in told) != checked and "is sound" in told


@pytest.mark.parametrize("file", ["ckpt-7.index", "ckpt-7.data-00000-of-00001"])
def test_a_damaged_checkpoint_is_a_problem(chain, file):
    change(chain / "first" / "checkpoints" / file)
    (problem,), _ = verify(chain / "first")
    assert "ckpt-7: a checkpoint that cannot be read" in problem


def test_weights_that_are_not_finite_are_a_problem(chain):
    model = build_model("composite", FEATURES, (2,), 2, 2, output="gaussian", seed=0)
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    model.save(chain / "first" / "model.keras")
    tf.train.Checkpoint(variables=[v.value for v in model.variables]).write(
        str(chain / "first" / "checkpoints" / "ckpt-9")
    )
    problems, _ = verify(chain / "first")
    assert ["finite" in problem for problem in problems] == [True, True]


@pytest.mark.parametrize("gone", ["percepts", "first", "second", "second/model.keras"])
def test_what_is_not_there_any_more_is_said_and_does_not_fail(chain, gone):
    shutil.rmtree(chain / gone) if (chain / gone).is_dir() else (chain / gone).unlink()
    problems, unchecked = verify(chain / "serving")
    assert problems == [] and any(str(chain / gone) in each and "not there any more" in each for each in unchecked)
    result = call("verify", chain / "serving")
    assert result.exit_code == 0 and "not checked: " in result.output


def test_a_relative_path_is_said_to_have_been_looked_for_from_here(chain, monkeypatch, tmp_path):
    facts = json.loads((chain / "first" / "provenance.json").read_text())
    facts["data"]["path"] = "percepts"
    (chain / "first" / "provenance.json").write_text(json.dumps(facts))
    monkeypatch.chdir(chain)
    assert not any("current folder" in each for each in verify(chain / "first")[1])
    monkeypatch.chdir(tmp_path)
    problems, (unchecked,) = verify(chain / "first")
    assert problems == [] and unchecked.startswith(f"percepts, the data of {chain / 'first'}, is not at this relative")
    assert f"from the current folder, {tmp_path};" in unchecked


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\xff", "null", '{"data": 3, "init": [], "files": 1}'])
def test_any_text_for_provenance_ends_in_a_sentence(chain, text):
    for file in ("serving/1/assets.extra/run.json", "second/provenance.json"):
        (chain / file).write_text(text, "latin-1")
        for command in ("verify", "inspect"):
            result = call(command, chain / file.split("/")[0])
            assert result.exit_code in (0, 1) and isinstance(result.exception, SystemExit | None), result.output


def test_inspect_names_the_run_its_shards_and_its_initial_weights_by_hash(chain):
    (shard,) = load_dataset(chain / "percepts").provenance["shards"].values()
    texts = [call("inspect", chain / name).output for name in ("serving", "serving/1", "second")]
    for text in texts:
        assert shard in text and sha256(chain / "first" / "model.keras") in text and str(chain / "percepts") in text
    for text in texts[:2]:
        assert str(chain / "second") in text and sha256(chain / "second" / "model.keras") in text


def test_videos_are_compared_where_their_folder_is_named(chain):
    (chain / "videos").mkdir()
    for number in range(3):
        (chain / "videos" / f"v{number}.mp4").write_bytes(bytes([number]))
    hashes = {path.name: sha256(path) for path in (chain / "videos").iterdir()} | {"v3.mp4": "0" * 64}
    with_origins(chain / "percepts", {}, hashes)
    how = f"name it with videorep verify {chain / 'percepts'} --sources FOLDER"
    assert verify(chain / "percepts")[1] == [f"what {chain / 'percepts'} was made from: {how}"]
    problems, unchecked = verify(chain / "percepts", sources=chain / "videos")
    assert problems == [] and unchecked == [f"{chain / 'videos' / 'v3.mp4'} is not there any more"]
    change(chain / "videos" / "v1.mp4")
    (problem,), _ = verify(chain / "percepts", sources=chain / "videos")
    assert hashes["v1.mp4"] in problem and sha256(chain / "videos" / "v1.mp4") in problem


def test_sources_outside_the_named_folder_are_not_read(chain):
    with_origins(chain / "percepts", {}, {f"v{n}.mp4": "0" * 64 for n in range(4)})
    dataset = load_dataset(chain / "percepts")
    for entry, path in zip(dataset.sources, ("/etc/passwd", "../first/config.json"), strict=False):
        entry["path"] = path
    save_dataset(dataset)
    problems, unchecked = verify(chain / "percepts", sources=chain / "percepts")
    assert not [problem for problem in problems if "SHA-256" in problem] and len(unchecked) == 4


def test_a_dataset_json_that_was_rewritten_with_its_checksum_is_told_by_its_runs(chain):
    dataset = load_dataset(chain / "percepts")
    save_dataset(dataclasses.replace(dataset, statistics=None))
    problems, _ = verify(chain / "first")
    assert len(problems) == 1 and "dataset.json" in problems[0] and "made from another" in problems[0]
    assert any("dataset.json" in problem for problem in verify(chain / "serving")[0])


def test_an_export_that_tells_other_things_than_its_run_is_a_problem(chain):
    path = chain / "serving" / "1" / "assets.extra" / "run.json"
    facts = json.loads(path.read_text())
    facts["provenance"]["data"]["name"] = "other"
    path.write_text(json.dumps(facts))
    (problem,) = verify(chain / "serving")[0]
    assert "says other things of its data" in problem


@pytest.mark.parametrize("kind", ["fifo", "device", "dangling"])
@pytest.mark.parametrize("place", ["serving", "serving/1"])
def test_a_model_of_an_export_that_is_no_regular_file_is_named(chain, kind, place):
    graph = chain / "serving" / "1" / "saved_model.pb"
    graph.unlink()
    os.mkfifo(graph) if kind == "fifo" else graph.symlink_to("/dev/zero" if kind == "device" else chain / "nowhere")
    for command in ("verify", "inspect"):
        result = call(command, str(chain / place))
        assert result.exit_code == 1
        assert f"expected saved_model.pb of an export in {graph.parent}, received no regular file" in result.output


def test_a_link_in_an_export_is_a_problem(chain):
    graph = chain / "serving" / "1" / "saved_model.pb"
    graph.rename(chain / "graph")
    graph.symlink_to(chain / "graph")
    assert any("symbolic link" in problem for problem in verify(chain / "serving")[0])
