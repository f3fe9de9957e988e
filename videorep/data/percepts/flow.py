"""Optical flow: what moves between two frames, as the temporal stream sees it. NumPy and OpenCV only."""

import itertools

import cv2
import numpy as np

from videorep.errors import ShardError

# Weights of OpenCV's VariationalRefinement, written out so that another OpenCV cannot change the flow.
SMOOTHNESS, BRIGHTNESS, GRADIENT = 20.0, 5.0, 10.0
FIXED_POINT_ITERATIONS, RELAXATION_ITERATIONS, OVER_RELAXATION = 5, 5, 1.6

BOUND = 20.0  # displacement in pixels that reaches the end of the byte range
ZERO = 128  # byte of no motion
STEPS = 127.0 / BOUND  # bytes per pixel of displacement


def estimate_flow(first, second):
    """Optical flow from `first` to `second`: a fast start, then a variational refinement at full resolution.

    The refinement minimises the energy of Brox et al. (ECCV 2004) over the flow w = (u, v):

        E(w) = integral  delta * psi(|I2(x + w) - I1(x)|^2)               brightness is constant
                       + gamma * psi(|grad I2(x + w) - grad I1(x)|^2)     so is its gradient
                       + alpha * psi(|grad u|^2 + |grad v|^2)             the flow is piecewise smooth
        psi(s^2) = sqrt(s^2 + epsilon^2), epsilon = 0.001

    Where this differs from what Brox et al. published, and from the flow of Simonyan and Zisserman:
      - Weights alpha : delta : gamma are 20 : 5 : 10 (OpenCV's; lower error after this start than 80 : 1 : 100),
        theirs are 80 : 1 : 100.
      - The brightness and the gradient term each have their own psi and are normalised by the image gradient.
      - No pyramid of warps (factor 0.95): OpenCV's DIS (dense inverse search, preset "medium" without its inner
        refinement) gives the start, the energy is minimised at full resolution only.
      - 5 outer iterations of 5 over-relaxation sweeps (omega 1.6), no smoothing of the images beforehand, smoothness in
        space only.

    Args:
        first, second: (H, W) uint8, grey.
    Returns:
        (H, W, 2) float32, displacement in pixels, horizontal then vertical: what `first` shows at x, `second` shows
        at x + w.
    """
    return refine_flow(first, second, start_flow(first, second))


def start_flow(first, second):
    """OpenCV's dense inverse search, the start of `estimate_flow`; same arguments and return."""
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setVariationalRefinementIterations(0)
    return search.calc(first, second, None)


def refine_flow(first, second, flow):
    """The variational refinement of `estimate_flow`: returns a new (H, W, 2) flow, `flow` is left as it is."""
    refinement = cv2.VariationalRefinement_create()
    refinement.setAlpha(SMOOTHNESS)
    refinement.setDelta(BRIGHTNESS)
    refinement.setGamma(GRADIENT)
    refinement.setFixedPointIterations(FIXED_POINT_ITERATIONS)
    refinement.setSorIterations(RELAXATION_ITERATIONS)
    refinement.setOmega(OVER_RELAXATION)
    return refinement.calc(first, second, flow.copy())


def flow_to_bytes(flow):
    """Scales displacements in [-20, 20] pixels to bytes 1..255, no motion to 128; larger ones are clipped."""
    return np.rint(np.clip(flow, -BOUND, BOUND) * STEPS + ZERO).astype(np.uint8)


def flow_field(first, second):
    """One displacement field (H, W, 2) float32 as the temporal stream receives it: bytes, less the field's mean.

    The mean of each direction over the whole frame is most of a camera's own motion (Simonyan and Zisserman 2014,
    section 3.1). Frames are (H, W, 3) uint8 RGB, or (H, W, 1) grey; one pixel of displacement is 6.35.
    """
    encoded = flow_to_bytes(estimate_flow(_grey(first), _grey(second))).astype(np.float32)
    return encoded - encoded.mean(axis=(0, 1), dtype=np.float64).astype(np.float32)


def stack_fields(frames, flow_stack):
    """The stack (H, W, 2L) float32 of L fields that begins at the first of the frames (T, H, W, 3) uint8.

    Horizontal and vertical of the first field, of the second, and so on. Where there are fewer than L + 1 frames, the
    last field stands for the missing ones; a single frame has the field of no motion.
    """
    pairs = list(itertools.pairwise(frames))[:flow_stack] or [(frames[0], frames[0])]
    fields = [flow_field(first, second) for first, second in pairs]
    return np.concatenate(fields + fields[-1:] * (flow_stack - len(fields)), axis=-1)


def require_longer(path, frames, flow_stack):
    """Raises ShardError if no clip of `path`, which have so many `frames`, is long enough for a whole stack.

    Without a stack (0) every clip is.
    """
    longest = int(np.max(frames, initial=0))
    if flow_stack and longest <= flow_stack:
        raise ShardError(
            f"expected a clip of more than {flow_stack} frames in {path}, for {flow_stack} flow fields, received "
            f"at most {longest} frames; lower --flow-stack or build longer clips"
        )


def colour_flow(flow, full=None):
    """Draws a flow (H, W, 2) in pixels with the colour wheel, (H, W, 3) uint8 RGB: hue is the direction.

    Saturation is the length, up to `full` pixels (by default the 99th percentile); white is no motion.
    """
    length, angle = cv2.cartToPolar(*(np.ascontiguousarray(flow[..., axis], np.float32) for axis in (0, 1)))
    full = max(float(np.percentile(length, 99)), 1e-6) if full is None else full
    wheel = np.stack([np.rad2deg(angle), np.minimum(length / full, 1.0), np.ones_like(length)], axis=-1)
    return np.rint(cv2.cvtColor(wheel, cv2.COLOR_HSV2RGB) * 255).astype(np.uint8)


def _grey(frame):
    return frame[..., 0].copy() if frame.shape[-1] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
