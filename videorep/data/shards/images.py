"""The one decoder of the images in shards: all readers see the same pixels, in no more memory than a record states.

JPEG is decoded by libjpeg's accurate integer transform, grey of a colour JPEG is its own luminance plane. An image's
header is read before the decoder sees it, so that a few bytes cannot ask for gigabytes. No TensorFlow.
"""

import struct

import cv2
import numpy as np

from videorep.errors import ShardError

DECODER = "OpenCV: JPEG by libjpeg's accurate integer transform"  # what `made` of percepts says
MOST_PIXELS = 1 << 25  # of one image: 8K video, 7680 x 4320, fits
JPEG, PNG = b"\xff\xd8", b"\x89PNG\r\n\x1a\n"
FLAGS = {
    1: cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
    3: cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION,
}


def decode_image(data, size, channels, where):
    """Decodes one JPEG or PNG to (height, width, channels) uint8: RGB, or grey where `channels` is 1.

    Args:
        size: (height, width) that its record states.
        where: What an error calls it: file, record and frame.
    Raises:
        ShardError: it is not an image of that size, or cannot be decoded.
    """
    height, width = map(int, size)
    found = image_size(data)
    if found != (height, width) or height * width > MOST_PIXELS:
        shown = f"one of {found[0]}x{found[1]}" if found else "bytes that do not decode"
        raise ShardError(
            f"expected a JPEG or PNG of {height}x{width} pixels (at most {MOST_PIXELS:,}) as {where}, "
            f"received {shown}; "
            f"{REMEDY}"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), FLAGS[channels])
    except cv2.error:
        image = None
    if image is None or image.shape[:2] != (height, width):
        raise ShardError(f"expected an image as {where}, received bytes that do not decode; {REMEDY}")
    return image if channels == 3 else image[..., None]


REMEDY = "restore the shard or rebuild with --overwrite"


def image_size(data):
    """(height, width) that the header of a JPEG or PNG states; None where there is no such header."""
    if data.startswith(PNG):
        is_header = data[8:16] == b"\0\0\0\rIHDR" and len(data) >= 24
        return struct.unpack(">II", data[16:24])[::-1] if is_header else None
    return _jpeg_size(data) if data.startswith(JPEG) else None


def _jpeg_size(data):
    """Walks the segments to the frame header, and gives up where libjpeg would have to guess."""
    place = 2
    while place + 9 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:  # a fill byte
            place += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return struct.unpack_from(">HH", data, place + 5)
        elif marker < 0xC0 or 0xD0 <= marker <= 0xDA:  # stands alone, or belongs behind the frame header
            return None
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    return None
