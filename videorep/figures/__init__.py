"""Pictures of what models make of frames, what they learned, and how training went.

Each goes to a file that ends in .png, .pdf or .svg; an OutputError says that it cannot be written.
"""

from videorep.figures.activity import draw_activity
from videorep.figures.curves import draw_curves
from videorep.figures.features import draw_features
from videorep.figures.few_labels import draw_few_label_curve
from videorep.figures.flow import draw_flow
from videorep.figures.horizon import draw_horizon
from videorep.figures.percepts import draw_percepts
from videorep.figures.strips import animate_strips, draw_strips

__all__ = [
    "animate_strips",
    "draw_activity",
    "draw_curves",
    "draw_features",
    "draw_few_label_curve",
    "draw_flow",
    "draw_horizon",
    "draw_percepts",
    "draw_strips",
]
