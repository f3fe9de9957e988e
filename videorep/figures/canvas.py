"""What all figures share: matplotlib figures without global state, one look, and sheets of frames at exact pixels."""

import dataclasses
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from videorep.errors import OutputError
from videorep.figures.files import write_file

DPI = 100
FORMATS = ("png", "pdf", "svg")
# told apart by the colour-blind
COLOURS = ("#4477AA", "#EE7733", "#228833", "#CC3377", "#66A5C9", "#AA8800", "#777777")
INPUT_COLOUR, FUTURE_COLOUR = COLOURS[:2]
INK, FAINT = "#222222", "#BBBBBB"
LOOK = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E5E5",
    "legend.frameon": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.hashsalt": "videorep",
}


def new_figure(width, height, **attributes):
    """An empty figure of so many pixels, drawn by Agg; `attributes` are those of matplotlib's `Figure`."""
    figure = Figure((width / DPI, height / DPI), dpi=DPI, facecolor="white", **attributes)
    FigureCanvasAgg(figure)
    return figure


def new_chart(width, height, rows=1, columns=1, **attributes):
    """A figure and its (rows, columns) axes in the common look."""
    with matplotlib.rc_context(LOOK):
        figure = new_figure(width, height, layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **attributes)


def write_figure(figure, path):
    """Writes a figure as PNG, PDF or SVG, as the end of the name says; an OutputError where it says something else."""
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise OutputError(
            f"expected the name of a picture that ends in {', '.join('.' + each for each in FORMATS)}, received {path}"
        )
    buffer = io.BytesIO()
    with matplotlib.rc_context(LOOK):
        figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    write_file(path, buffer.getvalue())


def render(figure):
    """A figure as a (height, width, 3) uint8 array."""
    with matplotlib.rc_context(LOOK):
        figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def write_animation(path, images, milliseconds, last_milliseconds):
    """Writes (height, width, 3) uint8 images as an endless GIF that rests on its last one, as `write_file` does."""
    first, *rest = [Image.fromarray(image).quantize(256, dither=Image.Dither.NONE) for image in images]
    durations = [milliseconds] * len(rest) + [last_milliseconds]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    write_file(path, buffer.getvalue())


@dataclasses.dataclass
class Sheet:
    """A white page on which pictures lie at exact pixels, counted from the upper left corner, with text around them."""

    width: int
    height: int

    def __post_init__(self):
        self.pixels = np.full((self.height, self.width, 3), 255, np.uint8)
        self._texts = []

    def paste(self, picture, left, top):
        """Lays an (H, W, 3) uint8 picture on the page."""
        self.pixels[top : top + picture.shape[0], left : left + picture.shape[1]] = picture

    def fill(self, colour, left, top, width, height):
        """Fills a rectangle with a colour such as "#4477AA"."""
        self.pixels[top : top + height, left : left + width] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]

    def write(self, text, x, y, **style):
        """Writes text centred at a point; `style` is matplotlib's."""
        centred = {"horizontalalignment": "center", "verticalalignment": "center_baseline", "fontsize": 8}
        plain = {"parse_math": False}  # names of files may hold dollars
        self._texts.append((text, x, y, centred | plain | style))

    def figure(self):
        """The page as a figure."""
        with matplotlib.rc_context(LOOK):
            figure = new_figure(self.width, self.height)
            figure.figimage(self.pixels, origin="upper")
            for text, x, y, style in self._texts:
                figure.text(x / self.width, 1 - y / self.height, text, **style)
        return figure
