"""Training on several workers, each a process of its own: the same as on one."""

import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import fails
from job_building import finetune_config, pretrain_composite, pretrain_config, write_percepts

from videorep.config_values import to_dict
from videorep.data import write_shards
from videorep.errors import RunError, VideorepWarning
from videorep.runs import load_run
from videorep.training.checkpoints import Checkpoints
from videorep.training.cluster import Cluster
from videorep.training.pretrain import pretrain

TESTS = Path(__file__).parent
BATCH, STEPS, EVERY = 12, 50, 10
NOTES = re.compile(r"^(WARNING: All log messages|[IWE]0000 ).*\n", re.MULTILINE)


@pytest.fixture(scope="module")
def percepts(tmp_path_factory):
    return write_percepts(tmp_path_factory.mktemp("strategy") / "percepts")


def configuration(percepts):
    config = pretrain_config(percepts)
    changes = {"steps": STEPS, "batch_size": BATCH, "report_every": 1, "checkpoint_every": EVERY}
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **changes))


@pytest.fixture(scope="module")
def of_one(percepts, tmp_path_factory):
    """The figures of one worker, step by step."""
    out = tmp_path_factory.mktemp("one") / "run"
    pretrain(configuration(percepts), out)
    return losses(out)


def losses(run):
    """The figures of every report: losses, rate, position."""
    return np.array(
        [[report[name] for name in sorted(report) if name != "seconds"] for report in load_run(run).metrics()]
    )


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Workers:
    """`videorep pretrain` or `finetune` on several workers at once, one of which may be sent a signal.

    Args:
        signals: {worker: (signal, step before which it comes)}.
        of: How many there should be, where some never come.
    """

    def __init__(self, folder, count, command, signals=None, of=0, ports=()):
        folder.mkdir()
        addresses = [f"127.0.0.1:{port}" for port in ports or free_ports(of or count)]
        self.draws = [folder / f"draws-{number}" for number in range(count)]
        self.processes = []
        for number in range(count):
            config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}
            environment = {"TF_CONFIG": json.dumps(config), "CUDA_VISIBLE_DEVICES": "-1"}
            watched = [self.draws[number], *map(int, (signals or {}).get(number, (0, 0)))]
            arguments = [sys.executable, TESTS / "watched_command.py", *watched, *command, "--strategy", "multi-worker"]
            self.processes.append(
                subprocess.Popen(
                    [str(argument) for argument in arguments],
                    env=os.environ | environment | {"PYTHONPATH": f"{TESTS.parent}"},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )

    def ended(self):
        """[(exit status, standard error without TensorFlow's notes, of which 2.17 has many)]"""
        try:
            said = [each.communicate(timeout=90)[1] for each in self.processes]
            return [(each.returncode, NOTES.sub("", text)) for each, text in zip(self.processes, said, strict=True)]
        finally:
            for each in self.processes:
                each.kill()
                each.communicate()


def draws_of(files, first, end):
    """{number of the draw: windows} as the workers drew it, between two of them; they draw ahead."""
    drawn = {}
    for file in files:
        for line in file.read_text().splitlines():
            number, window = map(int, line.split())
            if first <= number < end:
                drawn.setdefault(number, []).append(window)
    return drawn


def assert_each_once(drawn, first, end, windows):
    """Every draw was made once by one worker, and every window is drawn once in each whole epoch."""
    assert sorted(drawn) == list(range(first, end))
    assert all(len(each) == 1 for each in drawn.values())
    for epoch in range(-(-first // windows), end // windows):
        numbers = range(epoch * windows, (epoch + 1) * windows)
        assert sorted(drawn[number][0] for number in numbers) == list(range(windows))


@pytest.fixture
def command(percepts, tmp_path):
    file = tmp_path / "settings.toml"
    write_toml(file, configuration(percepts))
    return ["pretrain", percepts, "--out", tmp_path / "run", "--config", file]


def write_toml(file, config):
    values = to_dict(config)
    tables = {name: values[name] for name in ("model", "training")}
    text = [f"{name} = {json.dumps(value)}\n" for name, value in values.items() if name in ("softmax", "encoder_rate")]
    for table, settings in tables.items():
        kept = {name: value for name, value in settings.items() if value not in (None, [], ())}
        text += [f"[{table}]\n", *(f"{name} = {json.dumps(value)}\n" for name, value in kept.items())]
    file.write_text("".join(text))


def train(folder, count, command, signals=None):
    workers = Workers(folder, count, command, signals)
    return workers, workers.ended()


@pytest.mark.parametrize("count", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_several_workers_train_as_one(percepts, of_one, command, tmp_path, count):
    workers, ends = train(tmp_path / "workers", count, command)
    assert [status for status, _ in ends] == [0] * count
    assert [said for _, said in ends[1:]] == [""] * (count - 1)
    run = load_run(tmp_path / "run")
    np.testing.assert_allclose(losses(run.path), of_one, rtol=1e-5)
    run.model()
    windows = run.provenance["data"]["windows"]
    assert_each_once(draws_of(workers.draws, 0, STEPS * BATCH), 0, STEPS * BATCH, windows)


@pytest.mark.parametrize(("count", "then"), [(2, 1), pytest.param(3, 2, marks=pytest.mark.slow)])
def test_one_is_killed_and_others_go_on(percepts, of_one, command, tmp_path, count, then):
    before, ends = train(tmp_path / "before", count, command, {count - 1: (signal.SIGKILL, 28)})
    assert ends[-1][0] == -signal.SIGKILL
    for status, said in ends[:-1]:
        assert status == 1
        error = said.splitlines()[-1]
        assert error.startswith(f"Error: expected {count} workers to train together, received: another one ended"), said
        assert "Traceback" not in said
    kept = Checkpoints(tmp_path / "run" / "checkpoints", [], STEPS)._steps_there()[0]
    assert 20 <= kept <= 27
    after, ends = train(tmp_path / "after", then, [*command, "--resume"])
    assert [status for status, _ in ends] == [0] * then, ends
    np.testing.assert_allclose(losses(tmp_path / "run"), of_one, rtol=1e-5)
    drawn, rest = draws_of(before.draws, 0, kept * BATCH), draws_of(after.draws, kept * BATCH, STEPS * BATCH)
    assert_each_once(drawn | rest, 0, STEPS * BATCH, load_run(tmp_path / "run").provenance["data"]["windows"])


def test_sigterm_to_one_stops_all_at_the_same_step(command, tmp_path, of_one):
    _, ends = train(tmp_path / "before", 2, command, {1: (signal.SIGTERM, 17)})
    assert ends[1][0] == 143
    assert "\nInterrupted: give the same command again with --resume to go on.\n" in ends[1][1]
    assert ends[0][0] == 1
    assert "another one was told to stop by step 16, which is kept" in ends[0][1]
    _, ends = train(tmp_path / "after", 1, [*command, "--resume"])
    assert [status for status, _ in ends] == [0], ends
    np.testing.assert_allclose(losses(tmp_path / "run"), of_one, rtol=1e-5)


def test_an_address_in_use_is_told(command, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1], *free_ports(1)]
        ((status, said),) = Workers(tmp_path / "workers", 1, command, of=2, ports=ports).ended()
    assert status == 1
    assert said.startswith("Error: expected to listen at 127.0.0.1:") and said.count("\n") == 1, said


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_worker_that_waits_for_another_can_be_told_to_end(command, tmp_path, sent):
    workers = Workers(tmp_path / "workers", 1, command, of=2)
    said = workers.processes[0].stderr.readline()
    assert "waiting for workers that do not answer yet: 127.0.0.1:" in said
    workers.processes[0].send_signal(sent)
    ((status, said),) = workers.ended()
    assert status == 128 + sent
    assert "Interrupted" in said and "Traceback" not in said


def test_workers_that_do_not_come_are_named(monkeypatch):
    monkeypatch.setattr("videorep.training.cluster.LIMIT", 0.5)
    own, there, absent = free_ports(3)
    addresses = [f"127.0.0.1:{port}" for port in (own, there, absent)]
    with socket.create_server(("127.0.0.1", there)), pytest.raises(RunError) as caught:
        Cluster({"worker": addresses}, "worker", 0).meet()
    assert str(caught.value).startswith(f"expected 3 workers to meet, waited 0 s for 127.0.0.1:{absent}; start all")


def test_a_classifier_with_dropout_and_validation(percepts, tmp_path):
    """From a pretrained run; the workers agree on when to stop, which the chief's validation decides."""
    init = pretrain_composite(percepts, tmp_path / "init")
    config = finetune_config(percepts, init, steps=40)
    training = dataclasses.replace(config.training, evaluate_every=5, patience=2)
    write_toml(tmp_path / "settings.toml", dataclasses.replace(config, training=training))
    shards, rng = tmp_path / "shards", np.random.default_rng(1)
    arrays = [(number % 2 + rng.uniform(0, 0.2, (20, 6))).astype("float32") for number in range(12)]
    records = [{"frames": array, "label": "ab"[number % 2]} for number, array in enumerate(arrays)]
    write_shards({"train": records, "validation": records[:4]}, shards)
    command = ["finetune", shards, "--out", tmp_path / "run", "--init", init]
    _, ends = train(tmp_path / "workers", 2, [*command, "--config", tmp_path / "settings.toml"])
    assert [status for status, _ in ends] == [0, 0], ends
    assert "validation_loss" in load_run(tmp_path / "run").last_report()
    load_run(tmp_path / "run").model()


def test_devices_of_one_process_train_as_one(percepts, tmp_path):
    environment = os.environ | {"PYTHONPATH": f"{TESTS.parent}", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, TESTS / "mirrored_training.py", percepts, tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    for name, of in figures.items():
        tolerance = {"bfloat16": 1e-2, "float16": 1e-2}.get(name, 1e-5)
        if name != "dropout":
            np.testing.assert_allclose(of["mirrored"], of["one"], rtol=tolerance, err_msg=name)
    one, mirrored = (np.array(figures["dropout"][strategy]) for strategy in ("one", "mirrored"))
    assert np.isfinite(mirrored).all() and not np.allclose(one, mirrored, rtol=1e-5)


CLUSTER = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "received neither it nor a step of SLURM"),
        ("{", "expected TF_CONFIG to hold a JSON object"),
        ("[" * 100_000, "expected TF_CONFIG to hold a JSON object"),
        ("[]", "expected TF_CONFIG to hold a JSON object"),
        (json.dumps({"cluster": CLUSTER}), "expected TF_CONFIG to hold a JSON object"),
        (json.dumps({"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}), "workers, of which one may be"),
        (json.dumps({"cluster": {"worker": ["a", "b:1"]}, "task": {"type": "worker", "index": 0}}), "host:port"),
        (json.dumps({"cluster": {"worker": ["b:1", "b:1"]}, "task": {"type": "worker", "index": 0}}), "host:port"),
        (json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}), "a task out of its cluster"),
        (json.dumps({"cluster": CLUSTER, "task": {"type": [], "index": 0}}), "a task out of its cluster"),
        (json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 0}}), "a multiple of 2"),
    ],
)
def test_what_cannot_be(percepts, tmp_path, monkeypatch, text, said):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    command = ["pretrain", percepts, "--out", tmp_path / "run", "--batch-size", 3, "--strategy", "multi-worker"]
    status, message = fails(*command, "--dry-run")
    assert status == 1
    assert said in message
    assert not (tmp_path / "run").exists()


def test_workers_that_would_all_train_alone_are_told(percepts, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 0}}))
    with pytest.warns(VideorepWarning, match="TF_CONFIG counts for nothing without --strategy multi-worker"):
        pretrain(configuration(percepts), tmp_path / "run", dry_run=True)
