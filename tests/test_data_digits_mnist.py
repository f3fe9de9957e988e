"""Digits: what is drawn, what is read, and what is said when they are missing."""

import gzip
import io
import random
import tracemalloc
import urllib.error
import zipfile

import numpy as np
import pytest

from videorep.data.digits import mnist
from videorep.data.digits.mnist import describe_digits, load_digits
from videorep.data.digits.rendered import render_digits
from videorep.errors import ConfigError, DataError


def idx_bytes(images):
    return bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes() + images.tobytes()


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (5, 28, 28), dtype=np.uint8)


def test_rendered_digits_look_like_mnist_in_numbers():
    train, labels = render_digits("train")
    assert train.shape == (6000, 28, 28) and train.dtype == np.uint8
    assert np.bincount(labels).tolist() == [600] * 10
    assert 0.10 < train.mean() / 255 < 0.17  # MNIST: 0.13
    assert train.reshape(6000, -1).max(axis=1).min() > 200
    rows, columns = np.indices((28, 28))
    ink = train.astype(float).sum(axis=(1, 2))
    for axis in (rows, columns):
        assert np.abs((train * axis).sum(axis=(1, 2)) / ink - 13.5).max() < 2  # mass in the centre
    assert max(train[:, [0, -1]].max(), train[:, :, [0, -1]].max()) < 16


def test_rendered_labels_are_learnable():
    train, train_labels = render_digits("train")
    test, test_labels = render_digits("test")
    flat = train.reshape(len(train), -1).astype(float)
    distances = (flat**2).sum(1) - 2 * test.reshape(len(test), -1).astype(float) @ flat.T
    assert (train_labels[distances.argmin(1)] == test_labels).mean() > 0.97  # nearest neighbour


def test_rendered_splits_share_no_image():
    train, test = (load_digits("rendered", split) for split in ("train", "test"))
    assert len(test) == 1000
    assert not {image.tobytes() for image in train} & {image.tobytes() for image in test}


def test_rendered_digits_say_that_they_are_not_mnist(images):
    facts = describe_digits("rendered", images)
    assert "not MNIST" in facts["digits_origin"] and facts["digits_count"] == 5
    assert facts["digits_sha256"] != describe_digits("rendered", images[:4])["digits_sha256"]


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_folder(tmp_path, images, ending):
    content = idx_bytes(images)
    for name, part in (("train-images-idx3-ubyte", content), ("t10k-images-idx3-ubyte", idx_bytes(images[:2]))):
        (tmp_path / (name + ending)).write_bytes(gzip.compress(part) if ending else part)
    np.testing.assert_array_equal(load_digits(tmp_path, "train"), images)
    np.testing.assert_array_equal(load_digits(str(tmp_path), "test"), images[:2])


def test_npz_by_file_and_by_folder(tmp_path, images):
    np.savez(tmp_path / "mnist.npz", x_train=images, x_test=images[:3])
    for path in (tmp_path, tmp_path / "mnist.npz"):
        np.testing.assert_array_equal(load_digits(path, "train"), images)
        np.testing.assert_array_equal(load_digits(path, "test"), images[:3])


