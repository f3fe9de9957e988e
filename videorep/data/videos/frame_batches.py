"""The frames of a video, some at a time, from a worker process that keeps the file open between. No TensorFlow."""

import itertools

import cv2

from videorep.data.videos.decode import USUAL_RATE, VideoError, VideoReader, frame_step

_opened = {}  # {(path, fps, every, number of the frame that is taken next): (reader, frames)}


def frames_in_worker(path, fps, every, first, count, beat):
    """What a worker process gives of a video that is watched: at most `count` frames from the `first` taken on.

    About `fps` frames per second are taken, or each `every`-th, those that `videorep.live.source.Source` takes. They
    are less than `count` at the end of the video. A worker that has not given those before begins the file anew.
    Gives ([(seconds, (H, W, 3)), ...], seconds that the header promises or None, what is wrong or ""), and the frames
    behind one another, uint8 BGR.
    """
    cv2.setNumThreads(1)
    try:
        if (path, fps, every, first) not in _opened:
            reader = VideoReader(path, beat)
            step = frame_step(reader.header_rate or USUAL_RATE, fps, every)
            _opened[path, fps, every, first] = reader, itertools.islice(reader.frames(every=step), first, None)
        reader, frames = _opened.pop((path, fps, every, first))
        taken = list(itertools.islice(frames, count))
        _opened[path, fps, every, first + count] = reader, frames
    except VideoError as error:
        return ([], None, error.reason), b""
    except cv2.error as error:
        return ([], None, f"OpenCV fails: {error.err}"), b""
    length = reader.header_frames / reader.header_rate if reader.header_frames and reader.header_rate else None
    moments = [(seconds, image.shape) for seconds, image in taken]
    return (moments, length, ""), b"".join(image.tobytes() for _, image in taken)
