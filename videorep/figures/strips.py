"""What models make of sequences, beside the truth: frame by frame in strips, or moving."""

import dataclasses
import itertools
import math

import numpy as np

from videorep.config import require
from videorep.figures.canvas import (
    COLOURS,
    FAINT,
    FUTURE_COLOUR,
    INPUT_COLOUR,
    Sheet,
    render,
    write_animation,
    write_figure,
)
from videorep.figures.pictures import enlarge_to, to_pictures

FRAME_SIDE, ANIMATED_SIDE = 72, 144
MOST_FRAMES = 20
GAP, BOUNDARY_GAP, SEQUENCE_GAP, MARGIN = 2, 14, 24, 12
LEAST_LABEL_WIDTH, LETTER_WIDTH, HEADER_HEIGHT = 64, 8, 44
BORDER, CAPTION_HEIGHT, COUNTER_HEIGHT = 4, 22, 34
MILLISECONDS, LAST_MILLISECONDS = 140, 1500
TRUTH, MODEL = "truth", "model"
PART_COLOURS = {"past": COLOURS[2], "input": INPUT_COLOUR, "future": FUTURE_COLOUR}


@dataclasses.dataclass(frozen=True)
class Film:
    """One sequence as pictures: {row: (first step, (steps, H, W, 3) uint8)}.

    Step 0 is the first input frame; those below lie in the past.
    """

    rows: dict
    input_frames: int

    @property
    def parts(self):
        """{"past", "input" or "future": its steps}, those that any row has."""
        first = min(first for first, _ in self.rows.values())
        end = max(first + len(pictures) for first, pictures in self.rows.values())
        parts = {"past": range(first, 0), "input": range(self.input_frames), "future": range(self.input_frames, end)}
        return {part: steps for part, steps in parts.items() if steps}

    @property
    def size(self):
        """Height and width of a frame."""
        return self.rows[TRUTH][1].shape[1:3]

    def frame(self, row, step):
        """The row's picture at a step; None where it has none."""
        first, pictures = self.rows.get(row, (0, ()))
        return pictures[step - first] if first <= step < first + len(pictures) else None


def draw_strips(path, inputs, future, models, *, frame_shape):
    """Draws sequences as rows of frames: the truth, and of each model what it makes of every frame.

    Below the input stands a model's reconstruction, below the future its prediction. Of more than 20 frames of the
    past, the input or the future every n-th is shown, counted from the boundary; the numbers above tell which.

    Args:
        inputs: (B, T, D) in [0, 1].
        future: (B, F, D), the true future; None where there is none.
        models: {name: {"past": (B, P, D), "reconstruction": (B, T, D), "future": (B, F', D)}}, those that the model
            has, in the order of time; F' may exceed F, and the past, before the input, has no truth.
        frame_shape: (H, W, C), C 1 or 3.
    Raises:
        ConfigError: the arrays do not fit together, or a model is called "truth".
    Source: Srivastava et al. 2015, section 3.2, figures 5 and 6.
    """
    films = _make_films(inputs, future, models, frame_shape, FRAME_SIDE)
    (height, width), rows = films[0].size, list(films[0].rows)
    label_width = max(LEAST_LABEL_WIDTH, LETTER_WIDTH * (max(map(len, rows)) + 2))
    places = _place_steps(films[0], label_width)
    lefts = {step: left for part in places.values() for step, left in part.items()}
    film_height = len(rows) * (height + GAP) - GAP
    sheet = Sheet(
        max(lefts.values()) + width + MARGIN,
        HEADER_HEIGHT + len(films) * (film_height + SEQUENCE_GAP) - SEQUENCE_GAP + MARGIN,
    )
    _write_heading(sheet, places, width)
    for number, film in enumerate(films):
        top = HEADER_HEIGHT + number * (film_height + SEQUENCE_GAP)
        for before, part in itertools.pairwise(places):
            boundary = min(places[part].values()) - BOUNDARY_GAP // 2
            sheet.fill(PART_COLOURS[before if part == "input" else part], boundary - 1, top, 2, film_height)
        for y, row in zip(range(top, top + film_height, height + GAP), rows, strict=True):
            sheet.write(row, label_width - 8, y + height / 2, horizontalalignment="right", fontsize=9)
            for step, left in lefts.items():
                if film.frame(row, step) is not None:
                    sheet.paste(film.frame(row, step), left, y)
    write_figure(sheet.figure(), path)


