"""Arrays that cannot be used: each is listed with its reason, and what no build can be made of is one sentence."""

import io
import zipfile

import numpy as np
import pytest
from command_line import fails
from feature_arrays import FEATURES, build_features, make_folder, reasons, values, written

from videorep.data.features.arrays import FaultyArrayError, read_features
from videorep.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "FEATURES")


def make_bad(folder):
    """Arrays that cannot be used, by what is said of them."""
    good = values(1)
    nan = good.copy()
    nan[3:5, 2] = np.nan
    bad = {
        "rank_rgb.npy": (np.zeros((2, 3, 4)), "wrong shape: (2, 3, 4), where (frames, features) is expected"),
        "scalar_rgb.npy": (np.zeros(()), "wrong shape: ()"),
        "none_rgb.npy": (np.zeros((0, FEATURES)), "wrong shape: (0, 6)"),
        "nan_rgb.npy": (nan, "not finite: NaN or infinity in 2 of 9 frames"),
        "large_rgb.npy": (good.astype(np.float64) * 1e6, "too large: "),
        "width_rgb.npy": (good[:, :4], "other features: 4 per frame, where most have 6"),
        "text_rgb.npy": (np.array([["a", "b"]]), "unreadable: an array of <U1, not of numbers"),
    }
    for name, (array, _) in bad.items():
        np.save(folder / name, array)
    told = {name: said for name, (_, said) in bad.items()}
    np.save(folder / "object_rgb.npy", np.array([[{"a": 1}]], object), allow_pickle=True)
    whole = (folder / "v0_rgb.npy").read_bytes()
    (folder / "cut_rgb.npy").write_bytes(whole[:-5])
    (folder / "empty_rgb.npy").touch()
    (folder / "notes.txt").touch()
    (folder / "noise_rgb.npy").write_bytes(bytes(range(256)) * 4)
    (folder / "z_rgb.npy").write_bytes(whole)
    header = whole[:128].replace(b"(9, 6)", b"(99999999, 6)").replace(b"       \n", b"\n")
    (folder / "promise_rgb.npy").write_bytes(header + whole[128:])
    told |= {
        "object_rgb.npy": "unreadable: an array of objects",
        "cut_rgb.npy": "unreadable: an array of 216 bytes that",
    }
    told |= {"empty_rgb.npy": "unreadable: an empty file", "noise_rgb.npy": "unreadable: "}
    return told | {"z_rgb.npy": "duplicate: same bytes as clap/", "promise_rgb.npy": "unreadable: "}


def test_bad_arrays_are_listed_with_their_reasons(folder, tmp_path):
    told = make_bad(folder / "clap")
    options = {"match": "*_rgb.npy", "labels": "folders"}
    dataset = build_features(folder, tmp_path / "out", max_bad_fraction=0.9, **options)
    received = reasons(dataset)
    for name, said in told.items():
        (path,) = [path for path in received if path.startswith(f"clap/{name[:-4]}".removesuffix("_rgb"))]
        assert received.pop(path).startswith(said), path
    assert received == {"clap/notes.txt": "not a feature array: suffix .txt"} and len(written(dataset)) == 8
    with pytest.raises(DataError, match="expected at most 50% of"):
        build_features(folder, tmp_path / "other", **options)
    assert not (tmp_path / "other").exists() or not list((tmp_path / "other").iterdir())


def test_npz_files_hold_one_array_or_named_ones(tmp_path):
    folder = tmp_path / "FEATURES"
    folder.mkdir()
    np.savez(folder / "one.npz", values(0))
    np.savez_compressed(folder / "two.npz", rgb=values(1), flow=values(2))
    np.save(folder / "frame.npy", values(3)[0])
    dataset = build_features(folder, tmp_path / "any", dtype="float32")
    assert {name: len(record["frames"]) for name, record in written(dataset).items()} == {"one": 9, "frame": 1}
    assert reasons(dataset) == {"two": "unreadable: 2 arrays (rgb, flow), one is wanted"}
    dataset = build_features(folder, tmp_path / "named", array="flow", dtype="float32", max_bad_fraction=0.9)
    np.testing.assert_array_equal(written(dataset)["two"]["frames"], values(2))
    with zipfile.ZipFile(folder / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f4", "fortran_order": False, "shape": (1 << 29, FEATURES)}
        )
        archive.writestr("rgb.npy", file.getvalue())
    dataset = build_features(folder, tmp_path / "bomb")
    assert reasons(dataset)["bomb"].startswith("unreadable: an array of 12,884,901,888 bytes that is cut off")


@pytest.mark.parametrize("save", [np.save, np.savez, np.savez_compressed])
def test_any_bytes_are_an_array_or_a_reason(tmp_path, save):
    path = tmp_path / ("v.npy" if save is np.save else "v.npz")
    save(path, values(0))
    sound, generator = path.read_bytes(), np.random.default_rng(0)
    told = set()
    for _ in range(300):
        flawed = bytearray(sound)
        for place in generator.integers(0, len(sound), 3):
            flawed[place] = generator.integers(256)
        path.write_bytes(flawed[: generator.integers(len(sound))] if generator.random() < 0.2 else flawed)
        try:
            assert read_features(path, None, "float32").ndim == 2
        except FaultyArrayError as fault:
            told.add(str(fault).partition(":")[0])
    assert "unreadable" in told


def test_what_is_no_folder_of_features_is_one_sentence(folder, tmp_path):
    for words, said in (
        ([folder / "absent"], "expected a folder of feature arrays"),
        ([folder, "--match", "*_clip.npy"], "expected feature arrays below"),
        ([folder / "clap" / "v0_rgb.npy"], "received the file"),
        ([folder, "--labels", "names"], "expected --labels to be"),
    ):
        status, message = fails("build-shards", "features", *words, "--out", tmp_path / "out")
        assert status == 1 and said in message and message.count("\n") == 1
    np.save(folder / "clap" / "v0_flow.npy", values(0))
    status, message = fails("build-shards", "features", folder, "--out", tmp_path / "out")
    assert status == 1 and "received clap/v0_rgb and clap/v0_flow; give --match '*_rgb.npy'" in message
