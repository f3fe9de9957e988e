"""Which processes train together, as TF_CONFIG and SLURM say."""

import json

import pytest

from videorep.errors import ConfigError
from videorep.training.cluster import read_cluster

CLUSTER = {"worker": ["127.0.0.1:2222", "127.0.0.1:2223"]}


@pytest.mark.parametrize(
    ("jobs", "job", "task", "index"),
    [(CLUSTER, "worker", 1, 1), (CLUSTER, "worker", "1", 1), ({"chief": ["a:1"], "worker": ["a:2"]}, "worker", 0, 1)],
)
def test_the_chief_comes_first(monkeypatch, jobs, job, task, index):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": jobs, "task": {"type": job, "index": task}}))
    cluster = read_cluster()
    assert (cluster.jobs, cluster.index, cluster.count) == (jobs, index, 2)


def test_what_srun_tells(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    step = {"STEP_NUM_TASKS": "4", "PROCID": "2", "STEP_NODELIST": "node[1-2]", "STEP_TASKS_PER_NODE": "2(x2)"}
    for name, value in step.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    cluster = read_cluster()
    assert cluster.jobs == {"worker": ["node1:8888", "node1:8889", "node2:8888", "node2:8889"]}
    assert cluster.index == 2
    monkeypatch.delenv("SLURM_PROCID")
    with pytest.raises(ConfigError, match="begun by srun, received variables that make no sense: SLURM_PROCID"):
        read_cluster()
