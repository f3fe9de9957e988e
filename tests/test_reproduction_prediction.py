"""Reproductions of the paper's predictions end to end on tiny models."""

import html
import json

import numpy as np
import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command
from videorep.data import write_shards
from videorep.errors import ConfigError, OutputError
from videorep.evaluation.scores import COPY
from videorep.reproduction import prediction
from videorep.reproduction.named_settings import SCALES
from videorep.reproduction.prediction_settings import VARIANTS, PredictionRequest
from videorep.reproduction.prediction_tables import find_copied, find_orders
from videorep.runs import load_run

pytestmark = pytest.mark.filterwarnings("ignore::videorep.errors.VideorepWarning")

SETTINGS = """
units = 3
seeds = [0, 1]
sequences = 4
models = ["future-predictor", "conditional-composite"]
[digits]
input_frames = 3
future_frames = 2
[digits.training]
steps = 1
batch_size = 2
precision = "float32"
[patches]
side = 8
input_frames = 3
future_frames = 2
[patches.training]
steps = 1
batch_size = 2
precision = "float32"
"""


@pytest.fixture(scope="module")
def request_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prediction")
    rng = np.random.default_rng(0)
    records = {
        split: [
            {"frames": rng.integers(0, 256, (8, 16, 16, 3), np.uint8), "path": f"{split}-{number}.avi"}
            for number in range(4)
        ]
        for split in ("train", "test")
    }
    write_shards(records, folder / "clips")
    (folder / "tiny.toml").write_text(SETTINGS)
    return PredictionRequest("laptop", "rendered", str(folder / "clips"), str(folder / "tiny.toml"))


@pytest.fixture(scope="module")
def whole(request_of, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    request, words = request_of, ["reproduce", "prediction", "--scale", "laptop", "--out", str(out)]
    words += ["--patches", request.patches, "--config", request.settings]
    done = CliRunner().invoke(videorep_command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return out, json.loads((out / "results.json").read_text())


def test_every_cell_is_that_of_the_runs_own_scores(whole):
    out, result = whole
    table = result["tables"][0]
    assert [row["method"] for row in table["rows"][:2]] == ["future predictor", "conditional composite"]
    for place, (data, figure) in enumerate(
        (
            ("moving-mnist", "future_cross_entropy_per_frame"),
            ("patches", "future_standardised_half_squared_error_per_frame"),
        )
    ):
        for row, model in zip(table["rows"], ("future-predictor", "conditional-composite"), strict=False):
            scores = [json.loads((out / data / model / f"scores-{seed}/scores.json").read_text()) for seed in (0, 1)]
            values = [each["rows"][0][figure] for each in scores]
            assert scores[0]["rows"][0]["predictor"] == "model"
            cell = row["cells"][place]
            assert [part["mean"] for part in cell["parts"]] == pytest.approx(values)
            assert (cell["mean"], cell["deviation"]) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert [row["cells"][0]["paper"] for row in table["rows"][:2]] == [350.2, 341.2]
    assert load_run(out / "moving-mnist/future-predictor/seed-1").config.training.seed == 1


def test_the_report_holds_its_pictures_and_tells_the_order(whole):
    out, result = whole
    page, text = html.unescape((out / "report.html").read_text()), (out / "report.md").read_text()
    assert {"figure-5.png", "figure-6.png", "figure-7.png", "figure-8-3.png", "figure-10.png"} <= result[
        "pictures"
    ].keys()
    assert page.count("data:image/png;base64,") == len(result["pictures"]) and "http" not in page
    for written in (page, text):
        assert all(caption in written for caption in result["pictures"].values())
        assert all(finding in written for finding in result["findings"]) and len(result["findings"]) == 2


def test_it_goes_on_where_it_was_interrupted(request_of, whole, tmp_path, monkeypatch):
    out, evaluate, calls = tmp_path / "out", prediction.evaluate_future_prediction, []

    def stop_at_the_second(*arguments, **choices):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*arguments, **choices)

    monkeypatch.setattr(prediction, "evaluate_future_prediction", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prediction.reproduce_prediction(request_of, out)
    with pytest.raises(OutputError, match="go on with --resume"):
        prediction.reproduce_prediction(request_of, out)
    resumed = prediction.reproduce_prediction(request_of, out, resume=True)
    assert len(calls) == 1 + 8 and resumed["tables"] == whole[1]["tables"]


def test_a_dry_run_writes_nothing(request_of, tmp_path):
    planned = prediction.reproduce_prediction(request_of, tmp_path / "out", dry_run=True)
    assert planned["moving-mnist"]["trainings"] == 4 and "forecast" in planned["patches"]
    assert list(tmp_path.iterdir()) == []


def test_the_order_is_compared_with_the_papers():
    def scores(*values):
        rows = [{"rows": [{"predictor": "model", "future_cross_entropy_per_frame": value}]} for value in values]
        return {"moving-mnist": {name: {0: row} for name, row in zip(VARIANTS, rows, strict=True)}}

    (same,), (other,) = find_orders(scores(9, 7, 6, 5)), find_orders(scores(9, 6, 7, 5))
    assert same.endswith("which is the paper's.") and "conditional-future-predictor, composite" in other
    assert "which is not the paper's (future-predictor, composite, conditional-future-predictor" in other


def test_where_copying_wins_is_told():
    def scores(*copied):
        curves = ({"model": [3.0, 4.0, 8.0], COPY: list(copied)}, {"model": [5.0, 4.0, 4.0], COPY: list(copied)})
        models = ("future-predictor", "composite")
        unit = "standardised_half_squared_error_per_frame"
        return {
            "patches": {name: {0: {"future_by_frame": {unit: each}}} for name, each in zip(models, curves, strict=True)}
        }

    assert find_copied(scores(3, 5, 4)) == []
    told = "patches: copying the last frame is better than every model at future frame 1, 3."
    assert find_copied(scores(2.5, 5, 3.5)) == [told]


@pytest.mark.parametrize("name", SCALES)
def test_scales_can_be_read_and_changed(name, config_file):
    scale = PredictionRequest(name, "rendered").read_scale()
    assert scale.models == tuple(VARIANTS) and scale.digits.training.batch_size > 2
    changed = PredictionRequest(name, "rendered", None, str(config_file("[digits.training]\nsteps = 7"))).read_scale()
    assert changed.digits.training.steps == 7 and changed.digits.input_frames == scale.digits.input_frames
    assert changed.digits.training.batch_size == scale.digits.training.batch_size
    for text, words in (("seeds = []", "seeds"), ("models = ['x']", "models"), ("units = 0", "units"), ("x = 1", "x")):
        with pytest.raises(ConfigError, match=words):
            PredictionRequest(name, "rendered", None, str(config_file(text))).read_scale()
