"""videorep.data.videos.labels and what it rests on: which videos, which class, which split, and no leaks."""

import collections
import os
import socket
import subprocess
import types
from pathlib import Path

import pytest
from video_listing import make, reasons, table

from videorep.data.videos.find import find_videos
from videorep.data.videos.labels import list_videos
from videorep.errors import ConfigError, DataError


def test_a_flat_folder_has_no_labels_and_is_searched_in_depth(tmp_path):
    listing = list_videos(make(tmp_path, "b.mp4", "a.AVI", "deep/er/c.mkv", ".hidden.mp4", ".git/d.mp4"))
    assert list(table(listing).items()) == [(name, (None, "train")) for name in ("a.AVI", "b.mp4", "deep/er/c.mkv")]
    assert listing.labels == () and reasons(listing) == {}


def test_what_cannot_be_opened_is_listed_with_its_reason(tmp_path):
    make(tmp_path, "good.mp4", "notes.txt", "README", "folder.mp4/inside.avi")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "x.mp4").mkdir()
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "round").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.mp4"))
        listing = list_videos(tmp_path)
    assert set(table(listing)) == {"good.mp4", "folder.mp4/inside.avi"}
    assert reasons(listing) == {
        "README": "not a video: no suffix",
        "notes.txt": "not a video: suffix .txt",
        "empty.mp4": "unreadable: an empty file",
        "x.mp4": "not a regular file: a folder",
        "gone.mp4": "not a regular file: a dangling link",
        "loop.mp4": "unreadable: Too many levels of symbolic links",
        "pipe.mp4": "not a regular file: a fifo",
        "s.mp4": "not a regular file: a socket",
    }


def test_links_to_files_and_folders_are_followed(tmp_path):
    make(tmp_path / "else", "where/a.mp4", "b.mp4")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "wave").symlink_to(tmp_path / "else" / "where")
    (tmp_path / "videos" / "c.mp4").symlink_to(tmp_path / "else" / "b.mp4")
    assert set(table(list_videos(tmp_path / "videos"))) == {"wave/a.mp4", "c.mp4"}


def test_a_name_that_is_not_unicode_is_listed_in_unicode(tmp_path):
    with open(os.path.join(os.fsencode(tmp_path), b"\xff.mp4"), "wb") as file:
        file.write(b"x")
    (file,) = find_videos(tmp_path)
    assert file.name == "\\xff.mp4" and os.path.exists(file.path)


def test_folders_give_sorted_classes(tmp_path):
    listing = list_videos(make(tmp_path, "wave/1.mp4", "bow/1.mp4", "bow/more/2.mp4", "3.mp4"), labels="folders")
    assert listing.labels == ("bow", "wave")
    assert table(listing) == {
        name: (name.split("/")[0], "train") for name in ("wave/1.mp4", "bow/1.mp4", "bow/more/2.mp4")
    }
    assert reasons(listing) == {"3.mp4": "no label: not in the folder of a class"}


def test_the_empty_folder_of_a_class_is_told(tmp_path):
    make(tmp_path, "bow/1.mp4", "nod/.hidden.mp4")
    (tmp_path / "wave").mkdir()
    listing = list_videos(tmp_path, labels="folders")
    assert listing.labels == ("bow",)
    assert reasons(listing) == dict.fromkeys(("nod", "wave"), "not a video: an empty folder")


def test_train_and_test_folders_give_splits_and_one_label_map(tmp_path):
    make(
        tmp_path,
        "train/wave/1.mp4",
        "train/bow/2.mp4",
        "test/wave/3.mp4",
        "test/nod/4.mp4",
        "other/wave/5.mp4",
        "test/6.mp4",
    )
    listing = list_videos(tmp_path, labels="folders")
    assert listing.labels == ("bow", "nod", "wave")
    assert table(listing)["test/wave/3.mp4"] == ("wave", "test") and table(listing)["train/bow/2.mp4"] == (
        "bow",
        "train",
    )
    assert set(reasons(listing)) == {"other/wave/5.mp4", "test/6.mp4"}


