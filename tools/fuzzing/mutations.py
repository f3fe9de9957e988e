"""Strategies of hypothesis that turn a sound file into what a stranger may have made of it.

Each takes a file's bytes and gives a strategy of bytes. A strategy draws the seed of a `random.Random` where many small
choices would slow hypothesis down.
"""

import copy
import json
import random
import re

from hypothesis import strategies as st

from fuzzing import formats

NUMBERS = (0, 1, -1, 2, 7, 99, 255, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**53, 2**60, 2**63 - 1, 2**63, 2**64 - 1)
NUMBERS += (-(2**31), -(2**63), -(2**63) - 1, 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308, float("nan"), float("inf"))
TEXTS = ("", " ", "\0", ".", "..", "../../../etc/hostname", "/etc/hostname", "nan", "-inf", "1e999", "1_000", "0x10")
TEXTS += ("true", "null", "é", "\ud800", "\u202e", "²", "%s%n", "a" * 300, "9" * 6000, "[" * 3000, '{"a":' * 3000, "-")
TEXTS += ("s3://bucket/x", "file:///etc/hostname", "\n", "\r\n", "'", '"', ",", ";", "\t", "clip.avi 1\n", "#", "=")

seeds = st.integers(0, 2**64 - 1)
plain_values = st.recursive(
    st.none() | st.booleans() | st.sampled_from(NUMBERS) | st.sampled_from(TEXTS) | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def _span(content, rng, most=64):
    first = rng.randrange(len(content) + 1)
    return first, min(len(content), first + rng.randint(1, most))


def _flip(content, rng):
    place = rng.randrange(max(1, len(content)))
    return (
        content[:place]
        + bytes(byte ^ 1 << rng.randrange(8) for byte in content[place : place + 1])
        + content[place + 1 :]
    )


def _delete(content, rng):
    first, last = _span(content, rng)
    return content[:first] + content[last:]


def _duplicate(content, rng):
    first, last = _span(content, rng)
    return content[:last] * rng.choice([1, 1, 50]) + content[first:]


def _truncate(content, rng):
    return content[: rng.randrange(len(content) + 1)]


def _overwrite(content, rng):
    first, last = _span(content, rng, 8)
    new = rng.choice([bytes(last - first), b"\xff" * (last - first), rng.randbytes(last - first)])
    return content[:first] + new + content[last:]


def _set_number(content, rng):
    size = rng.choice([1, 2, 4, 8])
    number = int(rng.choice([number for number in NUMBERS if abs(number) < 2**64])) & (1 << 8 * size) - 1
    first = rng.randrange(len(content) + 1)
    return content[:first] + number.to_bytes(size, rng.choice(["little", "big"])) + content[first + size :]


OPERATIONS = (_flip, _flip, _delete, _duplicate, _truncate, _overwrite, _set_number)


def damage_bytes(content, rng, most=3):
    """A few bytes flipped, overwritten, deleted, doubled or cut off."""
    for _ in range(rng.randint(1, most)):
        content = rng.choice(OPERATIONS)(content, rng)
    return content


def damaged(content):
    """Damage as a disk, a network or an editor does it."""
    return seeds.map(lambda seed: damage_bytes(content, random.Random(seed)))


def _text(word):
    return word.encode("utf-8", "surrogatepass")


def _mutate_words(content, rng):
    """One to three words of a text replaced, or its lines."""
    words = re.split(rb"(\w+|\W)", content)
    for _ in range(rng.randint(1, 3)):
        new = rng.choice([_text(rng.choice(TEXTS)), repr(rng.choice(NUMBERS)).encode(), rng.choice(words)])
        words[rng.randrange(len(words))] = new
    lines = b"".join(words).split(b"\n")
    if rng.random() < 0.3:
        lines[rng.randrange(len(lines))] = rng.choice([*lines, b"", lines[0] * 2, b"\xef\xbb\xbf", b"\xff"])
    return rng.choice([b"\n", b"\n", b"\n", b"\r\n", b"\r"]).join(lines)


def reworded(content):
    """Other words in a text."""
    return seeds.map(lambda seed: _mutate_words(content, random.Random(seed)))


def places(tree, path=()):
    """The paths to all values in a tree of dicts and lists, itself first."""
    yield path
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from places(tree[key], (*path, key))


def value_at(tree, path):
    """The value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def changed(tree, path, change):
    """A copy of the tree in which `change(parent, key)` was called for the value at the path, which is not the root."""
    tree = copy.deepcopy(tree)
    change(value_at(tree, path[:-1]), path[-1])
    return tree


def _mutate_tree(tree, seed, values):
    """A tree with one value per element of `values` replaced, removed, wrapped, doubled, renamed or exchanged."""
    rng = random.Random(seed)
    for value in values:
        path = rng.choice(list(places(tree)))
        if not path:
            continue
        old, other = value_at(tree, path), value_at(tree, rng.choice(list(places(tree))))
        kind = rng.randrange(6)

        def change(parent, key, kind=kind, value=value, old=old, other=other):
            if kind == 0:
                del parent[key]
            elif kind == 1 and isinstance(parent, list):
                parent.insert(key, old)
            elif kind == 1:
                parent[str(value)] = parent.pop(key)
            else:
                parent[key] = {2: [old], 3: copy.deepcopy(other)}.get(kind, value)

        tree = changed(tree, path, change)
    return tree


def restructured(tree):
    """The tree of a JSON file with one to three values changed."""
    return st.builds(_mutate_tree, st.just(tree), seeds, st.lists(plain_values, min_size=1, max_size=3))


def restructured_json(content):
    """A JSON file with one to three values changed."""
    return restructured(json.loads(content)).map(lambda tree: _text(json.dumps(tree)))


def restructured_lines(content):
    """A file of JSON lines, one of which is changed."""
    lines = content.splitlines()

    def replace(number, line):
        return b"".join(each + b"\n" for each in (*lines[:number], line, *lines[number + 1 :]))

    one = restructured(json.loads(lines[0])) | plain_values
    return st.builds(replace, st.integers(0, len(lines) - 1), one.map(lambda tree: _text(json.dumps(tree))))


def _mutate_fields(fields, rng):
    """A protobuf message with one field changed, on whatever level."""
    fields = copy.deepcopy(fields)
    level = fields
    while (nested := [value for _, _, value in level if isinstance(value, list) and value]) and rng.random() < 0.8:
        level = rng.choice(nested)
    place = rng.randrange(len(level))
    number, kind, value = level[place]
    new = value
    if kind == formats.VARINT:
        new = int(rng.choice([number for number in NUMBERS if abs(number) < 2**64]))
    elif not isinstance(value, list):
        new = damage_bytes(value, rng) if kind == formats.BYTES else rng.choice([b"\xff", b"\0", b"\x7f"]) * len(value)
        new = rng.choice([new, b"", value * 50]) if kind == formats.BYTES else new
    level[place : place + 1] = rng.choice(
        [[[number, kind, new]]] * 4 + [[], [level[place]] * 2, [[rng.randint(1, 15), kind, value]], [[number, 2, b""]]]
    )
    return fields


def restructured_message(content):
    """A protobuf message with one field changed and all lengths right."""
    fields = formats.parse_message(content)
    return seeds.map(lambda seed: formats.render_message(_mutate_fields(fields, random.Random(seed))))


def repacked_zip(content, strategies):
    """A zip file with one member changed, under a CRC that holds; `strategies` maps suffixes to theirs."""
    members = formats.read_zip(content)

    def repack(name):
        suffix = "." + name.rsplit(".", 1)[-1]
        contents = strategies.get(suffix, damaged)(members[name])
        return contents.map(lambda new: formats.write_zip(members | {name: new}))

    absent = st.sampled_from(sorted(members)).map(
        lambda name: formats.write_zip({other: data for other, data in members.items() if other != name})
    )
    return st.one_of(absent, *(repack(name) for name in sorted(members)))


def flips(content, count):
    """`count` copies with one bit flipped, at even distances over the file, all eight bits in turn."""
    for number in range(count):
        place = number * len(content) // count
        yield content[:place] + bytes([content[place] ^ 1 << number % 8]) + content[place + 1 :]


REPLACEMENTS = (None, True, 7, -1, 10**30, 0.5, "text", [], {}, [[None]], {"a": {"b": 1}})


def structures(tree):
    """Every value of a tree deleted, replaced by each of `REPLACEMENTS`, and every list shortened and doubled."""
    for path in list(places(tree))[1:]:
        yield changed(tree, path, lambda parent, key: parent.__delitem__(key))
        for new in REPLACEMENTS:
            yield changed(tree, path, lambda parent, key, new=new: parent.__setitem__(key, new))
        if isinstance(old := value_at(tree, path), list) and old:
            yield changed(tree, path, lambda parent, key, old=old: parent.__setitem__(key, old[:-1]))
            yield changed(tree, path, lambda parent, key, old=old: parent.__setitem__(key, old * 2))
