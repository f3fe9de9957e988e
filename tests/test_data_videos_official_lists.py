"""The official lists of UCF-101 and HMDB-51: which class and which split they give."""

import collections

import pytest
from video_listing import make, reasons, table

from videorep.data.videos.labels import list_videos
from videorep.data.videos.official_lists import read_official_list
from videorep.errors import ConfigError, DataError


def test_ucf_names_give_classes_without_lists(tmp_path):
    listing = list_videos(make(tmp_path, "v_Bow_g01_c01.avi", "x/v_Archery_g02_c01.mp4", "cat.mp4"), labels="ucf101")
    assert listing.labels == ("Archery", "Bow") and table(listing)["x/v_Archery_g02_c01.mp4"] == ("Archery", "train")
    assert reasons(listing) == {"cat.mp4": "no label: not named like v_Archery_g01_c01"}


UCF = {
    "classInd.txt": "1 Archery\r\n2 Bow\r\n3 Absent\r\n",
    "trainlist01.txt": "Bow/v_Bow_g01_c01.avi 2\r\nArchery/v_Archery_g08_c01.avi 1\r\nBow/v_Bow_g09_c01.avi 2\r\n",
    "testlist01.txt": "Bow/v_Bow_g03_c01.avi\r\nAbsent/v_Absent_g01_c01.avi\r\n\r\n",
}


def write_lists(folder, **changes):
    folder.mkdir(exist_ok=True)
    for name, text in (UCF | {key.replace("_", ".", 1): value for key, value in changes.items()}).items():
        (folder / name).write_bytes(text.encode())
    return f"{folder}:1"


def test_official_ucf_lists_decide_split_class_and_order(tmp_path):
    split = write_lists(tmp_path / "lists")
    make(tmp_path / "v", "Bow/v_Bow_g01_c01.avi", "v_Archery_g08_c01.mp4", "v_Bow_g03_c01.mp4", "v_Bow_g77_c01.avi")
    make(tmp_path / "v", "copy/v_Bow_g03_c01.avi", "notes.txt")
    listing = list_videos(tmp_path / "v", labels="ucf101", split=split)
    assert listing.labels == ("Archery", "Bow")
    assert table(listing) == {
        "Bow/v_Bow_g01_c01.avi": ("Bow", "train"),
        "v_Archery_g08_c01.mp4": ("Archery", "train"),
        "copy/v_Bow_g03_c01.avi": ("Bow", "test"),
    }
    assert reasons(listing) == {
        "v_Bow_g77_c01.avi": "not in the official lists",
        "v_Bow_g03_c01.mp4": "duplicate: same official name as copy/v_Bow_g03_c01.avi",
        "notes.txt": "not a video: suffix .txt",
    }
    counts = {"listed": 5, "absent": 2, "absent_classes": 1, "unlisted": 1}
    assert listing.facts == {"official_list": "ucf101 split 1"} | counts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classInd_txt": "1 Archery\n3 Bow\n"}, "line 2 of .*classInd.txt"),
        ({"trainlist01_txt": "Bow/v_Bow_g01_c01.avi 1\n"}, "line 1 of .*trainlist01.txt"),
        ({"testlist01_txt": "Nod/v_Nod_g01_c01.avi\n"}, "line 1 of .*testlist01.txt"),
        ({"testlist01_txt": "Bow/v_Bow_g01_c01.avi\n"}, "a video that no other line names"),
    ],
)
def test_lists_that_do_not_parse_are_refused_by_line(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        list_videos(
            make(tmp_path / "v", "v_Bow_g01_c01.avi"), labels="ucf101", split=write_lists(tmp_path / "l", **changes)
        )


def test_lists_that_are_missing_or_fit_nothing_are_refused(tmp_path):
    videos, split = make(tmp_path / "v", "cat.mp4"), write_lists(tmp_path / "lists")
    with pytest.raises(DataError, match="named like v_Bow_g01_c01"):
        list_videos(videos, labels="ucf101", split=split)
    with pytest.raises(DataError, match=r"expected trainlist02\.txt"):
        list_videos(videos, labels="ucf101", split=split[:-1] + "2")
    with pytest.raises(DataError, match=r"CLASS_test_split1\.txt"):
        list_videos(videos, labels="hmdb51", split=split)
    with pytest.raises(DataError, match="no such folder"):
        list_videos(videos, labels="ucf101", split=f"{tmp_path}/none:1")
    for wrong in (f"{tmp_path}/lists:", f"{tmp_path}/lists:x", ":1"):
        with pytest.raises(ConfigError, match="LISTS:NUMBER"):
            list_videos(videos, labels="ucf101", split=wrong)


def test_official_hmdb_lists_know_unused_videos(tmp_path):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "wave_test_split2.txt").write_text("a.avi 1 \nb #(1)&x.avi 2 \n".replace(" #", "_#") + "c.avi 0 \n")
    (lists / "bow_test_split2.txt").write_text("d.avi 1 \n")
    make(tmp_path / "v", "wave/a.avi", "wave/b_#(1)&x.avi", "wave/c.avi", "wave/e.avi", "bow/d.avi")
    listing = list_videos(tmp_path / "v", labels="hmdb51", split=f"{lists}:2")
    assert listing.labels == ("bow", "wave")
    assert table(listing) == {
        "bow/d.avi": ("bow", "train"),
        "wave/a.avi": ("wave", "train"),
        "wave/b_#(1)&x.avi": ("wave", "test"),
    }
    assert reasons(listing) == {"wave/c.avi": "unused in official split 2", "wave/e.avi": "not in the official lists"}


@pytest.mark.parametrize(("number", "train", "test"), [(1, 9537, 3783), (2, 9586, 3734), (3, 9624, 3696)])
def test_the_real_ucf_lists(shared_data, number, train, test):
    official = read_official_list("ucf101", f"{shared_data}/splits/ucf101:{number}")
    assert len(official.classes) == 101 and official.classes[:2] == ("ApplyEyeMakeup", "ApplyLipstick")
    assert collections.Counter(split for _, split in official.members.values()) == {"train": train, "test": test}
    listing = list_videos(shared_data / "ucf101/clips", labels="ucf101", split=f"{shared_data}/splits/ucf101:{number}")
    assert len(table(listing)) == 117 and len(listing.labels) == 12 and listing.facts["absent"] == 13320 - 117


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_real_hmdb_lists_have_70_and_30_videos_per_class(shared_data, number):
    official = read_official_list("hmdb51", f"{shared_data}/splits/hmdb51:{number}")
    counts = collections.Counter(official.members.values())
    assert len(official.classes) == 51
    assert all((counts[name, "train"], counts[name, "test"]) == (70, 30) for name in official.classes)
