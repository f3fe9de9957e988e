"""Which embedded videos are most like another one."""

import numpy as np

from videorep.build_config import ClipsConfig
from videorep.data.shards.hashes import hash_file
from videorep.data.threads import count_cores
from videorep.data.videos.encode import middle_frame_in_worker
from videorep.data.videos.find import inspect_file
from videorep.data.videos.workers import WorkerError, WorkerPool
from videorep.errors import DataError
from videorep.live.embed import embed_videos
from videorep.live.embeddings import read_embeddings


def search_videos(run, video, path, *, top=5, backbones=(), progress=None):
    """Finds the `top` videos whose embeddings have the largest cosine similarity to that of another one.

    Args:
        run: The Run that made the embeddings.
        video: File that is compared, or a list (.csv) of pieces of one.
        path: File (.npz) that `videorep embed` made.
        backbones, progress: As for `embed_videos`.
    Returns:
        ([{"similarity", "path", "label"}, ...] with the most similar first, what is wrong with the video or "").
    Raises:
        RunError, BackboneError: see `embed_videos`.
        DataError: the file is damaged or of another run, or there is not one video to compare.
    """
    embeddings = read_own_embeddings(run, path)
    query, reasons = embed_videos(run, [video], per=embeddings.per, backbones=backbones, progress=progress)
    if len(set(query.paths)) != 1:
        told = f": {next(iter(reasons.values()))}" if reasons else ""
        raise DataError(f"expected one video, received {len(set(query.paths))} in {video}{told}; name a video")
    return rank_videos(query.values.mean(axis=0), embeddings)[:top], next(iter(reasons.values()), "")


def read_own_embeddings(run, path):
    """The `Embeddings` in a file that a run made; a DataError where it is damaged or of another run."""
    embeddings = read_embeddings(path)
    if embeddings.run != hash_file(run.model_path):
        raise DataError(
            f"expected embeddings that {run.path} made, received {path}, which another model made; make them with "
            f"videorep embed {run.path}"
        )
    if embeddings.values.shape[1] != run.config.model.units[-1]:
        raise DataError(
            f"expected embeddings of {run.config.model.units[-1]} numbers in {path}, received "
            f"{embeddings.values.shape[1]}; make them again with videorep embed {run.path}"
        )
    return embeddings


def rank_videos(query, embeddings):
    """All videos of `Embeddings`, each by the mean of its rows, with their cosine similarity to (D,), largest first."""
    labels = dict(zip(reversed(embeddings.paths), reversed(embeddings.labels), strict=True))
    numbers = {path: number for number, path in enumerate(dict.fromkeys(embeddings.paths))}
    sums = np.zeros((len(numbers), len(query)))
    np.add.at(sums, [numbers[path] for path in embeddings.paths], embeddings.values)
    lengths = np.linalg.norm(sums, axis=1) * np.linalg.norm(query.astype(np.float64))
    similarities = np.divide(sums @ query, lengths, out=np.zeros(len(sums)), where=lengths > 0)
    paths = list(numbers)
    return [
        {"similarity": float(similarities[number]), "path": paths[number], "label": labels[paths[number]]}
        for number in np.argsort(-similarities, kind="stable")
    ]


def read_middle_frames(paths):
    """{path: (H, W, 3) uint8 BGR frame halfway} of those videos that can be opened."""
    present = [path for path in dict.fromkeys(paths) if not inspect_file(path, path).problem]
    with WorkerPool(count_cores(), ClipsConfig.timeout) as pool:
        results = pool.map(middle_frame_in_worker, ((path,) for path in present))
        frames = [None if isinstance(each, WorkerError) else each[0] for each in results]
    return {path: frame for path, frame in zip(present, frames, strict=True) if frame is not None}
