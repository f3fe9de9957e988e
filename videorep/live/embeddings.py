"""The files of embeddings: .npz, which is read again; .tsv for TensorBoard's projector; .parquet."""

import dataclasses
import io
import zipfile
import zlib
from importlib.util import find_spec
from pathlib import Path
from tokenize import TokenError

import numpy as np

from videorep.errors import DataError, OutputError
from videorep.progress import visible
from videorep.storage import is_no_regular_file, replacing, write_text_durably
from videorep.writing import written

PER = ("video", "block", "frame")
GARBLED = (OSError, EOFError, ValueError, TypeError, AttributeError, KeyError, RuntimeError, MemoryError)
GARBLED += (OverflowError, zlib.error, zipfile.BadZipFile, TokenError)
GARBLED += (SystemError,)  # of numbers that are no characters, in the place of texts


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """Rows of numbers (N, D) float32 that stand for videos, with the N paths and labels ("" where there is none).

    `run` is the SHA-256 of the model that made them; a row is `per` "video", "block" or "frame" of one.
    """

    values: np.ndarray
    paths: list
    labels: list
    run: str
    per: str


def metadata_path(path):
    """Where the paths and labels of the vectors in a .tsv file are."""
    return Path(path).with_name(f"{Path(path).stem}-metadata.tsv")


def require_kind(path):
    """Raises an OutputError where a file of this suffix cannot be written with what is installed."""
    if Path(path).suffix.lower() == ".parquet" and not find_spec("pyarrow"):
        raise OutputError(
            "expected pyarrow, which writes .parquet, received an installation without it; pip install "
            "'videorep[parquet]', or choose .npz or .tsv"
        )


def write_embeddings(path, embeddings):
    """Writes embeddings as the suffix says: .npz, .tsv (with `metadata_path` beside it) or .parquet.

    Raises:
        OutputError: the file cannot be written.
    """
    require_kind(path)
    write = {".tsv": _write_tsv, ".parquet": _write_parquet}.get(Path(path).suffix.lower(), _write_npz)
    with written(path, "give the same command again"):
        write(Path(path), embeddings)


def _write_npz(path, embeddings):
    arrays = {"embeddings": embeddings.values, "run": embeddings.run, "per": embeddings.per}
    arrays |= {"paths": np.array(embeddings.paths, str), "labels": np.array(embeddings.labels, str)}
    with replacing(path, shared=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)  # not compressed: whoever reads it needs no more memory than it has bytes


def _write_tsv(path, embeddings):
    vectors, texts = io.StringIO(), zip(embeddings.paths, embeddings.labels, strict=True)
    np.savetxt(vectors, embeddings.values, "%.9g", "\t")
    rows = "".join(f"{visible(name)}\t{visible(label)}\n" for name, label in texts)
    write_text_durably(metadata_path(path), f"path\tlabel\n{rows}")
    write_text_durably(path, vectors.getvalue())


def _write_parquet(path, embeddings):
    import pyarrow
    import pyarrow.parquet

    values = pyarrow.FixedSizeListArray.from_arrays(embeddings.values.ravel(), embeddings.values.shape[1])
    table = pyarrow.table({"path": embeddings.paths, "label": embeddings.labels, "embedding": values})
    table = table.replace_schema_metadata({"run": embeddings.run, "per": embeddings.per})
    with replacing(path, shared=True) as temporary:
        pyarrow.parquet.write_table(table, temporary)


def read_embeddings(path):
    """Reads .npz of `write_embeddings`, or whatever a stranger calls so: a DataError where it is damaged or packed."""
    try:
        if is_no_regular_file(Path(path)):
            raise ValueError("no regular file")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            if any(member.compress_type != zipfile.ZIP_STORED for member in arrays.zip.infolist()):
                raise ValueError("packed arrays")
            values, run, per = arrays["embeddings"], str(arrays["run"]), str(arrays["per"])
            paths, labels = (_texts(arrays[name], len(values)) for name in ("paths", "labels"))
        if values.dtype != np.float32 or values.ndim != 2 or not values.size or per not in PER:
            raise ValueError("other arrays")
        if not np.isfinite(values).all():
            raise ValueError("NaN or infinity")
    except GARBLED as error:
        raise DataError(
            f"expected embeddings that videorep embed wrote as .npz in {path}, received: "
            f"{getattr(error, 'strerror', None) or error or type(error).__name__}; make them again"
        ) from error
    return Embeddings(values, paths, labels, run, per)


def _texts(array, count):
    if array.dtype.kind != "U" or array.shape != (count,):
        raise ValueError("other texts")
    texts = array.tolist()
    if b"\0" in "".join(texts).encode():  # which also refuses halves of characters
        raise ValueError("texts with zero bytes")
    return texts
