"""What a dry run of a comparison foretells is what the comparison then does."""

import numpy as np
from comparison_videos import make_records, pretrained

from videorep.comparison import compare
from videorep.comparison.linear import Linear
from videorep.comparison.recurrent import Recurrent
from videorep.comparison_config import CompareConfig
from videorep.data import write_shards

TABLES = ("probabilities", "held_out")
SMALL = {"units": 4, "draws": 2, "trials": 2, "models": ("autoencoder",), "pretrain_steps": 1, "steps": (1, 2)}


def test_a_dry_run_counts_the_trainings_that_are_done_and_writes_nothing(tmp_path, monkeypatch):
    shards, generator = str(tmp_path / "shards"), np.random.default_rng(0)
    sides = {"train": (1, 2, 3, 4), "test": (8, 9)}
    write_shards({side: make_records(generator, groups, frames=(29, 33)) for side, groups in sides.items()}, shards)
    init, fitted = pretrained(shards, tmp_path / "run"), {Linear: [], Recurrent: []}
    config = CompareConfig(shards, **SMALL, init=(init,))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("videorep.comparison.forecast.format_bytes", int)
    planned = compare(config, tmp_path / "out", dry_run=True)
    assert sorted(tmp_path.rglob("*")) == before
    for kind, fit in ((each, each.fit) for each in fitted):

        def counted(self, *arguments, kind=kind, fit=fit):
            fitted[kind].append(0)
            for made in fit(self, *arguments):
                fitted[kind][-1] += 1
                yield made

        monkeypatch.setattr(kind, "fit", counted)
    compare(config, tmp_path / "out")
    assert planned["trainings_of_lstms"] == len(fitted[Recurrent]) == 3 * 3 * (3 * 2 + 2)
    assert planned["logistic_regressions"] == 6 * len(fitted[Linear]) == 6 * 5 * 3 * (3 * 2 + 2)
    assert sum(fitted[Linear]) <= planned["logistic_regressions"]
    forecast = planned["forecast"]
    assert planned["pretrainings"] == 1 and " s on this machine" in forecast["time"]
    tables = [np.load(path)[name] for path in sorted((tmp_path / "out" / "measured").iterdir()) for name in TABLES]
    assert 0 < forecast["disk"] - sum(table.nbytes for table in tables) < 100_000  # the pretrained run
    assert forecast["memory"] > 1 << 26