def test_real_mnist(shared_data):
    train, test = (load_digits(shared_data / "mnist", split) for split in ("train", "test"))
    assert train.shape == (60000, 28, 28) and test.shape == (10000, 28, 28)
    assert train.mean() == pytest.approx(33.3184, abs=1e-3)  # MNIST's published mean 0.1307


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("train-images-idx3-ubyte", b"short", "not one"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((2, 28, 28), np.uint8))[:-1], "not one"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((2, 20, 20), np.uint8)), "shape"),
        ("train-images-idx3-ubyte", idx_bytes(np.zeros((0, 28, 28), np.uint8)), "shape"),
        ("train-images-idx3-ubyte.gz", b"not gzip", "readable digits"),
        (
            "train-images-idx3-ubyte.gz",
            gzip.compress(idx_bytes(np.ones((3, 28, 28), "u1")))[:-9],
            "readable digits",
        ),
        ("mnist.npz", b"PK\3\4 broken", "npz file"),
        ("unrelated.txt", b"", "found neither"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        load_digits(tmp_path, "train")
    assert str(tmp_path) in str(caught.value)


def test_damaged_arrays_are_named(tmp_path, images):
    path = tmp_path / "digits.npz"
    np.savez(path, x_train=images.astype(float))
    with pytest.raises(DataError, match="float64"):
        load_digits(path, "train")
    with pytest.raises(DataError, match="x_test"):
        load_digits(path, "test")


def test_missing_paths_and_splits(tmp_path):
    with pytest.raises(DataError, match="--digits"):
        load_digits(tmp_path / "absent", "train")
    (tmp_path / "file.bin").write_bytes(b"0")
    with pytest.raises(DataError, match="folder"):
        load_digits(tmp_path / "file.bin", "train")
    with pytest.raises(ConfigError, match="split"):
        load_digits("rendered", "training")


def test_mnist_by_name_without_network(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(mnist.urllib.request, "urlopen", refuse)
    with pytest.raises(DataError, match=r"--digits PATH.*--digits rendered"):
        load_digits("mnist", "train")
    assert list(tmp_path.rglob("*")) == []


def test_mnist_by_name_downloads_into_keras_cache(tmp_path, monkeypatch, images):
    stream = io.BytesIO()
    np.savez(stream, x_train=images, x_test=images)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(mnist.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(stream.getvalue()))
    with pytest.raises(DataError, match="other bytes"):
        load_digits("mnist", "train")
    monkeypatch.setattr(mnist, "MNIST_SHA256", mnist.hashlib.sha256(stream.getvalue()).hexdigest())
    np.testing.assert_array_equal(load_digits("mnist", "train"), images)
    assert [path.name for path in (tmp_path / "datasets").iterdir()] == ["mnist.npz"]


def gzip_bomb(promise):
    """A .gz of an idx file that promises so many digits and expands to 300 MB of zeros."""
    stream = io.BytesIO()
    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=1) as file:
        file.write(bytes([0, 0, 8, 3]) + np.array([promise, 28, 28], ">u4").tobytes())
        for _ in range(300):
            file.write(bytes(1 << 20))
    return stream.getvalue()


@pytest.mark.parametrize(("promise", "message"), [(5, "whole idx file"), (4_000_000, "at most 500,000 digits")])
def test_a_file_that_expands_beyond_its_promise_or_promises_too_much_is_refused_unread(tmp_path, promise, message):
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip_bomb(promise))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            load_digits(tmp_path, "train")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def npz_bytes(header, content=b"", method=zipfile.ZIP_DEFLATED):
    """An npz file with an array x_train of that header."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + content
        archive.writestr("x_train.npy", array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (2000000000, 28, 28), }", "at most 500,000"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (-5, 28, 28), }", "at most 500,000"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (5, 28, 28), }", "uint8"),
        ("{'descr': '|u1', 'fortran_order': False, 'shape': (5, 28, 28), }", "npz file"),
        ("(" * 900, "npz file"),
        ("{'descr': '|u1', (", "npz file"),
        ("'" * 3, "npz file"),
    ],
)
def test_an_npz_that_promises_nonsense_is_refused_unread(tmp_path, header, message):
    (tmp_path / "mnist.npz").write_bytes(npz_bytes(header))
    with pytest.raises(DataError, match=message):
        load_digits(tmp_path, "train")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_npz_that_numpy_cannot_have_written_is_refused(tmp_path, method):
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 28), }"
    (tmp_path / "mnist.npz").write_bytes(npz_bytes(header, bytes(784), method))
    with pytest.raises(DataError, match="compression"):
        load_digits(tmp_path, "train")


def test_pickled_digits_are_refused_and_not_unpickled(tmp_path):
    np.savez(tmp_path / "mnist.npz", x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="uint8"):
        load_digits(tmp_path, "train")


def test_an_array_in_fortran_order_is_read_as_numpy_reads_it(tmp_path, images):
    np.savez(tmp_path / "mnist.npz", x_train=np.asfortranarray(images))
    np.testing.assert_array_equal(load_digits(tmp_path, "train"), images)


@pytest.mark.parametrize("kind", ["gz", "npz", "compressed npz"])
def test_flipped_bytes_and_cuts_give_the_digits_or_a_data_error(tmp_path, images, kind):
    if kind == "gz":
        path = tmp_path / "train-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(idx_bytes(images)))
    else:
        path = tmp_path / "mnist.npz"
        (np.savez if kind == "npz" else np.savez_compressed)(path, x_train=images)
    whole, generator, refused = path.read_bytes(), random.Random(8), 0
    for number in range(400):
        content = bytearray(whole)
        place = generator.choice(
            [generator.randrange(len(whole)), generator.randrange(200), -generator.randrange(1, 200)]
        )
        content[place] ^= 1 << generator.randrange(8)
        path.write_bytes(content if number % 4 else content[: generator.randrange(len(whole))])
        try:
            np.testing.assert_array_equal(load_digits(tmp_path, "train"), images)
        except DataError:
            refused += 1
    assert refused > 100


def test_a_header_without_end_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "digits.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x02\x00" + (2**31 - 1).to_bytes(4, "little") + bytes(50 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="npz file of digits"):
            load_digits(path, "train")
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
