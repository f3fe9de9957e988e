"""Images of shards: their size is read from the header as the decoder reads it, and decides whether to decode."""

import itertools
import struct
import tracemalloc

import cv2
import numpy as np
import pytest
from pictures import jpeg, with_size

from videorep.data.shards.images import decode_image, image_size
from videorep.errors import ShardError

HEIGHT, WIDTH = 24, 32


def test_a_record_that_states_an_immense_size_with_its_image_is_refused_too():
    bomb = with_size(jpeg(), 60_000, 60_000)
    tracemalloc.start()
    with pytest.raises(ShardError, match="60000x60000"):
        decode_image(bomb, (60_000, 60_000), 3, "here")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_headers_are_read_as_the_decoder_reads_them():
    for extension, size in itertools.product((".jpg", ".png"), ((1, 1), (24, 33), (300, 7))):
        assert image_size(cv2.imencode(extension, np.zeros((*size, 3), np.uint8))[1].tobytes()) == size
    assert image_size(cv2.imencode(".bmp", np.zeros((3, 4, 3), np.uint8))[1].tobytes()) is None
    progressive = cv2.imencode(".jpg", np.zeros((9, 8, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    assert image_size(progressive) == (9, 8)
    image = jpeg()
    hidden = image[:2] + b"\xff\x00" + struct.pack(">H", 40) + with_size(image, 8, 8)[2:] + image
    assert image_size(hidden) is None  # libjpeg would search for a marker where a walk of segments jumps
    for end in range(0, 200, 7):
        image_size(image[:end])
        image_size(b"\x89PNG\r\n\x1a\n"[:end])


def test_an_image_is_not_turned_by_its_exif_data():
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    image = jpeg()
    turned = image[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + image[2:]
    plain = decode_image(image, (HEIGHT, WIDTH), 3, "here")
    np.testing.assert_array_equal(decode_image(turned, (HEIGHT, WIDTH), 3, "here"), plain)
