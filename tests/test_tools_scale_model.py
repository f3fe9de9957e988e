"""tools/scale_model.py: its arithmetic by hand, its simulation against closed forms."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

import scale_model
from scale_rates import check_rates, fit_line
from scale_simulation import Cluster, expected_seconds, simulate


def make_rates(noise=1.0):
    """A machine that starts for 10 s and then does 100 frames a second on 2 cores, or a step in 0.5 s."""

    def rows(sizes, each):
        seconds = [10 + size * each for size in sizes]
        seconds[1] *= noise
        return [
            {"size": size, "seconds": took, "core_seconds": 2 * took, "bytes_per_frame": 5000.0}
            for size, took in zip(sizes, seconds, strict=True)
        ]

    frames = rows([1000, 3000, 9000], 0.01)
    return {"cores": 2, "features": 1280, "clips": frames, "percepts": frames, "pretrain": rows([20, 60, 180], 0.5)}


def test_a_line_is_found_again_and_no_overhead_is_negative():
    np.testing.assert_allclose(fit_line([1, 3, 9], [12, 16, 28]), (10, 2))
    assert fit_line([1, 2], [1, 4])[0] == 0
    np.testing.assert_allclose(fit_line([1, 2, 3], [2, 4, 6]), (0, 2), atol=1e-12)


def test_the_check_tells_a_machine_that_is_no_line():
    rows, close = check_rates(make_rates())
    assert close and all(abs(row["ratio"] - 1) < 1e-9 and abs(row["unseen"] - 1) < 1e-9 for row in rows)
    assert [row["measured"] for row in rows[:3]] == [1000 / 20, 3000 / 40, 9000 / 100]
    rows, close = check_rates(make_rates(noise=2.0))
    assert not close and rows[1]["unseen"] == pytest.approx(2.0)


def test_operations_of_a_step():
    # One layer of 2048 on 64x64 pixels, 10 + 10 frames, batch 32: 172 GFLOP, counted product by product elsewhere.
    assert scale_model.step_flops(4096, 2048, 1, 32, 10, 10) == pytest.approx(172e9, rel=0.002)
    # By hand, everything of size one: the encoder's product of the data (4 wide) twice; 3 times its recurrence (4), and
    # for each of both decoders' frames recurrence (4) and output (1).
    assert scale_model.step_flops(1, 1, 1, 1, 1, 1) == 2 * (2 * 4 + 3 * 4 + 3 * 2 * (4 + 1))
    assert scale_model.step_flops(1, 1, 2, 1, 1, 1) == 2 * (2 * 4 + 3 * 12 + 3 * 2 * (12 + 1))


def test_300_hours_are_those_of_the_paper():
    assumed = scale_model.Assumptions()
    stages = scale_model.estimate(300, make_rates(), assumed)
    assert stages["dataset"]["frames"] == 32_400_000 and stages["dataset"]["records"] == 108_000
    assert stages["percepts"]["bytes"] == pytest.approx(265e9, rel=0.002) and stages["percepts"]["shards"] == 266
    assert stages["clips"]["bytes"] == 32_400_000 * 5000
    assert stages["clips"]["core hours"] == pytest.approx(32_400_000 * 0.02 / 3600)
    training = stages["pretrain"]
    assert training["steps of one device"] == 32_400_000 / 8 / 32
    assert training["bytes read per step"] == 32 * 29 * 4096 * 2
    # 4 x 2048 x (4096 + 3 x 2048) of the encoder, and in both decoders 4 x 2048 x 3 x 2048 and 2048 x 4096.
    weights = 8192 * (4096 + 6144) + 2 * (8192 * 6144 + 2048 * 4096)
    assert training["bytes exchanged per step and device"] == 8 * weights
    # 32 sequences take less time to compute than the weights of one take to read; 64 devices wait for one another.
    seconds = scale_model.step_flops(4096, 2048, 2, 1, 16, 13) / 3.3e12
    assert training["seconds of a step, one device"] == seconds > 32 * seconds * 3.3e12 / 330e12
    assert training["seconds of a step, with the exchange of gradients"] == 8 * weights / 50e9 > seconds
    assert training["device hours, one device"] == pytest.approx(training["steps of one device"] * seconds / 3600)
    alone = scale_model.estimate(300, make_rates(), scale_model.Assumptions(devices=1))["pretrain"]
    assert alone["bytes exchanged per step and device"] == 0
    assert alone["device hours, all devices"] == training["device hours, one device"]
    twice = scale_model.estimate(600, make_rates(), assumed)
    assert twice["pretrain"]["dollars"] == pytest.approx(2 * training["dollars"])


def test_without_failures_workers_share_the_work():
    for dealt in (False, True):
        told = simulate(Cluster(7, dealt=dealt), 100, 3.0)
        assert told == {"seconds": 45.0, "failures": 0, "lost_seconds": 0.0, "busy": pytest.approx(300 / 7 / 45)}


def test_one_storage_for_all_is_the_bound():
    told = simulate(Cluster(50, bandwidth=10.0), 400, 1.0, size=20.0)
    assert told["seconds"] == 400 * 2 + 1
    assert simulate(Cluster(1, bandwidth=10.0), 5, 3.0, size=20.0)["seconds"] == 5 * (2 + 3)


def test_a_straggler_holds_up_what_is_dealt_and_not_what_is_taken():
    slow = {"stragglers": 0.1, "slowness": 4.0}
    assert simulate(Cluster(10, dealt=True, **slow), 1000, 1.0)["seconds"] == 400
    assert 1000 / 9.25 <= simulate(Cluster(10, **slow), 1000, 1.0)["seconds"] < 1000 / 9.25 + 4


def test_failures_cost_what_the_closed_form_says():
    shards, work, rate, restart = 20_000, 600.0, 2.0, 90.0
    told = simulate(Cluster(1, failures_per_hour=rate, restart_seconds=restart), shards, work, seed=1)
    expected = expected_seconds(work, rate, restart)
    # By hand: r = 2 / 3600, exp(r 600) - 1 = 0.3956; (1800 + 90) times it.
    assert expected == pytest.approx(1890 * (math.exp(1 / 3) - 1))
    assert told["seconds"] / shards == pytest.approx(expected, rel=0.01)
    assert told["failures"] / shards == pytest.approx(math.exp(1 / 3) - 1, rel=0.03)
    assert told["lost_seconds"] + restart * told["failures"] == pytest.approx(told["seconds"] - shards * work)
    many = simulate(Cluster(40, failures_per_hour=rate, restart_seconds=restart), shards, work)
    assert many["seconds"] == pytest.approx(expected * shards / 40, rel=0.03)
    assert expected_seconds(600, 0, 90) == 600


def test_where_no_worker_lives_long_enough_it_says_so():
    assumed = scale_model.Assumptions(failures_per_hour=100.0)
    ((what, days),) = scale_model.simulate_build("clips", 10, 1000.0, 1e9, assumed).items()
    assert "no worker lives as long" in what and days == math.inf


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rates", "nothing.json"], "expected rates that --measure wrote in nothing.json, received: FileNotFound"),
        (["--measure", "rates.json"], "expected --videos FOLDER beside --measure"),
        (["--rates", "rates.json", "--devices", "0"], "expected devices above 0, received 0"),
        (["--rates", "rates.json", "--restart-seconds", "-5"], "expected restart_seconds from 0 on, received -5.0"),
        (["--rates", "rates.json", "--stragglers", "2"], "expected stragglers, a share, up to 1, received 2.0"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(monkeypatch, capsys, words, said):
    monkeypatch.setattr(sys, "argv", ["scale_model.py", *words])
    with pytest.raises(SystemExit) as ended:
        scale_model.main()
    assert ended.value.code == 2 and said in capsys.readouterr().err


def test_it_prints_the_check_before_it_extrapolates(tmp_path, monkeypatch, capsys):
    for noise, status in ((1.0, 0), (2.0, 1)):
        (tmp_path / "rates.json").write_text(json.dumps(make_rates(noise)))
        monkeypatch.setattr(sys, "argv", ["scale_model.py", "--rates", str(tmp_path / "rates.json")])
        assert scale_model.main() == status
        said = capsys.readouterr().out
        assert ("30,000,000 hours" in said) == (status == 0) and "measured/s" in said
