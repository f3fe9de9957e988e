"""What the paper's figures 5 to 10 show, of a reproduction's runs."""

import dataclasses

from videorep.evaluation import predict_side_by_side, record_activity
from videorep.figures import draw_activity, draw_features, draw_horizon, draw_strips
from videorep.figures.features import input_features, output_features
from videorep.reproduction.prediction_settings import DIGITS
from videorep.reproduction.prediction_tables import UNITS, average_by_frame

STRIPS = {DIGITS: "figure-5", "patches": "figure-6"}
OTHER_COUNTS = (1, 3)  # of digits that move
MOST_FEATURES = 200


def draw_pictures(runs, scores, folder):
    """Draws the pictures into a folder.

    Args:
        runs: {kind of sequences: {model: Run}}.
        scores: As of `videorep.reproduction.prediction_tables.make_tables`.
        folder: Path.
    Returns:
        {file: what it shows}.
    """
    pictures = {}

    def draw(name, caption, drawing, *arguments, **options):
        drawing(folder / f"{name}.png", *arguments, **options)
        pictures[f"{name}.png"] = caption

    for data, named in runs.items():
        figure = STRIPS[data]
        draw(figure, f"{figure.replace('-', ' ').capitalize()}: {data}", draw_strips, **predict_side_by_side(named))
        unit = UNITS[data][0].removeprefix("future_")
        curves = average_by_frame(scores[data], unit)
        frames = next(iter(named.values())).config.model.future_frames
        draw(f"horizon-{data}", f"{data}, frame by frame", draw_horizon, curves, unit, frames)
    digits = runs[DIGITS]
    name, run = next(reversed(digits.items()))
    draw("figure-7", f"Figure 7: units of the {name} over time", draw_activity, **record_activity(run))
    for count in OTHER_COUNTS:
        shown = predict_side_by_side(digits, dataclasses.replace(run.config.data, num_digits=count))
        caption = f"Figure 8: {count} digit{'s' if count > 1 else ''}, of models that saw two"
        draw(f"figure-8-{count}", caption, draw_strips, **shown)
    model, shape = run.model(), shown["frame_shape"]
    kinds = ((9, "input", input_features(model), True), (10, "output", output_features(model), False))
    for number, title, groups, together in kinds:
        caption = f"Figure {number}: {title} features of the {name}, the {MOST_FEATURES} of the largest norm"
        draw(f"figure-{number}", caption, draw_features, groups, shape, count=MOST_FEATURES, together=together)
    return pictures
