"""Figures of trained models, and of what they must beat."""

from videorep.evaluation.action_recognition import evaluate_action_recognition
from videorep.evaluation.activity import record_activity
from videorep.evaluation.frames import evaluate_frames
from videorep.evaluation.future_prediction import evaluate_future_prediction, predict_sequences
from videorep.evaluation.metrics import (
    cross_entropy_per_frame,
    frame_metrics,
    half_squared_error_per_frame,
    squared_error_per_frame,
)
from videorep.evaluation.side_by_side import predict_side_by_side

__all__ = [
    "cross_entropy_per_frame",
    "evaluate_action_recognition",
    "evaluate_frames",
    "evaluate_future_prediction",
    "frame_metrics",
    "half_squared_error_per_frame",
    "predict_sequences",
    "predict_side_by_side",
    "record_activity",
    "squared_error_per_frame",
]
