"""Digits that the project draws itself: pen strokes through points, so that Moving MNIST needs no download."""

import functools

import cv2
import numpy as np

# Each digit has a few hands; a hand is one or more pen strokes, a stroke the points that it passes smoothly, as
# "x,y" in percent, right and down. OpenCV 5 draws every Hershey font with one TrueType face: no variety, and not
# what OpenCV 4 draws.
HANDS = {
    0: (
        "50,0 22,17 14,50 22,83 50,100 78,83 86,50 78,17 50,0",
        "62,2 30,14 20,55 36,95 66,90 80,50 70,12 48,4",
    ),
    1: (
        "50,0 50,50 50,100",
        "30,24 45,12 56,0 | 56,0 55,50 54,100",
        "30,22 53,0 | 53,0 53,100 | 28,100 78,100",
    ),
    2: (
        "18,24 30,6 55,0 80,14 78,40 50,70 15,100 | 15,100 88,98",
        "20,20 45,0 76,14 70,48 40,86 18,94 20,78 45,86 90,100",
    ),
    3: (
        "20,10 50,0 79,13 74,36 42,47 | 42,47 77,56 85,80 55,100 15,88",
        "18,2 80,0 | 80,0 45,40 | 45,40 76,50 84,76 55,100 15,90",
    ),
    4: (
        "66,0 10,66 | 10,66 92,66 | 66,0 65,100",
        "22,0 20,30 15,52 | 15,52 84,48 | 80,0 74,50 70,100",
    ),
    5: (
        "82,0 26,2 | 26,2 20,46 | 20,46 52,37 82,58 76,87 45,100 14,90",
        "28,6 24,30 40,42 74,56 74,86 44,100 12,88 | 28,6 85,0",
    ),
    6: (
        "70,0 38,24 18,62 28,94 58,100 80,78 62,55 34,60 20,78",
        "45,0 26,38 20,74 42,100 76,88 74,62 46,58 22,74",
    ),
    7: (
        "14,3 86,0 | 86,0 58,45 42,100",
        "14,0 84,2 | 84,2 60,50 42,100 | 32,52 80,48",
        "14,18 18,2 | 18,2 84,0 | 84,0 68,40 62,100",
    ),
    8: (
        "76,13 50,0 24,16 48,46 80,76 50,100 20,78 50,48 76,20 | 76,20 76,13",
        "50,0 26,10 26,36 50,46 74,36 74,10 50,0 | 50,46 20,60 20,88 50,100 80,88 80,60 50,46",
    ),
    9: (
        "80,20 52,0 22,20 36,46 66,42 80,20 | 80,20 76,60 66,100",
        "76,12 46,0 22,24 42,48 72,34 79,10 | 79,10 76,70 50,100 20,90",
    ),
}
DIGIT_SIZE = 28
SPLIT_COUNTS = {"train": 6000, "test": 1000}
INK_BOX = 20  # MNIST fits the ink into 20x20 and centres its mass in 28x28
ZOOM = 4  # strokes are drawn at this multiple and averaged down, which makes the grey edges
MARGIN = ZOOM * 2  # the farthest that centring moves the ink
S = np.arange(9) / 8
CATMULL_ROM = np.array([-S + 2 * S**2 - S**3, 2 - 5 * S**2 + 3 * S**3, S + 4 * S**2 - 3 * S**3, S**3 - S**2]) / 2


@functools.cache
def render_digits(split):
    """Draws the project's own digits: several hands, small affine changes, pen widths and grey edges.

    They take MNIST's place where there is no network; they are not MNIST and are easier. Gives images (N, 28, 28) and
    labels (N,) uint8, every label equally often; training and test digits are different draws of the same hands.
    """
    random = np.random.default_rng([list(SPLIT_COUNTS).index(split), 28])
    hands = [[_parse_hand(hand) for hand in HANDS[label]] for label in range(10)]
    labels = random.permutation(np.arange(SPLIT_COUNTS[split]) % 10).astype(np.uint8)
    images = np.stack([_render_digit(hands[label], random) for label in labels.tolist()])
    for array in (images, labels):
        array.flags.writeable = False  # shared by every caller
    return images, labels


def _parse_hand(hand):
    return [np.array([point.split(",") for point in stroke.split()], float) / 100 for stroke in hand.split("|")]


def _render_digit(hands, random):
    strokes = hands[random.integers(len(hands))]
    angle, slant = np.deg2rad(random.uniform(-10, 10)), random.uniform(-0.1, 0.35)
    width, pen, gain = random.uniform(0.6, 1.0), random.uniform(1.6, 3.0), random.uniform(1.0, 1.5)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    lean = np.array([[width, 0.0], [-slant * width, 1.0]])
    curves = [_smooth(points + random.uniform(-0.035, 0.035, (len(points), 2))) for points in strokes]
    curves = [curve @ lean @ turn for curve in curves]
    low, high = np.min([c.min(0) for c in curves], 0), np.max([c.max(0) for c in curves], 0)
    scale = ZOOM * (INK_BOX - pen) / (high - low).max()
    side = ZOOM * DIGIT_SIZE
    canvas = np.zeros((side, side), np.uint8)
    lines = [np.rint((curve - (low + high) / 2) * scale + side / 2).astype(np.int32) for curve in curves]
    cv2.polylines(canvas, lines, False, 255, round(ZOOM * pen))
    return np.minimum(np.rint(_shrink(canvas) * gain), 255).astype(np.uint8)


def _smooth(points):
    """Points of the Catmull-Rom spline through `points` (n, 2)."""
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    neighbours = np.stack([padded[:-3], padded[1:-2], padded[2:-1], padded[3:]])
    return np.tensordot(neighbours, CATMULL_ROM, (0, 0)).transpose(0, 2, 1).reshape(-1, 2)


def _shrink(canvas):
    """Centres the ink's mass and averages down to 28x28, softening the edges."""
    moments = cv2.moments(canvas, binaryImage=True)
    middle = (len(canvas) - 1) / 2
    off = (middle - moments["m01"] / moments["m00"], middle - moments["m10"] / moments["m00"])
    shift = np.clip(np.rint(off), -MARGIN, MARGIN).astype(int)
    small = cv2.resize(np.roll(canvas, shift, (0, 1)), (DIGIT_SIZE, DIGIT_SIZE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0.4)
