"""Reproductions end to end on tiny videos: official lists and a folder, going on, and what is refused."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from generated_videos import write_video
from live_building import STACK, save_net
from reproduction_building import SETTINGS, ask, make_official

from videorep.cli.main import videorep_command
from videorep.errors import BackboneError, OutputError, RunError, VideorepWarning
from videorep.reproduction import actions
from videorep.reproduction.stages import Stages
from videorep.runs import load_run

pytestmark = pytest.mark.filterwarnings("ignore::videorep.errors.VideorepWarning")


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The request for two official splits."""
    folder = tmp_path_factory.mktemp("official")
    save_net(folder / "net.keras", 3)
    return ask(*make_official(folder), folder / "net.keras")


@pytest.fixture(scope="module")
def whole(official, tmp_path_factory):
    """The folder of an uninterrupted reproduction, and what it found."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, actions.reproduce_actions(official, out)


def without_times(result, out):
    text = json.dumps({name: value for name, value in result.items() if name != "seconds"})
    return text.replace(str(out), "OUT")


def test_every_cell_is_that_of_the_splits_comparisons(whole):
    out, result = whole
    table = next(table for table in result["tables"] if table["name"] == "Table 3")
    assert [row["method"] for row in table["rows"]] == ["LSTM, random weights", "composite"]
    assert table["columns"] == ["ucf101, 2", "ucf101, all"]
    for row, contender in zip(table["rows"], ("random weights", "pretrained composite, finetuned"), strict=True):
        for count, cell in zip((2, 0), row["cells"], strict=True):
            means = []
            for split in cell["parts"]:
                found = json.loads(
                    (out / f"ucf101/{split['part'].replace(' ', '-')}/comparison/comparison.json").read_text()
                )
                means += [
                    100 * each["mean"]
                    for each in found["results"]
                    if (each["contender"], each["videos_per_class"]) == (contender, count)
                ]
            assert [split["mean"] for split in cell["parts"]] == pytest.approx(means) and len(means) == 2
            assert cell["mean"] == pytest.approx(sum(means) / 2)


def test_splits_are_those_of_the_lists(whole):
    out, result = whole
    for split, group in ((1, "g04"), (2, "g01")):
        found = json.loads((out / f"ucf101/split-{split}/comparison/comparison.json").read_text())
        assert found["classes"] == ["Archery", "Bowling"] and all(group in path for path in found["test_paths"])
    data = result["data"]["ucf101"]
    assert (data["videos_found"], data["videos_listed"], data["videos_missing"]) == (8, 12, 4)
    assert data["classes_without_a_video"] == ["Diving"] and not data["left_out"]
    assert "4 of the 12 videos that the official lists name are missing" in result["warnings"][0]


def test_it_goes_on_where_it_was_interrupted(official, whole, tmp_path, monkeypatch):
    out, compare, calls = tmp_path / "out", actions.compare, []

    def stop_at_the_second(*arguments, **choices):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return compare(*arguments, **choices)

    monkeypatch.setattr(actions, "compare", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        actions.reproduce_actions(official, out)
    first = json.loads((out / "stages.json").read_text())
    with pytest.raises(OutputError, match="holds a reproduction; go on with --resume"):
        actions.reproduce_actions(official, out)
    resumed = actions.reproduce_actions(official, out, resume=True)
    assert len(calls) == 3 and first.items() <= resumed["seconds"].items()
    assert without_times(resumed, out) == without_times(whole[1], whole[0])
    with pytest.raises(RunError, match=r"a reproduction; its report\.html shows it"):
        load_run(out)


def test_another_request_is_not_gone_on_with(official, whole, tmp_path):
    out, _ = whole
    other = tmp_path / "other.toml"
    other.write_text(SETTINGS.replace("draws = 2", "draws = 3"))
    with pytest.raises(OutputError, match="received other settings; give the same command again"):
        actions.reproduce_actions(ask(*official.data[0][1:], str(other), official.backbone), out, resume=True)


def test_a_dry_run_counts_and_writes_nothing(official, tmp_path):
    with pytest.warns(VideorepWarning, match="1 of 3 classes have none"):
        planned = actions.reproduce_actions(official, tmp_path / "out", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    counted = planned["ucf101"]
    assert counted["split 1"] == {"train": 6, "test": 2}
    assert counted["classes"] == [{"class": name, "found": 4, "listed": 4} for name in ("Archery", "Bowling")]
    assert planned["estimate"]["video_hours"] >= 0 and "convnet" in planned["estimate"]["rule"]


def test_what_does_not_fit_is_refused_before_anything_is_made(official, tmp_path):
    videos, lists = official.data[0][1:]
    for request, out, error, words in (
        (official, Path(videos) / "out", OutputError, "expected --out outside VIDEOS"),
        (ask(videos, lists, official.settings, tmp_path / "no.keras"), tmp_path / "out", BackboneError, "no.keras"),
        (
            ask(videos, lists, official.settings, official.backbone, flow_backbone=official.backbone),
            tmp_path / "out",
            BackboneError,
            "2 input channels for --stream flow",
        ),
    ):
        with pytest.raises(error, match=words):
            actions.reproduce_actions(request, out)
        assert not out.exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"or one of videorep reproduce, received .*, which holds other files"):
        actions.reproduce_actions(official, tmp_path, overwrite=True)


def test_a_folder_of_videos_in_two_streams_with_a_damaged_video(tmp_path):
    for number, label in enumerate(("bow", "wave")):
        (tmp_path / "VIDEOS" / label).mkdir(parents=True)
        for each in range(5):
            write_video(tmp_path / "VIDEOS" / label / f"{each}.avi", frames=30 + each, first=200 * number + 40 * each)
    (tmp_path / "VIDEOS" / "wave" / "4.avi").write_bytes(b"RIFF no video")
    save_net(tmp_path / "net.keras", 3)
    save_net(tmp_path / "motion.keras", 2 * STACK)
    (tmp_path / "tiny.toml").write_text(SETTINGS)
    out, words = tmp_path / "out", ["reproduce", "actions", str(tmp_path / "VIDEOS"), "--scale", "laptop"]
    for name, value in {
        "out": out,
        "backbone": tmp_path / "net.keras",
        "flow-backbone": tmp_path / "motion.keras",
        "flow-stack": STACK,
        "config": tmp_path / "tiny.toml",
    }.items():
        words += [f"--{name}", str(value)]
    done = CliRunner().invoke(videorep_command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    result = json.loads((out / "results.json").read_text())
    page, text = (out / "report.html").read_text(), (out / "report.md").read_text()
    assert page.count("data:image/png;base64,") == 1 and "http" not in page
    (path,) = result["data"]["folders"]["left_out"]
    assert path == "wave/4.avi"
    assert any("1 videos could not be read, the first wave/4.avi" in each for each in result["warnings"])
    for written in (page, text):
        assert path in written and result["command"] in written.replace("&#39;", "'")
        for table in result["tables"]:
            assert f"{table['name']}: {table['title']}" in written
    by_name = {table["name"]: table for table in result["tables"]}
    assert by_name["Table 1"]["columns"] == ["folders rgb", "folders flow"]
    assert [row["method"] for row in by_name["Table 4"]["rows"]] == ["RGB", "flow", "RGB and flow"]
    assert all(cell["paper"] is None for table in by_name.values() for row in table["rows"] for cell in row["cells"])
    assert "RGB and flow" in done.output and result["command"].startswith(f"videorep {' '.join(words[:3])}")


def test_overwriting_makes_every_stage_anew(tmp_path):
    calls, asked = [], {"kind": "reproduction", "settings": 1}

    def work(folder, *, resume, overwrite, progress):
        folder.mkdir(exist_ok=True)
        calls.append((folder.name, resume, overwrite))

    for choice in (False, False, True):
        stages = Stages(tmp_path, asked)
        stages.begin(choice, None)
        stages.run("a", work)
        (tmp_path / "report.md").touch()
    assert calls == [("a", True, False), ("a", False, True)]
    Stages(tmp_path, asked).begin(True, None)
    assert not (tmp_path / "report.md").exists()
    (tmp_path / "stages.json").write_text("[")
    with pytest.raises(RunError, match=r"the stages that are done .* begin anew with --overwrite"):
        Stages(tmp_path, asked).begin(False, None)


def test_no_videos_are_bad_usage(tmp_path):
    words = ["reproduce", "actions", "--scale", "laptop", "--backbone", "x", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(videorep_command, words)
    assert done.exit_code == 2 and "expected VIDEOS, --ucf101 or --hmdb51" in done.output
