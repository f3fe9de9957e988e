"""What commands print of their workers' results."""

import types

import pytest
from click.testing import CliRunner

from videorep.cli.main import videorep_command
from videorep.cli.printing import format_value, print_dataset, print_facts, print_table
from videorep.progress import PlainProgress


@pytest.mark.parametrize(
    "value, words",
    [
        (0.123456789, "0.12346"),
        (12345.6, "12,346"),
        (0, "0"),
        (1234567, "1,234,567"),
        (True, "yes"),
        (None, "-"),
        (["a", 1], "a, 1"),
        ("as it is", "as it is"),
        ("", "none"),
        (float("nan"), "nan"),
    ],
)
def test_format_value(value, words):
    assert format_value(value) == words


def test_facts_are_aligned_and_nested(capsys):
    print_facts({"run": "runs/x", "block_accuracy": 0.5, "none": None, "empty": {}, "per_class": {"jump": 1.0}})
    assert capsys.readouterr().out.splitlines() == [
        "run:            runs/x",
        "block accuracy: 0.5",
        "per class:",
        "  jump: 1",
    ]


def test_table_aligns_numbers_at_the_right(capsys):
    print_facts({"rows": [{"model": "composite", "future_loss": 341.2}, {"model": "mean", "future_loss": None}]})
    assert capsys.readouterr().out.splitlines() == [
        "rows:",
        "  model      future loss",
        "  composite        341.2",
        "  mean                 -",
    ]


def test_table_of_words(capsys):
    print_table([{"a": "x"}])
    assert capsys.readouterr().out == "a\nx\n"


def test_dataset_names_what_was_left_out_and_what_was_absent(capsys):
    bad = [{"path": f"{n}.avi", "status": "left out", "reason": "no frames"} for n in range(12)]
    bad[1] |= {"start": 0.5, "end": 20.0}
    flawed = [*bad, {"path": "12.avi", "status": "written", "reason": "damaged"}]
    shard = types.SimpleNamespace(records=1200)
    dataset = types.SimpleNamespace(
        kind="clips",
        flawed=lambda: iter(flawed),
        splits={"train": [shard, shard]},
        labels=("a", "b"),
        made={"found": {"absent": 7}},
        engine={},
    )
    print_dataset("shards", dataset)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Made clips in shards", "  train:    2,400 records", "  labels:   2"]
    assert lines[3:6] == ["  absent:   7", "  left out: 12", "    0.avi: no frames"] and len(lines) == 16
    assert lines[6] == "    1.avi, 0.5 to 20 s: no frames"
    assert lines[-1] == "    and 2 more: videorep inspect shards"


def test_names_of_strangers_command_no_terminal(capsys):
    name = "\x1b]0;mine\x07\x9b31m\r.mp4"
    print_facts({"labels": [name], "rows": [{"path": name}]})
    with PlainProgress(every=0).task("Decoding", total=2) as advance:
        advance(1, note=name)
    result = CliRunner().invoke(videorep_command, ["inspect", name])
    assert result.exit_code == 1
    told = capsys.readouterr()
    for text in (told.out, told.err, result.output):
        assert "\\x1b]0;mine\\x07\\x9b31m\\x0d.mp4" in text
        assert not set(text) & set("\x1b\x07\x9b\r")
