"""The files of embeddings: what is written is read again, what is damaged is refused."""

import contextlib
import csv
import io
import os
import zipfile

import numpy as np
import pytest

from videorep.errors import DataError, OutputError
from videorep.live.embeddings import Embeddings, read_embeddings, require_kind, write_embeddings


@pytest.fixture
def made():
    values = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    return Embeddings(values, ["a\tb\n.mp4", "ü.avi", "c"], ["x", "", "y"], "0123abcd", "block")


def require_equal(one, other):
    np.testing.assert_array_equal(one.values, other.values)
    assert (one.paths, one.labels, one.run, one.per) == (other.paths, other.labels, other.run, other.per)


def test_npz_is_read_again(made, tmp_path):
    write_embeddings(tmp_path / "e.npz", made)
    require_equal(read_embeddings(tmp_path / "e.npz"), made)
    assert os.listdir(tmp_path) == ["e.npz"]


def test_tsv_has_a_line_for_every_row_whatever_names_hold(made, tmp_path):
    write_embeddings(tmp_path / "e.tsv", made)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "e.tsv", np.float32, delimiter="\t"), made.values)
    rows = list(csv.reader((tmp_path / "e-metadata.tsv").read_text().split("\n")[:-1], csv.excel_tab))
    assert rows == [["path", "label"], [r"a\x09b\x0a.mp4", "x"], ["ü.avi", ""], ["c", "y"]]


def test_parquet_holds_the_same(made, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow, of the extra parquet, is not installed")
    write_embeddings(tmp_path / "e.parquet", made)
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.select(["path", "label"]).to_pydict() == {"path": made.paths, "label": made.labels}
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), made.values)
    assert table.schema.metadata == {b"run": b"0123abcd", b"per": b"block"}


def test_parquet_without_pyarrow_and_a_folder_that_is_missing_are_told(made, tmp_path, monkeypatch):
    monkeypatch.setattr("videorep.live.embeddings.find_spec", lambda name: None)
    with pytest.raises(OutputError, match=r"videorep\[parquet\]"):
        require_kind(tmp_path / "e.parquet")
    for name in ("e.npz", "e.tsv"):
        with pytest.raises(OutputError, match="expected to write"):
            write_embeddings(tmp_path / "missing" / name, made)


def npz(save=np.savez, **changes):
    buffer = io.BytesIO()
    arrays = {"embeddings": np.ones((2, 3), np.float32), "paths": ["a", "b"], "labels": ["", "x"]}
    save(buffer, **(arrays | {"run": "0", "per": "video"} | changes))
    return buffer.getvalue()


def lying(shape):
    """An .npz whose embeddings promise a shape and hold nothing."""
    buffer, array = io.BytesIO(npz()), io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f4", "fortran_order": False, "shape": shape})
    kept = {name: data for name, data in _members(buffer) if name != "embeddings.npy"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in (kept | {"embeddings.npy": array.getvalue()}).items():
            archive.writestr(name, data)
    return out.getvalue()


def _members(buffer):
    with zipfile.ZipFile(buffer) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def single_array():
    buffer = io.BytesIO()
    np.save(buffer, np.ones((2, 3), np.float32))
    return buffer.getvalue()


BAD = {
    "empty": b"",
    "text": b"no zip",
    "cut": npz()[:200],
    "one array": single_array(),
    "packed": npz(np.savez_compressed, embeddings=np.zeros((2, 10**6), np.float32)),
    "pickled": npz(paths=np.array(["a", None], object)),
    "float64": npz(embeddings=np.ones((2, 3))),
    "flat": npz(embeddings=np.ones(2, np.float32)),
    "NaN": npz(embeddings=np.full((2, 3), np.nan, np.float32)),
    "none": npz(embeddings=np.ones((0, 3), np.float32), paths=np.array([], str), labels=np.array([], str)),
    "fewer paths": npz(paths=["a"]),
    "numbers for labels": npz(labels=[1, 2]),
    "zero bytes": npz(paths=["a\0b", "c"]),
    "halves of characters": npz(paths=["\ud800", "c"]),
    "no characters": npz(paths=np.full(2, 2**31 - 1, np.uint32).view("U1")),
    "per": npz(per="year"),
    "lies": lying((2, 10**12)),
    "overflows": lying((10**15, 10**15)),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_refused_in_one_sentence(name, tmp_path):
    (tmp_path / "e.npz").write_bytes(BAD[name])
    with pytest.raises(DataError, match="expected embeddings that videorep embed wrote"):
        read_embeddings(tmp_path / "e.npz")


def test_flipped_bytes_are_refused_or_read(tmp_path):
    whole, generator = npz(), np.random.default_rng(0)
    for place in generator.integers(0, len(whole), 300):
        (tmp_path / "e.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            assert len(read_embeddings(tmp_path / "e.npz").paths) == 2


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "e.npz")
    with pytest.raises(DataError, match="no regular file"):
        read_embeddings(tmp_path / "e.npz")
