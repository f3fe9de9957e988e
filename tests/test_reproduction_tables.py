"""Tables of reproductions against NumPy by hand; the scales; and what is counted of a data set."""

import numpy as np
import pytest
from generated_videos import make_classes
from reproduction_building import SETTINGS, make_official

from videorep.errors import ConfigError, DataError
from videorep.reproduction.actions_settings import VARIANTS, Request
from videorep.reproduction.actions_tables import make_curves, make_tables
from videorep.reproduction.data_sets import find_data_set
from videorep.reproduction.named_settings import SCALES
from videorep.reproduction.published import LSTM, PUBLISHED

COMPOSITE = "pretrained composite, finetuned"
ACCURACIES = {
    "1": {(COMPOSITE, 10): [0.5, 0.7], (COMPOSITE, 0): [0.8, 0.9], ("random weights", 10): [0.2, 0.4]},
    "2": {(COMPOSITE, 10): [0.3, 0.9], (COMPOSITE, 0): [0.6, 0.7], ("single-frame", 0): [0.5, 0.5]},
}
FLOW = {(f"{COMPOSITE}, {end}", 0): [0.1, 0.3] for end in ("flow", "fused")}


def compared(accuracies):
    rows = [{"contender": name, "videos_per_class": n, "accuracies": each} for (name, n), each in accuracies.items()]
    return {"results": rows, "training_videos": 60, "classes": ["a", "b"]}


@pytest.fixture
def comparisons():
    return {"ucf101": {split: compared(each | FLOW) for split, each in ACCURACIES.items()}}


def cell(tables, name, method, column):
    table = next(table for table in tables if table["name"] == name)
    row = next(row for row in table["rows"] if row["method"] == method)
    return row["cells"][table["columns"].index(column)]


def test_averages_are_of_the_draws_averages_over_splits(comparisons):
    tables = make_tables(comparisons)
    few = cell(tables, "Table 3", "composite", "ucf101, 10")
    draws = np.mean([[0.5, 0.7], [0.3, 0.9]], axis=0)
    assert (few["mean"], few["deviation"]) == pytest.approx((100 * draws.mean(), 100 * draws.std(ddof=1)))
    assert [each["mean"] for each in few["parts"]] == pytest.approx([60, 60])
    assert [each["deviation"] for each in few["parts"]] == pytest.approx(
        [100 * np.std([0.5, 0.7], ddof=1), 30 * 2**0.5]
    )
    assert few["paper"] == 67.0 and cell(tables, "Table 3", "composite", "ucf101, all")["paper"] == 75.8
    assert cell(tables, "Table 4", "RGB and flow", "ucf101")["mean"] == pytest.approx(20)
    assert cell(tables, "Table 4", "RGB and flow", "ucf101")["paper"] == 84.3
    assert cell(tables, "Table 1", "LSTM, composite, finetuned", "ucf101 flow")["mean"] == pytest.approx(20)


def test_what_a_split_lacks_has_no_average(comparisons):
    tables = make_tables(comparisons)
    lacking = cell(tables, "Table 1", "single frame", "ucf101 rgb")
    assert lacking["mean"] is None and [each["part"] for each in lacking["parts"]] == ["split 2"]
    assert cell(tables, "Table 3", LSTM, "ucf101, 10")["mean"] is None


def test_a_smaller_label_set_than_the_papers_has_no_figure_of_it_beside():
    four = compared({(COMPOSITE, 4): [0.5], (COMPOSITE, 0): [0.5]})
    tables = make_tables({"ucf101": {1: four}, "hmdb51": {1: four}})
    assert cell(tables, "Table 3", "composite", "ucf101, 4")["paper"] is None
    assert cell(tables, "Table 3", "composite", "hmdb51, 4")["paper"] == 29.1


def test_curves_have_all_labels_at_their_mean_number(comparisons):
    (line,) = make_curves(comparisons)["ucf101"].items()
    assert line[0] == "LSTM, composite, finetuned" and line[1]["10"] == pytest.approx([0.4, 0.8])
    assert line[1]["30.0"] == pytest.approx([0.7, 0.8])


def test_every_variant_of_the_paper_has_a_row():
    assert {name.replace("-", " ") for name in VARIANTS} == PUBLISHED["Table 3"].keys() - {LSTM}


@pytest.mark.parametrize("name", SCALES)
def test_scales_can_be_read_and_changed(name, config_file):
    scale = Request((), name, None, "net").read_scale()
    assert scale.models == tuple(VARIANTS) and scale.pretraining.batch_size > 2
    changed = Request((), name, str(config_file(SETTINGS)), "net").read_scale()
    assert (changed.units, changed.pretraining.batch_size, changed.trials) == (3, 2, scale.trials)
    assert changed.pretraining.seed == scale.pretraining.seed
    for text, words in (("draws = 0", "draws"), ("models = ['x']", "models"), ("size = 0", "size"), ("x = 1", "x")):
        with pytest.raises(ConfigError, match=words):
            Request((), name, str(config_file(text)), "net").read_scale()


def test_a_class_with_videos_on_one_side_alone_is_left_out_and_told(tmp_path):
    videos, lists, settings = make_official(tmp_path)
    for group in (2, 3, 4):
        (tmp_path / f"VIDEOS/Bowling/v_Bowling_g{group:02d}_c01.avi").rename(tmp_path / f"{group}.avi")
    scale = Request((), "laptop", settings, "net").read_scale()
    with pytest.raises(DataError, match=r"two classes or more of ucf101 .* received 1 in split 1"):
        find_data_set("ucf101", videos, lists, scale)
    for group in (1, 4):
        name = f"v_Diving_g{group:02d}_c01.avi"
        (tmp_path / f"VIDEOS/Diving/{name}").write_bytes(b"x" * group)
    found = find_data_set("ucf101", videos, lists, scale)
    assert {label for label, _ in found.splits[1].values()} == {"Archery", "Diving"}
    assert any("left out, with videos on one side only: Bowling" in doubt for doubt in found.doubts)


def test_a_folder_is_split_by_share_unless_it_is_split_already(tmp_path):
    scale = Request((), "laptop", None, "net").read_scale()
    make_classes(tmp_path / "plain", ("bow", "wave"), videos=4, frames=2)
    (chosen,) = find_data_set("folders", str(tmp_path / "plain"), "", scale).splits.values()
    assert sorted(side for _, side in chosen.values()).count("train") == 6 and len(chosen) == 8
    for number, side in enumerate(("train", "test")):
        make_classes(tmp_path / "split" / side, ("bow", "wave"), videos=2, frames=2 + number)
    (chosen,) = find_data_set("folders", str(tmp_path / "split"), "", scale).splits.values()
    assert {path.split("/")[0] == side for path, (_, side) in chosen.items()} == {True}
