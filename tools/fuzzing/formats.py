"""The containers that shards and models come in, taken apart and put together again. No TensorFlow.

What is put together has valid lengths and checksums, so that a mutation reaches the code behind them.
"""

import functools
import gzip
import hashlib
import io
import json
import struct
import zipfile

from videorep.data.shards.hashes import checksum

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
BOMB_BYTES = 3 << 29  # more than the memory that a parser may take


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _crc_table()


def masked_crc(data):
    """The CRC-32C of bytes as TFRecord files hold it, 4 bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def frame_record(data, length=None):
    """A record of a TFRecord file; `length` is what its header claims, under a CRC that holds."""
    header = struct.pack("<Q", len(data) if length is None else length)
    return header + masked_crc(header) + data + masked_crc(data)


def split_records(content):
    """The data of each record of a sound TFRecord file."""
    records, offset = [], 0
    while offset < len(content):
        (length,) = struct.unpack_from("<Q", content, offset)
        records.append(content[offset + 12 : offset + 12 + length])
        offset += 16 + length
    return records


def _varint(number):
    encoded = bytearray()
    number &= (1 << 64) - 1
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def _read_varint(data, offset):
    number = shift = 0
    while True:
        byte = data[offset]
        number |= (byte & 127) << shift
        offset, shift = offset + 1, shift + 7
        if byte < 128:
            return number, offset


def parse_message(data):
    """The fields of any protobuf message as [[number, kind, value], ...], nested ones as lists; None if it is none."""
    fields, offset = [], 0
    try:
        while offset < len(data):
            key, offset = _read_varint(data, offset)
            number, kind = key >> 3, key & 7
            if kind == VARINT:
                value, offset = _read_varint(data, offset)
            else:
                size = {FIXED64: 8, FIXED32: 4}.get(kind)
                if size is None:
                    size, offset = _read_varint(data, offset)
                value, offset = data[offset : offset + size], offset + size
            if kind not in (VARINT, FIXED64, BYTES, FIXED32) or number == 0 or offset > len(data):
                return None
            nested = parse_message(value) if kind == BYTES and len(value) > 1 else None
            fields.append([number, kind, value if nested is None else nested])
    except IndexError:
        return None
    return fields


def render_message(fields):
    """The bytes of what `parse_message` gave, lengths made anew."""
    parts = []
    for number, kind, value in fields:
        parts.append(_varint(number << 3 | kind))
        if kind == VARINT:
            parts.append(_varint(value))
        else:
            content = render_message(value) if isinstance(value, list) else value
            parts += [_varint(len(content)) if kind == BYTES else b"", content]
    return b"".join(parts)


def read_zip(content):
    """{name: bytes} of the members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_zip(members):
    """A zip file of {name: bytes}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@functools.cache
def zip_bomb(name, beginning=b""):
    """A zip file whose member expands to more than a parser may take."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        member.write(beginning)
        for _ in range(BOMB_BYTES >> 24):
            member.write(bytes(1 << 24))
    return buffer.getvalue()


@functools.cache
def gzip_bomb(beginning=b""):
    """A gzip file that expands to more than a parser may take."""
    return gzip.compress(beginning) + gzip.compress(bytes(1 << 24), 1) * (BOMB_BYTES >> 24)


def sign(plain):
    """dataset.json of these keys and values, under a checksum that holds."""
    plain = {key: value for key, value in plain.items() if key != "checksum"}
    return json.dumps(plain | {"checksum": checksum(plain)}).encode()


def describe_shard(plain, file, content, records=None):
    """dataset.json for another content of one shard: size, hash and, where `records` are given, their places."""
    plain = json.loads(json.dumps(plain))
    for shards in plain["splits"].values():
        for shard in shards:
            if shard["file"] == file:
                shard |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                if records is not None:
                    _index_records(shard, content, records)
    return sign(plain)


def _index_records(shard, content, records):
    offsets = [sum(16 + len(record) for record in records[:number]) for number in range(len(records))]
    ends = [offset + 12 + len(record) for offset, record in zip(offsets, records, strict=True)]
    crcs = [struct.unpack_from("<I", content, end)[0] for end in ends]
    before = shard["index"]["offset"]
    if "payload" in shard["index"]:
        moved = zip(shard["index"]["payload"], before, offsets, strict=True)
        shard["index"]["payload"] = [payload - old + new for payload, old, new in moved]
    shard["index"] |= {"offset": offsets, "crc": crcs}
