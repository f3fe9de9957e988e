"""The end of the chain: what shards were made from, and the run that a run started from, held to their hashes."""

import pytest
from chain_building import call, change, make_run, save_net, with_origins, write_percepts

from videorep.data.shards.manifest import load_dataset
from videorep.provenance import verify
from videorep.runs import load_run


def test_origins_that_nobody_named_are_listed_from_every_link(chain):
    percepts = chain / "percepts"
    how = f"name it with videorep verify {percepts}"
    for name in ("serving", "second", "first", "percepts"):
        assert verify(chain / name) == (
            [],
            [
                f"what {percepts} was made from: {how} --sources FOLDER",
                f"the convnet of {percepts}: {how} --backbone FILE",
            ],
        )


@pytest.mark.parametrize("file", ["clips/data-train.tfrecord-00000-of-00001", "clips/dataset.json", "net.keras"])
@pytest.mark.parametrize("link", ["serving", "second", "first"])
def test_a_changed_byte_of_the_origins_is_a_problem_of_every_link(chain, link, file):
    change(chain / file)
    named = {"sources": chain / "clips", "backbone": chain / "net.keras"}
    assert verify(chain / link, **named)[0]
    result = call("verify", chain / link, "--sources", chain / "clips", "--backbone", chain / "net.keras")
    assert result.exit_code == 1 and "Traceback" not in result.output


def test_another_origin_of_the_first_run_is_not_held_to_that_of_the_second(chain):
    """A run's own data are compared with what was named; those of the run that it started from are listed."""
    write_percepts(chain / "few", seed=8)
    settings = load_dataset(chain / "percepts").made["settings"]
    write_percepts(chain / "few_clips", seed=9)
    with_origins(chain / "few", settings | {"clips": load_dataset(chain / "few_clips").provenance["shards"]}, {})
    first = load_run(chain / "first")
    make_run(chain / "third", chain / "few", first)
    problems, unchecked = verify(chain / "third", sources=chain / "few_clips", backbone=chain / "net.keras")
    assert problems == [] and [str(chain / "percepts") in each for each in unchecked] == [False, True, True]


def test_provenance_of_the_initial_run_that_was_changed_is_told(chain):
    path = chain / "first" / "provenance.json"
    path.write_text(path.read_text().replace('"videorep": "1"', '"videorep": "2"'))
    assert verify(chain / "first")[0] == []
    for link in ("second", "serving"):
        (problem,), _ = verify(chain / link)
        assert str(chain / "first") in problem and "from which it started" in problem


def test_clip_shards_and_convnet_of_percepts_are_compared_where_named(chain):
    save_net(chain / "other.keras")
    settings = load_dataset(chain / "percepts").made["settings"]
    problems, _ = verify(chain / "percepts", sources=chain / "first", backbone=chain / "other.keras")
    assert len(problems) == 1 and settings["weights_sha256"] in problems[0]
    write_percepts(chain / "clips", seed=6)
    problems, _ = verify(chain / "percepts", sources=chain / "clips", backbone=chain / "net.keras")
    assert len(problems) == 1 and settings["clips"].popitem()[1] in problems[0]
