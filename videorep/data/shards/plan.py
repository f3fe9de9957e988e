"""The plan of a build: which source goes into which shard, and what became of it. No TensorFlow."""

import dataclasses
import itertools
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Source:
    """One input of a build: a video, a piece of one, a clip, a range of generated sequences.

    Args:
        path: Its name in dataset.json; relative, so that the build does not depend on where the input lies.
        split: The split that its records go to.
        label_index: Its class, or None.
        sha256: Hash of the input file where it is known before the build; an outcome's facts may give it later.
        start, end: The piece in seconds; None for the whole.
    """

    path: str
    split: str
    label_index: int | None = None
    sha256: str = ""
    start: float | None = None
    end: float | None = None


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """One shard that is still to be written: number `index` of `of` in `split`, from `sources` in this order."""

    split: str
    index: int
    of: int
    sources: tuple


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one source.

    Args:
        source: The `Source`.
        records: Its `Clip`, `EncodedClip` or `Percept` objects; empty if it was left out.
        reason: Why it was left out (with no records) or what was wrong with it (with some); else "".
        facts: More to tell in dataset.json: plain JSON values, the same whenever the build is run.
    """

    source: Source
    records: list
    reason: str = ""
    facts: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a build makes, and what of.

    Args:
        name: Leading part of the shards' names: letters, digits, dot, dash and underscore.
        kind: "clips" or "percepts".
        plan: `{split: [[Source, ...] per shard]}`, as `plan_shards` makes it.
        labels: Class names in order of their index.
        made: {"command", "seed", "settings": whatever shapes the content}. Settings, seed, labels and plan must be the
            same when a build is resumed.
        unit: What the sources are called in progress lines.
    """

    name: str
    kind: str
    plan: dict
    labels: tuple = ()
    made: dict = dataclasses.field(default_factory=dict)
    unit: str = "videos"


@dataclasses.dataclass(frozen=True)
class Work:
    """A build that is planned and may be carried out for as long as what it was opened with lasts.

    Args:
        recipe: Its `Recipe`.
        process, check: As of `videorep.data.shards.build.build_dataset`.
        describe: Function that gives what a dry run tells.
    """

    recipe: Recipe
    process: Callable
    check: Callable | None
    describe: Callable


def plan_shards(sources, per_shard=None, shards=None):
    """Deals `Source`s out to the shards of their splits, in the given order, sizes as equal as can be.

    At most `per_shard` go into one, or every split gets so many `shards`. Gives `{split: [[Source, ...] per shard]}`.
    """
    plan = {}
    for split in dict.fromkeys(source.split for source in sources):
        members = [source for source in sources if source.split == split]
        count = -(-len(members) // per_shard) if shards is None else shards
        bounds = [len(members) * index // count for index in range(count + 1)]
        plan[split] = [members[a:b] for a, b in itertools.pairwise(bounds)]
    return plan
