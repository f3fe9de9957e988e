"""What a model makes of sequences, beside the truth: frame by frame in strips, or moving."""

import dataclasses
import math

import numpy as np

from videorep.config import require
from videorep.figures.canvas import FAINT, FUTURE_COLOUR, INPUT_COLOUR, Sheet, render, write_animation, write_figure
from videorep.figures.pictures import enlarge_to, to_pictures

FRAME_SIDE, ANIMATED_SIDE = 72, 144
MOST_FRAMES = 20
GAP, BOUNDARY_GAP, SEQUENCE_GAP, MARGIN = 2, 14, 24, 12
LABEL_WIDTH, HEADER_HEIGHT = 104, 44
BORDER, CAPTION_HEIGHT, COUNTER_HEIGHT = 4, 22, 34
MILLISECONDS, LAST_MILLISECONDS = 140, 1500
TRUTH, RECONSTRUCTION, PREDICTION = "truth", "reconstruction", "prediction"


@dataclasses.dataclass(frozen=True)
class Film:
    """One sequence as pictures: {row: (first step, (steps, H, W, 3) uint8)}; step 0 is the first input frame."""

    rows: dict
    input_frames: int

    @property
    def steps(self):
        """Steps of the longest row."""
        return max(first + len(pictures) for first, pictures in self.rows.values())

    @property
    def size(self):
        """Height and width of a frame."""
        return self.rows[TRUTH][1].shape[1:3]

    def frame(self, row, step):
        """The row's picture at a step; None where it has none."""
        first, pictures = self.rows.get(row, (0, ()))
        return pictures[step - first] if first <= step < first + len(pictures) else None


def draw_strips(path, inputs, future, outputs, *, frame_shape, count=4):
    """Draws sequences as rows of frames: truth, below the input its reconstruction, below the future its prediction.

    Of more than 20 frames on one side of the boundary every n-th is shown; the numbers above tell which.

    Args:
        inputs: (B, T, D) in [0, 1].
        future: (B, F, D), the true future; None where there is none.
        outputs: {"reconstruction": (B, T, D), "future": (B, F', D)}, those that the model has; F' may exceed F.
        frame_shape: (H, W, C), C 1 or 3.
        count: Sequences to draw, at most.
    Raises:
        ConfigError: the arrays do not fit together.
    """
    films = _make_films(inputs, future, outputs, frame_shape, count, FRAME_SIDE)
    (height, width), rows, lefts = films[0].size, list(films[0].rows), _place_steps(films[0])
    film_height = len(rows) * (height + GAP) - GAP
    page_width = max(lefts.values()) + width + MARGIN
    sheet = Sheet(page_width, HEADER_HEIGHT + len(films) * (film_height + SEQUENCE_GAP) - SEQUENCE_GAP + MARGIN)
    _write_heading(sheet, films[0], lefts)
    for number, film in enumerate(films):
        top = HEADER_HEIGHT + number * (film_height + SEQUENCE_GAP)
        if film.steps > film.input_frames:
            boundary = min(left for step, left in lefts.items() if step >= film.input_frames) - BOUNDARY_GAP // 2
            sheet.fill(FUTURE_COLOUR, boundary - 1, top, 2, film_height)
        for y, row in zip(range(top, top + film_height, height + GAP), rows, strict=True):
            sheet.write(row, LABEL_WIDTH - 8, y + height / 2, horizontalalignment="right", fontsize=9)
            for step, left in lefts.items():
                if film.frame(row, step) is not None:
                    sheet.paste(film.frame(row, step), left, y)
    write_figure(sheet.figure(), path)


def animate_strips(path, inputs, future, outputs, *, frame_shape, count=4):
    """Draws sequences as a moving picture (.gif): pairs in a grid, truth beside model; arguments as `draw_strips`.

    The model's half shows the reconstruction while the input runs, then, in a border of another colour, the prediction.
    """
    films = _make_films(inputs, future, outputs, frame_shape, count, ANIMATED_SIDE)
    images = [render(_draw_moment(films, step).figure()) for step in range(films[0].steps)]
    write_animation(path, images, MILLISECONDS, LAST_MILLISECONDS)


