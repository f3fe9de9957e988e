"""The picture of optical flow: its wheel, its rows."""

import numpy as np
from PIL import Image

from videorep.figures.flow import MARGIN, TITLE_HEIGHT, WHEEL, draw_flow, draw_wheel


def test_the_wheel_is_white_in_the_middle_and_tells_directions_apart():
    wheel = draw_wheel(91).astype(int)
    assert wheel[45, 45].tolist() == [255, 255, 255] and wheel[0, 0].tolist() == [255, 255, 255]
    right, down, left, up = wheel[45, 89], wheel[89, 45], wheel[45, 1], wheel[1, 45]
    directions = [right, down, left, up]
    for number, one in enumerate(directions):
        for other in directions[number + 1 :]:
            assert np.abs(one - other).sum() > 200


def test_fields_are_drawn_below_their_frames_in_the_wheel_s_colours(tmp_path):
    frames = [np.full((60, 80, 3), colour, np.uint8) for colour in (40, 200)]
    fields = [np.broadcast_to(np.float32(motion), (60, 80, 2)) for motion in ([3, 0], [0, 0])]
    draw_flow(tmp_path / "flow.png", {"clip": (frames, fields)})
    picture = np.asarray(Image.open(tmp_path / "flow.png").convert("RGB"))
    top = WHEEL + 2 * MARGIN + TITLE_HEIGHT
    assert picture[top + 60, MARGIN + 80].tolist() == [40, 40, 40]
    assert picture[top + 60, MARGIN + 240].tolist() == [200, 200, 200]
    np.testing.assert_array_equal(picture[top + 183, MARGIN + 80], draw_wheel(91)[45, 90])
    assert picture[top + 183, MARGIN + 240].tolist() == [255, 255, 255]