def test_a_given_label_map_is_kept_and_must_hold_every_class(tmp_path):
    make(tmp_path, "wave/1.mp4", "bow/1.mp4")
    assert list_videos(tmp_path, labels="folders", classes=["wave", "nod", "bow"]).labels == ("wave", "nod", "bow")
    (tmp_path / "classes.txt").write_text("wave\n nod\n\nbow\n")
    assert list_videos(tmp_path, labels="folders", classes=tmp_path / "classes.txt").labels == ("wave", "nod", "bow")
    with pytest.raises(DataError, match="received 'bow'"):
        list_videos(tmp_path, labels="folders", classes=["wave"])
    for text in ("", "wave\nbow\nwave\n"):
        (tmp_path / "classes.txt").write_text(text)
        with pytest.raises(DataError, match="different class names"):
            list_videos(tmp_path, labels="folders", classes=str(tmp_path / "classes.txt"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.mp4\nb/c.mp4\n", {("a.mp4", None, None, None), ("b/c.mp4", None, None, None)}),
        ("a.mp4,wave\nb/c.mp4, bow \n", {("a.mp4", "wave", None, None), ("b/c.mp4", "bow", None, None)}),
        ("a.mp4,0,2.5\na.mp4,3,4\n", {("a.mp4", None, 0, 2.5), ("a.mp4", None, 3, 4)}),
        ("a.mp4,1,2,wave\nb/c.mp4,,,bow\n", {("a.mp4", "wave", 1, 2), ("b/c.mp4", "bow", None, None)}),
        (
            "\ufefflabel,Path\r\nwave,a.mp4\r\n\r\nbow,b/c.mp4",
            {("a.mp4", "wave", None, None), ("b/c.mp4", "bow", None, None)},
        ),
        ('"a.mp4",wave\n"a.mp4",wave\n', {("a.mp4", "wave", None, None)}),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_csv_files_give_paths_pieces_and_labels(tmp_path, text, expected, alone):
    videos = make(tmp_path / "v", "a.mp4", "b/c.mp4", "other.mp4")
    table_path = (videos if alone else tmp_path) / "list.csv"
    table_path.write_text(text, encoding="utf-8", newline="")
    listing = list_videos(table_path) if alone else list_videos(videos, labels=str(table_path))
    assert {(video.file.name, video.label, video.start, video.end) for video in listing.videos} == expected
    assert listing.labels == tuple(sorted({label for _, label, _, _ in expected if label}))


def test_a_csv_row_without_its_file_is_accounted_for(tmp_path):
    (tmp_path / "list.csv").write_text(f"a.mp4,wave\n{tmp_path}/elsewhere/b.mp4,bow\nnone.mp4,bow\n")
    make(tmp_path, "v/a.mp4", "elsewhere/b.mp4")
    listing = list_videos(tmp_path / "v", labels=tmp_path / "list.csv")
    assert table(listing) == {"a.mp4": ("wave", "train"), f"{tmp_path}/elsewhere/b.mp4": ("bow", "train")}
    assert reasons(listing) == {"none.mp4": "missing: no such file"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("a,b,c,d,e\n", "columns path"),
        ("path,colour\na.mp4,red\n", "columns path"),
        ("a.mp4,wave\nb.mp4\n", "2 columns in line 2"),
        ("a.mp4,2,1\n", "0 <= start < end"),
        ("a.mp4,one,two\n", "line 1"),
        ("a.mp4,nan,2\n", "0 <= start < end"),
        ("a.mp4,\n", "a label in line 1"),
        (",wave\n", "a path"),
        ("a.mp4,wave\na.mp4,bow\n", "one label for a.mp4, received 'bow' in line 2"),
    ],
)
def test_csv_files_that_make_no_sense_are_refused(tmp_path, text, message):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        list_videos(make(tmp_path, "a.mp4", "b.mp4"), labels=tmp_path / "list.csv")


def test_bad_arguments_are_refused(tmp_path):
    make(tmp_path / "v", "a.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    make(tmp_path / "text", "notes.txt")
    for folder in ("none", "empty", "text"):
        with pytest.raises(DataError, match="expected"):
            list_videos(tmp_path / folder)
    with pytest.raises(ConfigError, match="--labels"):
        list_videos(tmp_path / "v", labels="kinetics")
    with pytest.raises(DataError, match="one folder per class"):
        list_videos(tmp_path / "v", labels="folders")
    for split in ("1.5", "0", "x:1", 1):
        with pytest.raises(ConfigError, match="--split"):
            list_videos(tmp_path / "v", split=split)


def test_repeated_bytes_within_a_split_are_left_out(tmp_path):
    make(tmp_path, "bow/a.mp4", "bow/z.mp4", "wave/c.mp4")
    (tmp_path / "bow/b.mp4").write_bytes((tmp_path / "bow/a.mp4").read_bytes())
    (tmp_path / "wave/d.mp4").write_bytes((tmp_path / "bow/a.mp4").read_bytes())
    listing = list_videos(tmp_path, labels="folders")
    assert reasons(listing) == {
        "bow/b.mp4": "duplicate: same bytes as bow/a.mp4",
        "wave/d.mp4": "duplicate: same bytes as bow/a.mp4, which has label 'bow'",
    }


def test_the_same_bytes_in_two_splits_are_a_leak_with_a_way_out(tmp_path):
    make(tmp_path, "train/bow/a.mp4", "test/wave/b.mp4")
    (tmp_path / "test/bow").mkdir()
    (tmp_path / "test/bow/c.mp4").write_bytes((tmp_path / "train/bow/a.mp4").read_bytes())
    with pytest.raises(DataError, match=r"test/bow/c\.mp4 \(test\) and train/bow/a\.mp4 \(train\).*--allow-leaks"):
        list_videos(tmp_path, labels="folders")
    listing = list_videos(tmp_path, labels="folders", allow_leaks=True)
    assert len(table(listing)) == 3 and listing.facts["leaks"] == 1


def test_a_ucf_group_in_two_splits_is_a_leak(tmp_path):
    names = ("train/Bow/v_Bow_g01_c01.mp4", "test/Bow/v_Bow_g01_c02.mp4", "test/Nod/v_Nod_g01_c01.mp4")
    make(tmp_path, *names)
    with pytest.raises(
        DataError, match=r"UCF group \(gNN\).*v_Bow_g01_c02\.mp4 \(test\) and .*v_Bow_g01_c01\.mp4 \(train\)"
    ):
        list_videos(tmp_path, labels="folders")
    assert list_videos(tmp_path, labels="folders", allow_leaks=True).facts["leaks"] == 1
    (tmp_path / names[1]).rename(tmp_path / "test/Bow/v_Bow_g02_c01.mp4")
    assert len(table(list_videos(tmp_path, labels="folders"))) == 3


def test_a_share_of_every_class_goes_to_train_whatever_the_order_on_disk(tmp_path):
    make(tmp_path, *(f"{label}/{number}.mp4" for label in ("bow", "wave") for number in range(10)), "solo/1.mp4")
    listing = list_videos(tmp_path, labels="folders", split=0.7, seed=3)
    counts = collections.Counter(table(listing).values())
    assert [counts[label, "train"] for label in ("bow", "wave", "solo")] == [7, 7, 1]
    assert [counts[label, "test"] for label in ("bow", "wave", "solo")] == [3, 3, 0]
    assert table(listing) == table(list_videos(tmp_path, labels="folders", split="0.7", seed=3))
    assert table(listing) != table(list_videos(tmp_path, labels="folders", split=0.7, seed=4))


def test_a_share_keeps_ucf_groups_and_pieces_of_one_video_together(tmp_path):
    make(tmp_path, *(f"v_Bow_g{group:02}_c{clip:02}.mp4" for group in range(1, 8) for clip in range(1, 4)))
    sides = collections.defaultdict(set)
    for name, (_, split) in table(list_videos(tmp_path, labels="ucf101", split=0.6)).items():
        sides[name[:9]].add(split)
    assert all(len(splits) == 1 for splits in sides.values()) and set().union(*sides.values()) == {"train", "test"}
    (tmp_path / "list.csv").write_text(
        "".join(f"v_Bow_g0{g}_c01.mp4,{s},{s + 1},x{s}\n" for g in (1, 2) for s in range(5))
    )
    videos = list_videos(tmp_path / "list.csv", split=0.5).videos
    assert len({(video.file.name, video.split) for video in videos}) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [("path;label\na.mp4;bow\n", "semicolons"), ("a.mp4;0.5;1\n", "semicolons"), ("a.mp4\tbow\n", "tabs")],
)
def test_a_csv_without_commas_says_which_separator_it_has(tmp_path, text, name):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(DataError, match=f"commas between them.*received {name}"):
        list_videos(tmp_path / "list.csv")


def test_a_file_whose_name_has_a_semicolon_is_no_table(tmp_path):
    (tmp_path / "a;b.mp4").write_text("video")
    (tmp_path / "list.csv").write_text("a;b.mp4\n")
    assert [video.file.name for video in list_videos(tmp_path / "list.csv").videos] == ["a;b.mp4"]


def test_a_piece_without_end_is_refused(tmp_path):
    (tmp_path / "list.csv").write_text("a.mp4,0,inf\n")
    with pytest.raises(DataError, match="start < end"):
        list_videos(tmp_path / "list.csv")


def test_folders_as_deep_as_a_path_may_be_are_searched(tmp_path):
    deep = str(tmp_path)
    try:
        for _ in range(1100):
            deep += "/d"
            os.mkdir(deep)
        Path(deep, "a.mp4").write_text("video")
        assert [len(video.file.folders) for video in list_videos(tmp_path).videos] == [1100]
    finally:
        subprocess.run(["rm", "-r", str(tmp_path / "d")], check=True)  # which Python's own, a recursion, cannot


def test_links_that_give_any_number_of_paths_are_refused(tmp_path):
    for name in "abcdefgh":
        (tmp_path / name).mkdir()
        for other in "abcdefgh":
            (tmp_path / name / other).symlink_to(tmp_path / other)
    with pytest.raises(DataError, match="links to one folder"):
        list_videos(tmp_path)


def test_a_split_of_thousands_of_digits_is_bad_usage(tmp_path):
    (tmp_path / "v_Bow_g01_c01.mp4").write_text("video")
    with pytest.raises(ConfigError, match="LISTS:NUMBER"):
        list_videos(tmp_path, labels="ucf101", split=f"{tmp_path}:{'1' * 5000}")


@pytest.mark.parametrize("share, is_told", [(0.8, True), (0.25, False)])
def test_a_split_far_from_what_was_asked_for_is_told(tmp_path, monkeypatch, recwarn, share, is_told):
    names = ["v_Dive_g01_c01.avi", *(f"v_Dive_g02_c0{n}.avi" for n in (1, 2, 3))]
    make(tmp_path, *(f"Dive/{name}" for name in names))
    for number, path in enumerate(sorted((tmp_path / "Dive").iterdir())):
        path.write_bytes(bytes([number]))  # so that none repeats another
    monkeypatch.setattr("numpy.random.default_rng", lambda seed: types.SimpleNamespace(permutation=range))
    list_videos(tmp_path, labels="folders", split=str(share))
    assert [str(each.message)[:17] for each in recwarn] == ["25% of the videos"] * is_told