def _make_films(inputs, future, outputs, frame_shape, count, side):
    """The first `count` sequences as `Film`s, enlarged to frames of about `side` pixels."""
    inputs = np.asarray(inputs)
    batch, steps = inputs.shape[:2]
    truth = inputs if future is None else np.concatenate([inputs, future], axis=1)
    rows = {TRUTH: (0, truth)}
    if "reconstruction" in outputs:
        require(
            np.shape(outputs["reconstruction"]) == inputs.shape,
            "the reconstruction",
            f"of the input's shape {inputs.shape}",
            np.shape(outputs["reconstruction"]),
        )
        rows[RECONSTRUCTION] = (0, outputs["reconstruction"])
    if "future" in outputs:
        require(len(outputs["future"]) == batch, "the predictions", f"{batch} sequences", len(outputs["future"]))
        rows[PREDICTION] = (steps, outputs["future"])
    require(batch > 0 and count > 0, "sequences to draw", "at least 1", min(batch, count))

    def film(number):
        pictures = {
            name: (first, enlarge_to(to_pictures(frames[number], frame_shape), side))
            for name, (first, frames) in rows.items()
        }
        return Film(pictures, steps)

    return [film(number) for number in range(min(batch, count))]


def _place_steps(film):
    """{step shown: left edge of its frames}."""
    shown = (*_thin(0, film.input_frames), *_thin(film.input_frames, film.steps))
    lefts = [
        LABEL_WIDTH + position * (film.size[1] + GAP) + (BOUNDARY_GAP if step >= film.input_frames else 0)
        for position, step in enumerate(shown)
    ]
    return dict(zip(shown, lefts, strict=True))


def _thin(first, end):
    """Steps first to end - 1, or every n-th where they are too many."""
    stride = max(1, math.ceil((end - first) / MOST_FRAMES))
    return range(first + stride - 1, end, stride)


def _write_heading(sheet, film, lefts):
    width = film.size[1]
    for step, left in lefts.items():
        sheet.write(str(step + 1), left + width / 2, HEADER_HEIGHT - 8)
    first = film.input_frames
    parts = {"input": (INPUT_COLOUR, range(first)), "future": (FUTURE_COLOUR, range(first, film.steps))}
    for title, (colour, steps) in parts.items():
        edges = [left for step, left in lefts.items() if step in steps]
        if edges:
            middle = (edges[0] + edges[-1] + width) / 2
            sheet.write(title, middle, HEADER_HEIGHT - 28, fontsize=10, fontweight="bold", color=colour)
            sheet.fill(colour, edges[0], HEADER_HEIGHT - 18, edges[-1] + width - edges[0], 2)


def _draw_moment(films, step):
    """One image of the animation."""
    height, width = films[0].size
    columns = math.ceil(math.sqrt(len(films)))
    pair_width, pair_height = 2 * width + 3 * BORDER, height + 2 * BORDER
    rows = math.ceil(len(films) / columns)
    in_future = step >= films[0].input_frames
    colour = FUTURE_COLOUR if in_future else INPUT_COLOUR
    part, branch = ("future", PREDICTION) if in_future else ("input", RECONSTRUCTION)
    sheet = Sheet(
        columns * (pair_width + MARGIN) + MARGIN,
        COUNTER_HEIGHT + CAPTION_HEIGHT + rows * (pair_height + MARGIN),
    )
    sheet.write(
        f"{part}, frame {step + 1}", sheet.width / 2, COUNTER_HEIGHT / 2, fontsize=11, fontweight="bold", color=colour
    )
    for number, film in enumerate(films):
        row, column = divmod(number, columns)
        left = MARGIN + column * (pair_width + MARGIN)
        top = COUNTER_HEIGHT + CAPTION_HEIGHT + row * (pair_height + MARGIN)
        sheet.fill(colour, left, top, pair_width, pair_height)
        for half, name in enumerate((TRUTH, branch)):
            x = left + BORDER + half * (width + BORDER)
            picture = film.frame(name, step)
            if picture is None:
                sheet.fill(FAINT, x, top + BORDER, width, height)
            else:
                sheet.paste(picture, x, top + BORDER)
            if row == 0:
                sheet.write(name, x + width / 2, COUNTER_HEIGHT + CAPTION_HEIGHT / 2, fontsize=9)
    return sheet
