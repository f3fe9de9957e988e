"""The fuzzer itself, a little of it against every parser, and what it once found."""

import dataclasses
import json
import random
import shutil
import sys
import zlib
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "tests" / "fuzz_corpus"
sys.path.insert(0, str(ROOT / "tools"))

import fuzz  # noqa: E402
from fuzzing import formats, mutations, parsers, readers, worker  # noqa: E402

ACCEPTED = {"refused", "same", "other"}
# A shard is read in many ways, which takes a second; a command and an export load models.
SLOW = {name for name, parser in parsers.PARSERS.items() if parser.read is readers.read_shards} | {"export"}
QUICK = sorted(parsers.PARSERS.keys() - SLOW)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A function from a parser's name to its sound files and their result."""
    import keras
    from fuzzing import samples

    keras.applications.tinynet = samples.tinynet
    folder, results = tmp_path_factory.mktemp("sound"), {}

    def get(name):
        files = worker.make_sound(name, folder)
        if name not in results:
            results[name] = worker.read_sound(name, files)
        return files, results[name]

    yield get
    del keras.applications.tinynet
    readers.close_pools()


def judge(sound, name, case, folder):
    """The verdict on one case."""
    files, expected = sound(name)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(files, folder)
    for file, content in case.changes.items():
        (folder / file).write_bytes(content)
    return worker.examine(name, folder, expected, case.exact)


def test_at_least_twenty_one_parsers_are_fuzzed():
    assert len(parsers.PARSERS) >= 21


def cases(sound, name, count, seed):
    """`count` cases of a parser, the same for the same seed."""
    drawn = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(fuzz.cases_of(name, sound(name)[0]))
    def draw(case):
        drawn.append(case)

    draw()
    return drawn


@pytest.mark.parametrize("name", QUICK)
def test_a_few_mutations_of_every_parser_end_well(sound, name, tmp_path):
    for case in cases(sound, name, 6, seed=1):
        verdict = judge(sound, name, case, tmp_path / "case")
        assert verdict.kind in ACCEPTED, verdict.detail


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SLOW))
def test_mutations_of_shards_and_exports_end_well(sound, name, tmp_path):
    for case in cases(sound, name, 25, seed=1):
        verdict = judge(sound, name, case, tmp_path / "case")
        assert verdict.kind in ACCEPTED, verdict.detail


@pytest.mark.parametrize("folder", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_what_was_found_once_stays_mended(sound, folder, tmp_path):
    case = json.loads((folder / "case.json").read_text())
    files = [path for path in (folder / "files").rglob("*") if path.is_file()]
    changes = {str(path.relative_to(folder / "files")): path.read_bytes() for path in files}
    verdict = judge(sound, case["parser"], fuzz.Case(changes, case["exact"]), tmp_path / "case")
    assert verdict.kind in ACCEPTED, verdict.detail


def test_cases_are_the_same_for_the_same_seed(sound):
    for name in ("toml", "metrics", "framing", "command-line"):
        assert cases(sound, name, 5, seed=3) == cases(sound, name, 5, seed=3)


def test_framing_is_tensorflows(tmp_path):
    records = [b"", b"abc", random.Random(0).randbytes(3000)]
    with tf.io.TFRecordWriter(str(tmp_path / "records")) as file:
        for record in records:
            file.write(record)
    content = (tmp_path / "records").read_bytes()
    assert b"".join(map(formats.frame_record, records)) == content
    assert formats.split_records(content) == records


def test_messages_come_back_as_they_were():
    example = tf.train.Example()
    example.features.feature["a"].bytes_list.value[:] = [b"one", b"", b"\xff\xd8"]
    example.features.feature["b"].int64_list.value[:] = [-1, 300]
    example.features.feature["c"].float_list.value[:] = [0.5]
    content = example.SerializeToString(deterministic=True)
    assert formats.render_message(formats.parse_message(content)) == content


def test_structures_are_enough_and_every_one_differs(sound):
    plain = json.loads((sound("dataset-json")[0] / parsers.MANIFEST).read_bytes())
    trees = [json.dumps(tree) for tree in mutations.structures(plain)]
    assert len(trees) >= 924
    assert json.dumps(plain) not in trees[:12]


def test_flips_change_one_bit_each_in_places_of_their_own():
    content = bytes(range(200))
    flipped = list(mutations.flips(content, 158))
    changed = [np.flatnonzero(np.frombuffer(one, np.uint8) != np.frombuffer(content, np.uint8)) for one in flipped]
    assert len({int(places[0]) for places in changed}) == 158
    assert all(len(places) == 1 for places in changed)


def test_the_fuzzer_tells_what_does_not_end_well(sound, tmp_path, monkeypatch):
    def read(content, error=None):
        def reader(folder):
            if error:
                raise error
            return content

        monkeypatch.setitem(parsers.PARSERS, "toml", dataclasses.replace(parsers.PARSERS["toml"], read=reader))
        return worker.examine("toml", tmp_path, 1, exact=True).kind

    from videorep.errors import DataError

    assert read(1) == "same"
    assert read(2) == "silent"
    assert read(1, DataError("expected one, received another; mend it")) == "refused"
    assert read(1, KeyError("x")) == "error"
    assert read(1, zlib.error("x")) == "error"
    assert read(1, readers.WrongResultError("NaN")) == "silent"


def test_memory_beyond_the_bound_is_a_finding(sound, tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "MEBIBYTES", 40)
    monkeypatch.setitem(
        parsers.PARSERS,
        "toml",
        dataclasses.replace(parsers.PARSERS["toml"], read=lambda folder: len(bytearray(b"x" * (90 << 20)))),
    )
    assert worker.examine("toml", tmp_path, 90 << 20, exact=True).kind == "memory"