def animate_strips(path, inputs, future, outputs, *, frame_shape):
    """Draws sequences as a moving picture (.gif): pairs in a grid, truth beside model; arguments as `draw_strips`.

    The model's half shows the reconstruction while the input runs, then, in a border of another colour, the prediction;
    the past is left out. `outputs` are those of one model.
    """
    films = _make_films(inputs, future, {MODEL: outputs}, frame_shape, ANIMATED_SIDE)
    steps = [(part, step) for part, steps in films[0].parts.items() if part != "past" for step in steps]
    images = [render(_draw_moment(films, part, step).figure()) for part, step in steps]
    write_animation(path, images, MILLISECONDS, LAST_MILLISECONDS)


def _make_films(inputs, future, models, frame_shape, side):
    """The sequences as `Film`s, enlarged to frames of about `side` pixels."""
    inputs = np.asarray(inputs)
    batch, steps = inputs.shape[:2]
    require(batch > 0, "sequences to draw", "at least 1", batch)
    require(TRUTH not in models, "the name of a model", f"other than {TRUTH!r}", TRUTH, "rename the run's folder")
    rows = {TRUTH: (0, inputs if future is None else np.concatenate([inputs, future], axis=1))}
    for name, outputs in models.items():
        shapes = {branch: np.shape(frames) for branch, frames in outputs.items()}
        fits = shapes.get("reconstruction", inputs.shape) == inputs.shape and all(
            len(shape) == 3 and shape[0] == batch for shape in shapes.values()
        )
        require(fits, f"the frames of {name!r}", f"{batch} sequences, the reconstruction {inputs.shape}", shapes)
        parts = [outputs[branch] for branch in ("past", "reconstruction", "future") if branch in outputs]
        if parts:
            first = -shapes.get("past", (0, 0))[1] if "reconstruction" in outputs else steps
            rows[name] = (first, np.concatenate(parts, axis=1))

    def film(number):
        pictures = {
            name: (first, enlarge_to(to_pictures(frames[number], frame_shape), side))
            for name, (first, frames) in rows.items()
        }
        return Film(pictures, steps)

    return [film(number) for number in range(batch)]


def _place_steps(film, left):
    """{part: {step shown: left edge of its frames}}, of many steps every n-th, counted from the boundary."""
    places = {}
    for part, steps in film.parts.items():
        stride = math.ceil(len(steps) / MOST_FRAMES)
        shown = steps[::stride] if part == "future" else steps[::-stride][::-1]
        places[part] = {step: left + place * (film.size[1] + GAP) for place, step in enumerate(shown)}
        left += len(shown) * (film.size[1] + GAP) + BOUNDARY_GAP
    return places


def _write_heading(sheet, places, width):
    for part, lefts in places.items():
        first, *_, last = (*lefts.values(), *lefts.values())
        style = {"fontsize": 10, "fontweight": "bold", "color": PART_COLOURS[part]}
        sheet.write(part, (first + last + width) / 2, HEADER_HEIGHT - 28, **style)
        sheet.fill(PART_COLOURS[part], first, HEADER_HEIGHT - 18, last + width - first, 2)
        for step, left in lefts.items():
            sheet.write(f"{step + 1}" if step >= 0 else f"−{-step}", left + width / 2, HEADER_HEIGHT - 8)


def _draw_moment(films, part, step):
    """One image of the animation."""
    height, width = films[0].size
    columns = math.ceil(math.sqrt(len(films)))
    pair_width, pair_height = 2 * width + 3 * BORDER, height + 2 * BORDER
    rows = math.ceil(len(films) / columns)
    colour, caption = PART_COLOURS[part], {"input": "reconstruction", "future": "prediction"}[part]
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
        for half, (name, words) in enumerate(((TRUTH, TRUTH), (MODEL, caption))):
            x = left + BORDER + half * (width + BORDER)
            picture = film.frame(name, step)
            if picture is None:
                sheet.fill(FAINT, x, top + BORDER, width, height)
            else:
                sheet.paste(picture, x, top + BORDER)
            if row == 0:
                sheet.write(words, x + width / 2, COUNTER_HEIGHT + CAPTION_HEIGHT / 2, fontsize=9)
    return sheet
